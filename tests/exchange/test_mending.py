"""S3's errors that can be mended: what is asked once more, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from s3shield.policy import FailureKind, OriginFailure, ResponseHead, format_date
from s3shield.signing import Credentials, Scope

from .asked import NOW, Asked, document

CODES = (
    "AccessDenied",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InternalError",
    "NoSuchBucket",
    "NoSuchKey",
    "PermanentRedirect",
    "RequestTimeTooSkewed",
    "SlowDown",
)


def dated(offset: float) -> tuple[Any, ...]:
    """Return fields of an answer from a server whose clock is NOW + `offset`."""
    return ((b"Date", format_date(int(NOW + offset))),)


class MendingTests(Asked):
    """What is asked once more, and what is not."""

    def head(self, number: int = -1) -> str:
        """Return a head that was sent."""
        return self.pool.sent[number][0].decode()

    def test_clock(self) -> None:
        """RequestTimeTooSkewed: signed with S3's time, once, and so are all requests after it."""
        for code in ("RequestTimeTooSkewed", "AccessDenied"):
            for wrong_by in (-7200.0, 7200.0, 1000.0):
                self.again()
                self.wrong_by = wrong_by
                heard = self.ask()
                more = "<ServerTime>2026-11-24T00:00:00Z</ServerTime>"
                self.pool.answer(403, document(code, more), fields=dated(0))
                self.assertEqual(2, len(self.pool.sent))
                self.assertIn("x-amz-date: 20261124T000000Z", self.head())
                self.pool.answer(200, b"body", fields=())
                self.assertEqual((200, b"body"), (heard.head.status, heard.body))
                self.assertEqual(1, len(self.events), self.events)
                self.assertIn("timedatectl", self.events[0])
                self.assertIn("behind" if wrong_by < 0 else "ahead", self.events[0])
                self.ask()
                self.assertIn("x-amz-date: 20261124T000000Z", self.head())

    def test_clock_of_head(self) -> None:
        """The answer to a HEAD has no code, but a Date that explains it."""
        self.wrong_by = -7200.0
        heard = self.ask(b"HEAD")
        self.pool.answer(403, fields=dated(0))
        self.pool.answer(200, fields=())
        self.assertEqual(200, heard.head.status)
        heard = self.ask(b"HEAD")
        self.pool.answer(403, fields=dated(0))
        self.pool.answer(403, document("AccessDenied"), fields=dated(0))
        self.assertEqual(403, heard.head.status)

    def test_head_that_is_refused(self) -> None:
        """The answer to a HEAD names no code: a GET of one byte is asked for it."""
        for status, code in ((403, "SignatureDoesNotMatch"), (400, "ExpiredToken")):
            self.again()
            heard = self.ask(b"HEAD", missing_403=404)
            self.pool.answer(status)
            self.assertEqual(0, heard.ends)
            self.assertTrue(self.head().startswith("GET /media/a HTTP/1.1\r\n"))
            self.assertIn("\r\nRange: bytes=0-0\r\n", self.head())
            more = "<CanonicalRequest>GET\n/media/b</CanonicalRequest>"
            self.pool.answer(status, document(code, more))
            self.assertEqual((status, code), (heard.failure.status, heard.failure.code))
            self.assertEqual(2, len(self.pool.sent))
            self.assertIn(f"answered {status} {code}", self.events[0])
        self.again()
        self.ask(b"HEAD")
        self.pool.answer(403)
        self.pool.answer(403, document("SignatureDoesNotMatch", more))
        self.assertIn("line 2 (path)", "".join(self.events))

    def test_head_that_is_mended(self) -> None:
        """What the GET has told is mended, and the HEAD goes once more."""
        heard = self.ask(b"HEAD")
        self.pool.answer(400)
        more = "<Region>eu-west-1</Region>"
        self.pool.answer(400, document("AuthorizationHeaderMalformed", more))
        self.assertTrue(self.head().startswith("HEAD "))
        self.assertIn("/eu-west-1/s3/", self.head())
        self.pool.answer(200)
        self.assertEqual((200, 3), (heard.head.status, len(self.pool.sent)))

    def test_head_of_what_is_not_there(self) -> None:
        """When it was the object's affair, the next refusals are taken for that, a while."""
        for _ in range(2):
            for asked in (2, 1, 1):
                self.pool.sent.clear()
                heard = self.ask(b"HEAD", missing_403=404)
                self.pool.answer(403)
                if asked == 2:
                    self.pool.answer(403, document("AccessDenied"))
                self.assertEqual((404, asked), (heard.head.status, len(self.pool.sent)))
            self.time.advance(11.0)

    def test_head_that_nothing_explains(self) -> None:
        """A GET that is answered, whole or in part, or fails: the refusal stands as it is."""
        for status in (200, 206, 404, 0):
            self.again()
            heard = self.ask(b"HEAD")
            self.pool.answer(403)
            receiver, tap = self.pool.receiver, self.pool.sent[-1][1]
            if status:
                receiver.origin_head(ResponseHead(status, b"", ()), 1 << 40)
                self.assertEqual(status < 300, tap.cancelled)
                receiver.origin_data(b"x")
                receiver.origin_end()
            else:
                receiver.origin_failed(OriginFailure(FailureKind.CUT, "gone"))
            self.assertEqual((403, 1), (heard.head.status, heard.ends))

    def test_leaving_a_head(self) -> None:
        """A client that leaves takes the GET with it."""
        self.ask(b"HEAD")
        self.pool.answer(403)
        self.call.cancel()
        self.assertTrue(self.pool.sent[-1][1].cancelled)

    @settings(deadline=None, max_examples=200)
    @given(
        st.sampled_from([b"GET", b"HEAD", b"PUT", b"POST"]),
        st.lists(
            st.tuples(
                st.sampled_from([200, 206, 301, 307, 400, 403, 404, 429, 500, 503]),
                st.sampled_from([*CODES, ""]),
                st.integers(-3, 3),
                st.sampled_from(["a", "b", ""]),
            ),
            min_size=12,
            max_size=12,
        ),
    )
    def test_any_answers(self, method: bytes, answers: list[tuple[int, str, int, str]]) -> None:
        """Whatever an origin answers, and however often it changes its mind: one end, soon."""
        self.again()
        heard = self.ask(method)
        for status, code, hours, place in answers:
            if heard.ends:
                break
            more = f"<Endpoint>{place}.s3.test</Endpoint><Region>{place}-west-1</Region>"
            pools = [self.pool, *self.elsewhere.values()]
            pool = next((each for each in pools if each.receiver is not None), None)
            if pool is None:
                self.time.advance(6.0)  # it waits for a better moment
                continue
            receiver, pool.receiver = pool.receiver, None
            receiver.origin_head(ResponseHead(status, b"", dated(hours * 3600)), None)
            body = document(code, more if place else "") if code else b""
            if method != b"HEAD" or receiver is not self.call:
                receiver.origin_data(body)
            receiver.origin_end()
        self.assertEqual(1, heard.ends)
        self.assertEqual(set(), self.bucket.waiting)
        sent = sum(len(pool.sent) for pool in (self.pool, *self.elsewhere.values()))
        self.assertLessEqual(sent, 1 if method == b"POST" else 8)

    def test_clock_put_right(self) -> None:
        """When somebody has mended the clock, what was learned is forgotten the same way."""
        self.wrong_by = -7200.0
        self.ask()
        self.pool.answer(403, document("RequestTimeTooSkewed"), fields=dated(0))
        self.wrong_by = 0.0
        heard = self.ask()
        self.assertIn("x-amz-date: 20261124T020000Z", self.head())
        self.pool.answer(403, document("RequestTimeTooSkewed"), fields=dated(0))
        self.assertIn("x-amz-date: 20261124T000000Z", self.head())
        self.pool.answer(200, fields=())
        self.assertEqual(200, heard.head.status)
        self.assertEqual(0.0, self.bucket.offset)

    def test_clocks_that_teach_nothing(self) -> None:
        """A Date that is ours, absurd or none: the failure stays, nothing is learned."""
        for fields in ((), dated(0), dated(30), dated(30 * 86_400), ((b"Date", b"soon"),)):
            self.pool.sent.clear()
            heard = self.ask()
            self.pool.answer(403, document("RequestTimeTooSkewed"), fields=fields)
            self.assertEqual("RequestTimeTooSkewed", heard.failure.code)
            self.assertEqual((1, 0.0), (len(self.pool.sent), self.bucket.offset))

    def test_clock_twice(self) -> None:
        """An origin that is never content with the time is asked twice, not for ever."""
        heard = self.ask()
        self.pool.answer(403, document("RequestTimeTooSkewed"), fields=dated(3600))
        self.pool.answer(403, document("RequestTimeTooSkewed"), fields=dated(7200))
        self.assertEqual("RequestTimeTooSkewed", heard.failure.code)
        self.assertEqual(2, len(self.pool.sent))

    def test_clock_of_many(self) -> None:
        """Requests that were all on their way with the wrong time are all asked again."""
        asked = []
        for _ in range(3):
            heard = self.ask()
            asked.append((heard, self.pool.receiver))
        for heard, receiver in asked:
            self.pool.receiver = receiver
            self.pool.answer(403, document("RequestTimeTooSkewed"), fields=dated(3600))
            self.pool.answer(200, fields=())
            self.assertEqual(200, heard.head.status)
        self.assertEqual(1, len(self.events))

    def test_region(self) -> None:
        """The region is learned from the document or the field, and told with its option."""
        cases = (
            (400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>", ()),
            (400, "AuthorizationQueryParametersError", "<Region>eu-west-1</Region>", ()),
            (400, "", "", ((b"x-amz-bucket-region", b"eu-west-1"),)),
            (301, "PermanentRedirect", "", ((b"x-amz-bucket-region", b"eu-west-1"),)),
        )
        for status, code, more, fields in cases:
            self.again()
            heard = self.ask()
            self.pool.answer(status, document(code, more) if code else b"", fields=fields)
            self.assertIn("/eu-west-1/s3/aws4_request", self.head())
            self.pool.answer(200, fields=())
            self.assertEqual(200, heard.head.status)
            self.assertEqual(1, len(self.events))
            self.assertIn("set aws_region = eu-west-1", self.events[0])
            self.ask()
            self.assertIn("/eu-west-1/s3/aws4_request", self.head())
            self.assertEqual({}, self.elsewhere)

    def test_region_of_a_scoped_key(self) -> None:
        """A scoped key cannot sign for another region: nothing is retried, the log says so."""
        self.make(Credentials("AKIA", None, b"k" * 32, Scope("20261124", "us-east-1", "s3")))
        heard = self.ask()
        fields = ((b"x-amz-bucket-region", b"eu-west-1"),)
        self.pool.answer(301, document("PermanentRedirect"), fields=fields)
        self.assertEqual("PermanentRedirect", heard.failure.code)
        self.assertEqual(1, len(self.pool.sent))
        self.assertIn("signing-key --region eu-west-1", "".join(self.events))

    def test_endpoint(self) -> None:
        """A host of the same owner is asked from now on, at the configured scheme and port."""
        for told in (
            (b"", "<Endpoint>eu.s3.test</Endpoint>"),
            (b"", "<Endpoint>media.eu.s3.test</Endpoint>"),
            (b"https://media.eu.s3.test/a", ""),
            (b"http://eu.s3.test:9000/media/a", ""),
        ):
            self.again()
            heard = self.ask()
            fields = ((b"Location", told[0]),) if told[0] else ()
            self.pool.answer(307, document("TemporaryRedirect", told[1]), fields=fields)
            ((there, pool),) = self.elsewhere.items()
            self.assertEqual("http eu.s3.test 9000", f"{there.scheme} {there.host} {there.port}")
            self.assertIn("Host: eu.s3.test:9000\r\n", pool.sent[0][0].decode())
            pool.answer(200, fields=())
            self.assertEqual(200, heard.head.status)
            self.assertIn("set aws_endpoint = http://eu.s3.test:9000", self.events[0])
            self.ask()
            self.assertEqual((1, 2), (len(self.pool.sent), len(pool.sent)))

    def test_strangers(self) -> None:
        """No request signed by us ever goes to a host that is not under the configured one."""
        for host in ("s3.evil", "evil-s3.test", "s3.test.evil", "test", "127.0.0.1", "x@s3.test"):
            self.again()
            heard = self.ask()
            self.pool.answer(301, document("PermanentRedirect", f"<Endpoint>{host}</Endpoint>"))
            self.assertEqual("PermanentRedirect", heard.failure.code)
            self.assertEqual((1, {}), (len(self.pool.sent), self.elsewhere), host)
            self.assertIn("not followed", "".join(self.events))

    def test_lost_endpoint(self) -> None:
        """Where the bucket was said to be nobody answers: back to the configured endpoint."""
        self.ask()
        more = "<Endpoint>eu.s3.test</Endpoint>"
        self.pool.answer(301, document("PermanentRedirect", more), fields=())
        (pool,) = self.elsewhere.values()
        pool.answer(200, fields=())
        heard = self.ask()
        pool.receiver.origin_failed(OriginFailure(FailureKind.CONNECT, "refused"))
        self.assertEqual(2, len(self.pool.sent))
        self.pool.answer(200, fields=())
        self.assertEqual(200, heard.head.status)
        self.assertIn("is asked again", self.events[-1])

    def test_overload(self) -> None:
        """Passing troubles are waited for: pauses double; then the failure is told."""
        for status, code in ((503, "SlowDown"), (500, "InternalError"), (503, ""), (429, "")):
            self.again()
            heard = self.ask()
            body = document(code) if code else b""
            for number, seconds in enumerate((0.1, 0.2, 0.4), 2):
                self.pool.answer(status, body, fields=())
                self.time.advance(seconds - 0.01)
                self.assertEqual(number - 1, len(self.pool.sent))
                self.time.advance(0.02)
                self.assertEqual(number, len(self.pool.sent))
            self.pool.answer(status, body, fields=())
            self.assertEqual((status, code), (heard.failure.status, heard.failure.code))
            self.assertEqual([], self.time.getDelayedCalls())
            self.assertEqual(set(), self.bucket.waiting)

    def test_overload_over(self) -> None:
        """A second try that is answered: nobody hears of the first."""
        heard = self.ask()
        self.pool.answer(503, document("SlowDown"))
        self.time.advance(0.2)
        self.pool.answer(200, b"body")
        self.assertEqual((200, b"body", None), (heard.head.status, heard.body, heard.failure))

    def test_budget(self) -> None:
        """A bucket that fails all the time meets no storm of retries."""
        for _ in range(100):
            self.ask()
            self.pool.answer(503, document("SlowDown"))
        self.assertEqual(20, len(self.bucket.waiting))
        self.bucket.close()

    def test_not_twice(self) -> None:
        """What may do harm when it is done twice is sent once."""
        for method, body in ((b"POST", b""), (b"PATCH", b""), (b"PUT", b"x"), (b"POST", b"x")):
            for status, code in ((503, "SlowDown"), (403, "RequestTimeTooSkewed")):
                self.again()
                heard = self.ask(method, body)
                self.pool.answer(status, document(code), fields=dated(3600))
                self.assertEqual(code, heard.failure.code)
                self.assertEqual(1, len(self.pool.sent))

    def test_idempotent(self) -> None:
        """What may be done twice is, with the body it has not."""
        for method in (b"HEAD", b"DELETE", b"PUT"):
            self.again()
            heard = self.ask(method)
            self.pool.answer(503, document("SlowDown"))
            self.time.advance(0.2)
            self.pool.answer(204, fields=())
            self.assertEqual(204, heard.head.status)

    def test_nothing_to_sign_with(self) -> None:
        """Nothing is sent until there are credentials; without them it is a failed connection."""
        for there in (True, False):
            self.again()
            wanted: list[Callable[[bool], None]] = []
            self.bucket.renew = wanted.append
            self.bucket.lacks = lambda: True
            for method in (b"GET", b"HEAD", b"PUT"):
                heard = self.ask(method)
                self.assertEqual((0, 0), (len(self.pool.sent), heard.ends))
                wanted.pop()(there)
                if there:
                    self.pool.answer(200, b"", fields=())
                    self.assertEqual(200, heard.head.status)
                    self.pool.sent.clear()
                    continue
                self.assertEqual(
                    (0, FailureKind.CONNECT), (len(self.pool.sent), heard.failure.kind)
                )
                self.assertEqual(502, heard.failure.gateway_status)
                self.assertEqual(set(), self.bucket.waiting)
        heard = self.ask()
        self.bucket.close()
        wanted.pop()(True)
        self.assertEqual((0, "the service is ending"), (len(self.pool.sent), heard.failure.detail))

    def test_renewal(self) -> None:
        """ExpiredToken: whoever can renews the credentials, and the request goes once more."""
        wanted: list[Callable[[bool], None]] = []
        self.bucket.renew = wanted.append
        for there in (True, False):
            self.pool.sent.clear()
            heard = self.ask()
            self.pool.answer(403, document("InvalidAccessKeyId"))
            wanted.pop()(True)
            self.pool.answer(200, fields=())
            self.assertEqual(200, heard.head.status)
            self.pool.sent.clear()
            heard = self.ask()
            self.pool.answer(400, document("ExpiredToken"))
            self.assertEqual((1, 0), (len(self.pool.sent), heard.ends))
            wanted.pop()(there)
            if there:
                self.pool.answer(400, document("ExpiredToken"))
            self.assertEqual("ExpiredToken", heard.failure.code)
            self.assertEqual((1 + there, []), (len(self.pool.sent), wanted))
        self.assertIn("renew the credentials", self.events[0])

    def test_renewal_for_others(self) -> None:
        """What cannot be sent again has the credentials renewed all the same, for the next."""
        wanted: list[Callable[[bool], None]] = []
        self.bucket.renew = wanted.append
        heard = self.ask(b"POST")
        self.pool.answer(400, document("ExpiredToken"))
        self.assertEqual((1, "ExpiredToken"), (len(self.pool.sent), heard.failure.code))
        self.assertEqual(1, len(wanted))
        wanted.pop()(True)
        self.assertEqual((1, 1), (len(self.pool.sent), heard.ends))

    def test_renewed_meanwhile(self) -> None:
        """Those renewed while the refusal was on its way are used; no others are asked for."""
        self.bucket.renew = self.fail
        heard = self.ask()
        self.origin.requests.signer.renew(Credentials("ASIA2", "SeCrEt", session_token="T2"))
        self.pool.answer(400, document("ExpiredToken"))
        self.assertIn("Credential=ASIA2/", self.head())
        self.pool.answer(200, fields=())
        self.assertEqual((200, 2), (heard.head.status, len(self.pool.sent)))

    def test_leaving(self) -> None:
        """A call that is given up hears nothing more, whatever it waited for."""
        wanted: list[Callable[[bool], None]] = []
        self.bucket.renew = wanted.append
        for status, code in ((503, "SlowDown"), (400, "ExpiredToken")):
            self.pool.sent.clear()
            heard = self.ask()
            self.pool.answer(status, document(code))
            self.call.cancel()
            for each in wanted:
                each(True)
            self.time.advance(60.0)
            self.assertEqual((1, 0), (len(self.pool.sent), heard.ends))
            self.assertEqual(set(), self.bucket.waiting)

    def test_end_of_the_service(self) -> None:
        """Nothing waits past the end: it fails then."""
        heard = self.ask()
        self.pool.answer(503, document("SlowDown"))
        self.bucket.close()
        self.assertIs(FailureKind.CONNECT, heard.failure.kind)
        self.assertEqual([], self.time.getDelayedCalls())

    def test_pauses(self) -> None:
        """A reader that is full holds the second answer too."""
        self.ask()
        self.call.pause()
        self.pool.answer(503, document("SlowDown"))
        self.time.advance(0.2)
        self.assertTrue(self.pool.sent[-1][1].paused)
        self.call.resume()
        self.assertFalse(self.pool.sent[-1][1].paused)

    def test_log_is_not_flooded(self) -> None:
        """One line a minute for each code; the next says how many there were."""
        for _ in range(5):
            self.ask()
            self.pool.answer(403, document("AccessDenied"))
            self.ask()
            self.pool.answer(404, document("NoSuchBucket"))
        self.assertEqual(2, len(self.events))
        self.time.advance(61.0)
        self.told(403, document("AccessDenied"))
        self.assertIn("(4 more like it", self.events[-1])

    def test_mismatch(self) -> None:
        """SignatureDoesNotMatch: both texts and the line that differs; no secret."""
        self.make(Credentials("AKIA", "SeCrEt", session_token="TOKEN"), "us-east-1")
        self.ask()
        head = self.head()
        signature = head.partition("Signature=")[2].partition("\r\n")[0]
        theirs = "GET\n/media/a\n\nhost:cdn.test\nx-amz-security-token:TOKEN\n\nhost\ne3"
        self.pool.answer(
            403,
            document("SignatureDoesNotMatch", f"<CanonicalRequest>{theirs}</CanonicalRequest>"),
        )
        text = "\n".join(self.events)
        self.assertIn(
            "line 4 (host): we sent 'host:s3.test:9000', S3 received 'host:cdn.test'", text
        )
        self.assertIn("our canonical request", text)
        self.assertIn("S3's canonical request", text)
        for secret in ("SeCrEt", "TOKEN", signature):
            self.assertNotIn(secret, text)

    def test_new_credentials_elsewhere(self) -> None:
        """Where a bucket has moved it is asked with the credentials that hold now."""
        fields = ((b"x-amz-bucket-region", b"eu-west-1"),)
        self.ask()
        self.pool.answer(301, document("PermanentRedirect"), fields=fields)
        self.assertIn("Credential=AKIA/", self.head())
        self.origin.requests.signer.credentials = Credentials("AKNEW", "other")
        self.ask()
        self.assertRegex(self.head(), "Credential=AKNEW/[0-9]{8}/eu-west-1/s3/")
