"""What `Signer` promises besides right signatures."""

from __future__ import annotations

import traceback
from unittest import mock
from urllib.parse import parse_qs

from twisted.trial.unittest import SynchronousTestCase

from s3shield.signing import (
    EMPTY_HASH,
    UNSIGNED_PAYLOAD,
    Credentials,
    Endpoint,
    Scope,
    Signer,
    SignMode,
    derive_signing_key,
)
from s3shield.signing import signer as signer_module

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22w=="
NOON = 1_369_396_800  # 2013-05-24 12:00:00 UTC
MIDNIGHT = 1_369_440_000  # 2013-05-25 00:00:00 UTC
ENDPOINT = Endpoint.parse("https://s3.eu-central-1.amazonaws.com", "media")
SCOPE = Scope("20130524", "eu-central-1", "s3")
WITH_SECRET = Credentials("AKIA", secret_key=SECRET)
WITH_KEY = Credentials("AKIA", signing_key=derive_signing_key(SECRET, SCOPE), scope=SCOPE)
WITH_TOKEN = Credentials("AKIA", secret_key=SECRET, session_token=TOKEN)
SIGNED_MODES = [mode for mode in SignMode if mode is not SignMode.OFF]


def make(mode=SignMode.V4, credentials=WITH_SECRET, region="eu-central-1", **options):
    """A signer for the bucket `media`."""
    return Signer(ENDPOINT, mode, credentials, region, **options)


class Construction(SynchronousTestCase):
    """Every combination that cannot sign is refused before there is a request."""

    def test_refused(self):
        """Each impossible combination raises ValueError that says what is missing."""
        cases = [
            ({"credentials": None}, "access key"),
            ({"region": None}, "region"),
            ({"region": "eu central"}, "region"),
            ({"credentials": WITH_KEY, "region": "us-east-1"}, "'us-east-1'.*'eu-central-1'"),
            ({"mode": SignMode.V2, "credentials": WITH_KEY}, "V2"),
            ({"mode": SignMode.V2_QUERY, "credentials": WITH_KEY}, "V2"),
            ({"mode": SignMode.V4_QUERY, "lifetime": 604_801}, "7 days"),
            ({"mode": SignMode.V4_QUERY, "lifetime": 0}, "lifetime"),
            ({"mode": SignMode.V2_QUERY, "lifetime": -1}, "lifetime"),
        ]
        for options, says in cases:
            with self.subTest(says=says):
                error = self.assertRaises(ValueError, make, **options)
                self.assertRegex(str(error), says)
                self.assertNotIn(SECRET, str(error))

    def test_region_from_scope(self):
        """A scoped key brings its region and service along."""
        signer = make(credentials=WITH_KEY, region=None)
        self.assertEqual((signer.region, signer.service), ("eu-central-1", "s3"))

    def test_v2_needs_no_region(self):
        """V2 has no region, OFF not even credentials."""
        make(SignMode.V2, region=None)
        make(SignMode.OFF, credentials=None, region=None)


class Keys(SynchronousTestCase):
    """How long a derived key lives."""

    def test_derived_once_a_day(self):
        """The key is derived once per UTC day and anew at midnight."""
        scopes = []

        def counted(secret, scope):
            scopes.append(str(scope))
            return derive_signing_key(secret, scope)

        with mock.patch.object(signer_module, "derive_signing_key", counted):
            signer = make()
            for now in (NOON, NOON, NOON + 1.5, MIDNIGHT - 0.01, MIDNIGHT, MIDNIGHT + 9):
                signer.sign(b"GET", b"k", (), now)
        self.assertEqual(
            scopes,
            ["20130524/eu-central-1/s3/aws4_request", "20130525/eu-central-1/s3/aws4_request"],
        )

    def test_rollover_signs_as_a_new_signer(self):
        """Nothing of yesterday is left in today's signature, nor of the last second."""
        for mode in SIGNED_MODES:
            signer = make(mode, WITH_TOKEN)
            for now in (NOON, NOON + 1, MIDNIGHT, NOON):
                self.assertEqual(
                    signer.sign(b"GET", b"k", (), now),
                    make(mode, WITH_TOKEN).sign(b"GET", b"k", (), now),
                )

    def test_scoped_key_signs_like_its_secret(self):
        """On its own day a scoped key's signature is the secret's, header and query."""
        for mode in (SignMode.V4, SignMode.V4_QUERY):
            self.assertEqual(
                make(mode, WITH_KEY).sign(b"GET", b"k", (), NOON),
                make(mode).sign(b"GET", b"k", (), NOON),
            )

    def test_scoped_key_keeps_its_day(self):
        """The day after, the scope is still the key's and x-amz-date is now."""
        fields = dict(make(credentials=WITH_KEY).sign(b"GET", b"k", (), MIDNIGHT).fields)
        self.assertEqual(fields[b"x-amz-date"], b"20130525T000000Z")
        self.assertIn(b"Credential=AKIA/20130524/", fields[b"Authorization"])
        target = make(SignMode.V4_QUERY, WITH_KEY).sign(b"GET", b"k", (), MIDNIGHT).target
        self.assertIn(b"X-Amz-Credential=AKIA%2F20130524%2F", target)
        self.assertIn(b"X-Amz-Date=20130525T000000Z", target)


