"""`s3shield presign`: the URL it prints, and its refusals."""

from __future__ import annotations

import argparse
import io
import json
from base64 import b64encode
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from s3shield.cli import presign
from s3shield.cli.command import Console
from s3shield.signing import Scope, derive_signing_key

VECTORS = json.loads(
    Path(__file__).parent.with_name("signing").joinpath("vectors.json").read_text("utf-8")
)
AWS = VECTORS["credentials"]["aws-docs"]
NOW = 1_369_353_600.5  # 2013-05-24 00:00:00 UTC
ENVIRON = {
    "AWS_ACCESS_KEY_ID": AWS["access_key"],
    "AWS_SECRET_ACCESS_KEY": AWS["secret_key"],
    "AWS_REGION": "us-east-1",
}


def call(*words, stdin="", environ=ENVIRON, now=NOW):
    """Run the command; (status, stdout, stderr)."""
    parser = argparse.ArgumentParser()
    presign.add_parser(parser.add_subparsers())
    args = parser.parse_args(["presign", *words])
    out, err = io.StringIO(), io.StringIO()
    status = args.run(args, Console(io.StringIO(stdin), out, err, environ, now))
    return status, out.getvalue(), err.getvalue()


def key_text(day, region="us-east-1"):
    """The two lines of `signing-key` for that day."""
    scope = Scope(day, region, "s3")
    return f"{b64encode(derive_signing_key(AWS['secret_key'], scope)).decode()}\n{scope}\n"


class Urls(SynchronousTestCase):
    """What is printed."""

    def test_aws_example(self):
        """S3's documented presigned URL comes out, to the byte."""
        (case,) = VECTORS["sigv4_s3_query"]
        words = ["--bucket", "examplebucket", "--endpoint", "s3.amazonaws.com"]
        for expires in ("86400", "24h", "1d", "86400s"):
            self.assertEqual(
                call(*words, "--expires", expires, "test.txt"), (0, case["url"] + "\n", "")
            )
        self.assertEqual(
            call(*words, "--expires", "1d", "--key", "test.txt")[1], case["url"] + "\n"
        )

    def test_signing_key_file(self):
        """A scoped key signs as its secret does, and brings its region."""
        (case,) = VECTORS["sigv4_s3_query"]
        name = self.mktemp()
        Path(name).write_text(key_text("20130522") + key_text("20130525") + key_text("20130524"))
        words = ["--bucket", "examplebucket", "--endpoint", "s3.amazonaws.com", "--expires", "1d"]
        words += ["--access-key", AWS["access_key"], "--signing-key-file", name, "test.txt"]
        environ = {"AWS_REGION": "elsewhere-1", "AWS_SESSION_TOKEN": "another key's"}
        self.assertEqual(call(*words, environ=environ), (0, case["url"] + "\n", ""))

    def test_old_key(self):
        """A key that AWS no longer takes is warned about, not refused: others take it."""
        name = self.mktemp()
        Path(name).write_text(key_text("20130517"))
        status, out, err = call("--bucket", "b", "--signing-key-file", name, "k")
        self.assertEqual(status, 0)
        self.assertIn("%2F20130517%2F", out)
        self.assertIn("warning: the key is 7 days old", err)

    def test_v2(self):
        """Version 2: Expires is now and the lifetime; no region needed."""
        environ = {name: ENVIRON[name] for name in ENVIRON if name != "AWS_REGION"}
        status, out, _ = call(
            "--bucket", "johnsmith", "--v2", "--expires", "300", "photos/puppy.jpg",
            environ=environ, now=1_175_139_620 - 300,
        )  # fmt: skip
        self.assertEqual(status, 0)
        url = urlsplit(out.strip())
        self.assertEqual(url.netloc, "johnsmith.s3.amazonaws.com")
        query = parse_qs(url.query)
        self.assertEqual(query["Expires"], ["1175139620"])
        self.assertEqual(query["Signature"], ["NpgCjnDzrM+WFzoENXmpNDUsSn8="])

    def test_endpoint_and_key(self):
        """Region in the default endpoint; port, path addressing, odd keys and parameters."""
        cases = [
            (["k"], "https://b-b.s3.us-east-1.amazonaws.com/k?"),
            (["--region", "cn-north-1", "k"], "https://b-b.s3.cn-north-1.amazonaws.com.cn/k?"),
            (["--addressing", "path", "k"], "https://s3.us-east-1.amazonaws.com/b-b/k?"),
            (["--endpoint", "http://[::1]:9000", "k"], "http://[::1]:9000/b-b/k?"),
            (["--endpoint", "http://h:9000", "/a b/é%2F"], "http://h:9000/b-b//a%20b/%C3%A9%252F?"),
            (["--endpoint", "http://h:9000", "--key=-x"], "http://h:9000/b-b/-x?"),
        ]
        for words, begins in cases:
            with self.subTest(words=words):
                status, out, err = call("--bucket", "b-b", *words)
                self.assertEqual((status, err), (0, ""))
                self.assertTrue(out.startswith(begins), out)
        _, out, _ = call("--bucket", "b-b", "--query", "versionId=a/b", "--query", "acl", "k")
        self.assertIn("&acl=&versionId=a%2Fb&X-Amz-Signature=", out)

    def test_session_token(self):
        """The environment's token goes with the environment's access key only."""
        environ = ENVIRON | {"AWS_SESSION_TOKEN": "a+b"}
        self.assertIn("X-Amz-Security-Token=a%2Bb", call("--bucket", "b", "k", environ=environ)[1])
        _, out, _ = call("--bucket", "b", "--access-key", "AKIA", "k", environ=environ)
        self.assertNotIn("Token", out)

    def test_secret_from_stdin(self):
        """`-k -` reads the secret; it signs as the environment's."""
        words = ["--bucket", "b", "k"]
        environ = ENVIRON | {"AWS_SECRET_ACCESS_KEY": "other"}
        self.assertEqual(
            call("-k", "-", *words, stdin=AWS["secret_key"] + "\n", environ=environ), call(*words)
        )


