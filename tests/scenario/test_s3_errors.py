"""S3's errors on real sockets: what is mended unnoticed, what clients see of the rest."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from twisted.logger import globalLogPublisher

from tests.daemon.test_demo import BUCKET, filled

from .harness import BucketScenario, Origin, answer, until

CODES: dict[int, str] = {
    301: "PermanentRedirect",
    307: "TemporaryRedirect Redirect",
    400: """
        AmbiguousGrantByEmailAddress AuthorizationHeaderMalformed BadDigest BadRequest
        AuthorizationQueryParametersError CredentialsNotSupported EntityTooLarge EntityTooSmall
        ExpiredToken IllegalLocationConstraintException IllegalVersioningConfigurationException
        IncompleteBody IncorrectEndpoint IncorrectNumberOfFilesInPostRequest InlineDataTooLarge
        InvalidArgument InvalidBucketName InvalidDigest InvalidEncryptionAlgorithmError
        InvalidHostHeader InvalidLocationConstraint InvalidPart InvalidPartOrder
        InvalidPolicyDocument InvalidRequest InvalidSOAPRequest InvalidStorageClass InvalidTag
        InvalidTargetBucketForLogging InvalidToken InvalidURI KeyTooLongError MalformedACLError
        KMS.DisabledException KMS.InvalidKeyUsageException KMS.KMSInvalidStateException
        KMS.NotFoundException MalformedPOSTRequest MalformedXML MaxMessageLengthExceeded
        MaxPostPreDataLengthExceededError MetadataTooLarge MissingRequestBodyError
        MissingSecurityElement NoLoggingStatusForKey RequestHeaderSectionTooLarge
        RequestIsNotMultiPartContent RequestTimeout RequestTorrentOfBucketError
        TokenCodeInvalidError TokenRefreshRequired TooManyBuckets UnauthorizedAccess
        UnexpectedContent UnresolvableGrantByEmailAddress UnsupportedArgument
        UserKeyMustBeSpecified XAmzContentSHA256Mismatch InvalidSessionException
        MissingAuthenticationToken ServerSideEncryptionConfigurationNotFoundError
        OwnershipControlsNotFoundError""",
    401: "MissingSecurityHeader",
    403: """
        AccessDenied AccessKeyDoesNotExist AccountProblem AllAccessDisabled
        CrossLocationLoggingProhibited InvalidAccessKeyId InvalidAccessPoint InvalidObjectState
        InvalidPayer InvalidSecurity NotSignedUp RequestExpired RequestTimeTooSkewed
        SignatureDoesNotMatch UserSuspended""",
    404: """
        NoSuchAccessPoint NoSuchBucket NoSuchBucketPolicy NoSuchKey NoSuchLifecycleConfiguration
        NoSuchTagSet NoSuchUpload NoSuchVersion NoSuchWebsiteConfiguration""",
    405: "MethodNotAllowed",
    409: """
        BucketAlreadyExists BucketAlreadyOwnedByYou BucketNotEmpty ConditionalRequestConflict
        InvalidBucketState OperationAborted RestoreAlreadyInProgress""",
    411: "MissingContentLength",
    412: "PreconditionFailed",
    416: "InvalidRange",
    429: "TooManyRequests",
    500: "InternalError",
    501: "NotImplemented NotDeviceOwnerError",
    503: "Busy ServiceUnavailable SlowDown",
}
"""S3's codes by status: "Error responses", Amazon S3 API Reference."""

THROUGH = {400: {"KeyTooLongError", "InvalidURI"}}
"""Codes that are about the client's request, where the others of the status are about ours."""
OURS = {
    401: {"MissingSecurityHeader"},
    403: {"AccessKeyDoesNotExist", "AccountProblem", "AllAccessDisabled", "InvalidAccessKeyId"}
    | {"InvalidPayer", "InvalidSecurity", "NotSignedUp", "RequestExpired", "RequestTimeTooSkewed"}
    | {"SignatureDoesNotMatch", "UserSuspended"},
    404: {"NoSuchBucket"},
}
"""Codes that are about us, where the others of the status are about the object."""


