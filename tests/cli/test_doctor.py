"""`s3shield doctor`: before a scripted origin, behind TLS, and before a real S3 server."""

from __future__ import annotations

import argparse
import datetime as dt
import io
import os
import re
import socket
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import botocore.utils
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from s3shield.cli import doctor, main
from s3shield.cli.command import Console
from tests.daemon.test_demo import BUCKET, filled
from tests.ops.sources import container, environment
from tests.scenario.harness import KEY, Origin, answer, reactor
from tests.scenario.test_s3_errors import s3_error
from tests.scenario.test_tls import PlainAnswer, TlsOrigin
from tests.wire.certificates import Authority

NOW = time.time()
TODAY = time.strftime("%Y%m%d", time.gmtime(NOW))


def day(offset: int) -> str:
    """Return the YYYYMMDD of some days from now."""
    return time.strftime("%Y%m%d", time.gmtime(NOW + offset * 86_400))


class Doctor(TestCase):
    """The command, run in a thread: it waits for its answers."""

    timeout = 120

    async def examine(
        self, *lines: str, at: str = "private", plain: str = "", **words: Any
    ) -> tuple[int, str]:
        """Run it on a bucket that is described by `lines`; return status and what it prints."""
        path = Path(self.mktemp())
        path.touch(mode=0o600)
        where = f"[location:/plain/]\norigin = {plain}\n" if plain else ""
        path.write_text(
            "[s3shield]\nlisten = 127.0.0.1:0\n[bucket:media]\n"
            f"aws_s3_bucket = {at}\n"
            + "".join(f"{line}\n" for line in lines)
            + f"[location:/]\nbucket = media\n{where}"
        )
        out = io.StringIO()
        args = argparse.Namespace(**{"file": str(path), "bucket": None, "key": None, **words})
        status = await deferToThread(
            lambda: doctor.run(args, Console(io.StringIO(), out, out, {}, time.time()))
        )
        self.assertNotIn("SeCrEt", out.getvalue())
        return status, out.getvalue()

    def found(self, text: str, state: str, what: str, words: str) -> None:
        """Check that there is a line about `what`."""
        lines = [line for line in re.split(r"\n  (?! )", text) if line.split()[:2] == [state, what]]
        self.assertTrue(any(words in line for line in lines), f"{state} {what}: {words}\n{text}")