class Refusals(SynchronousTestCase):
    """One sentence on standard error, no URL."""

    def check(self, words, expected, says, environ=ENVIRON):
        """Expect that status and those words, and no secret."""
        with self.subTest(words=words):
            status, out, err = call("--bucket", "b", *words, environ=environ)
            self.assertEqual((status, out), (expected, ""))
            self.assertEqual(err.count("\n"), 1)
            self.assertTrue(err.startswith("s3shield presign: "))
            self.assertIn(says, err)
            self.assertNotIn(AWS["secret_key"], err)

    def test_refused(self):
        """1 for a value that cannot be used, 2 for wrong usage."""
        name = self.mktemp()
        Path(name).write_text(key_text("20130524"))
        future = self.mktemp()
        Path(future).write_text(key_text("20130525"))
        secret_in_file = self.mktemp()
        Path(secret_in_file).write_text(AWS["secret_key"])
        for words, expected, says in [
            ([], 2, "object's key"),
            (["k", "--key", "k"], 2, "object's key"),
            (["k", "-k", "-", "--signing-key-file", name], 2, "not both"),
            (["k", "--expires", "8d"], 1, "7 days"),
            (["k", "--expires", "0"], 1, "lifetime"),
            (["k", "--expires", "soon"], 1, "15m"),
            (["k", "--endpoint", "ftp://x"], 1, "http"),
            (["k", "--query", "=x"], 1, "NAME=VALUE"),
            (["k", "--region", "r r"], 1, "region"),
            (["k", "--signing-key-file", "nowhere/at.all"], 1, "cannot read nowhere/at.all"),
            (["k", "--signing-key-file", future], 1, "day to come"),
            (["k", "--signing-key-file", secret_in_file], 1, "line 1"),
            (["k", "--signing-key-file", name, "--region", "eu-west-1"], 1, "'eu-west-1'"),
            (["k", "--signing-key-file", name, "--v2"], 1, "V2"),
        ]:
            self.check(words, expected, says)

    def test_missing(self):
        """What is neither an option nor in the environment is asked for."""
        for name, says in [
            ("AWS_ACCESS_KEY_ID", "access key"),
            ("AWS_SECRET_ACCESS_KEY", "secret key"),
            ("AWS_REGION", "region"),
        ]:
            environ = {key: value for key, value in ENVIRON.items() if key != name}
            self.check(["k"], 2, says, environ)
