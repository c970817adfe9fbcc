"""Log lines to syslog: RFC 3164 as nginx sends it, or RFC 5424; a unix socket, UDP or TCP.

Over TCP a line ends with a line feed (RFC 6587 section 3.4.2): none of ours has another.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from s3shield.config import SyslogPlace
from s3shield.ops.log_backlog import Backlog, SocketTarget

__all__ = ["SyslogTarget"]

_MONTHS: Final = b"JanFebMarAprMayJunJulAugSepOctNovDec"
_KINDS: Final = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}


class SyslogTarget(SocketTarget):
    """One message a line. A server that is not there loses lines only after 1 MiB of them.

    Raises OSError for a name that has no address.
    """

    def __init__(
        self,
        place: SyslogPlace,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = place
        self._wall = wall
        self._pid = os.getpid()
        self._tail = b"\n" if place.kind == "tcp" else b""
        host = socket.gethostname() if place.hostname else ""
        self._host = host.encode("ascii", "replace") or b"-"
        self._address: tuple[int, object]
        if place.kind == "unix":
            system = "/var/run/syslog" if sys.platform == "darwin" else "/dev/log"
            self._address = (socket.AF_UNIX, place.path or system)
        else:
            # Once, at the start: a name server that is slow must not hold the loop later.
            found = socket.getaddrinfo(place.host, place.port, type=_KINDS[place.kind])
            self._address = (found[0][0], found[0][4])
        self._backlog = Backlog(
            self._connect,
            self._send,
            stream=place.kind == "tcp",
            who="the syslog server",
            monotonic=monotonic,
        )

    def write(self, lines: Sequence[bytes], severity: int | None = None) -> None:
        """Send each line. severity: None: as configured."""
        if severity is None:
            severity = self._place.severity
        head = self._head(self._place.facility * 8 + severity)
        tail = self._tail
        self._backlog.add(head + line.rstrip(b"\n") + tail for line in lines)

    def _head(self, priority: int) -> bytes:
        place, now = self._place, self._wall()
        tag = place.tag.encode()
        if place.rfc5424:
            # Section 6.2; the host is `-` where it is not to be told.
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)).encode()
            micro = int(now % 1 * 1e6)
            names = (priority, stamp, micro, self._host, tag, self._pid)
            return b"<%d>1 %b.%06dZ %b %b %d - - " % names
        local = time.localtime(now)
        month = _MONTHS[3 * local.tm_mon - 3 :][:3]
        clock = (local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec)
        host = self._host + b" " if place.hostname else b""
        who = b"%b%b[%d]: " % (host, tag, self._pid)
        return b"<%d>%b %2d %02d:%02d:%02d %b" % (priority, month, *clock, who)

    def _connect(self) -> socket.socket:
        family, address = self._address
        kind = _KINDS.get(self._place.kind, socket.SOCK_DGRAM)
        link = socket.socket(family, kind)
        link.setblocking(False)
        try:
            link.connect(address)  # type: ignore[arg-type]  # of that family
        except BlockingIOError:
            return link  # it is being connected: sending says how that went
        except OSError:
            link.close()
            raise
        return link

    def _send(self, link: socket.socket, message: bytes) -> int:
        try:
            return link.send(message)
        except ConnectionRefusedError:
            if self._place.kind != "udp":
                raise
            # That is about a datagram before, which nobody was there for.
            self._backlog.lose("nobody listens there")
            return link.send(message)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            self._backlog.lose("a line is too long for a datagram")
            return len(message)
