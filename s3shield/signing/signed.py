"""The ways to sign, and what signing gives."""

from __future__ import annotations

import enum

import attrs

from s3shield.policy import Fields

__all__ = ["Explanation", "SignMode", "SignedRequest"]


class SignMode(enum.Enum):
    """How requests to a bucket are signed: the values of the option `aws_sign`."""

    V4 = "v4"
    V4_QUERY = "v4-query"
    V2 = "v2"
    V2_QUERY = "v2-query"
    OFF = "off"


def _path_only(target: bytes) -> str:
    path, mark, _ = target.partition(b"?")
    return repr(path + mark + (b"..." if mark else b""))


def _names_only(fields: Fields) -> str:
    return repr([name for name, _ in fields])


@attrs.frozen
class SignedRequest:
    """What to send.

    target: the request target, exactly the bytes that were signed. fields: Host, then what
    else was signed (Date, x-amz-*, content-md5, content-type), then Authorization. Both are
    bearer secrets for a while, so repr shows the path and the names only.
    """

    target: bytes = attrs.field(repr=_path_only)
    fields: Fields = attrs.field(repr=_names_only)


@attrs.frozen
class Explanation:
    """How a request is signed, with session token and signature masked as `***`.

    canonical_request: str, empty for V2, which has none, and for OFF. string_to_sign: str,
    of the unmasked canonical request; empty for OFF. signed: SignedRequest, masked.
    """

    canonical_request: str
    string_to_sign: str
    signed: SignedRequest
