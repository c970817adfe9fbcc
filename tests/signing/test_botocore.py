"""Whatever the key, query and fields: the signature is the one botocore computes."""

from __future__ import annotations

import datetime as dt
from email.utils import formatdate
from types import SimpleNamespace
from unittest import mock
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.utils import percent_encode
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.signing import PRESIGN_PARAMETERS, Credentials, Endpoint, Signer, SignMode

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ACCESS = "AKIAIOSFODNN7EXAMPLE"
REGION = "eu-central-1"
KEY = "safe/-._~"

# botocore deals in text, so keys here are any text; bytes that are not are test_encoding's.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
awkward = st.text("/ab.+ %?#&='é~*", max_size=20)
keys = texts | awkward
sub_resources = st.sampled_from(auth.HmacV1Auth.QSAOfInterest)
names = (texts.filter(bool) | sub_resources).filter(
    lambda name: name.encode().lower() not in PRESIGN_PARAMETERS
)
queries = st.dictionaries(names, texts | st.none(), max_size=4)
field_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)
fields = st.dictionaries(
    st.sampled_from(
        ["x-amz-meta-a", "X-Amz-Meta-B", "x-amz-acl", "Content-Type", "x-amz-request-payer"]
    ),
    field_values,
    max_size=3,
)
tokens = st.none() | st.text("ABCxyz019+/=", min_size=1, max_size=60)
moments = st.floats(min_value=946_684_800, max_value=4_102_444_799)
endpoints = st.sampled_from(
    [
        ("https://s3.eu-central-1.amazonaws.com", "virtual"),
        ("https://s3.eu-central-1.amazonaws.com", "path"),
        ("http://127.0.0.1:9000", "path"),
        ("http://[::1]:9000", "path"),
        ("http://minio.example:80", "virtual"),
    ]
)
requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "HEAD", "DELETE"]),
        "key": keys,
        "query": queries,
        "fields": fields,
        "token": tokens,
        "now": moments,
        "where": endpoints,
    }
)
several = settings(deadline=None, max_examples=150)


class Case:
    """One request, for both signers."""

    def __init__(self, mode, asked, lifetime=900):
        self.asked = asked
        url, addressing = asked["where"]
        self.endpoint = Endpoint.parse(url, "media", addressing)
        credentials = Credentials(ACCESS, secret_key=SECRET, session_token=asked["token"])
        self.lifetime = lifetime
        signer = Signer(self.endpoint, mode, credentials, REGION, lifetime)
        self.signed = signer.sign(
            asked["method"].encode(),
            asked["key"].encode(),
            tuple(
                (name.encode(), None if value is None else value.encode())
                for name, value in asked["query"].items()
            ),
            asked["now"],
            tuple((name.encode(), value.encode()) for name, value in asked["fields"].items()),
        )
        self.fields = {name.decode().lower(): value.decode() for name, value in self.signed.fields}
        target = self.signed.target.decode("ascii")
        self.path, _, self.query = target.partition("?")

    @property
    def theirs(self):
        """The request as botocore's own serialiser encodes it, not signed yet."""
        bucket = "" if self.endpoint.virtual_host else "/media"
        path = f"{bucket}/{percent_encode(self.asked['key'], safe=KEY)}"
        query = "&".join(
            f"{percent_encode(name)}={percent_encode(value or '')}"
            if value or not self.v2
            else percent_encode(name)
            for name, value in self.asked["query"].items()
        )
        authority = self.endpoint.authority.decode()
        return AWSRequest(
            method=self.asked["method"],
            url=f"{self.endpoint.scheme}://{authority}{path}" + (f"?{query}" if query else ""),
            headers=dict(self.asked["fields"]),
            auth_path=f"/media/{percent_encode(self.asked['key'], safe=KEY)}",
        )

    v2 = False

    def boto_credentials(self):
        """The case's credentials as botocore has them."""
        return BotoCredentials(ACCESS, SECRET, self.asked["token"])

    def signed_by(self, signer):
        """Let botocore sign at the case's moment."""
        now = int(self.asked["now"])
        request = self.theirs
        moment = dt.datetime.fromtimestamp(now, dt.UTC).replace(tzinfo=None)
        with (
            mock.patch.object(auth, "get_current_datetime", lambda: moment),
            mock.patch.object(auth, "formatdate", lambda usegmt: formatdate(now, usegmt=usegmt)),
            mock.patch.object(auth, "time", SimpleNamespace(time=lambda: now)),
        ):
            signer.add_auth(request)
        return request