class Fields(SynchronousTestCase):
    """Which fields are signed and come back."""

    headers = (
        (b"Range", b"bytes=0-9"),
        (b"If-Match", b'"a"'),
        (b"X-Amz-Meta-B", b"  two  words "),
        (b"x-amz-meta-a", b"1"),
        (b"X-AMZ-Meta-A", b"2"),
        (b"Content-Type", b"text/plain"),
        (b"x-amz-date", b"19700101T000000Z"),
        (b"X-Amz-Security-Token", b"forged"),
        (b"x-amz-content-sha256", b"forged"),
        (b"Authorization", b"Basic eA=="),
    )

    def test_order_and_selection(self):
        """Host first, Authorization last, x-amz-* and content-type between; no others."""
        fields = make(credentials=WITH_TOKEN).sign(b"GET", b"k", (), NOON, self.headers).fields
        self.assertEqual(
            fields[:-1],
            (
                (b"Host", b"media.s3.eu-central-1.amazonaws.com"),
                (b"x-amz-content-sha256", EMPTY_HASH),
                (b"x-amz-date", b"20130524T120000Z"),
                (b"x-amz-security-token", TOKEN.encode()),
                (b"content-type", b"text/plain"),
                (b"x-amz-meta-a", b"1,2"),
                (b"x-amz-meta-b", b"two  words"),
            ),
        )
        self.assertRegex(
            fields[-1][1],
            rb"^AWS4-HMAC-SHA256 Credential=AKIA/20130524/eu-central-1/s3/aws4_request, "
            rb"SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;"
            rb"x-amz-meta-b;x-amz-security-token, Signature=[0-9a-f]{64}$",
        )

    def test_unsigned_fields_change_nothing(self):
        """Range and validators neither change the signature nor come back."""
        for mode in SignMode:
            signer = make(mode)
            self.assertEqual(
                signer.sign(b"GET", b"k", (), NOON, self.headers[:2]),
                signer.sign(b"GET", b"k", (), NOON),
            )

    def test_payload_hash(self):
        """The payload hash is told in the field and signed; presigned only when it is given."""
        for digest in (UNSIGNED_PAYLOAD, b"ab" * 32):
            told = make().explain(b"PUT", b"k", (), NOON, payload_hash=digest)
            self.assertEqual(dict(told.signed.fields)[b"x-amz-content-sha256"], digest)
            self.assertTrue(told.canonical_request.endswith("\n" + digest.decode()))
        query = make(SignMode.V4_QUERY)
        told = query.explain(b"PUT", b"k", (), NOON, payload_hash=b"ab" * 32)
        self.assertEqual(dict(told.signed.fields)[b"x-amz-content-sha256"], b"ab" * 32)
        told = query.explain(b"GET", b"k", (), NOON)
        self.assertEqual([name for name, _ in told.signed.fields], [b"Host"])
        self.assertTrue(told.canonical_request.endswith("\nUNSIGNED-PAYLOAD"))

    def test_token_in_query(self):
        """A presigned URL has the session token as a parameter, signed in V4."""
        for mode, name in (
            (SignMode.V4_QUERY, "X-Amz-Security-Token"),
            (SignMode.V2_QUERY, "x-amz-security-token"),
        ):
            signed = make(mode, WITH_TOKEN).sign(b"GET", b"k", (), NOON)
            query = parse_qs(signed.target.partition(b"?")[2].decode())
            self.assertEqual(query[name], [TOKEN])
            self.assertEqual([field for field, _ in signed.fields], [b"Host"])

    def test_control_characters(self):
        """A line break in a signed field is refused, not sent."""
        for value in (b"a\r\nEvil: 1", b"a\nb", b"a\0b"):
            for mode in SIGNED_MODES:
                self.assertRaises(
                    ValueError, make(mode).sign, b"GET", b"k", (), NOON, ((b"x-amz-meta-a", value),)
                )


