"""Credentials from each source, asked as AWS's programs ask it, and from sources that fail."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import botocore.credentials
import botocore.session
import botocore.utils
from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import CredentialSource
from s3shield.ops import Fetched, UnavailableError, credential_fetch, describe, fetch
from s3shield.ops.credential_fetch import _told as told
from s3shield.signing import Credentials
from tests.ops.sources import FAR, ROLE, Double, container, environment, metadata, sts

FIRST = Fetched(Credentials("ASIA1", "s3cr3t1", session_token="t0ken1"), FAR)


class Case(SynchronousTestCase):
    """Doubles, files, an environment."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        environment(self)
        # No pauses between two tries, and all the time that a busy machine needs.
        self.patch(botocore.utils.ContainerMetadataFetcher, "SLEEP_TIME", 0)
        self.patch(botocore.utils.ContainerMetadataFetcher, "TIMEOUT_SECONDS", 60)
        self.patch(credential_fetch, "_READ", 60)

    def double(self, make) -> Double:
        """Start one."""
        double = make()
        self.addCleanup(double.stop)
        return double

    def file(self, name: str, text: str) -> str:
        """Write one; return its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def metadata(self, **more: str) -> Double:
        """Instance metadata, in the environment."""
        double = self.double(metadata)
        environment(self, AWS_EC2_METADATA_SERVICE_ENDPOINT=double.url, **more)
        return double

    def container(self) -> Double:
        """A pod's endpoint, in the environment."""
        double = self.double(container)
        token = self.file("pod", "pod-t0ken")
        environment(
            self,
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{double.url}/v1/credentials",
            AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=token,
        )
        return double

    def sts(self, **more: str) -> Double:
        """STS, in the environment."""
        double = self.double(sts)
        environment(self, AWS_ENDPOINT_URL_STS=double.url, **more)
        return double

    def fails(self, source: CredentialSource, region: str | None = "eu-west-1") -> str:
        """Return what is said when there are none; never a secret."""
        why = self.assertRaises(UnavailableError, fetch, source, region)
        text = f"{why.problem}: {why.advice}"
        for secret in ("s3cr3t", "t0ken"):
            self.assertNotIn(secret, text)
        self.assertTrue(text.isprintable() and text.isascii(), text)
        self.assertNotIn(why.advice, ("", why.problem))
        return text


