"""An origin that reads bodies as they come, at its own pace."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from .harness import Asked, Origin, OriginConnection

__all__ = ["Taking", "TakingOrigin"]


class Taking(OriginConnection):
    """One connection. taken: bytes of the current body so far."""

    origin: TakingOrigin

    def __init__(self, origin: TakingOrigin) -> None:
        super().__init__(origin)
        self.asked: Asked | None = None
        self.taken = 0

    def dataReceived(self, data: bytes) -> None:
        self.buffer += data
        while self._step():
            pass

    def _step(self) -> bool:
        """Read a head, or a piece of a body; tell whether there may be more to read."""
        if self.asked is None:
            if b"\r\n\r\n" not in self.buffer:
                return False
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            method, target, _version = first.split(" ")
            parted = [line.partition(":") for line in lines]
            headers = {name.strip().lower(): value.strip() for name, _, value in parted}
            self.asked = asked = Asked(method, target, headers, head)
            self.origin.asked.append(asked)
            self.chunked = headers.get("transfer-encoding") == "chunked"
            self.left = int(headers.get("content-length", 0))
            self.taken, self.sum = 0, hashlib.sha256()
            self.origin.began(self)
        if not self.chunked:
            self._take(self.left)
            return not self.left and self._whole()
        if self.left:
            self._take(self.left)
            return not self.left
        line, mark, rest = self.buffer.partition(b"\r\n")
        if not mark:
            return False
        if not line:  # the end of a chunk
            self.buffer = rest
            return True
        size = int(line, 16)
        if not size and rest[:2] != b"\r\n":
            return False
        self.buffer, self.left = rest if size else rest[2:], size
        return bool(size) or self._whole()

    def _take(self, most: int) -> None:
        piece, self.buffer = self.buffer[:most], self.buffer[most:]
        self.left -= len(piece)
        self.taken += len(piece)
        self.sum.update(piece)

    def _whole(self) -> bool:
        asked, self.asked = self.asked, None
        assert asked is not None
        self.origin.bodies.append((self.taken, self.sum.hexdigest()))
        self.origin.reply(asked)(self, asked)
        return bool(self.buffer)


class TakingOrigin(Origin):
    """See the module's text. bodies: (size, SHA-256) of those that were whole.

    began: called with the connection at each head.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[tuple[int, str]] = []
        self.began: Callable[[Any], None] = lambda connection: None
        self.port.factory.protocol = lambda: Taking(self)