class Targets(SynchronousTestCase):
    """What is asked of the origin."""

    def test_bucket_root(self):
        """An empty key is the bucket's root, by host and by path."""
        path = Endpoint.parse("https://s3.eu-central-1.amazonaws.com", "media", "path")
        for mode in SignMode:
            for endpoint, root in ((ENDPOINT, b"/"), (path, b"/media/")):
                signer = Signer(endpoint, mode, WITH_SECRET, "eu-central-1")
                target = signer.sign(b"GET", b"", (), NOON).target
                self.assertEqual(target.partition(b"?")[0], root)

    def test_v2_resource_names_the_bucket(self):
        """V2 signs `/bucket/key` even when the bucket is in the host."""
        told = make(SignMode.V2).explain(b"GET", b"a b", ((b"acl", None),), NOON)
        self.assertTrue(told.string_to_sign.endswith("\n/media/a%20b?acl"))
        self.assertEqual(told.signed.target, b"/a%20b?acl")
        self.assertEqual(told.canonical_request, "")

    def test_query_is_sorted_and_sent_as_signed(self):
        """V4 sends the canonical query itself."""
        query = ((b"versionId", b"a/b+c"), (b"prefix", b"x y"), (b"acl", None), (b"acl", b"1"))
        told = make().explain(b"GET", b"k", query, NOON)
        sent = told.signed.target.partition(b"?")[2].decode()
        self.assertEqual(sent, "acl=&acl=1&prefix=x%20y&versionId=a%2Fb%2Bc")
        self.assertEqual(told.canonical_request.split("\n")[2], sent)

    def test_presign_parameters_of_the_client(self):
        """A client's presign parameters never reach the origin next to our signature."""
        theirs = (
            (b"X-Amz-Signature", b"00"),
            (b"x-amz-credential", b"x"),
            (b"AWSAccessKeyId", b"x"),
            (b"Expires", b"1"),
            (b"versionId", b"7"),
        )
        for mode in SIGNED_MODES:
            self.assertEqual(
                make(mode).sign(b"GET", b"k", theirs, NOON),
                make(mode).sign(b"GET", b"k", theirs[-1:], NOON),
            )

    def test_off(self):
        """OFF gives the target and Host only, and the query in the client's order."""
        signed = make(SignMode.OFF, None).sign(
            b"GET",
            b"a b",
            ((b"b", b"1"), (b"a", None), (b"X-Amz-Date", b"")),
            NOON,
            ((b"x-amz-acl", b"x"),),
        )
        self.assertEqual(signed.target, b"/a%20b?b=1&a&X-Amz-Date=")
        self.assertEqual(signed.fields, ((b"Host", b"media.s3.eu-central-1.amazonaws.com"),))


class Secrets(SynchronousTestCase):
    """No secret is ever shown."""

    def secrets(self, signed, signer):
        """Every text that must not be seen, in each form it could be seen in."""
        found = [SECRET, TOKEN, TOKEN.replace("/", "%2F").replace("=", "%3D")]
        found += [repr(derive_signing_key(SECRET, SCOPE))[2:-1], repr(signer._signing_key)[2:-1]]
        text = signed.target + b" " + b" ".join(value for _, value in signed.fields)
        for mark in (b"X-Amz-Signature=", b" Signature=", b"&Signature=", b"AWS AKIA:"):
            if mark in text:
                found.append(text.split(mark)[1].split(b"&")[0].split()[0].decode())
        return [secret for secret in found if secret]

    def test_repr(self):
        """Nothing in the repr of credentials, signers, requests and what they keep."""
        scoped = Credentials(
            "AKIA", signing_key=derive_signing_key(SECRET, SCOPE), scope=SCOPE, session_token=TOKEN
        )
        for mode in SIGNED_MODES:
            for credentials in (WITH_TOKEN, scoped):
                if credentials is scoped and mode in (SignMode.V2, SignMode.V2_QUERY):
                    continue
                signer = make(mode, credentials)
                signed = signer.sign(b"GET", b"k", (), NOON)
                things = [
                    signer,
                    signed,
                    credentials,
                    signer._second,
                    signer._draft(b"GET", b"k", (), NOON, (), payload_hash=None),
                    signer.explain(b"GET", b"k", (), NOON),
                ]
                shown = " ".join(f"{thing!r} {thing}" for thing in things)
                secrets = self.secrets(signed, signer)
                self.assertGreaterEqual(len(secrets), 5)
                for secret in secrets:
                    self.assertNotIn(secret, shown, mode)

    def test_explanation_is_masked(self):
        """An explanation has neither token nor signature in any of its parts."""
        for mode in SIGNED_MODES:
            signer = make(mode, WITH_TOKEN)
            signed, told = (call(b"GET", b"k", (), NOON) for call in (signer.sign, signer.explain))
            text = "\n".join(
                [told.canonical_request, told.string_to_sign, repr(told.signed.target)]
                + [repr(field) for field in told.signed.fields]
            )
            for secret in self.secrets(signed, signer):
                self.assertNotIn(secret, text, mode)
            self.assertIn("***", text)

    def test_errors(self):
        """No error about credentials quotes them."""
        bad = [
            {"access_key": "AKIA", "secret_key": SECRET + "\n"},
            {"access_key": "AKIA", "secret_key": SECRET, "session_token": TOKEN + "\r\nX: y"},
            {"access_key": "AKIA", "secret_key": SECRET, "scope": SCOPE},
        ]
        for arguments in bad:
            error = self.assertRaises(ValueError, Credentials, **arguments)
            text = "".join(traceback.format_exception(error))
            self.assertNotIn(SECRET, text)
            self.assertNotIn(TOKEN, text)
