"""What the policy tests are written with: short ways to make heads and entries."""

from __future__ import annotations

from typing import Any

from s3shield.policy import (
    NEVER,
    CachePolicy,
    EntryMeta,
    NoStore,
    Request,
    ResponseHead,
    Store,
    TTLRow,
    TTLTable,
    admit,
    format_date,
)

NOW = 1_700_000_000.25
"""Tue, 14 Nov 2023 22:13:20 GMT, and a quarter."""

DEFAULT = CachePolicy()


def date(offset: int = 0) -> bytes:
    """An IMF-fixdate `offset` seconds from NOW."""
    return format_date(int(NOW) + offset)


def head(*fields: tuple[str, str | bytes], status: int = 200, dated: bool = True) -> ResponseHead:
    """A response head; with a Date of NOW in front unless told otherwise."""
    lines = [(n.encode(), v.encode() if isinstance(v, str) else v) for n, v in fields]
    if dated and not any(n.lower() == b"date" for n, _ in lines):
        lines.insert(0, (b"Date", date()))
    return ResponseHead(status, b"", tuple(lines))


def cc(value: str, *fields: tuple[str, str | bytes], status: int = 200) -> ResponseHead:
    """A response with this Cache-Control."""
    return head(("Cache-Control", value), *fields, status=status)


def request(method: str = "GET", target: str = "/a", **headers: str | bytes) -> Request:
    """A request; header names with _ for -."""
    return Request(
        method.encode(),
        target.encode(),
        {
            n.replace("_", "-").encode(): v.encode() if isinstance(v, str) else v
            for n, v in headers.items()
        },
        host=b"example.com",
        peer=b"192.0.2.7",
    )


def admitted(
    response: ResponseHead,
    policy: CachePolicy = DEFAULT,
    asked: Request | None = None,
    **options: Any,
) -> Store | NoStore:
    """What `admit` says, when request and response were both at NOW."""
    return admit(asked or request(), response, NOW, NOW, policy, **options)


def stored(response: ResponseHead, policy: CachePolicy = DEFAULT) -> EntryMeta:
    """The meta of a response that must be storable."""
    answer = admitted(response, policy)
    if not isinstance(answer, Store):
        raise TypeError(f"not stored: {answer} {response}")
    return answer.meta


def entry(**changes: Any) -> EntryMeta:
    """A stored 200, fresh for a minute from NOW."""
    values: dict[str, Any] = {
        "status": 200,
        "born": NOW,
        "response_time": NOW,
        "fresh_until": NOW + 60,
        "swr_until": NEVER,
        "sie_until": NEVER,
        "flags": 0,
        "etag": b'"v1"',
        "last_modified": int(NOW) - 1000,
    }
    return EntryMeta(**{**values, **changes})


def table(*rows: tuple[Any, int]) -> TTLTable:
    """A `proxy_cache_valid` table."""
    return TTLTable(
        tuple(
            TTLRow(frozenset(codes) if isinstance(codes, set) else codes, seconds)
            for codes, seconds in rows
        )
    )
