"""Known answers, stage by stage, through the code that signs in production."""

from __future__ import annotations

import calendar
import json
import time
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from s3shield.signing import (
    Credentials,
    Endpoint,
    Scope,
    Signer,
    SignMode,
    derive_signing_key,
    encode_key,
    encode_query,
    sigv2,
    sigv4,
)

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
AWS = VECTORS["credentials"]["aws-docs"]
CREDENTIALS = Credentials(AWS["access_key"], secret_key=AWS["secret_key"])
# The suite's file of this case gives the token beside the request, not in it.
SUITE_TOKENS = {
    "get-vanilla-with-session-token": (
        "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
    )
}


def epoch(stamp):
    """Epoch seconds of 20130524T000000Z."""
    return calendar.timegm(time.strptime(stamp.strip(), "%Y%m%dT%H%M%SZ"))


def decoded_query(text):
    """Decoded pairs of an encoded query string."""
    pairs = []
    for part in text.split("&") if text else ():
        name, mark, value = part.partition("=")
        pairs.append((unquote_to_bytes(name), unquote_to_bytes(value) if mark else None))
    return tuple(pairs)


def wire_fields(headers):
    """Field lines as bytes."""
    return tuple((name.encode(), value.encode()) for name, value in headers)


def parts_of(canonical):
    """Take a canonical request apart: method, path, query, field lines, payload hash."""
    method, path, query, *lines, _blank, _names, payload = canonical.split("\n")
    fields = [line.split(":", 1) for line in lines]
    return method.encode(), path.encode(), query, wire_fields(fields), payload.encode()


class V4Stages(SynchronousTestCase):
    """The three stages of SigV4 against published examples."""

    def check(self, case, canonical, secret, scope):
        """Go on from a canonical request, comparing each stage."""
        self.assertEqual(canonical.decode(), case["canonical_request"], case["id"])
        stamp = case["string_to_sign"].split("\n")[1].encode()
        to_sign = sigv4.string_to_sign(stamp, str(scope).encode(), canonical)
        self.assertEqual(to_sign.decode(), case["string_to_sign"], case["id"])
        signature = sigv4.signature(derive_signing_key(secret, scope), to_sign)
        self.assertEqual(signature.decode(), case["signature"], case["id"])

    def test_derived_keys(self):
        """The signing key is AWS's for each published derivation."""
        for case in VECTORS["derived_keys"]:
            scope = Scope(case["date"], case["region"], case["service"])
            key = derive_signing_key(case["secret_key"], scope)
            self.assertEqual(key.hex(), case["kSigning"], case["id"])

    def test_s3_header_examples(self):
        """S3's header examples, Range and Date signed as the examples have them."""
        for case in VECTORS["sigv4_s3_header"]:
            path, _, query = case["target"].partition("?")
            canonical = sigv4.canonical_request(
                case["method"].encode(),
                encode_key(unquote_to_bytes(path)),
                encode_query(decoded_query(query)),
                sigv4.canonical_headers(wire_fields(case["headers"])),
                sha256(case["body"].encode()).hexdigest().encode(),
            )
            scope = Scope(case["timestamp"][:8], case["region"], case["service"])
            self.check(case, canonical, AWS["secret_key"], scope)

    def test_suite(self):
        """AWS's suite for services in general, which normalise the path."""
        suite = VECTORS["sigv4_suite_botocore"]
        self.assertEqual(len(suite["cases"]), 34)
        for case in suite["cases"]:
            path, _, query = case["target"].partition("?")
            headers = [*case["headers"]]
            if case["id"] in SUITE_TOKENS:
                headers.append(["X-Amz-Security-Token", SUITE_TOKENS[case["id"]]])
            stages = [
                sigv4.canonical_request(
                    case["method"].encode(),
                    encode_key(unquote_to_bytes(path)),
                    encode_query(decoded_query(query)),
                    sigv4.canonical_headers(wire_fields(headers)),
                    sha256(case["body"].encode()).hexdigest().encode(),
                    normalise_path=normalise,
                )
                for normalise in (True, False)
            ]
            self.check(case, stages[0], suite["secret_key"], Scope.parse(case["scope"]))
            # S3 signs the path as it is: the two agree except where there is a dot or `//`.
            agrees = case["s3_style_canonicalisation_agrees"]
            self.assertEqual(stages[0] == stages[1], agrees, case["id"])

    def test_general_example(self):
        """The IAM example of the general reference."""
        for case in VECTORS["sigv4_general"]:
            method, path, query, fields, payload = parts_of(case["canonical_request"])
            canonical = sigv4.canonical_request(
                method,
                path,
                encode_query(decoded_query(query)),
                sigv4.canonical_headers(fields),
                payload,
                normalise_path=True,
            )
            scope = Scope.parse(case["string_to_sign"].split("\n")[2])
            self.check(case, canonical, case["secret_key"], scope)

    def test_chunked_seed(self):
        """The seed signature of S3's chunked upload example."""
        for case in VECTORS["sigv4_s3_chunked"]:
            method, path, query, fields, payload = parts_of(case["canonical_request"])
            canonical = sigv4.canonical_request(
                method,
                path,
                encode_query(decoded_query(query)),
                sigv4.canonical_headers(fields),
                payload,
            )
            self.assertEqual(canonical.decode(), case["canonical_request"])
            scope = Scope("20130524", "us-east-1", "s3")
            to_sign = sigv4.string_to_sign(b"20130524T000000Z", str(scope).encode(), canonical)
            key = derive_signing_key(AWS["secret_key"], scope)
            self.assertEqual(sigv4.signature(key, to_sign).decode(), case["seed_signature"])


