"""What a request is signed with: an access key and either a secret or a scoped key."""

from __future__ import annotations

import binascii
import datetime as dt
import hmac
import re
from base64 import b64decode
from typing import Final

import attrs

__all__ = [
    "Credentials",
    "Scope",
    "derive_signing_key",
    "parse_key_file",
    "parse_signing_key",
]

_TERMINATOR: Final = "aws4_request"
_SCOPE_SHAPE: Final = "YYYYMMDD/region/service/aws4_request"
# Printable ASCII but space, `,` and `/`: they stand in the Credential element.
_NAME: Final = re.compile(r"[!-+.0-~-]+")
_DATE: Final = re.compile(r"[0-9]{8}")
_VISIBLE: Final = re.compile(r"[!-~]+")
_KEY_LENGTH: Final = 32


@attrs.frozen
class Scope:
    """A SigV4 credential scope: the day, region and service a signing key is good for.

    date: YYYYMMDD, UTC. `str()` gives `date/region/service/aws4_request`.
    Raises ValueError, with the part that is wrong.
    AWS: "Create a signed AWS API request", credential scope.
    """

    date: str
    region: str
    service: str

    def __attrs_post_init__(self) -> None:
        if not _DATE.fullmatch(self.date):
            raise ValueError(f"the date of a key scope has eight digits, YYYYMMDD: {self.date!r}")
        try:
            dt.date(int(self.date[:4]), int(self.date[4:6]), int(self.date[6:]))
        except ValueError:
            raise ValueError(f"the calendar has no such day: {self.date!r}") from None
        for what, value in (("region", self.region), ("service", self.service)):
            if not _NAME.fullmatch(value):
                raise ValueError(f"{value!r} cannot be the {what} of a key scope")

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Read `20260226/eu-central-1/s3/aws4_request`; raise ValueError if it is not one."""
        parts = text.strip().split("/")
        if len(parts) != 4 or parts[3] != _TERMINATOR:
            raise ValueError(f"a key scope looks like {_SCOPE_SHAPE}: {text.strip()!r}")
        return cls(*parts[:3])

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{_TERMINATOR}"


@attrs.frozen
class Credentials:
    """An access key with a secret, or with a scoped signing key and its scope.

    access_key: str, visible ASCII. secret_key: str, or None. signing_key: the 32 bytes
    that `derive_signing_key` gives, or None; scope goes with it. session_token: str of
    temporary credentials, or None. Raises ValueError unless exactly one of secret_key and
    (signing_key, scope) is there and all can stand in a header; never quotes a secret.
    """

    access_key: str
    secret_key: str | None = attrs.field(default=None, repr=False)
    signing_key: bytes | None = attrs.field(default=None, repr=False)
    scope: Scope | None = None
    session_token: str | None = attrs.field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        if not _VISIBLE.fullmatch(self.access_key):
            raise ValueError("the access key is empty or has spaces or non-ASCII characters")
        if self.secret_key is not None and self.signing_key is not None:
            raise ValueError("give the secret key or the signing key, not both")
        if self.secret_key is None and self.signing_key is None:
            raise ValueError("neither a secret key nor a signing key is given")
        if self.secret_key is not None:
            if not self.secret_key or self.secret_key != self.secret_key.strip():
                raise ValueError("the secret key is empty or has white space at its ends")
            if self.scope is not None:
                raise ValueError("a key scope goes with a signing key, not with a secret key")
        if self.signing_key is not None:
            if len(self.signing_key) != _KEY_LENGTH:
                raise ValueError(
                    f"a signing key has {_KEY_LENGTH} bytes, this one has {len(self.signing_key)}"
                )
            if self.scope is None:
                raise ValueError(f"a signing key needs its key scope ({_SCOPE_SHAPE})")
        if self.session_token is not None and not _VISIBLE.fullmatch(self.session_token):
            raise ValueError("the session token is empty or has spaces or non-ASCII characters")


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("utf-8"), "sha256")


def derive_signing_key(secret: str, scope: Scope) -> bytes:
    """Return the 32-byte SigV4 key of `secret` for `scope`'s day, region and service.

    AWS: "Create a signed AWS API request", derive a signing key.
    """
    day = _mac(b"AWS4" + secret.encode("utf-8"), scope.date)
    return _mac(_mac(_mac(day, scope.region), scope.service), _TERMINATOR)


def parse_signing_key(text: str) -> bytes:
    """Decode a base64 signing key; raise ValueError, without quoting it, if it is not one."""
    try:
        key = b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the signing key is not valid base64") from None
    if len(key) != _KEY_LENGTH:
        raise ValueError(f"a signing key has {_KEY_LENGTH} bytes, this one has {len(key)}")
    return key


def parse_key_file(text: str) -> tuple[tuple[bytes, Scope], ...]:
    """Read what `s3shield signing-key` prints, once or several times: key line, scope line.

    Empty lines and lines that begin with `#` are skipped. Raises ValueError with the line's
    number when a line is not what it should be, or there is no key at all.
    """
    lines = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise ValueError("there is no key in it")
    if len(lines) % 2:
        raise ValueError(f"line {lines[-1][0]}: a key is followed by the line of its scope")
    found = []
    for (number, key), (scope_number, scope) in zip(lines[::2], lines[1::2], strict=True):
        try:
            signing_key = parse_signing_key(key)
        except ValueError as why:
            raise ValueError(f"line {number}: {why}") from None
        # A key line in the scope's place must not be quoted.
        if "/" + _TERMINATOR not in scope:
            raise ValueError(f"line {scope_number}: a key scope looks like {_SCOPE_SHAPE}")
        try:
            found.append((signing_key, Scope.parse(scope)))
        except ValueError as why:
            raise ValueError(f"line {scope_number}: {why}") from None
    return tuple(found)
