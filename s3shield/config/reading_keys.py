"""How the text of a bucket's options becomes its value, above all of its keys.

As `reading`: all raise ValueError, in words, and a secret is never in a message.
"""

from __future__ import annotations

import re
from typing import Final

from s3shield.signing import Credentials, Scope, SignMode, parse_signing_key

from .errors import BadValueError
from .units import parse_choice, parse_seconds

__all__: list[str] = []  # for `options` alone, by the module's name

MASK: Final = "***"
_SOURCES: Final = ("static", "env", "file", "imds", "ecs", "web-identity", "process", "chain")
_PROFILE: Final = re.compile(r"profile:[^\s\]]+")
_ROLE: Final = re.compile(r"arn:[!-~]{16,2044}")
_SESSION: Final = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def region(value: str) -> str:
    """An AWS region's name."""
    Scope("20000101", value, "s3")  # raises when it cannot be one
    return value


def sign_mode(value: str) -> SignMode:
    """How requests are signed."""
    return SignMode(parse_choice(value, [mode.value for mode in SignMode]))


def access_key(value: str) -> str:
    """An access key's id."""
    Credentials(value, secret_key="probe")  # noqa: S106  # raises about the id
    return value


def _not_masked(value: str) -> None:
    if value == MASK:
        raise BadValueError("this was masked by `check --dump`: put the secret back")


def secret_key(value: str) -> str:
    """A secret access key."""
    _not_masked(value)
    if len(value.split()) != 1 or _CONTROL.search(value):
        raise BadValueError("a secret key has no white space and no control characters")
    Credentials("probe", secret_key=value)
    return value


def signing_key(value: str) -> bytes:
    """A scoped key, decoded."""
    _not_masked(value)
    return parse_signing_key(value)


def key_scope(value: str) -> Scope:
    """The scope of a scoped key."""
    if not value.endswith("/aws4_request"):
        # Not quoted: it may be the key, in the wrong place.
        raise BadValueError("a key scope looks like YYYYMMDD/region/service/aws4_request")
    return Scope.parse(value)


def session_token(value: str) -> str:
    """The token of temporary credentials."""
    _not_masked(value)
    Credentials("probe", secret_key="probe", session_token=value)  # noqa: S106  # as above
    return value


def credentials_source(value: str) -> str:
    """`static`, the options beside it, or one of botocore's sources."""
    if value.startswith("profile:"):
        if not _PROFILE.fullmatch(value):
            raise BadValueError("a profile is named as profile:NAME", value)
        return value
    return parse_choice(value, _SOURCES)


def role_arn(value: str) -> str:
    """What AWS's API takes for a role's name; other vendors' have other parts."""
    if not _ROLE.fullmatch(value):
        raise BadValueError("a role looks like arn:aws:iam::123456789012:role/NAME", value)
    return value


def role_session_name(value: str) -> str:
    """As AWS's API takes it."""
    if not _SESSION.fullmatch(value):
        raise BadValueError("it is 2 to 64 letters, digits and _+=,.@-", value)
    return value


def lifetime(value: str) -> int:
    """How long a signature in a query is good for."""
    seconds = parse_seconds(value)
    if not 1 <= seconds <= 7 * 86_400:
        raise BadValueError("it is from 1s to 7d, the longest that S3 takes", value)
    return seconds