class V4Signer(SynchronousTestCase):
    """Whole requests from `Signer` against published examples."""

    endpoint = Endpoint.parse("https://s3.amazonaws.com", "examplebucket")

    def test_header_examples(self):
        """The examples that sign what a `Signer` signs come out whole."""
        whole = [case for case in VECTORS["sigv4_s3_header"] if len(case["headers"]) == 3]
        self.assertEqual(len(whole), 2)
        signer = Signer(self.endpoint, SignMode.V4, CREDENTIALS, "us-east-1")
        for case in whole:
            path, _, query = case["target"].partition("?")
            asked = (
                case["method"].encode(),
                unquote_to_bytes(path[1:]),
                decoded_query(query),
                epoch(case["timestamp"]),
            )
            told = signer.explain(*asked)
            self.assertEqual(told.canonical_request, case["canonical_request"], case["id"])
            self.assertEqual(told.string_to_sign, case["string_to_sign"], case["id"])
            authorization = dict(signer.sign(*asked).fields)[b"Authorization"].decode()
            self.assertEqual(authorization.replace(", ", ","), case["authorization"], case["id"])

    def test_presigned_example(self):
        """S3's presigned URL, to the byte."""
        for case in VECTORS["sigv4_s3_query"]:
            signer = Signer(
                self.endpoint,
                SignMode.V4_QUERY,
                CREDENTIALS,
                case["region"],
                lifetime=case["expires"],
            )
            asked = (case["method"].encode(), b"test.txt", (), epoch(case["timestamp"]))
            told, signed = signer.explain(*asked), signer.sign(*asked)
            self.assertEqual(told.canonical_request, case["canonical_request"])
            self.assertEqual(told.string_to_sign, case["string_to_sign"])
            self.assertEqual(f"https://{case['host']}{signed.target.decode()}", case["url"])
            self.assertEqual(signed.fields, ((b"Host", case["host"].encode()),))

    def test_ngx_aws_auth(self):
        """The key helper's documented key, and the module's own test request."""
        scope = Scope("20160902", "us-east-1", "s3")
        key = derive_signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", scope)
        self.assertEqual(key, b64decode("L4vRLWAO92X5L3Sqk5QydUSdB0nC9+1wfqLMOKLbRp4="))
        scoped = Credentials(
            "AKIDEXAMPLE",
            signing_key=b64decode("k4EntTNoEN22pdavRF/KyeNx+e1BjtOGsCKu2CkBvnU="),
            scope=Scope.parse("20150830/us-east-1/service/aws4_request"),
        )
        endpoint = Endpoint.parse("s3.amazonaws.com", "example")
        signed = Signer(endpoint, SignMode.V4, scoped).sign(
            b"GET", b"", (), epoch("20150830T123600Z")
        )
        self.assertEqual(signed.target, b"/")
        self.assertIn(
            b"4ed4ec875ff02e55c7903339f4f24f8780b986a9cc9eff03f324d31da6a57690",
            dict(signed.fields)[b"Authorization"],
        )
        self.assertEqual(encode_key(b"f&o@o/b ar.php"), b"f%26o%40o/b%20ar.php")


