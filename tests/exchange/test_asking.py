"""S3's errors: what they mean, who hears of them, and what stays here."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.refusal import reason_phrase, refusal_head
from s3shield.exchange.s3_errors import MAX_ERROR_BODY, advice, element, error_code
from s3shield.policy import (
    FailureKind,
    OriginFailure,
    ResponseHead,
)
from s3shield.signing import Credentials
from tests.signing.test_key_ring import key, ring

from .asked import FIELDS, Asked, document


class BucketAnswerTests(Asked):
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
            self.pool.sent.clear()
            failure = self.told(status, document(code) if code else b"").failure
            self.assertEqual(
                (FailureKind.STATUS, status, code), (failure.kind, failure.status, failure.code)
            )
            what = f"{status} {code or '(no code)'} for media|/a|: {advice(status, code)}"
            self.assertEqual(1, len([event for event in self.events if what in event]))

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
        heard = self.ask(missing_403=404, error_pass=True)
        self.pool.receiver.origin_head(ResponseHead(403, b"", FIELDS), 500)
        self.pool.receiver.origin_data(document("AccessDenied"))
        self.pool.receiver.origin_failed(OriginFailure(FailureKind.CUT, "gone"))
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

    def test_elements(self) -> None:
        """The first of its name, character references resolved."""
        body = b"<A>x</A><Key>a&amp;b&#10;\xff</Key><Key>c</Key><E/>"
        for name, text in (("A", "x"), ("Key", "a&b\n\\xff"), ("E", ""), ("None", "")):
            self.assertEqual(text, element(body, name))

    def test_presigned_and_late(self) -> None:
        """AccessDenied with the server's time is about the clock, not about the object."""
        body = document("AccessDenied", "<ServerTime>2026-11-24T00:00:00Z</ServerTime>")
        self.assertEqual("RequestExpired", error_code(body))

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


class KeysOver(Asked):
    """A 403 where no key of the key file is good is about the keys, whatever S3 calls it."""

    def test_access_denied(self) -> None:
        """It is a failure then, never an answer that is stored; a missing key stays one."""
        for days, failed in (((-7,), True), ((1,), True), ((-6,), False), ((-7, 0), False)):
            with self.subTest(days=days):
                self.again()
                self.make(Credentials("AKIA", keys=ring(*days)))
                heard = self.told(403, document("AccessDenied"), missing_403=404)
                if failed:
                    assert heard.failure is not None
                    self.assertEqual((heard.failure.status, heard.head), (403, None))
                else:
                    assert heard.head is not None
                    self.assertEqual(heard.head.status, 404)
                heard = self.told(404, document("NoSuchKey"))
                assert heard.head is not None
                self.assertEqual(heard.head.status, 404)

    def test_key_in_the_configuration(self) -> None:
        """A single key is left to S3, which may not be Amazon's and may not count the days."""
        one = key(-30)
        self.make(Credentials("AKIA", signing_key=one.signing_key, scope=one.scope))
        heard = self.told(403, document("AccessDenied"))
        assert heard.head is not None
        self.assertEqual(heard.head.status, 403)
