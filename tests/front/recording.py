"""A downstream that writes down what is said to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs


@attrs.define
class Recording:
    """A `Downstream` without a client.

    said: calls in order. slow: each piece is more than the client takes at once.
    """

    said: list[tuple[Any, ...]] = attrs.field(factory=list)
    producer: Any = None
    gone: Callable[[], None] | None = None
    lost: bool = False
    slow: bool = False

    def reply(self, head: bytes, body: Any) -> None:
        self.said.append(("reply", head, bytes(body)))
        self.gone = None

    def inform(self, head: bytes) -> None:
        self.said.append(("inform", head))

    def start(self, head: bytes, length: int | None, producer: Any) -> None:
        self.said.append(("start", head, length))
        self.producer = producer

    def write(self, data: bytes | memoryview) -> None:
        self.said.append(("write", bytes(data)))
        if self.slow:
            self.producer.pauseProducing()

    def finish(self) -> None:
        self.said.append(("finish",))
        self.gone = None

    def abort(self) -> None:
        self.said.append(("abort",))
        self.gone = None

    def on_gone(self, gone: Callable[[], None]) -> None:
        if self.lost:
            gone()
        else:
            self.gone = gone

    def leave(self) -> None:
        """The client goes, as `wire.Response.client_gone` tells it."""
        self.lost = True
        gone, self.gone = self.gone, None
        if self.producer is not None:
            self.producer.stopProducing()
        if gone is not None:
            gone()

    @property
    def body(self) -> bytes:
        """All that was written."""
        return b"".join(each[-1] for each in self.said if each[0] in ("write", "reply"))

    @property
    def calls(self) -> list[str]:
        """The names of the calls, in order."""
        return [each[0] for each in self.said]


class Source:
    """A producer that counts what it is told."""

    def __init__(self) -> None:
        self.paused = False
        self.stopped = 0

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.stopped += 1
