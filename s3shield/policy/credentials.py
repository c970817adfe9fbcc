"""S3's refusals of our signature, told from its refusals of a request."""

from __future__ import annotations

from typing import Final

__all__ = ["credential_failure"]

_CREDENTIAL_CODES: Final = frozenset(
    {
        "AccessKeyDoesNotExist",
        "AuthorizationHeaderMalformed",
        "AuthorizationQueryParametersError",
        "ExpiredToken",
        "IncorrectEndpoint",
        "InvalidAccessKeyId",
        "InvalidSecurity",
        "InvalidToken",
        "MissingSecurityHeader",
        "NotSignedUp",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnauthorizedAccess",
        "XAmzContentSHA256Mismatch",
    }
)


def credential_failure(status: int, code: str) -> bool:
    """Tell whether S3 refused our signature, not the object.

    status: the answer's. code: the `<Code>` of S3's error document, or empty. Such an
    answer is an origin error: never stored, never a change of the data. AccessDenied is
    an ordinary 403.
    """
    return 400 <= status < 500 and code in _CREDENTIAL_CODES
