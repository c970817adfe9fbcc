"""Where log lines go: a file, standard output or error; syslog and the journal elsewhere.

Nothing here waits for a slow reader: a pipe or socket that takes no more leaves its lines
in a bounded backlog, then they are counted as lost. A regular file is written as nginx
writes its own: one append per batch, so that the lines of several processes never mix.
"""

from __future__ import annotations

import os
import select
import socket
import stat
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from s3shield.config import is_log_file, syslog_place
from s3shield.ops.log_journal import JournalTarget
from s3shield.ops.log_syslog import SyslogTarget

__all__ = ["FileTarget", "StreamTarget", "Target", "open_target"]

_BACKLOG: Final = 1 << 20
_AGAIN: Final = 0.2
# A pipe takes up to PIPE_BUF bytes whole or not at all, and is only reported writable when
# it has room for as many (POSIX write(); Linux pipe(7)).
_ATOMIC: Final = select.PIPE_BUF


class Target(Protocol):
    """Takes whole lines, each with its newline. Never blocks on a reader, never raises."""

    lost: int
    """Lines that could not be written, since the owner last set it to 0."""

    @property
    def error(self) -> str:
        """Why, the last time."""

    @property
    def pending(self) -> float:
        """Seconds until `write` should be called again, with none if so; 0: no lines wait."""

    def write(self, lines: Sequence[bytes], severity: int | None = None) -> None:
        """Write `lines`. severity: RFC 5424's, 0 to 7, where the target has such a thing."""

    def reopen(self) -> None:
        """Open the same name again; raises OSError and goes on with the old one."""

    def close(self) -> None:
        """Give up the descriptor. Nothing is written afterwards."""


class FileTarget:
    """A file opened for append, made when missing (mode 0640, less the umask).

    Raises OSError when it cannot be opened.
    """

    pending = 0.0

    def __init__(self, path: str) -> None:
        self._path = path
        self.lost = 0
        self.error = ""
        self._torn = False
        self._fd = self._open()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
        return os.open(self._path, flags, 0o640)

    def write(self, lines: Sequence[bytes], severity: int | None = None) -> None:
        """Append all lines in one write."""
        if not lines:
            return
        data = b"".join(lines)
        if self._torn:
            data = b"\n" + data
        written = 0
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError as error:
            self.error = error.strerror or str(error)
            self.lost += len(lines) - data.count(b"\n", 0, written) + (self._torn and written > 0)
            if written:
                # The next batch begins on a line of its own.
                self._torn = data[written - 1] != 0x0A
        else:
            self._torn = False

    def reopen(self) -> None:
        """Open the path again: after logrotate moved the file away."""
        fd = self._open()
        os.close(self._fd)
        self._fd = fd
        self._torn = False

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class StreamTarget:
    """An inherited descriptor: standard output or error, be it terminal, file, pipe or socket.

    The descriptor's own flags stay as they are: other processes share them.
    """

    def __init__(self, fd: int) -> None:
        self._fd = os.dup(fd)
        os.set_inheritable(self._fd, False)
        self.lost = 0
        self.error = ""
        self._backlog: deque[bytes] = deque()
        self._held = 0
        mode = os.fstat(self._fd).st_mode
        self._socket = socket.socket(fileno=self._fd) if stat.S_ISSOCK(mode) else None
        self._poll: select.poll | None = None
        if stat.S_ISFIFO(mode):
            self._poll = select.poll()
            self._poll.register(self._fd, select.POLLOUT)

    @property
    def pending(self) -> float:
        """See `Target`."""
        return _AGAIN if self._backlog else 0.0

    def write(self, lines: Sequence[bytes], severity: int | None = None) -> None:
        """Write as much as the reader takes; keep up to 1 MiB of the rest for the next time."""
        if self._poll is None and self._socket is None:
            lines = [b"".join(lines)]
        for line in lines:
            if self._held + len(line) > _BACKLOG:
                self.lost += 1
                self.error = "the reader is too slow"
            else:
                self._backlog.append(line)
                self._held += len(line)
        try:
            while self._backlog and self._write_some():
                pass
        except OSError as error:
            self.error = error.strerror or str(error)
            self.lost += sum(line.count(b"\n") for line in self._backlog)
            self._backlog.clear()
            self._held = 0

    def _write_some(self) -> bool:
        """Write one piece of whole lines; False when there is no room."""
        backlog = self._backlog
        piece = [backlog.popleft()]
        size = len(piece[0])
        while backlog and size + len(backlog[0]) <= _ATOMIC:
            size += len(backlog[0])
            piece.append(backlog.popleft())
        data = b"".join(piece)
        written = self._write_piece(data)
        if written < size:
            backlog.appendleft(data[written:])
        self._held -= written
        return written == size

    def _write_piece(self, data: bytes) -> int:
        if self._socket is not None:
            try:
                return self._socket.send(data, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return 0
        if self._poll is not None:
            if not self._poll.poll(0):
                return 0
            # No more than fits for certain: the rest waits for the next poll.
            data = data[:_ATOMIC]
        return os.write(self._fd, data)

    def reopen(self) -> None:
        """Nothing to open: the descriptor was inherited."""

    def close(self) -> None:
        """Close our own copy of the descriptor."""
        if self._socket is not None:
            self._socket.close()
        elif self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def open_target(name: str) -> Target:
    """Open `stdout`, `stderr`, `syslog`, `syslog:...`, `journald` or a path. Raises OSError."""
    if name == "stdout":
        return StreamTarget(1)
    if name == "stderr":
        return StreamTarget(2)
    if name == "journald":
        return JournalTarget()
    if not is_log_file(name):
        return SyslogTarget(syslog_place(name))
    return FileTarget(name)
