"""Signs the requests to one bucket: the only maker of request targets for S3."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import attrs

from s3shield.policy import Fields

from . import sigv2, sigv4
from .clock import amz_date, http_date
from .credentials import Credentials
from .encoding import Query, encode, encode_key, encode_query, query_as_given, without_presign
from .endpoint import Endpoint
from .key_ring import KeyRing
from .scope import Scope, derive_signing_key
from .signed import Explanation, SignedRequest, SignMode

__all__ = ["Signer"]

_LONGEST_V4: Final = 604_800  # seconds: AWS refuses a presigned URL over seven days
_MASK: Final = b"***"
_OURS: Final = frozenset({b"x-amz-date", b"x-amz-content-sha256", b"x-amz-security-token"})
_UNFIT: Final = re.compile(rb"[\0\r\n]")


class _Draft(NamedTuple):
    """Every stage of one signature."""

    canonical: bytes
    to_sign: bytes
    signature: bytes
    target: bytes
    fields: Fields

    def __repr__(self) -> str:
        return "<_Draft>"  # a traceback with locals must not show a token


class _Second(NamedTuple):
    """What all V4 signatures of one second share."""

    number: int
    stamp: bytes
    scope: bytes
    signing_key: bytes
    credential: bytes
    fields: Fields  # of a header-signed request without a body or fields of its own
    headers: tuple[bytes, bytes]

    def __repr__(self) -> str:
        return f"<_Second {self.number}>"


@attrs.define(eq=False)
class Signer:
    """Signs for one bucket in one mode with one set of credentials at a time.

    endpoint: Endpoint. mode: SignMode. credentials: needed unless the mode is OFF, or
    pending: they come by `renew`, and until then nothing can be signed (ValueError).
    region: str; with a scoped key it may be left out, and must agree with the scope's.
    lifetime: seconds that a query signature is good for, 1 to 604800 for V4. service: the
    scope's service when signing with a secret.
    Raises ValueError when these cannot sign together.
    """

    endpoint: Endpoint
    mode: SignMode
    credentials: Credentials | None = None
    region: str | None = None
    lifetime: int = 900
    service: str = "s3"
    pending: bool = False
    _access_key: bytes = attrs.field(init=False, repr=False, default=b"")
    _token: bytes | None = attrs.field(init=False, repr=False, default=None)
    _host: bytes = attrs.field(init=False, repr=False)
    _base: bytes = attrs.field(init=False, repr=False)
    _resource_base: bytes = attrs.field(init=False, repr=False)
    _ring: KeyRing | None = attrs.field(init=False, repr=False, default=None)
    _scope: Scope | None = attrs.field(init=False, repr=False, default=None)
    _signing_key: bytes = attrs.field(init=False, repr=False, default=b"")
    _second: _Second | None = attrs.field(init=False, repr=False, default=None)

    def __attrs_post_init__(self) -> None:
        bucket = encode_key(self.endpoint.bucket.encode("utf-8"))
        self._host = self.endpoint.authority
        self._resource_base = b"/%b/" % bucket if bucket else b"/"
        self._base = b"/" if self.endpoint.virtual_host else self._resource_base
        if self.mode is SignMode.OFF:
            return
        if self.credentials is None and not self.pending:
            raise ValueError(f"signing with {self.mode.value} needs an access key and its secret")
        if self.lifetime < 1:
            raise ValueError(f"the lifetime of a signature is at least one second: {self.lifetime}")
        if self.credentials is not None:
            self.renew(self.credentials)
        elif self.mode in (SignMode.V4, SignMode.V4_QUERY):
            self._check_v4(None)

    def renew(self, credentials: Credentials) -> None:
        """Sign with `credentials` from the next signature on.

        Raises ValueError, and goes on with those it has, when they cannot sign here.
        """
        if self.mode not in (SignMode.V2, SignMode.V2_QUERY):
            self._check_v4(credentials)
        elif credentials.secret_key is None:
            raise ValueError("a scoped signing key signs version 4 only; V2 needs the secret")
        self.credentials = credentials
        self._access_key = credentials.access_key.encode("ascii")
        token = credentials.session_token
        self._token = None if token is None else token.encode("ascii")
        self._ring = credentials.ring
        self._scope, self._signing_key, self._second = None, b"", None

    def in_time(self, now: float) -> bool:
        """Tell whether, of several scoped keys, one is good at `now`; else True."""
        several = None if self.credentials is None else self.credentials.keys
        return several is None or several.valid(now)

    def _check_v4(self, credentials: Credentials | None) -> None:
        if self.mode is SignMode.V4_QUERY and self.lifetime > _LONGEST_V4:
            raise ValueError(
                f"a presigned URL is good for {_LONGEST_V4} seconds (7 days) at most, "
                f"not {self.lifetime}"
            )
        ring = None if credentials is None else credentials.ring
        if ring is None:
            if self.region is None:
                raise ValueError("signing with version 4 needs the region")
            Scope("20000101", self.region, self.service)  # raises if they cannot be in a scope
            return
        if self.region is None:
            self.region = ring.region
        elif self.region != ring.region:
            raise ValueError(
                f"the region is {self.region!r}, but the key scope is for {ring.region!r}"
            )
        self.service = ring.service

    def sign(
        self,
        method: bytes,
        key: bytes,
        query: Query,
        now: float,
        headers: Fields = (),
        *,
        payload_hash: bytes | None = None,
    ) -> SignedRequest:
        """Return the target and the fields to send.

        method: as sent. key: the decoded object key, without the slash before it; it may
        begin with `/` and have `//` or `..`; empty is the bucket's root. query: decoded
        pairs; presign parameters among them are dropped, but not when the mode is OFF.
        now: epoch seconds. headers: fields to be sent; x-amz-*, Content-Type and
        Content-MD5 are signed and returned, repeated ones joined with a comma; others are
        neither; x-amz-date, x-amz-content-sha256 and x-amz-security-token are replaced.
        payload_hash: hex SHA-256 of the body, UNSIGNED-PAYLOAD, or None for no body
        (presigned V4: UNSIGNED-PAYLOAD).
        Raises ValueError for a NUL, CR or LF in a value to be signed.
        """
        draft = self._draft(method, key, query, now, headers, payload_hash=payload_hash)
        return SignedRequest(draft.target, draft.fields)

    def explain(
        self,
        method: bytes,
        key: bytes,
        query: Query,
        now: float,
        headers: Fields = (),
        *,
        payload_hash: bytes | None = None,
    ) -> Explanation:
        """Return the stages that `sign` goes through for the same arguments, masked."""
        draft = self._draft(method, key, query, now, headers, payload_hash=payload_hash)
        secrets = [draft.signature, encode(draft.signature)]
        if self._token is not None:
            secrets += [self._token, encode(self._token)]

        def masked(text: bytes) -> bytes:
            for secret in filter(None, secrets):
                text = text.replace(secret, _MASK)
            return text

        return Explanation(
            masked(draft.canonical).decode("utf-8", "backslashreplace"),
            masked(draft.to_sign).decode("utf-8", "backslashreplace"),
            SignedRequest(
                masked(draft.target),
                tuple([(name, masked(value)) for name, value in draft.fields]),
            ),
        )

    def _draft(
        self,
        method: bytes,
        key: bytes,
        query: Query,
        now: float,
        headers: Fields,
        *,
        payload_hash: bytes | None,
    ) -> _Draft:
        mode = self.mode
        if self.credentials is None and mode is not SignMode.OFF:
            raise ValueError("there are no credentials to sign with yet")
        second = int(now)
        if mode is SignMode.V4:
            return self._v4(method, key, query, second, headers, payload_hash=payload_hash)
        if mode is SignMode.V4_QUERY:
            return self._v4_query(method, key, query, second, headers, payload_hash=payload_hash)
        if mode is SignMode.V2:
            return self._v2(method, key, query, second, headers)
        if mode is SignMode.V2_QUERY:
            return self._v2_query(method, key, query, second, headers)
        target = _target(self._base + encode_key(key), query_as_given(query))
        return _Draft(b"", b"", b"", target, ((b"Host", self._host),))

    def _v4(
        self,
        method: bytes,
        key: bytes,
        query: Query,
        number: int,
        headers: Fields,
        *,
        payload_hash: bytes | None,
    ) -> _Draft:
        second = self._second
        if second is None or second.number != number:
            second = self._start_second(number)
        if payload_hash is None:
            payload_hash = sigv4.EMPTY_HASH
        fields, canonical_headers = second.fields, second.headers
        if payload_hash != sigv4.EMPTY_HASH:
            fields = self._v4_fields(second.stamp, payload_hash)
        if headers:
            fields += _to_sign(headers)
        if fields is not second.fields:
            canonical_headers = sigv4.canonical_headers(fields)
        path = self._base + encode_key(key)
        parameters = encode_query(without_presign(query)) if query else b""
        canonical = sigv4.canonical_request(
            method, path, parameters, canonical_headers, payload_hash
        )
        to_sign = sigv4.string_to_sign(second.stamp, second.scope, canonical)
        signature = sigv4.signature(second.signing_key, to_sign)
        authorization = b"%b Credential=%b, SignedHeaders=%b, Signature=%b" % (
            sigv4.ALGORITHM,
            second.credential,
            canonical_headers[1],
            signature,
        )
        return _Draft(
            canonical,
            to_sign,
            signature,
            b"%b?%b" % (path, parameters) if parameters else path,
            (*fields, (b"Authorization", authorization)),
        )

    def _v4_query(
        self,
        method: bytes,
        key: bytes,
        query: Query,
        number: int,
        headers: Fields,
        *,
        payload_hash: bytes | None,
    ) -> _Draft:
        second = self._second
        if second is None or second.number != number:
            second = self._start_second(number)
        fields: Fields = ((b"Host", self._host),)
        if payload_hash is None or payload_hash == sigv4.UNSIGNED_PAYLOAD:
            payload_hash = sigv4.UNSIGNED_PAYLOAD
        else:
            # A hash of its own must be told, or S3 takes UNSIGNED-PAYLOAD.
            fields += ((b"x-amz-content-sha256", payload_hash),)
        fields += _to_sign(headers)
        canonical_headers = sigv4.canonical_headers(fields)
        added: Query = (
            (b"X-Amz-Algorithm", sigv4.ALGORITHM),
            (b"X-Amz-Credential", second.credential),
            (b"X-Amz-Date", second.stamp),
            (b"X-Amz-Expires", b"%d" % self.lifetime),
            (b"X-Amz-SignedHeaders", canonical_headers[1]),
        )
        if self._token is not None:
            added += ((b"X-Amz-Security-Token", self._token),)
        path = self._base + encode_key(key)
        parameters = encode_query(without_presign(query) + added)
        canonical = sigv4.canonical_request(
            method, path, parameters, canonical_headers, payload_hash
        )
        to_sign = sigv4.string_to_sign(second.stamp, second.scope, canonical)
        signature = sigv4.signature(second.signing_key, to_sign)
        target = b"%b?%b&X-Amz-Signature=%b" % (path, parameters, signature)
        return _Draft(canonical, to_sign, signature, target, fields)

    def _v2(self, method: bytes, key: bytes, query: Query, number: int, headers: Fields) -> _Draft:
        date = http_date(number).encode("ascii")
        fields = self._v2_fields() + _to_sign(headers)
        draft = self._v2_draft(method, key, query, date, fields)
        authorization = b"AWS %b:%b" % (self._access_key, draft.signature)
        host = ((b"Host", self._host), (b"Date", date))
        return draft._replace(fields=(*host, *fields, (b"Authorization", authorization)))

    def _v2_query(
        self, method: bytes, key: bytes, query: Query, number: int, headers: Fields
    ) -> _Draft:
        expires = b"%d" % (number + self.lifetime)
        fields = _to_sign(headers)
        draft = self._v2_draft(method, key, query, expires, self._v2_fields() + fields)
        added: Query = (
            (b"AWSAccessKeyId", self._access_key),
            (b"Expires", expires),
            (b"Signature", draft.signature),
            *self._v2_fields(),
        )
        mark = b"&" if b"?" in draft.target else b"?"
        target = draft.target + mark + query_as_given(added)
        return draft._replace(target=target, fields=((b"Host", self._host), *fields))

    def _v2_draft(
        self, method: bytes, key: bytes, query: Query, date: bytes, fields: Fields
    ) -> _Draft:
        encoded, query = encode_key(key), without_presign(query)
        resource = sigv2.canonical_resource(self._resource_base + encoded, query)
        to_sign = sigv2.string_to_sign(method, date, fields, resource)
        secret = self.credentials.secret_key if self.credentials else None
        signature = sigv2.signature(secret or "", to_sign)
        target = _target(self._base + encoded, sigv2.encode_query(query))
        return _Draft(b"", to_sign, signature, target, fields)

    def _v2_fields(self) -> Fields:
        return () if self._token is None else ((b"x-amz-security-token", self._token),)

    def _v4_fields(self, stamp: bytes, payload_hash: bytes) -> Fields:
        fields: Fields = (
            (b"Host", self._host),
            (b"x-amz-content-sha256", payload_hash),
            (b"x-amz-date", stamp),
        )
        return fields if self._token is None else (*fields, *self._v2_fields())

    def _start_second(self, number: int) -> _Second:
        """Compute, and keep, what the signatures of this second share."""
        stamp = amz_date(number)
        scope = self._scope_for(number, stamp[:8])
        fields = self._v4_fields(stamp.encode("ascii"), sigv4.EMPTY_HASH)
        scope_bytes = str(scope).encode("ascii")
        self._second = second = _Second(
            number=number,
            stamp=stamp.encode("ascii"),
            scope=scope_bytes,
            signing_key=self._signing_key,
            credential=b"%b/%b" % (self._access_key, scope_bytes),
            fields=fields,
            headers=sigv4.canonical_headers(fields),
        )
        return second

    def _scope_for(self, number: int, date: str) -> Scope:
        """Return the scope to sign with; a secret's key is derived once a day."""
        if self._ring is not None:
            self._signing_key, scope = self._ring.at(number)
        elif self._scope is not None and self._scope.date == date:
            scope = self._scope
        else:
            secret = None if self.credentials is None else self.credentials.secret_key
            scope = Scope(date, self.region or "", self.service)
            self._signing_key = derive_signing_key(secret or "", scope)
        self._scope = scope
        return scope


def _target(path: bytes, query: bytes) -> bytes:
    return b"%b?%b" % (path, query) if query else path


def _to_sign(headers: Fields) -> Fields:
    """Return those of `headers` that a signature covers, one line for each name, sorted."""
    values: dict[bytes, bytes] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in _OURS or not (
            lower[:6] == b"x-amz-" or lower in (b"content-type", b"content-md5")
        ):
            continue
        if _UNFIT.search(value):
            raise ValueError(f"the field {lower!r} has a control character in its value")
        tidy = value.strip()
        values[lower] = b"%b,%b" % (values[lower], tidy) if lower in values else tidy
    return tuple(sorted(values.items()))
