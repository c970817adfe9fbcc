"""Scopes, credentials and key files: what is read, what is refused and how."""

from __future__ import annotations

from base64 import b64encode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.signing import Credentials, Scope, parse_key_file, parse_signing_key

KEY = bytes(range(32))
TEXT = b64encode(KEY).decode()
SCOPE = "20260226/eu-central-1/s3/aws4_request"


class Scopes(SynchronousTestCase):
    """`Scope` and its text form."""

    def test_parse(self):
        """A scope is read, with white space around it, and given back."""
        scope = Scope.parse(f" {SCOPE}\n")
        self.assertEqual(scope, Scope("20260226", "eu-central-1", "s3"))
        self.assertEqual(str(scope), SCOPE)

    def test_refused(self):
        """What is not a scope is refused with the reason."""
        cases = [
            ("", "looks like"),
            ("20260226/eu-central-1/s3", "looks like"),
            ("20260226/eu-central-1/s3/aws2_request", "looks like"),
            (f"AKIA/{SCOPE}", "looks like"),
            ("2026-02-26/eu-central-1/s3/aws4_request", "eight digits"),
            ("٢٠٢٦٠٢٢٦/eu-central-1/s3/aws4_request", "eight digits"),
            ("20260230/eu-central-1/s3/aws4_request", "no such day"),
            ("20260226//s3/aws4_request", "region"),
            ("20260226/eu central/s3/aws4_request", "region"),
            ("20260226/eu,central/s3/aws4_request", "region"),
            ("20260226/eu-central-1//aws4_request", "service"),
        ]
        for text, says in cases:
            with self.subTest(text=text):
                self.assertRegex(str(self.assertRaises(ValueError, Scope.parse, text)), says)

    @settings(deadline=None)
    @given(st.text(max_size=60))
    def test_only_value_error(self, text):
        """Whatever the text, it is a scope that comes back whole or a ValueError."""
        try:
            scope = Scope.parse(text)
        except ValueError:
            return
        self.assertEqual(str(scope), text.strip())


class CredentialRules(SynchronousTestCase):
    """What `Credentials` takes together."""

    def test_accepted(self):
        """A secret, or a key with its scope; any visible access key (some have a colon)."""
        Credentials("test:tester", secret_key="testing")
        Credentials("AKIA", secret_key="x", session_token="a+b/=")
        Credentials("AKIA", signing_key=KEY, scope=Scope.parse(SCOPE))

    def test_refused(self):
        """Every other combination is refused with the reason."""
        scope = Scope.parse(SCOPE)
        cases = [
            ({}, "neither"),
            ({"secret_key": "x", "signing_key": KEY, "scope": scope}, "not both"),
            ({"secret_key": "x", "scope": scope}, "goes with a signing key"),
            ({"secret_key": ""}, "empty"),
            ({"secret_key": "x\n"}, "white space"),
            ({"signing_key": KEY}, "needs its key scope"),
            ({"signing_key": KEY[1:], "scope": scope}, "32 bytes.*31"),
            ({"secret_key": "x", "session_token": ""}, "token"),
            ({"secret_key": "x", "session_token": "a\nb"}, "token"),
        ]
        for options, says in cases:
            with self.subTest(says=says):
                error = self.assertRaises(ValueError, Credentials, "AKIA", **options)
                self.assertRegex(str(error), says)
        for access_key in ("", "AK IA", "AK\nIA", "é"):
            self.assertRaises(ValueError, Credentials, access_key, secret_key="x")


class KeyFiles(SynchronousTestCase):
    """The two lines of `s3shield signing-key`, read back."""

    def test_several(self):
        """Several keys, comments and empty lines."""
        other = "20260227/eu-central-1/s3/aws4_request"
        text = f"# media\n{TEXT}\n{SCOPE}\n\n  {TEXT}\r\n{other}"
        self.assertEqual(
            parse_key_file(text), ((KEY, Scope.parse(SCOPE)), (KEY, Scope.parse(other)))
        )

    def test_refused(self):
        """The line that is wrong is named; no key is quoted."""
        cases = [
            ("", "no key"),
            ("# only words\n", "no key"),
            (TEXT, "line 1: a key is followed"),
            (f"{TEXT}\n{SCOPE}\n{TEXT}", "line 3: a key is followed"),
            (f"{TEXT[:-4]}!{TEXT[-3:]}\n{SCOPE}", "line 1: .*base64"),
            (f"{TEXT[4:]}\n{SCOPE}", "line 1: .*32 bytes"),
            (f"{TEXT}\n{TEXT}", "line 2: a key scope looks like"),
            (f"\n{TEXT}\n{SCOPE.replace('0226', '0231')}", "line 3: .*no such day"),
        ]
        for text, says in cases:
            with self.subTest(says=says):
                error = str(self.assertRaises(ValueError, parse_key_file, text))
                self.assertRegex(error, says)
                self.assertNotIn(TEXT[:12], error)

    def test_signing_key(self):
        """One key by itself, white space at its ends allowed, nothing else."""
        self.assertEqual(parse_signing_key(f" {TEXT}\n"), KEY)
        for text in ("", "é", TEXT[:-1], TEXT + TEXT, KEY.hex()):
            error = self.assertRaises(ValueError, parse_signing_key, text)
            self.assertIn("signing key", str(error))