def expected(status: int, code: str) -> int:
    """What a client is told."""
    if status == 503:
        return 503
    if status in (301, 307, 400, 429) or status >= 500:
        return status if code in THROUGH.get(status, ()) else 502
    return 502 if code in OURS.get(status, ()) else status


def s3_error(status: int, code: str, more: str = "", **fields: str) -> Any:
    """S3's error document, identifiers and all."""
    body = (
        f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>MESSAGE42</Message>{more}'
        "<RequestId>REQ42</RequestId><HostId>HOST42</HostId></Error>"
    ).encode()
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return answer(status, body, {"x-amz-request-id": "REQ42", **headers})


class S3Errors(BucketScenario):
    """A bucket with the secret itself, unless `secret` is False."""

    secret = True

    def setUp(self) -> None:
        """Listen to the log."""
        super().setUp()
        self.events: list[str] = []

        def observe(event: Any) -> None:
            if event.get("log_format"):
                self.events.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def config_text(self, location: str, cache: str, more: str) -> str:
        """The scenario's, with the secret in the scoped key's place, at `localhost`."""
        text = super().config_text(location, cache, more)
        if self.secret:
            head, _, _ = text.partition("aws_signing_key")
            text = head + "aws_secret_key = SeCrEt\naws_region = us-east-1\n"
        return text.replace("aws_endpoint = http://127.0.0.1", "aws_endpoint = http://localhost")


