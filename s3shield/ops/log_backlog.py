"""Messages that wait for a socket's reader: nothing blocks, and no more than 1 MiB waits.

What does not fit is counted as lost. A server that is away is looked for once a second, and
its messages wait as long.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

__all__ = ["Backlog", "SocketTarget"]

_MOST: Final = 1 << 20
_AGAIN: Final = 1.0
"""Seconds until a server that is away is looked for again."""
_SOON: Final = 0.02
"""Seconds until a full socket is tried again: the kernel holds some hundred datagrams."""


class Backlog:
    """Sends messages in order over one socket, made anew when it breaks.

    connect: returns a socket that does not block, perhaps not connected yet; raises OSError.
    send: sends one message, returns how many of its bytes are gone; raises OSError,
    BlockingIOError when the reader is behind. stream: whether the rest of a message follows
    its first bytes. who: the reader's name for messages.
    """

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        send: Callable[[socket.socket, bytes], int],
        *,
        stream: bool = False,
        who: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._send = send
        self._stream = stream
        self._who = who
        self._monotonic = monotonic
        self._waiting: deque[bytes] = deque()
        self._held = 0
        self._begun = False
        self._away = 0.0
        self._socket: socket.socket | None = None
        self.lost = 0
        self.error = ""

    @property
    def pending(self) -> float:
        """Seconds until `flush` is worth a try; 0: nothing waits."""
        if not self._waiting:
            return 0.0
        return _SOON if self._socket is not None else _AGAIN

    def add(self, messages: Iterable[bytes]) -> None:
        """Take messages and send what goes."""
        if not self._waiting:
            self.error = ""
        for message in messages:
            if self._held + len(message) > _MOST:
                self.lost += 1
                self.error = self.error or f"{self._who} is too slow"
            else:
                self._waiting.append(message)
                self._held += len(message)
        self.flush()

    def flush(self) -> None:
        """Send what goes."""
        if not self._waiting or (self._socket is None and self._monotonic() < self._away):
            return
        try:
            if self._socket is None:
                self._socket = self._connect()
            while self._waiting:
                self._one(self._socket, self._waiting[0])
        except BlockingIOError:
            self.error = f"{self._who} is too slow"
        except OSError as error:
            self.error = error.strerror or str(error)
            self._away = self._monotonic() + _AGAIN
            self.close()
            if self._begun:
                # Its first bytes are gone: the rest would be a line of its own.
                self._drop()
                self.lost += 1

    def _one(self, link: socket.socket, message: bytes) -> None:
        gone = self._send(link, message)
        if not self._stream or gone >= len(message):
            self._drop()
        else:
            self._waiting[0] = message[gone:]
            self._held -= gone
            self._begun = True

    def _drop(self) -> None:
        self._held -= len(self._waiting.popleft())
        self._begun = False

    def lose(self, why: str) -> None:
        """Count a message that can never be sent, for `send`."""
        self.lost += 1
        self.error = why

    def close(self) -> None:
        """Close the socket; the next message makes another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class SocketTarget:
    """What the targets at the other end of a socket have in common; see `log_target.Target`."""

    _backlog: Backlog

    @property
    def lost(self) -> int:
        """See `Target`."""
        return self._backlog.lost

    @lost.setter
    def lost(self, count: int) -> None:
        self._backlog.lost = count

    @property
    def error(self) -> str:
        """See `Target`."""
        return self._backlog.error

    @property
    def pending(self) -> float:
        """See `Target`."""
        return self._backlog.pending

    def reopen(self) -> None:
        """Connect again with the next line: who listens there may have been started anew."""
        self._backlog.close()

    def close(self) -> None:
        """Close the socket."""
        self._backlog.close()
