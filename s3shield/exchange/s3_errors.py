"""What S3's error bodies mean, and what an operator can do about each.

AWS, "Error responses", Amazon S3 API Reference; the wording of others (Ceph, MinIO,
Swift) agrees in `<Code>`. Pure.
"""

from __future__ import annotations

import html
import re
from typing import Final

from s3shield.policy import credential_failure

__all__ = ["MAX_ERROR_BODY", "RENEWABLE", "advice", "element", "error_code", "is_unanswered"]

MAX_ERROR_BODY: Final = 64 * 1024
"""Bytes of an error body that are looked at; the rest is thrown away."""

RENEWABLE: Final = frozenset(
    {"AccessKeyDoesNotExist", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken"}
    | {"TokenRefreshRequired"}
)
"""Codes that other credentials help against: a key may be deleted once its successor is there."""
_CONFIGURATION: Final = frozenset(
    {"AccountProblem", "AllAccessDisabled", "InvalidBucketName", "InvalidPayer", "NoSuchBucket"}
    | {"UserSuspended"}
)
_CLIENTS: Final = frozenset({"KeyTooLongError", "InvalidURI"})
"""Codes that tell a client's mistake, with the status 400 like many of ours."""
_UPLOADERS: Final = _CLIENTS | frozenset(
    {"BadDigest", "EntityTooLarge", "EntityTooSmall", "IncompleteBody", "InvalidDigest"}
    | {"MetadataTooLarge", "XAmzContentSHA256Mismatch"}
)
"""The same of a client that sent a body, and what describes it."""
_CODE = re.compile(rb"<Code>\s*([A-Za-z0-9.]{1,64})\s*</Code>")

_ADVICE: Final[dict[str, str]] = {
    "RequestTimeTooSkewed": "this machine's clock is off; check NTP (timedatectl)",
    "ExpiredToken": "the session token has expired; renew the credentials",
    "InvalidToken": "the session token is not valid; renew the credentials",
    "InvalidAccessKeyId": "the access key does not exist or is inactive; check aws_access_key",
    "SignatureDoesNotMatch": (
        "the secret, or the signing key with its scope, is not this access key's, or a proxy "
        "in between changes the request; `s3shield explain FILE URL` shows what is signed"
    ),
    "AuthorizationHeaderMalformed": "the region is wrong; check aws_region or the key's scope",
    "AuthorizationQueryParametersError": (
        "the scope or the lifetime is refused; a scoped signing key is good for seven days: "
        "make a new one with `s3shield signing-key`, and check aws_region"
    ),
    "PermanentRedirect": "the bucket is in another region; check aws_region and aws_endpoint",
    "TemporaryRedirect": "the bucket was just made, or is in another region; check aws_endpoint",
    "NoSuchBucket": "the bucket does not exist at this endpoint; check aws_s3_bucket",
    "AccessDenied": (
        "the key may not read this object, the object does not exist and the key may not "
        "list the bucket, or a scoped signing key is older than seven days"
    ),
    "InvalidBucketName": "no bucket can have that name; check aws_s3_bucket",
    "AllAccessDisabled": "the bucket is disabled; ask its owner",
    "AccountProblem": "the bucket owner's account has a problem; ask its owner",
    "NotSignedUp": "this account is not signed up for S3; ask its owner",
    "UserSuspended": "the key's user is suspended; ask the bucket's owner",
    "InvalidPayer": "the bucket's owner does not pay for it any more; ask its owner",
    "InvalidObjectState": "the object is archived; restore it before it can be read",
    "AccessKeyDoesNotExist": "the access key does not exist; check aws_access_key",
    "TokenRefreshRequired": "the session token must be renewed; renew the credentials",
    "IncorrectEndpoint": "the bucket is in another region; check aws_region and aws_endpoint",
    "XAmzContentSHA256Mismatch": "the client's own, or a proxy in between changes the body",
    "MissingSecurityHeader": "the endpoint wants a field that was not sent; check aws_sign",
    "InvalidSecurity": "the credentials are not valid; check aws_access_key and its key",
    "UnauthorizedAccess": "the key is for another partition (China, GovCloud) of AWS",
    "KMS.DisabledException": "the KMS key of the object is disabled; ask its owner",
    "InvalidRequest": (
        "the endpoint does not take this kind of signature; check aws_sign (newer regions: v4)"
    ),
    "SlowDown": "S3 asks for fewer requests a second; a longer proxy_cache_valid helps",
    "ServiceUnavailable": "S3 is overloaded; it passes",
    "InternalError": "S3 has a fault of its own; it passes",
    "TooManyRequests": "S3 asks for fewer requests a second; a longer proxy_cache_valid helps",
    "RequestExpired": "a signed query string was too old on arrival; check NTP (timedatectl)",
}


def error_code(body: bytes) -> str:
    """Return the `<Code>` of an S3 error document, or an empty string.

    A presigned request that came too late is refused as AccessDenied, with the server's
    time: that is told as RequestExpired, for it says nothing about the object.
    """
    found = _CODE.search(body[:MAX_ERROR_BODY])
    code = found[1].decode("ascii") if found else ""
    if code == "AccessDenied" and element(body, "ServerTime"):
        return "RequestExpired"
    return code


def element(body: bytes, name: str) -> str:
    """Return the text of the first element `name` of an error document, or an empty string.

    name: str of letters. Character references are resolved, bytes that are no UTF-8 escaped.
    """
    found = re.search(rb"<%b>([^<]*)</%b>" % ((name.encode("ascii"),) * 2), body[:MAX_ERROR_BODY])
    return html.unescape(found[1].decode("utf-8", "backslashreplace")) if found else ""


def advice(status: int, code: str) -> str:
    """Return one sentence for the log: what to do about this answer."""
    if code in _ADVICE:
        return _ADVICE[code]
    if status == 403:
        return "the key, its scope, the region or the bucket's policy forbids it"
    if status == 400:
        return "the endpoint does not understand the request; check aws_sign and aws_region"
    if status in (301, 307):
        return "the endpoint sends us elsewhere; check aws_region and aws_endpoint, its scheme too"
    return "the origin has a fault of its own"


def is_unanswered(status: int, code: str, method: bytes) -> bool:
    """Tell whether an error says nothing about the object: our mistake, or S3's trouble."""
    clients = _CLIENTS if method in (b"GET", b"HEAD") else _UPLOADERS
    return code not in clients and (
        status >= 500
        or status in (301, 307, 400, 429)
        or code in _CONFIGURATION
        or credential_failure(status, code)
    )
