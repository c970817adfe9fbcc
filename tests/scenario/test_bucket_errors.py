"""What clients see, and what is kept, when a bucket answers with an S3 error."""

from __future__ import annotations

from twisted.logger import globalLogPublisher

from .harness import KEY, BucketScenario, answer


def s3_error(status: int, code: str):
    """S3's error document, identifiers and all."""
    body = (
        f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>m</Message>'
        "<RequestId>REQ42</RequestId><HostId>HOST42</HostId></Error>"
    ).encode()
    return answer(status, body, {"Content-Type": "application/xml", "x-amz-request-id": "REQ42"})


class BucketErrorTests(BucketScenario):
    async def asked_with(self, status: int, code: str, location: str = ""):
        self.events: list[str] = []

        def observe(event) -> None:
            if event.get("log_format"):
                self.events.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.origin.answers["/private/a"] = s3_error(status, code)
        await self.shield(f"proxy_cache_valid = 200 403 404 1m\n{location}")
        return await self.get("/a"), await self.get("/a")

    async def test_credential_failures(self) -> None:
        """A refused signature is our trouble: 502, never stored, and the log says what to do."""
        for status, code, word in (
            (403, "SignatureDoesNotMatch", "signing key"),
            (403, "InvalidAccessKeyId", "aws_access_key"),
            (403, "RequestTimeTooSkewed", "clock"),
            (400, "ExpiredToken", "renew"),
            (400, "AuthorizationHeaderMalformed", "region"),
            (301, "PermanentRedirect", "region"),
            (404, "NoSuchBucket", "aws_s3_bucket"),
        ):
            first, second = await self.asked_with(status, code)
            self.assertEqual([502, 502], [first.status, second.status], code)
            self.assertEqual(["MISS", "MISS"], [first.cache, second.cache], code)
            self.assertNotIn(b"42", first.body)
            told = [event for event in self.events if code in event and word in event]
            self.assertTrue(told, (code, self.events))
            await self.stop()

    async def test_the_secret_is_in_no_log(self) -> None:
        """Neither key nor signature appears in what is logged about a refusal."""
        await self.asked_with(403, "SignatureDoesNotMatch")
        text = "\n".join(self.events)
        self.assertNotIn(KEY, text)
        self.assertNotIn("Signature=", text)

    async def test_absent_key(self) -> None:
        """404 NoSuchKey is an answer: stored by the table, told in our own words."""
        first, second = await self.asked_with(404, "NoSuchKey")
        self.assertEqual([404, 404], [first.status, second.status])
        self.assertEqual(["MISS", "HIT"], [first.cache, second.cache])
        self.assertEqual("text/plain; charset=utf-8", first.headers["content-type"])
        self.assertNotIn(b"Error", first.body)
        self.assertNotIn("x-amz-request-id", first.headers)

    async def test_access_denied(self) -> None:
        """403 AccessDenied is an answer too, and worth a line in the log."""
        first, second = await self.asked_with(403, "AccessDenied")
        self.assertEqual([403, 403], [first.status, second.status])
        self.assertTrue([event for event in self.events if "AccessDenied" in event])

    async def test_slow_down(self) -> None:
        """503 SlowDown stays a 503, without S3's document."""
        first, _ = await self.asked_with(503, "SlowDown")
        self.assertEqual(503, first.status)
        self.assertNotIn(b"SlowDown", first.body)

    async def test_a_credential_failure_is_no_change_of_the_data(self) -> None:
        """On revalidation a refused key is an origin error: the stale body stands in."""
        self.origin.answers["/private/a"] = [
            answer(body=b"kept", headers={"ETag": '"1"', "Cache-Control": "max-age=0"}),
            s3_error(403, "SignatureDoesNotMatch"),
        ]
        await self.shield()
        seen = [await self.get("/a"), await self.get("/a")]
        self.assertEqual(["MISS", "STALE"], [got.cache for got in seen])
        self.assertEqual([b"kept", b"kept"], [got.body for got in seen])

    async def test_client_fields_never_reach_the_bucket(self) -> None:
        """Authorization, x-amz-* and presign parameters of the client stay here."""
        self.origin.answers["/private/a"] = answer()
        await self.shield()
        await self.get(
            "/a?X-Amz-Signature=client-s&AWSAccessKeyId=client-s",
            authorization="AWS4-HMAC-SHA256 client-s",
            x_amz_date="client-s",
            x_forwarded_for="client-s",
        )
        self.assertEqual("/private/a", self.origin.asked[0].target)
        # No hexadecimal word: a signature spells those now and then.
        self.assertNotIn("client-s", self.origin.asked[0].head.decode())

    async def test_precondition_failed(self) -> None:
        """We are all that the client meets: If-Match for another version is a 412."""
        headers = {"ETag": '"e"', "Cache-Control": "max-age=100"}
        self.origin.answers["/private/a"] = answer(body=b"0123456789", headers=headers)
        await self.shield()
        for _ in range(2):
            got = await self.get("/a", if_match='"other"')
            self.assertEqual(412, got.status)
            self.assertNotIn(b"0123", got.body)
        self.assertEqual(200, (await self.get("/a", if_match='"e"')).status)

    async def test_authorization_of_clients_makes_no_misses(self) -> None:
        """The bucket never sees it, so it cannot have anything to do with the answer."""
        self.origin.answers["/private/a"] = answer(headers={"Cache-Control": "max-age=100"})
        await self.shield()
        seen = [await self.get("/a", authorization="Basic eDp5") for _ in range(2)]
        self.assertEqual(["MISS", "HIT"], [got.cache for got in seen])