class V2Stages(SynchronousTestCase):
    """Signature version 2 against AWS's examples of both editions."""

    def resource_base(self, url):
        """The bucket in the host, as the examples address it."""
        host = url.hostname
        for suffix in (".s3.amazonaws.com", ".us-west-1.s3.amazonaws.com"):
            if host.endswith(suffix):
                return "/" + host.removesuffix(suffix).split(".")[0]
        return "" if host == "s3.amazonaws.com" else f"/{host}"

    def test_header_examples(self):
        """String to sign and signature of each example with a request."""
        cases = [case for case in VECTORS["sigv2"] if "request" in case]
        self.assertEqual(len(cases), 14)
        for case in cases:
            request = case["request"]
            url = urlsplit(request["url"])
            headers = dict(request["headers"])
            to_sign = sigv2.string_to_sign(
                request["method"].encode(),
                headers.pop("Date").encode(),
                wire_fields(headers.items()),
                sigv2.canonical_resource(
                    (self.resource_base(url) + url.path).encode(), decoded_query(url.query)
                ),
            )
            self.assertEqual(to_sign.decode(), case["string_to_sign"], case["id"])
            signature = sigv2.signature(case["secret_key"], to_sign)
            self.assertEqual(signature.decode(), case["signature"], case["id"])

    def test_query_examples(self):
        """The presigned examples, from `Signer`, virtual host and path."""
        cases = [case for case in VECTORS["sigv2"] if "request" not in case]
        self.assertEqual(len(cases), 2)
        for case in cases:
            *_, expires, resource = case["string_to_sign"].split("\n")
            _, bucket, key = resource.split("/", 2)
            credentials = Credentials(case["access_key"], secret_key=case["secret_key"])
            for addressing in ("virtual", "path"):
                endpoint = Endpoint.parse("s3.amazonaws.com", bucket, addressing)
                signer = Signer(endpoint, SignMode.V2_QUERY, credentials, lifetime=300)
                asked = (b"GET", key.encode(), (), int(expires) - 300)
                told = signer.explain(*asked)
                self.assertEqual(told.string_to_sign, case["string_to_sign"], case["id"])
                sent = dict(decoded_query(signer.sign(*asked).target.decode().partition("?")[2]))
                self.assertEqual(
                    sent,
                    {
                        b"AWSAccessKeyId": case["access_key"].encode(),
                        b"Expires": expires.encode(),
                        b"Signature": case["signature"].encode(),
                    },
                )


class HardKeys(SynchronousTestCase):
    """Keys that proxies get wrong; two S3 servers took these encodings."""

    def signer(self, case, mode):
        """A signer for the case's host, path addressing."""
        endpoint = Endpoint.parse(f"http://{case['host']}", case["bucket"])
        return Signer(endpoint, mode, CREDENTIALS, case["region"], lifetime=86400)

    def test_every_mode(self):
        """Target, stages and signature of each key in V4 header, V4 query and V2 header."""
        cases = VECTORS["s3_hard_keys"]["cases"]
        self.assertEqual(len(cases), 15)
        for case in cases:
            asked = (b"GET", case["key"].encode("utf-8"), (), epoch(case["timestamp"]))
            v4 = self.signer(case, SignMode.V4)
            self.assertEqual(v4.explain(*asked).canonical_request, case["canonical_request"])
            signed = v4.sign(*asked)
            self.assertEqual(signed.target.decode(), case["target"])
            self.assertTrue(
                signed.fields[-1][1].decode().endswith("=" + case["v4_header_signature"]),
                case["id"],
            )
            query = self.signer(case, SignMode.V4_QUERY).sign(*asked).target.decode()
            self.assertTrue(query.startswith(case["target"] + "?"), case["id"])
            self.assertTrue(query.endswith("=" + case["v4_query_signature_86400s"]), case["id"])
            v2 = self.signer(case, SignMode.V2)
            told = v2.explain(*asked)
            self.assertEqual(told.string_to_sign, case["v2_header_string_to_sign"])
            self.assertEqual(
                v2.sign(*asked).fields[-1],
                (
                    b"Authorization",
                    f"AWS {AWS['access_key']}:{case['v2_header_signature']}".encode(),
                ),
            )