class ScriptedTests(Doctor):
    """What each answer of an origin is told as."""

    def setUp(self) -> None:
        """Start an origin that answers everything in one way."""
        self.origin = Origin()
        self.addCleanup(self.origin.stop)
        self.said: Any = s3_error(404, "NoSuchKey", Date=formatdate(usegmt=True))
        self.origin.reply = lambda asked: self.said  # type: ignore[method-assign]
        self.endpoint = f"aws_endpoint = http://localhost:{self.origin.number}"
        self.keys = ("aws_access_key = AKIA", "aws_secret_key = SeCrEt", "aws_region = us-east-1")

    async def ask(self, *lines: str, **words: Any) -> tuple[int, str]:
        """Examine the scripted bucket."""
        return await self.examine(self.endpoint, *(lines or self.keys), **words)

    async def test_all_is_well(self) -> None:
        """404 for what does not exist: signed rightly, and the key may list."""
        status, text = await self.ask()
        self.assertEqual(0, status, text)
        for what in ("name", "connection", "clock", "signature", "rights", "key"):
            self.found(text, "ok", what, "")
        self.assertIn("\nnothing is wrong\n", text)
        (asked,) = self.origin.asked
        self.assertRegex(asked.target, r"^/private/s3shield-doctor/\d+$")
        self.assertEqual("bytes=0-0", asked.headers["range"])

    async def test_health_object(self) -> None:
        """The health object is there, or it is told what that means."""
        lines = (*self.keys, "health = /up")
        status, text = await self.ask(*lines)
        self.assertEqual(1, status, text)
        self.found(text, "WRONG", "health", "no such object in the bucket; without it")
        self.origin.reply = lambda asked: (  # type: ignore[method-assign]
            answer(206, b"x") if asked.target == "/private/up" else self.said
        )
        status, text = await self.ask(*lines)
        self.assertEqual(0, status, text)
        self.found(text, "ok", "health", "'up' is readable")

    async def test_replica(self) -> None:
        """A replica is examined like its bucket, and its title says whose it is."""
        other = ("[bucket:copy]", f"aws_s3_bucket = private\n{self.endpoint}", *self.keys)
        status, text = await self.ask(*self.keys, "replica = copy", *other)
        self.assertEqual(0, status, text)
        self.assertRegex(text, r"bucket copy: private at .*, the replica of media\n")

    async def test_may_not_list(self) -> None:
        """403 for what does not exist is no fault, but worth knowing."""
        self.said = s3_error(403, "AccessDenied")
        status, text = await self.ask()
        self.assertEqual(0, status, text)
        self.found(text, "note", "rights", "missing_403 = 404")
        self.found(text, "note", "clock", "no Date")
        self.assertIn("or may not read it at all", text)
        self.origin.reply = lambda asked: (  # type: ignore[method-assign]
            answer(206, b"x") if asked.target == "/private/there" else self.said
        )
        _, text = await self.ask(key="there")
        self.found(text, "note", "rights", "may not list the bucket")
        self.assertNotIn("or may not read it at all", text)

    async def test_refusals(self) -> None:
        """Each refusal of our own is wrong, with what to do."""
        for status, code, words in (
            (403, "InvalidAccessKeyId", "aws_access_key"),
            (400, "ExpiredToken", "renew"),
            (404, "NoSuchBucket", "aws_s3_bucket"),
            (400, "InvalidRequest", "aws_sign"),
            (503, "SlowDown", "fewer requests"),
            (403, "Whatever", "forbids"),
        ):
            self.said = s3_error(status, code)
            result, text = await self.ask()
            self.assertEqual(1, result, code)
            self.found(text, "WRONG", "signature", words)
            self.assertIn("1 thing is wrong", text)

    async def test_mismatch(self) -> None:
        """A signature that does not match is shown beside S3's, and what differs is named."""
        canonical = "GET\n/private/other\n\nhost:a\n\nhost\nhash"
        more = f"<CanonicalRequest>{canonical}</CanonicalRequest>"
        self.said = s3_error(403, "SignatureDoesNotMatch", more)
        status, text = await self.ask()
        self.assertEqual(1, status)
        self.found(text, "WRONG", "signature", "line 2 (path)")
        self.assertIn("our canonical request", text)
        self.assertIn("S3's canonical request: GET\\n/private/other", text)

    async def test_clock(self) -> None:
        """Off by minutes is a note, by more than S3 allows a fault; the rest is examined."""
        for ahead, state, status in ((300, "note", 0), (7200, "WRONG", 1), (-7200, "WRONG", 1)):
            there = time.time() + ahead
            right = s3_error(404, "NoSuchKey", Date=formatdate(there, usegmt=True))
            wrong = s3_error(403, "RequestTimeTooSkewed", Date=formatdate(there, usegmt=True))

            def check(asked: Any, there: float = there, say: Any = (right, wrong)) -> Any:
                stamp = f"{asked.headers['x-amz-date']}+0000"
                signed = dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ%z").timestamp()
                return say[abs(signed - there) > 900]

            self.origin.reply = check  # type: ignore[method-assign]
            result, text = await self.ask()
            self.assertEqual(status, result, text)
            self.found(text, state, "clock", "behind" if ahead > 0 else "ahead")
            self.found(text, "ok", "signature", "taken")

    async def test_region(self) -> None:
        """A wrong region is told with the option; with the secret the rest is examined."""

        def check(connection: Any, asked: Any) -> None:
            right = "/eu-west-1/s3/" in asked.headers["authorization"]
            more = "<Region>eu-west-1</Region>"
            wrong = s3_error(400, "AuthorizationHeaderMalformed", more)
            (s3_error(404, "NoSuchKey") if right else wrong)(connection, asked)

        self.said = check
        status, text = await self.ask()
        self.assertEqual(1, status)
        self.found(text, "WRONG", "place", "set aws_region = eu-west-1")
        self.found(text, "ok", "rights", "")
        scoped = f"aws_signing_key = {KEY}", f"aws_key_scope = {TODAY}/us-east-1/s3/aws4_request"
        status, text = await self.ask("aws_access_key = AKIA", *scoped)
        self.assertEqual(1, status)
        self.found(text, "WRONG", "place", "signing-key --region eu-west-1")

    async def test_endpoint(self) -> None:
        """Where the bucket is instead is told, whoever it is; nobody is asked there."""
        self.said = s3_error(301, "PermanentRedirect", "<Endpoint>s3.elsewhere.test</Endpoint>")
        status, text = await self.ask()
        self.assertEqual(1, status)
        self.found(text, "WRONG", "place", "set aws_endpoint = http://s3.elsewhere.test")
        self.assertEqual(1, len(self.origin.asked))

    async def test_object(self) -> None:
        """--key: readable, not there, or not to be read."""
        for said, state, words in (
            (answer(206, b"x"), "ok", "readable"),
            (s3_error(404, "NoSuchKey"), "WRONG", "no such object"),
            (s3_error(403, "AccessDenied"), "WRONG", "may not read"),
        ):
            self.origin.reply = lambda asked, said=said: (  # type: ignore[method-assign, misc]
                said if asked.target == "/private/a%20b" else self.said
            )
            status, text = await self.ask(key="a b")
            self.assertEqual(int(state == "WRONG"), status)
            self.found(text, state, "object", words)
        await self.ask(key="\udcff")  # a byte of the command line
        self.assertEqual("/private/%FF", self.origin.asked[-1].target)

    async def test_life_of_the_key(self) -> None:
        """How long a scoped key is good for: well, soon over, over, not begun."""
        for offset, state, words in (
            (0, "ok", "more days"),
            (-5, "note", "signing-key --region us-east-1"),
            (-8, "WRONG", "older than seven days"),
            (3, "WRONG", "not here yet"),
        ):
            status, text = await self.ask(
                "aws_access_key = AKIA",
                f"aws_signing_key = {KEY}",
                f"aws_key_scope = {day(offset)}/us-east-1/s3/aws4_request",
            )
            self.assertEqual(int(state == "WRONG"), status, text)
            self.found(text, state, "key", words)
        _, text = await self.ask(*self.keys, "aws_session_token = ToKeN")
        self.found(text, "note", "key", "temporary")
        self.assertNotIn("ToKeN", text)

    async def test_source(self) -> None:
        """The source is asked as the daemon would: what it gave is used, or it is the fault."""
        double = container()
        self.addCleanup(double.stop)
        token = Path(self.mktemp()).absolute()
        token.write_text("pod-t0ken")
        self.patch(botocore.utils.ContainerMetadataFetcher, "SLEEP_TIME", 0)
        self.patch(botocore.utils.ContainerMetadataFetcher, "TIMEOUT_SECONDS", 60)
        environment(
            self,
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{double.url}/v1/credentials",
            AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(token),
        )
        lines = ("aws_region = us-east-1", "aws_credentials = ecs")
        status, text = await self.ask(*lines)
        self.assertEqual(0, status, text)
        self.found(text, "ok", "key", "ASIA1 from the container credentials endpoint, good for")
        self.assertEqual("t0ken1", self.origin.asked[0].headers["x-amz-security-token"])
        self.assertNotIn("t0ken1", text)
        double.fault = lambda *_words: (500, "<html>")
        status, text = await self.ask(*lines)
        self.assertEqual((1, 1), (status, len(self.origin.asked)), text)
        self.found(text, "WRONG", "key", "look at the role of the task")

    async def test_unsigned(self) -> None:
        """A bucket that everybody may read needs no key."""
        status, text = await self.ask("aws_sign = off")
        self.assertEqual(0, status, text)
        self.found(text, "ok", "signature", "none is sent")

    async def test_no_s3(self) -> None:
        """A server that says yes to everything, or hangs up, is no S3."""
        self.said = answer()
        _, text = await self.ask()
        self.found(text, "note", "rights", "is it an S3 endpoint?")
        self.said = lambda connection, asked: connection.transport.loseConnection()
        connection_closed = await self.ask()
        self.assertEqual(1, connection_closed[0])
        self.found(connection_closed[1], "WRONG", "answer", "is it an S3 endpoint?")

    async def test_out_of_reach(self) -> None:
        """Names that are none and ports where nobody listens; plain origins too."""

        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        for url, what in (
            ("http://127.0.0.1:1", "connection"),
            (f"http://{'a' * 64}.test", "name"),
            ("http://unknown.test", "name"),
        ):
            if "unknown" in url:
                self.patch(socket, "getaddrinfo", unknown)
            status, text = await self.examine(f"aws_endpoint = {url}", *self.keys, plain=url)
            self.assertEqual(1, status)
            self.assertEqual(2, len(re.findall(rf"(?m)^  WRONG  {what} ", text)), text)
            self.assertIn("2 things are wrong", text)
            self.found(text, "ok", "key", "")


