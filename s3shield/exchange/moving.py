"""Where a bucket says that it is, when it was asked in the wrong place. Pure.

S3 names the region in `x-amz-bucket-region` or `<Region>`, the host in `<Endpoint>` or
Location. The request would be signed for whoever is named there, so a host is only gone
to when it is the same owner's: at Amazon one of S3's own names, elsewhere a name under
the configured one. Scheme and port stay.

AWS, "Request redirection and the REST API".
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

import attrs

from s3shield.policy import ResponseHead
from s3shield.signing import Endpoint

from .s3_errors import element

__all__ = ["Move", "moved", "region_of", "same_owner"]

_REGION: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_S3: Final = re.compile(
    r"s3(?:-fips)?(?:\.dualstack)?(?:[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9]))?"
    r"\.amazonaws\.com(?P<china>\.cn)?"
)
"""S3's own host names, as opposed to those of Amazon's customers."""


@attrs.frozen
class Move:
    """What an answer says about where the bucket is.

    region: str, empty when it is not said. endpoint: where to ask instead, None when it
    is not said or not to be followed. stranger: str, a host that is not followed, or empty.
    """

    region: str = ""
    endpoint: Endpoint | None = None
    stranger: str = ""


def same_owner(host: str, configured: str) -> bool:
    """Tell whether requests signed for `configured` may go to `host` too; both lower-case."""
    if host == configured:
        return True
    ours, theirs = _S3.fullmatch(configured), _S3.fullmatch(host)
    if ours is not None:
        return theirs is not None and theirs["china"] == ours["china"]
    # Nothing is under an address.
    return host.endswith(f".{configured}") and not configured[-1].isdigit()


def region_of(head: ResponseHead) -> bytes | None:
    """Return the region that an answer without a document may name."""
    return head.get(b"x-amz-bucket-region")


def moved(endpoint: Endpoint, configured: Endpoint, head: ResponseHead, body: bytes) -> Move:
    """Return what the answer `head`, `body` of `endpoint` says.

    configured: the operator's own endpoint, whose owner is trusted.
    """
    said = region_of(head)
    region = element(body, "Region") if said is None else said.decode("latin-1")
    region = region.strip()
    if not _REGION.fullmatch(region):
        region = ""
    if head.status not in (301, 307):
        return Move(region)
    authority = element(body, "Endpoint").strip() or _authority(head.get(b"location"))
    named = _host(authority, endpoint)
    if not named and region:
        named = _in_region(endpoint.host, region)
    if not named or named == endpoint.host:
        return Move(region)
    if not same_owner(named, configured.host):
        return Move(region, stranger=ascii(named[:100])[1:-1])
    try:
        # Only for its checks: a host is a host.
        Endpoint.parse(f"{endpoint.scheme}://{named}:{endpoint.port}", endpoint.bucket, "path")
    except ValueError:
        return Move(region)
    return Move(region, attrs.evolve(endpoint, host=named))


def _authority(location: bytes | None) -> str:
    try:
        return urlsplit((location or b"").decode("latin-1")).netloc
    except ValueError:
        return ""


def _host(authority: str, endpoint: Endpoint) -> str:
    """Return the host without bucket and port; empty for another port than the configured."""
    host, colon, port = authority.lower().partition(":")
    if colon and port != str(endpoint.port):
        return ""
    return host.removeprefix(f"{endpoint.bucket}.").removesuffix(".")


def _in_region(host: str, region: str) -> str:
    """Return S3's name in a region, for an answer to HEAD that says no more."""
    found = _S3.fullmatch(host)
    if found is None:
        return ""
    dual = ".dualstack" if ".dualstack." in host else ""
    return f"s3{dual}.{region}.amazonaws.com{found['china'] or ''}"