class S3ErrorTests(S3Errors):
    """With the secret, which can sign for every region."""

    async def test_every_code(self) -> None:
        """Each code S3 has: the right status, none of its words, nothing kept; no exception."""
        codes = [(status, code) for status, text in CODES.items() for code in text.split()]
        self.assertGreater(len(codes), 100)
        paths = {f"/{status}/{code}": (status, code) for status, code in codes}
        for path, (status, code) in paths.items():
            self.origin.answers[f"/private{path}"] = s3_error(status, code)
        await self.shield("proxy_cache_valid = 200 1m")
        answers = await self.together(*[self.get(path) for path in paths])
        for (path, (status, code)), got in zip(paths.items(), answers, strict=True):
            self.assertEqual(expected(status, code), got.status, path)
            self.assertEqual("MISS", got.cache, path)
            for identifier in ("REQ42", "HOST42", "MESSAGE42"):
                self.assertNotIn(identifier, f"{got.body!r} {got.headers}", path)
            if got.status == 502 or status == 403:
                told = [event for event in self.events if f"answered {status} {code} for" in event]
                self.assertEqual(1, len(told), path)
        for path in paths:
            self.origin.answers[f"/private{path}"] = answer(body=b"object")
        answers = await self.together(*[self.get(path) for path in paths])
        for path, got in zip(paths, answers, strict=True):
            self.assertEqual((200, b"object", "MISS"), (got.status, got.body, got.cache), path)
        self.flushLoggedErrors()
        self.assertFalse([event for event in self.events if "SeCrEt" in event])

    async def test_clock(self) -> None:
        """A server that is two hours ahead: one refusal, then everything is signed in its time."""
        refused = []

        def check(connection: Any, asked: Any) -> None:
            there = time.time() + 7200
            stamp = asked.headers["x-amz-date"]
            signed = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
            date = format_datetime(datetime.fromtimestamp(there, UTC), usegmt=True)
            if abs(signed - there) > 900:
                refused.append(asked)
                s3_error(403, "RequestTimeTooSkewed", Date=date)(connection, asked)
            else:
                answer(headers={"Date": date})(connection, asked)

        self.origin.answers.update({"/private/a": check, "/private/b": check})
        await self.shield()
        for path in ("/a", "/b"):
            got = await self.get(path)
            self.assertEqual((200, b"hello", "MISS"), (got.status, got.body, got.cache))
        self.assertEqual(1, len(refused))
        self.assertIn("timedatectl", "".join(self.events))

    async def test_region(self) -> None:
        """A bucket in another region: learned from one refusal, told with the option to set."""

        def check(connection: Any, asked: Any) -> None:
            if "/eu-west-1/s3/" in asked.headers["authorization"]:
                answer()(connection, asked)
            else:
                more = "<Region>eu-west-1</Region>"
                s3_error(400, "AuthorizationHeaderMalformed", more)(connection, asked)

        self.origin.answers.update({"/private/a": check, "/private/b": check})
        await self.shield()
        for path in ("/a", "/b"):
            self.assertEqual(200, (await self.get(path)).status)
        self.assertEqual(["/private/a", "/private/a", "/private/b"], self.origin.targets())
        self.assertIn("set aws_region = eu-west-1", "".join(self.events))

    async def test_region_of_head(self) -> None:
        """The answer to a HEAD has no document; its x-amz-bucket-region is enough."""

        def check(connection: Any, asked: Any) -> None:
            right = "/eu-west-1/s3/" in asked.headers["authorization"]
            fields = {"x-amz-bucket-region": "eu-west-1"}
            answer(200 if right else 400, headers=fields)(connection, asked)

        self.origin.answers["/private/a"] = check
        await self.shield()
        self.assertEqual(200, (await self.get("/a", "HEAD")).status)

    async def test_head_that_is_refused(self) -> None:
        """A wrong key is our trouble for a HEAD too, whatever stands for a missing object."""
        self.origin.answers["/private/a"] = s3_error(403, "InvalidAccessKeyId")
        self.origin.answers["/private/b"] = s3_error(403, "AccessDenied")
        await self.shield("missing_403 = 404")
        self.assertEqual(502, (await self.get("/a", "HEAD")).status)
        self.assertEqual(404, (await self.get("/b", "HEAD")).status)
        self.assertEqual(["HEAD", "GET"] * 2, [asked.method for asked in self.origin.asked])
        self.assertIn("aws_access_key", "".join(self.events))

    async def test_endpoint(self) -> None:
        """A bucket at another host of the same owner is asked there from then on."""
        host = f"eu.localhost:{self.origin.number}"

        def check(connection: Any, asked: Any) -> None:
            if asked.headers["host"] == host:
                answer()(connection, asked)
            else:
                more = f"<Endpoint>{host}</Endpoint>"
                s3_error(301, "PermanentRedirect", more)(connection, asked)

        self.origin.answers.update({"/private/a": check, "/private/b": check})
        await self.shield()
        for path in ("/a", "/b"):
            self.assertEqual(200, (await self.get(path)).status)
        self.assertEqual(3, len(self.origin.asked))
        self.assertIn(f"set aws_endpoint = http://{host}", "".join(self.events))

    async def test_stranger(self) -> None:
        """Nobody else is asked, whatever the answer says: not one connection is made."""
        other = Origin()
        self.addCleanup(other.stop)
        for number, told in enumerate((f"127.0.0.1:{other.number}", "127.0.0.1", "s3.evil.test")):
            self.origin.answers[f"/private/{number}"] = s3_error(
                301,
                "PermanentRedirect",
                f"<Endpoint>{told}</Endpoint>",
                Location=f"http://{told}/private/{number}",
            )
        await self.shield()
        for number in range(3):
            self.assertEqual(502, (await self.get(f"/{number}")).status)
        self.assertEqual((0, 3), (other.connections, len(self.origin.asked)))
        self.assertIn("not followed", "".join(self.events))

    async def test_overload(self) -> None:
        """503 SlowDown and 500 InternalError pass: the client only waits a moment longer."""
        for number, first in enumerate((s3_error(503, "SlowDown"), s3_error(500, "InternalError"))):
            self.origin.answers[f"/private/{number}"] = [first, first, answer()]
        await self.shield("proxy_cache_valid = 200 1m")
        for number in range(2):
            got = await self.get(f"/{number}")
            self.assertEqual((200, b"hello", "MISS"), (got.status, got.body, got.cache))
            self.assertEqual("HIT", (await self.get(f"/{number}")).cache)

    async def test_overload_for_good(self) -> None:
        """All who wait for it are told, after four tries for the first and four for the rest."""
        slow = s3_error(503, "SlowDown")

        async def once_all_wait(connection: Any, asked: Any) -> None:
            await self.until_waiting(5)
            slow(connection, asked)

        self.origin.answers["/private/a"] = [once_all_wait, slow]
        await self.shield()
        answers = await self.together(*[self.get("/a") for _ in range(5)])
        self.assertEqual([503] * 5, [got.status for got in answers])
        self.assertEqual(8, len(self.origin.asked))

    async def test_stop_while_waiting(self) -> None:
        """The daemon's end does not wait for a bucket's recovery."""
        self.origin.answers["/private/a"] = s3_error(503, "SlowDown", Retry_After="4")
        await self.shield()
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        bucket = next(iter(self.serving._origins._buckets.values()))
        await until(lambda: bucket.waiting, "the pause to begin")
        client.transport.abortConnection()
        await self.stop()
        self.assertEqual(set(), bucket.waiting)