class V2Case(Case):
    v2 = True


class AgainstBotocore(SynchronousTestCase):
    """Each mode against botocore's signer of that mode."""

    @several
    @given(requests)
    def test_v4_header(self, asked):
        """V4 header: the same Authorization, path and signed fields."""
        case = Case(SignMode.V4, asked)
        request = case.signed_by(auth.S3SigV4Auth(case.boto_credentials(), "s3", REGION))
        self.assertEqual(case.fields["authorization"], request.headers["Authorization"])
        self.assertEqual(case.path, urlsplit(request.url).path)
        self.assertEqual(case.fields["x-amz-date"], request.headers["X-Amz-Date"])
        self.assertEqual(case.fields.get("x-amz-security-token"), asked["token"])
        self.assertEqual(
            sorted(case.query.split("&")), sorted(urlsplit(request.url).query.split("&"))
        )

    @several
    @given(requests, st.integers(1, 604800))
    def test_v4_query(self, asked, lifetime):
        """V4 query: the same parameters, the same signature."""
        case = Case(SignMode.V4_QUERY, asked, lifetime)
        request = case.signed_by(
            auth.S3SigV4QueryAuth(case.boto_credentials(), "s3", REGION, lifetime)
        )
        split = urlsplit(request.url)
        self.assertEqual(case.path, split.path)
        self.assertEqual(sorted(case.query.split("&")), sorted(split.query.split("&")))
        sent = case.query.split("&")
        self.assertEqual(sent[:-1], sorted(sent[:-1], key=lambda pair: pair.split("=")))
        self.assertNotIn("authorization", case.fields)

    @several
    @given(requests)
    def test_v2_header(self, asked):
        """V2 header: the same Authorization and Date, sub-resources and all."""
        case = V2Case(SignMode.V2, asked)
        request = case.signed_by(auth.HmacV1Auth(case.boto_credentials()))
        self.assertEqual(case.fields["authorization"], request.headers["Authorization"])
        self.assertEqual(case.fields["date"], request.headers["Date"])
        self.assertEqual(case.path, urlsplit(request.url).path)
        self.assertEqual(case.fields.get("x-amz-security-token"), asked["token"])

    @several
    @given(requests, st.integers(1, 10**7))
    def test_v2_query(self, asked, lifetime):
        """V2 query: the same Expires and Signature; the token is a parameter."""
        case = V2Case(SignMode.V2_QUERY, asked, lifetime)
        request = case.signed_by(auth.HmacV1QueryAuth(case.boto_credentials(), lifetime))
        ours = dict(parse_qsl(case.query))
        theirs = dict(parse_qsl(urlsplit(request.url).query))
        for name in ("AWSAccessKeyId", "Expires", "Signature", "x-amz-security-token"):
            self.assertEqual(ours.get(name), theirs.get(name), name)
        self.assertNotIn("x-amz-security-token", case.fields)

    @several
    @given(requests, st.sampled_from(list(SignMode)))
    def test_target_decodes_to_the_key(self, asked, mode):
        """What is sent decodes, once, to the key asked for."""
        case = Case(mode, asked)
        base = b"/" if case.endpoint.virtual_host else b"/media/"
        self.assertEqual(unquote_to_bytes(case.path), base + asked["key"].encode())
