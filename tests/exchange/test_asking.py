"""S3's errors: what they mean, who hears of them, and what stays here."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.asking import BucketAnswer
from s3shield.exchange.refusal import reason_phrase, refusal_head
from s3shield.exchange.s3_errors import MAX_ERROR_BODY, advice, error_code
from s3shield.policy import FailureKind, OriginFailure, ResponseHead

FIELDS = (
    (b"Content-Type", b"application/xml"),
    (b"x-amz-request-id", b"REQ"),
    (b"Date", b"Tue, 24 Nov 2026 00:00:00 GMT"),
)


class Heard:
    """A `wire.Receiver` that remembers."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.length: int | None = None
        self.body = b""
        self.ends = 0
        self.failure: OriginFailure | None = None

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        assert self.head is None
        self.head, self.length = head, length

    def origin_data(self, data: bytes) -> None:
        assert self.head is not None
        self.body += data

    def origin_end(self) -> None:
        assert self.head is not None
        self.ends += 1

    def origin_failed(self, failure: OriginFailure) -> None:
        self.failure = failure
        self.ends += 1


def document(code: str) -> bytes:
    """Return S3's error document."""
    return f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><RequestId>R</RequestId></Error>'.encode()


class BucketAnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[str] = []

        def observe(event: Any) -> None:
            if event.get("log_format"):
                self.events.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def told(self, status: int, *pieces: bytes, **options: Any) -> Heard:
        """Send an answer through; return what came out."""
        heard = Heard()
        given_ = {"missing_403": None, "error_pass": False, **options}
        answer = BucketAnswer(heard, origin="media", key="media|/a|", **given_)
        answer.origin_head(ResponseHead(status, b"X", FIELDS), sum(map(len, pieces)))
        for piece in pieces:
            answer.origin_data(piece)
        answer.origin_end()
        self.assertEqual(1, heard.ends)
        return heard

    def test_what_is_no_error_passes(self) -> None:
        """Head, length and bytes as they came, nothing logged."""
        for status in (200, 204, 206, 304):
            heard = self.told(status, b"ab", b"c")
            self.assertEqual((status, 3, b"abc"), (heard.head.status, heard.length, heard.body))
            self.assertEqual(FIELDS, heard.head.fields)
        self.assertEqual([], self.events)

    def test_answers_about_the_object(self) -> None:
        """The status stays, the text is ours, S3's identifiers are gone."""
        for status, code in ((404, "NoSuchKey"), (403, "AccessDenied"), (416, "InvalidRange"),
                             (412, "PreconditionFailed"), (400, "KeyTooLongError")):  # fmt: skip
            heard = self.told(status, document(code))
            self.assertIsNone(heard.failure, code)
            self.assertEqual((status, len(heard.body)), (heard.head.status, heard.length))
            self.assertEqual(b"%d" % len(heard.body), heard.head.get(b"content-length"))
            self.assertEqual(reason_phrase(status), heard.head.reason)
            self.assertIsNone(heard.head.get(b"x-amz-request-id"))
            self.assertIsNotNone(heard.head.get(b"date"))
            self.assertNotIn(code.encode(), heard.body)

    def test_answers_about_us(self) -> None:
        """A failure of kind STATUS with S3's code, and one line in the log with advice."""
        for status, code in (
            (403, "SignatureDoesNotMatch"),
            (403, "RequestTimeTooSkewed"),
            (400, "ExpiredToken"),
            (400, "Whatever"),
            (404, "NoSuchBucket"),
            (301, "PermanentRedirect"),
            (307, "TemporaryRedirect"),
            (429, ""),
            (500, "InternalError"),
            (503, "SlowDown"),
            (599, ""),
        ):
            self.events.clear()
            failure = self.told(status, document(code) if code else b"").failure
            self.assertEqual(
                (FailureKind.STATUS, status, code), (failure.kind, failure.status, failure.code)
            )
            self.assertEqual(1, len(self.events))
            self.assertIn(f"{status} {code or '(no code)'} for media|/a|", self.events[0])
            self.assertIn(advice(status, code), self.events[0])

    def test_missing_403(self) -> None:
        """AccessDenied may stand for an absent key; a refused signature never does."""
        heard = self.told(403, document("AccessDenied"), missing_403=404)
        self.assertEqual((404, b"Not Found"), (heard.head.status, heard.head.reason))
        self.assertIsNotNone(
            self.told(403, document("InvalidAccessKeyId"), missing_403=404).failure
        )

    def test_error_pass(self) -> None:
        """S3's document as it is, but not where the failure is ours."""
        heard = self.told(404, document("NoSuchKey"), error_pass=True)
        self.assertEqual(document("NoSuchKey"), heard.body)
        self.assertEqual((404, FIELDS), (heard.head.status, heard.head.fields))
        self.assertIsNotNone(self.told(503, document("SlowDown"), error_pass=True).failure)

    def test_endless_documents(self) -> None:
        """No more than MAX_ERROR_BODY is kept, however it comes."""
        piece = b"x" * 10_000
        heard = self.told(404, *[piece] * 20, error_pass=True)
        self.assertEqual(MAX_ERROR_BODY, len(heard.body))

    def test_a_cut_document_is_a_failure(self) -> None:
        """What broke off is not judged by what has come of it."""
        heard = Heard()
        answer = BucketAnswer(heard, origin="m", key="k", missing_403=404, error_pass=True)
        answer.origin_head(ResponseHead(403, b"", FIELDS), 500)
        answer.origin_data(document("AccessDenied"))
        answer.origin_failed(OriginFailure(FailureKind.CUT, "gone"))
        self.assertIsNone(heard.head)
        self.assertIs(FailureKind.CUT, heard.failure.kind)


class ErrorCodeTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=300))
    def test_any_bytes(self, data: bytes) -> None:
        """Never raises; what comes out is a short word that cannot break a log line."""
        for body in (data, b"<Code>" + data + b"</Code>"):
            code = error_code(body)
            self.assertTrue(code == "" or code.replace(".", "a").isalnum())
            self.assertLessEqual(len(code), 64)

    def test_codes(self) -> None:
        """The first Code element, white space around it or not."""
        for body, code in (
            (document("NoSuchKey"), "NoSuchKey"),
            (b"<Code>\n A.B \n</Code>", "A.B"),
            (b"<Code></Code>", ""),
            (b"<Code>a b</Code>", ""),
            (b"<Error><Key>&lt;Code>X&lt;/Code></Key><Code>Y</Code>", "Y"),
            (b" " * MAX_ERROR_BODY + b"<Code>X</Code>", ""),
        ):
            self.assertEqual(code, error_code(body))

    def test_advice(self) -> None:
        """There is always something to say, in one line."""
        for status in (301, 307, 400, 403, 404, 418, 429, 500, 503):
            for code in ("", "SignatureDoesNotMatch", "Unheard.Of"):
                text = advice(status, code)
                self.assertTrue(text)
                self.assertNotIn("\n", text)


class RefusalTests(SynchronousTestCase):
    def test_heads(self) -> None:
        """Whole heads with their length, for statuses with a text, without, and unknown ones."""
        for status in (400, 403, 404, 405, 412, 416, 418, 502, 503, 504, 499, 599):
            head, body = refusal_head(status, ((b"Allow", b"GET"),), now=lambda: 0.0)
            first, *lines = head.split(b"\r\n")
            self.assertTrue(first.startswith(b"HTTP/1.1 %d " % status))
            self.assertEqual(b"", lines.pop())
            fields = dict(line.split(b": ", 1) for line in lines)
            self.assertEqual(b"%d" % len(body), fields[b"Content-Length"])
            self.assertEqual(b"GET", fields[b"Allow"])
            self.assertEqual(b"Thu, 01 Jan 1970 00:00:00 GMT", fields[b"Date"])
            self.assertIn(b"%d" % status, body)