class TlsTests(Doctor):
    """Certificates."""

    async def test_certificates(self) -> None:
        """Verified, unknown, for another name, not verified, and no TLS at all."""
        authority = Authority()
        ca = Path(self.mktemp())
        ca.write_bytes(authority.pem)
        origin = TlsOrigin(authority.server("localhost"))
        other = TlsOrigin(authority.server("other.test"))
        for each in (origin, other):
            self.addCleanup(each.stop)
            self.addCleanup(each.tls_port.stopListening)
            each.reply = lambda asked: s3_error(404, "NoSuchKey")
        plain = reactor.listenTCP(0, Factory.forProtocol(PlainAnswer), interface="127.0.0.1")
        self.addCleanup(plain.stopListening)
        trusted = f"origin_ca = {os.path.abspath(ca)}"
        for port, line, state, words in (
            (origin.tls_number, trusted, "ok", "more days"),
            (origin.tls_number, "", "WRONG", "origin_ca"),
            (other.tls_number, trusted, "WRONG", "the certificate is refused"),
            (other.tls_number, "origin_verify = off", "note", "anybody can answer"),
            (plain.getHost().port, trusted, "WRONG", "does it speak TLS"),
        ):
            status, text = await self.examine(
                f"aws_endpoint = https://localhost:{port}", "aws_sign = off", line
            )
            self.found(text, state, "tls", words)
            self.assertEqual(int(state == "WRONG"), status, text)