class Sources(Case):
    """Each source, when all is well."""

    def test_metadata(self):
        """The token is fetched first (IMDSv2), then the role, then its credentials."""
        double = self.metadata()
        self.assertEqual(fetch(CredentialSource(kind="imds"), None), FIRST)
        role = "/latest/meta-data/iam/security-credentials/"
        self.assertEqual(
            double.asked,
            [("PUT", "/latest/api/token"), ("GET", role), ("GET", f"{role}reader")],
        )

    def test_container(self):
        """A pod's endpoint is asked with the token in the file."""
        double = self.container()
        self.assertEqual(fetch(CredentialSource(kind="ecs"), None), FIRST)
        self.assertEqual(set(double.asked), {("GET", "/v1/credentials")})

    def test_web_identity(self):
        """The token in the file goes to STS, unsigned, for the role in the environment."""
        token = self.file("web", "web-t0ken")
        double = self.sts(AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN=ROLE)
        self.assertEqual(fetch(CredentialSource(kind="web-identity"), "eu-west-1"), FIRST)
        self.assertEqual(double.form["Action"], "AssumeRoleWithWebIdentity")

    def test_role(self):
        """A role is assumed with the keys of the configuration, or with those of a source."""
        double = self.sts()
        base = Credentials("AKIA", "s3cr3t")
        source = CredentialSource(kind="static", base=base, role=ROLE, session="me")
        self.assertEqual(fetch(source, "eu-west-1"), FIRST)
        self.assertEqual(double.form["RoleSessionName"], "me")
        self.assertIn("/eu-west-1/sts/aws4_request", double.form["authorization"])
        environment(self, AWS_ENDPOINT_URL_STS=double.url, AWS_DEFAULT_REGION="us-west-2")
        self.assertEqual(fetch(source, "eu-west-1"), FIRST)
        self.assertIn("/us-west-2/sts/aws4_request", double.form["authorization"])
        environment(
            self,
            AWS_ENDPOINT_URL_STS=double.url,
            AWS_EC2_METADATA_SERVICE_ENDPOINT=self.metadata().url,
        )
        self.assertEqual(fetch(CredentialSource(kind="imds", role=ROLE), "eu-west-1"), FIRST)
        self.assertIn(f"for the role {ROLE}", describe(source))

    def test_files(self):
        """The default profile, a named one, and one that names a process; read anew each time."""
        text = "[default]\naws_access_key_id = A\naws_secret_access_key = s\n"
        shared = self.file("credentials", f"{text}[other]\n{text[10:].replace('= A', '= B')}")
        code = '{"Version": 1, "AccessKeyId": "P", "SecretAccessKey": "p"}'
        script = self.file("give.py", f"print({code!r})")
        config = self.file(
            "config", f"[profile run]\ncredential_process = {sys.executable} {script}\n"
        )
        names = {"AWS_SHARED_CREDENTIALS_FILE": shared, "AWS_CONFIG_FILE": config}
        environment(self, **names)
        cases = [
            (CredentialSource(kind="file"), Credentials("A", "s")),
            (CredentialSource(kind="chain"), Credentials("A", "s")),
            (CredentialSource(kind="profile", profile="other"), Credentials("B", "s")),
            (CredentialSource(kind="profile", profile="run"), Credentials("P", "p")),
        ]
        for source, wanted in cases:
            self.assertEqual(fetch(source, None), Fetched(wanted), describe(source))
        self.file("credentials", text.replace("= A", "= C"))
        self.assertEqual(fetch(cases[0][0], None).credentials.access_key, "C")
        environment(self, AWS_PROFILE="run", **names)
        found = fetch(CredentialSource(kind="process"), None)
        self.assertEqual(found.credentials, Credentials("P", "p"))

    def test_chain(self):
        """The whole chain goes on to the instance where nothing comes before."""
        self.metadata()
        self.assertEqual(fetch(CredentialSource(kind="chain"), None), FIRST)

    def test_each_source_alone(self):
        """A source takes nothing from another one: not the environment, not the instance."""
        self.metadata(AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY="s3cr3t")
        for kind in ("file", "process", "ecs", "web-identity"):
            with self.subTest(kind=kind):
                self.assertIn("no credentials", self.fails(CredentialSource(kind=kind)))


def _keys(**changed: str) -> str:
    """What a source gives, with one part that is wrong."""
    good = {"AccessKeyId": "A", "SecretAccessKey": "s3cr3t", "Token": "t0ken"}
    return json.dumps({**good, "Expiration": "2096-01-01T00:00:00Z", **changed})


