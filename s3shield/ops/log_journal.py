"""Log lines to systemd's journal, by its native protocol.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
A message is a datagram of fields, `NAME=value` or, where the value has line breaks, the name,
its length in 64 bits, little-endian, and the value. One that is too large for a datagram goes
as a sealed memory file whose descriptor is passed.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from s3shield.ops.log_backlog import Backlog, SocketTarget

__all__ = ["SOCKET", "JournalTarget"]

SOCKET: Final = "/run/systemd/journal/socket"

Field = tuple[bytes, bytes]
"""A name, of A-Z, 0-9 and _, not beginning with _, and a value, any bytes."""


def _encoded(fields: Iterable[Field]) -> bytes:
    pieces = []
    for name, value in fields:
        if b"\n" in value:
            pieces.append(b"%b\n%b%b\n" % (name, struct.pack("<Q", len(value)), value))
        else:
            pieces.append(b"%b=%b\n" % (name, value))
    return b"".join(pieces)


class JournalTarget(SocketTarget):
    """One entry a line. Raises OSError where no journal listens.

    path: of its socket.
    """

    def __init__(self, path: str = "", *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path or SOCKET
        self._backlog = Backlog(self._connect, self._send, who="the journal", monotonic=monotonic)
        # Without a journal nothing would ever be seen: say so at the start.
        self._connect().close()

    def write(self, lines: Sequence[bytes], severity: int | None = None) -> None:
        """Send an entry for each line. What follows its first newline are fields, encoded."""
        head = self._head(6 if severity is None else severity)
        entries = []
        for line in lines:
            message, _, fields = line.partition(b"\n")
            entries.append(b"%bMESSAGE=%b\n%b" % (head, message, fields))
        self._backlog.add(entries)

    def tell(self, message: bytes, severity: int, fields: Iterable[Field] = ()) -> None:
        """Send one entry. message: may have several lines. severity: RFC 5424's."""
        self._backlog.add([self._head(severity) + _encoded([(b"MESSAGE", message), *fields])])

    def _head(self, severity: int) -> bytes:
        return b"PRIORITY=%d\nSYSLOG_IDENTIFIER=s3shield\n" % severity

    def _connect(self) -> socket.socket:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        link.setblocking(False)
        try:
            link.connect(self._path)
        except OSError:
            link.close()
            raise
        return link

    def _send(self, link: socket.socket, message: bytes) -> int:
        try:
            link.send(message)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_file(link, message)
        return len(message)

    def _send_file(self, link: socket.socket, message: bytes) -> None:
        """Pass a memory file that nobody can change any more."""
        fd = os.memfd_create("s3shield-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(message)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals | fcntl.F_SEAL_SEAL)
            passed = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
            link.sendmsg([], [passed])
        finally:
            os.close(fd)
