"""The keys of a bucket, of S3 itself (ListObjectsV2), and the URLs that lead to them."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote_to_bytes

import attrs

from s3shield.config import BucketConfig, Config
from s3shield.exchange import MAX_ERROR_BODY, advice, error_code
from s3shield.ops import UnavailableError, describe, fetch
from s3shield.routing import BadTargetError
from s3shield.signing import Query, encode_key

from .bounded_xml import BadXmlError, read_xml

__all__ = ["ListedKey", "Page", "keys_of", "path_to", "read_page"]

_MAX_PAGE: Final = 8 << 20
_ELEMENTS: Final = 50_000
_PAGES: Final = 1_000_000


@attrs.frozen
class ListedKey:
    """key: decoded bytes. modified: epoch seconds, None where it is not known."""

    key: bytes
    modified: float | None


@attrs.frozen
class Page:
    """Some keys. token: leads to the next page, empty on the last."""

    keys: tuple[ListedKey, ...]
    token: str = ""


def read_page(document: bytes) -> Page:
    """Read an answer to ListObjectsV2 with encoding-type=url. Raises BadXmlError."""
    found: list[tuple[str, str]] = []
    facts: dict[str, str] = {}
    item: dict[str, str] = {}

    def end(path: tuple[str, ...], text: str) -> None:
        if path[0] != "ListBucketResult":
            raise BadXmlError("it is no list of a bucket")
        if path == ("ListBucketResult", "Contents"):
            found.append((item.get("Key", ""), item.get("LastModified", "")))
            item.clear()
        elif path[1:2] == ("Contents",) and len(path) == 3:
            item[path[2]] = text
        elif len(path) == 2:
            facts[path[1]] = text

    read_xml(document, end=end, most=_ELEMENTS)
    # Whether keys are encoded some servers say behind them.
    encoded = facts.get("EncodingType") == "url"
    keys = tuple(ListedKey(_decoded(key, encoded=encoded), _instant(at)) for key, at in found)
    more = facts.get("IsTruncated") == "true"
    return Page(keys, facts.get("NextContinuationToken", "") if more else "")


def _decoded(text: str, *, encoded: bool) -> bytes:
    return unquote_to_bytes(text.replace("+", " ")) if encoded else text.encode("utf-8")


def _instant(text: str) -> float | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def keys_of(
    bucket: BucketConfig, prefix: bytes, clock: Callable[[], float] = time.time
) -> Iterator[ListedKey]:
    """Yield all keys that begin so, in the bucket's order. Raises ValueError with what to do."""
    if bucket.source is not None:
        try:
            got = fetch(bucket.source, bucket.region)
        except UnavailableError as why:
            who = describe(bucket.source)
            raise ValueError(f"{who}: {why.problem}; {why.advice}") from None
        bucket = attrs.evolve(bucket, credentials=got.credentials)
    token = ""
    for _ in range(_PAGES):
        page = read_page(_asked(bucket, prefix, token, clock()))
        yield from (each for each in page.keys if each.key.startswith(prefix))
        if not page.token or page.token == token:
            return
        token = page.token


def _asked(bucket: BucketConfig, prefix: bytes, token: str, now: float) -> bytes:
    pairs: Query = ((b"encoding-type", b"url"), (b"list-type", b"2"), (b"prefix", prefix))
    if token:
        pairs += ((b"continuation-token", token.encode("utf-8")),)
    try:
        signed = bucket.signer().sign(b"GET", b"", tuple(sorted(pairs)), now)
    except ValueError as why:
        raise ValueError(f"[bucket:{bucket.name}]: {why}") from None
    endpoint, rules = bucket.endpoint, bucket.connection
    where = endpoint.connect_host, endpoint.port
    if endpoint.scheme == "https":
        context = ssl.create_default_context(cafile=rules.origin_ca)
        if not rules.origin_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        timeout = rules.origin_read_timeout
        client: http.client.HTTPConnection = http.client.HTTPSConnection(
            *where, context=context, timeout=timeout
        )
    else:
        client = http.client.HTTPConnection(*where, timeout=rules.origin_read_timeout)
    try:
        target = signed.target.decode("ascii")
        client.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
        for name, value in signed.fields:
            client.putheader(name.decode("ascii"), value)
        client.endheaders()
        response = client.getresponse()
        body = response.read(_MAX_PAGE + 1)
    except (OSError, http.client.HTTPException) as why:
        reason = str(why) or type(why).__name__
        raise ValueError(f"[bucket:{bucket.name}]: {reason}; try `s3shield doctor`") from None
    finally:
        client.close()
    if response.status != http.HTTPStatus.OK:
        code = error_code(body[:MAX_ERROR_BODY])
        told = f"{response.status} {code}".rstrip()
        if code == "AccessDenied":
            raise ValueError(
                f"[bucket:{bucket.name}]: {told}: the key may not list the bucket (s3:ListBucket)"
            )
        raise ValueError(f"[bucket:{bucket.name}]: {told}: {advice(response.status, code)}")
    if len(body) > _MAX_PAGE:
        raise ValueError(f"[bucket:{bucket.name}]: the list is too long")
    return body


def path_to(config: Config, bucket: str, host: str, key: bytes) -> str | None:
    """Return a path at which the daemon gives out an object of a bucket; None: there is none.

    The locations of the bucket are tried, without and with their own path in front.
    """
    table = config.routing()
    name = host.partition(":")[0].lower().encode("ascii", "replace")
    for location in config.locations:
        if location.bucket != bucket or location.pattern.is_regex:
            continue
        for path in (b"/" + key, location.pattern.encoded + key):
            try:
                route = table.find(name, encode_key(path), None)
            except BadTargetError:
                continue
            if route is None or route.key[1:] != key:
                continue
            if config.locations[route.number].bucket == bucket:
                return encode_key(path).decode("ascii")
    return None