class Faults(Case):
    """Sources that are down, answer with an error page, lie, or are not there."""

    BAD = (
        (500, "<html>s3cr3t t0ken</html>"),
        (200, "<html>s3cr3t</html>"),
        (200, "{"),
        (200, "[]"),
        (200, '"s3cr3t"'),
        (200, "{}"),
        (200, '{"AccessKeyId": "A", "SecretAccessKey": "s3cr3t"}'),
        (200, _keys(AccessKeyId="A B")),
        (200, _keys(Expiration="soon")),
        (200, _keys(Token="t0k\nen")),
        (200, '{"Code": "AssumeRoleUnauthorizedAccess", "Message": "no"}'),
    )

    def test_container(self):
        """Each bad answer is told without what is in it, with what to do."""
        double = self.container()
        for status, text in self.BAD:
            with self.subTest(text=text):
                double.fault = lambda *_words, answer=(status, text): answer
                said = self.fails(CredentialSource(kind="ecs"))
                self.assertIn("pod identity association", said)
                self.assertNotIn("html", said)

    def test_metadata(self):
        """As bad answers of an instance's service, at each of its three steps."""
        double = self.metadata()
        right = double.answer
        for last in ("/token", "/", "/reader"):
            for status, text in self.BAD:
                with self.subTest(last=last, text=text):

                    def wrong(double, method, path, *more, answer=(status, text), end=last):
                        return answer if path.endswith(end) else right(double, method, path, *more)

                    double.fault = wrong
                    self.fails(CredentialSource(kind="imds"))

    def test_down(self):
        """Nobody listens."""
        for make, kind in ((self.metadata, "imds"), (self.container, "ecs")):
            make().stop()
            words = {"imds": "hop limit", "ecs": "look at the role"}[kind]
            self.assertIn(words, self.fails(CredentialSource(kind=kind)))

    def test_role(self):
        """A role that may not be assumed, an STS that is broken: the advice names who asks."""
        double = self.sts()
        base = Credentials("AKIAME", "s3cr3t")
        source = CredentialSource(kind="static", base=base, role=ROLE.replace("reader", "other"))
        said = self.fails(source)
        self.assertIn("the role cannot be assumed", said)
        self.assertIn("AccessDenied", said)
        self.assertIn("may AKIAME assume it", said)
        for status, text in ((500, "<html>"), (200, "s3cr3t"), (200, "<A><s3cr3t/></A>")):
            double.fault = lambda *_words, answer=(status, text): answer
            self.fails(CredentialSource(kind="static", base=base, role=ROLE))

    def test_files(self):
        """Files that are missing, malformed or without the profile; a process that fails."""
        self.assertIn("they have no credentials", self.fails(CredentialSource(kind="file")))
        environment(self, AWS_CONFIG_FILE=self.file("c1", "s3cr3t"))
        self.assertIn("AWS_CONFIG_FILE", self.fails(CredentialSource(kind="file")))
        environment(self)
        self.assertIn("nobody", self.fails(CredentialSource(kind="profile", profile="nobody")))
        for code in ("print('s3cr3t')", "raise SystemExit(3)", "print('{}')"):
            script = self.file("p.py", code)
            config = self.file("c2", f"[default]\ncredential_process = {sys.executable} {script}\n")
            environment(self, AWS_CONFIG_FILE=config)
            self.assertIn("by hand", self.fails(CredentialSource(kind="process")))

    def test_masking(self):
        """An error's text has no secret, token or page in it; paths and roles stay."""
        secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
        cases = [
            (OSError(f"bad {secret}\n!"), "bad *** !"),
            (OSError(f"x: eyJhbGciOiJIUzI1NiJ9.{secret}.{secret}"), "x: ***"),
            (OSError(f"no file /{secret}"), f"no file /{secret}"),
            (OSError(f"arn:aws:sts::123456789012:role/{secret}"), f"role/{secret}"),
            (KeyError(secret), "it gave what cannot be used (KeyError: '***')"),
            (OSError("a" * 39 + " b" * 300), "..."),
            (OSError("\x1b[2J'"), "\\x1b[2J'"),
        ]
        for error, wanted in cases:
            said = told(error)
            self.assertTrue(said.endswith(wanted), said)
            self.assertLess(len(said), 400)

    def test_expired(self):
        """Credentials that are over by this machine's clock: it may be the clock."""
        double = self.container()
        double.expires = 1_000_000_000.0
        self.assertIn("timedatectl", self.fails(CredentialSource(kind="ecs")))

    def test_without_botocore(self):
        """The extra is named."""
        self.addCleanup(
            sys.modules.__setitem__, "botocore.session", sys.modules["botocore.session"]
        )
        sys.modules["botocore.session"] = None
        self.assertIn("pip install 's3shield[aws]'", self.fails(CredentialSource(kind="imds")))


class Botocore(SynchronousTestCase):
    """What we use of botocore that it does not promise."""

    def test_expiry(self):
        """Renewable credentials know their end under the name that we look for."""
        made = botocore.credentials.RefreshableCredentials
        self.assertIn("_expiry_time", made.__init__.__code__.co_names)
