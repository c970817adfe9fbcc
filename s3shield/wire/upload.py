"""A request's body that is on its way: who brings it, who takes it, how much of it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from s3shield.policy import Request

__all__ = ["BodyPlan", "StreamedRequest", "Upload", "UploadSink"]


@attrs.frozen
class BodyPlan:
    """What the site wants of a body, said when the head is there. Bytes, all of them.

    limit: the most; beyond, 413. gather: up to so many are gathered and served as a
    `RequestWithBody`; a longer body is streamed. beyond: the status that answers a longer
    one instead, or 0. at_once: the request is served before any of its body is read,
    whatever its length: somebody has yet to say whether it is wanted.
    """

    limit: int
    gather: int
    beyond: int = 0
    at_once: bool = False

    def streams(self, length: int | None) -> bool:
        """Tell whether the request is served as soon as its head is there. None: not told."""
        return self.at_once or (length is not None and length > self.gather)


class UploadSink(Protocol):
    """Who takes a body. May pause the `Upload` from inside each call."""

    def upload_data(self, data: bytes) -> None:
        """Take the next bytes, without any transfer coding."""

    def upload_end(self) -> None:
        """Learn that the body was whole."""


class Upload(Protocol):
    """A body that a client is sending. Nothing of it is read before `begin`.

    length: bytes, None when only the end will tell. whole: whether all of it has been
    given to the sink. refused: called once with a status when the client's bytes turn out
    to be no body, too many, or too late: no more of it comes; may be set.
    """

    length: int | None
    refused: Callable[[int], None] | None

    @property
    def whole(self) -> bool:
        """Whether the sink has had all of it."""

    def begin(self, sink: UploadSink) -> None:
        """Give it to `sink` from now on; a client that asked whether to go on is told so."""

    def pause(self) -> None:
        """Read no more from the client for now."""

    def resume(self) -> None:
        """Read on."""


class StreamedRequest(Request):
    """A request whose body is on its way."""

    __slots__ = ("upload",)

    def __init__(self, request: Request, upload: Upload) -> None:
        for name in Request.__slots__:
            setattr(self, name, getattr(request, name))
        self.upload = upload