class RealServerTests(Doctor):
    """Swift checks signatures, regions and clocks as S3 does."""

    async def test_findings(self) -> None:
        """Right keys, wrong secret, wrong region, no such bucket; each told as what it is."""
        there = filled("swift")
        server, sample = there.server, there.objects[0]
        right = {
            "aws_s3_bucket": BUCKET,
            "aws_endpoint": server.endpoint,
            "aws_access_key": server.access_key,
            "aws_secret_key": server.secret_key,
            "aws_region": server.region,
        }
        for change, state, what, words in (
            ({}, "ok", "object", "readable"),
            ({"aws_sign": "v2"}, "ok", "object", "readable"),
            ({"aws_secret_key": "SeCrEt"}, "WRONG", "signature", "S3 signed the same text"),
            ({"aws_region": "eu-west-1"}, "WRONG", "place", f"aws_region = {server.region}"),
            ({"aws_s3_bucket": "absent"}, "WRONG", "signature", "NoSuchBucket"),
        ):
            options = {**right, **change}
            bucket = options.pop("aws_s3_bucket")
            lines = [f"{name} = {value}" for name, value in options.items()]
            status, text = await self.examine(*lines, key=sample.key, at=bucket)
            self.assertEqual(int(state == "WRONG" or "absent" in bucket), status, text)
            self.found(text, state, what, words)


class CommandTests(SynchronousTestCase):
    """The command line around it."""

    def test_mistakes(self) -> None:
        """A configuration with a mistake is not examined; nor is a bucket that is not there."""
        path = Path(self.mktemp())
        path.write_text("[s3shield]\nlistn = 1\n")
        self.assertEqual(1, main(["doctor", str(path)]))
        path.write_text("[s3shield]\nlisten = 127.0.0.1:0\n")
        self.assertEqual(1, main(["doctor", "--bucket", "media", str(path)]))
