"""`s3shield signing-key`: its two lines, its options, its refusals."""

from __future__ import annotations

import argparse
import io

from twisted.trial.unittest import SynchronousTestCase

from s3shield.cli import signing_key
from s3shield.cli.command import Console
from s3shield.signing import Scope, derive_signing_key, parse_key_file

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
# The two lines that ngx_aws_auth's README shows.
README = "L4vRLWAO92X5L3Sqk5QydUSdB0nC9+1wfqLMOKLbRp4=\n20160902/us-east-1/s3/aws4_request\n"
NOW = 1_472_860_799.9  # 2016-09-02 23:59:59 UTC


def call(*words, stdin="", environ=None, now=NOW):
    """Run the command; (status, stdout, stderr)."""
    parser = argparse.ArgumentParser()
    signing_key.add_parser(parser.add_subparsers())
    args = parser.parse_args(["signing-key", *words])
    out, err = io.StringIO(), io.StringIO()
    status = args.run(args, Console(io.StringIO(stdin), out, err, environ or {}, now))
    return status, out.getvalue(), err.getvalue()


class Output(SynchronousTestCase):
    """What is printed."""

    def test_readme_example(self):
        """Exactly the helper's two lines; a secret on the command line is warned about."""
        status, out, err = call("-k", SECRET, "-r", "us-east-1")
        self.assertEqual((status, out), (0, README))
        self.assertIn("warning", err)
        self.assertNotIn(SECRET, err)

    def test_secret_from_elsewhere(self):
        """Standard input and environment give the same lines without a warning."""
        for words, options in (
            (["-k", "-"], {"stdin": SECRET + "\r\nmore\n"}),
            (["--secret-key", "-"], {"stdin": SECRET}),
            ([], {"environ": {"AWS_SECRET_ACCESS_KEY": SECRET}}),
            (["-k", "-"], {"stdin": SECRET, "environ": {"AWS_SECRET_ACCESS_KEY": "other"}}),
        ):
            self.assertEqual(call(*words, "-r", "us-east-1", **options), (0, README, ""))

    def test_region_from_environment(self):
        """AWS_REGION, then AWS_DEFAULT_REGION; the option before both."""
        environ = {"AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "a-1"}
        self.assertIn("/a-1/", call(environ=environ)[1])
        environ["AWS_REGION"] = "b-1"
        self.assertIn("/b-1/", call(environ=environ)[1])
        self.assertIn("/c-1/", call("-r", "c-1", environ=environ)[1])

    def test_day(self):
        """Today is UTC's: a second later it is the next day."""
        self.assertIn("20160903/", call("-k", "-", "-r", "r", stdin="x", now=NOW + 1)[1])
        self.assertIn("20260226/", call("-k", "-", "-r", "r", "-d", "20260226", stdin="x")[1])

    def test_service(self):
        """Another service is in the scope and in the key."""
        _, out, _ = call("-k", "-", "-r", "r", "--service", "iam", stdin="x")
        scope = Scope("20160902", "r", "iam")
        self.assertEqual(parse_key_file(out), ((derive_signing_key("x", scope), scope),))

    def test_no_base64(self):
        """--no-base64 prints the bytes as Latin-1 text, as the helper does."""
        scope = Scope("20160902", "us-east-1", "s3")
        _, out, _ = call("-k", "-", "-r", "us-east-1", "--no-base64", stdin=SECRET)
        self.assertEqual(out, derive_signing_key(SECRET, scope).decode("latin-1") + f"\n{scope}\n")

    def test_verbose(self):
        """-v speaks on standard error only, and not of the secret or the key."""
        status, out, err = call("-v", "-k", "-", "-r", "us-east-1", stdin=SECRET)
        self.assertEqual((status, out), (0, README))
        self.assertIn("20160902/us-east-1/s3/aws4_request", err)
        self.assertNotIn(SECRET, err)
        self.assertNotIn("L4vRL", err)


class Refusals(SynchronousTestCase):
    """One sentence on standard error, nothing on standard output."""

    def test_refused(self):
        """1 for a value that cannot be used, 2 for one that is missing; no secret in it."""
        cases = [
            (["-r", "r"], "", 2, "secret key"),
            (["-k", "-"], SECRET, 2, "region"),
            (["-k", "-", "-r", "r"], "", 1, "empty"),
            (["-k", "-", "-r", "r"], SECRET + " \n", 1, "white space"),
            (["-k", "-", "-r", "r"], SECRET + "\udcff", 1, "characters"),
            (["-k", "-", "-r", "r/s"], SECRET, 1, "region"),
            (["-k", "-", "-r", "r", "-s", ""], SECRET, 1, "service"),
            (["-k", "-", "-r", "r", "-d", "2026-02-26"], SECRET, 1, "YYYYMMDD"),
            (["-k", "-", "-r", "r", "-d", "20260230"], SECRET, 1, "no such day"),
        ]
        for words, stdin, expected, says in cases:
            with self.subTest(words=words):
                status, out, err = call(*words, stdin=stdin)
                self.assertEqual((status, out), (expected, ""))
                self.assertEqual(err.count("\n"), 1)
                self.assertTrue(err.startswith("s3shield signing-key: "))
                self.assertIn(says, err)
                self.assertNotIn(SECRET, err)
