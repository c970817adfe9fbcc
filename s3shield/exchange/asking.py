"""Between a flight and the origin: S3's errors are understood, and stop here.

A bucket's error document is read, its `<Code>` looked up and logged with what to do;
then the flight gets either a failure (the bucket did not answer the question: wrong
key, wrong region, overload) or a short answer of ours with the same status (the bucket
did answer: no such key, not allowed). S3's own document goes no further unless
`error_pass` is on. Plain origins pass through untouched.
"""

from __future__ import annotations

from typing import Final

from twisted.logger import Logger

from s3shield.policy import (
    FailureKind,
    OriginFailure,
    ResponseHead,
    credential_failure,
)
from s3shield.wire import Receiver

from .refusal import refusal_head
from .s3_errors import MAX_ERROR_BODY, advice, error_code

__all__ = ["BucketAnswer"]

_CONFIGURATION: Final = frozenset({"NoSuchBucket", "AllAccessDisabled", "InvalidBucketName"})
_CLIENTS: Final = frozenset({"KeyTooLongError", "InvalidURI"})
"""Codes that tell a client's mistake, with the status 400 like many of ours."""
_KEPT: Final = frozenset({b"content-range", b"date", b"retry-after"})


class BucketAnswer:
    """A `wire.Receiver` before the flight's own.

    origin, key: str, for the log. missing_403: int or None, the status that stands for
    an AccessDenied. error_pass: whether the document itself may reach the client.
    """

    __slots__ = ("_body", "_error", "_error_pass", "_key", "_missing_403", "_origin", "_to")

    log = Logger()

    def __init__(
        self,
        to: Receiver,
        *,
        origin: str,
        key: str,
        missing_403: int | None,
        error_pass: bool,
    ) -> None:
        self._to = to
        self._origin = origin
        self._key = key
        self._missing_403 = missing_403
        self._error_pass = error_pass
        self._error: ResponseHead | None = None
        self._body = b""

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Hold an error back until its document is read; pass on the rest."""
        if head.status >= 400 or head.status in (301, 307):
            self._error = head
        else:
            self._to.origin_head(head, length)

    def origin_data(self, data: bytes) -> None:
        """Collect the document, or pass the body on."""
        if self._error is None:
            self._to.origin_data(data)
        elif len(self._body) < MAX_ERROR_BODY:
            self._body += data[: MAX_ERROR_BODY - len(self._body)]

    def origin_failed(self, failure: OriginFailure) -> None:
        """Pass the failure on: a cut error document is a failure too."""
        self._to.origin_failed(failure)

    def origin_end(self) -> None:
        """The answer is whole: say what it means."""
        head = self._error
        if head is None:
            self._to.origin_end()
            return
        code = error_code(self._body)
        status = head.status
        unanswered = code not in _CLIENTS and (
            status >= 500
            or status in (301, 307, 400, 429)
            or code in _CONFIGURATION
            or credential_failure(status, code)
        )
        if unanswered or status == 403:
            self.log.warn(
                "{origin} answered {status} {code} for {key}: {advice}",
                origin=self._origin,
                status=status,
                code=code or "(no code)",
                key=self._key,
                advice=advice(status, code),
            )
        if unanswered:
            self._to.origin_failed(
                OriginFailure(
                    kind=FailureKind.STATUS,
                    detail=f"{self._origin} answered {status} {code}".rstrip(),
                    status=status,
                    code=code,
                )
            )
        elif self._error_pass:
            self._give(ResponseHead(status, head.reason, head.fields), self._body)
        else:
            if status == 403 and self._missing_403 is not None:
                status = self._missing_403
            text, body = refusal_head(status, now=lambda: 0.0)
            kept = tuple(field for field in head.fields if field[0].lower() in _KEPT)
            fields = (
                (b"Content-Type", b"text/plain; charset=utf-8"),
                (b"Content-Length", b"%d" % len(body)),
                *kept,
            )
            self._give(ResponseHead(status, text[13 : text.index(b"\r\n")], fields), body)

    def _give(self, head: ResponseHead, body: bytes) -> None:
        self._to.origin_head(head, len(body))
        if body:
            self._to.origin_data(body)
        self._to.origin_end()