class ScopedKeyTests(S3Errors):
    """With a scoped key: what it cannot do, the log says."""

    secret = False

    async def test_region(self) -> None:
        """Another region needs another key; nothing is asked twice."""
        more = "<Region>eu-west-1</Region>"
        self.origin.answers["/private/a"] = s3_error(400, "AuthorizationHeaderMalformed", more)
        await self.shield()
        self.assertEqual(502, (await self.get("/a")).status)
        self.assertEqual(1, len(self.origin.asked))
        self.assertIn("signing-key --region eu-west-1", "".join(self.events))

    async def test_region_of_head(self) -> None:
        """The same by HEAD."""
        fields = {"x-amz-bucket-region": "eu-west-1"}
        self.origin.answers["/private/a"] = answer(400, headers=fields)
        await self.shield()
        self.assertEqual(502, (await self.get("/a", "HEAD")).status)
        self.assertEqual(1, len(self.origin.asked))


class RealServerTests(S3Errors):
    """Swift refuses what is signed for another time or region, and says what it has seen."""

    clock: Callable[[], float] = staticmethod(time.time)

    def config_text(self, location: str, cache: str, more: str) -> str:
        """The bucket of the real server, its options changed by `more`."""
        server = self.there.server
        options = {
            "aws_s3_bucket": BUCKET,
            "aws_endpoint": server.endpoint,
            "aws_access_key": server.access_key,
            "aws_secret_key": server.secret_key,
            "aws_region": server.region,
            **dict(line.split(" = ") for line in more.splitlines()),
        }
        text = super().config_text(location, cache, "").partition("[bucket:b]")[0]
        return text + "[bucket:b]\n" + "".join(f"{k} = {v}\n" for k, v in options.items())

    async def start(self, config: Any, **more: Any) -> None:
        """With a clock that may be wrong."""
        await super().start(config, clock=self.clock, **more)

    async def ask(self, more: str = "") -> Any:
        """Ask for the first of the demo's objects."""
        self.there = filled("swift")
        await self.shield(more=more)
        return await self.get(self.there.objects[0].path)

    async def test_region(self) -> None:
        """The region that it names is the right one."""
        got = await self.ask("aws_region = eu-west-1")
        self.assertEqual((200, self.there.objects[0].body), (got.status, got.body))
        self.assertIn(f"set aws_region = {self.there.server.region}", "".join(self.events))

    async def test_clock(self) -> None:
        """Its Date is what it wants requests to be signed with."""
        for wrong_by, how in ((-7200.0, "behind"), (7200.0, "ahead")):
            self.events.clear()
            self.cache_path = os.path.abspath(self.mktemp())
            self.clock = lambda wrong_by=wrong_by: time.time() + wrong_by
            got = await self.ask()
            self.assertEqual((200, self.there.objects[0].body), (got.status, got.body))
            await self.stop()
            self.assertRegex("".join(self.events), rf"this machine's clock is 7\d\d\d s {how}")

    async def test_wrong_secret(self) -> None:
        """It shows what it signed: the same as we did, so it is the secret."""
        got = await self.ask("aws_secret_key = SeCrEt")
        self.assertEqual(502, got.status)
        text = "\n".join(self.events)
        self.assertIn("S3 signed the same text", text)
        for title in ("canonical request", "string to sign"):
            ours, theirs = (
                re.findall(rf"(?m){whose} {title} *: (.*)$", text) for whose in ("our", "S3's")
            )
            self.assertEqual(1, len(ours))
            self.assertEqual(ours, theirs)
        self.assertNotIn("SeCrEt", text)
        got = await self.get(self.there.objects[0].path, "HEAD")
        self.assertEqual(502, got.status)
