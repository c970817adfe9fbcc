"""Content codings made here: who may have which, and what their heads say. Pure.

One stored response, the *identity* form, has a coded form for each coding (RFC 9110
section 8.4). All of them are representations of the same resource, so each has its own
ETag and each says `Vary: Accept-Encoding`. The coded ones' tags are weak: a form that is
made again may have other bytes (another version of a library, other pieces), so its bytes
must never be put together with those of an earlier one. And each coding's is another:
with one tag for all, a cache behind us that asks about several forms at once could not
tell from a 304 which of them to use (RFC 9111 section 4.3.4).

What compares strongly is about bytes, and is answered from the identity form: a Range,
If-Match, If-Range with its tag. So no client can get a part of one form to put it beside
a part of another.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import attrs

from .entry import StoredResponse
from .etags import strong_match
from .fields import list_members, parse_directives
from .message import Request

__all__ = [
    "CODINGS",
    "Compression",
    "chosen_coding",
    "coded_etag",
    "coded_head",
    "is_codable",
    "negotiated",
    "varied_head",
]

CODINGS: Final = (b"gzip", b"br", b"zstd")
"""Content codings that can be made (RFC 9110 8.4.1.3, RFC 7932, RFC 8878)."""

_ALIASES: Final = {b"x-gzip": b"gzip"}
_WEIGHT: Final = re.compile(rb"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_CODED_LINES: Final = re.compile(
    # What is about the bytes of the identity form, its framing, and ranges of it.
    rb"^(?:content-length|content-md5|digest|content-digest|repr-digest|etag|accept-ranges"
    rb"|x-amz-checksum-[^:\r\n]*|x-goog-hash):[^\n]*\n",
    re.IGNORECASE | re.MULTILINE,
)
_VARY: Final = re.compile(rb"^vary:[ \t]*([^\r\n]*?)[ \t]*\r\n", re.IGNORECASE | re.MULTILINE)
_ETAG: Final = re.compile(rb"^etag:[ \t]*([^\r\n]*?)[ \t]*\r\n", re.IGNORECASE | re.MULTILINE)
_TAG: Final = re.compile(rb'(?:W/)?"([^"\x00-\x20\x7f]*)"')
_FACT: Final = re.compile(
    rb"^(content-type|content-encoding|content-length|content-range|cache-control):"
    rb"[ \t]*([^\r\n]*?)[ \t]*\r\n",
    re.IGNORECASE | re.MULTILINE,
)


@attrs.frozen(kw_only=True)
class Compression:
    """What an operator says about compressing in one location.

    codings: of CODINGS, none for no compression; where a client likes several equally the
    first is taken. types:
    media types in lower-case, `text/*` for all of a kind, `*` for all. min_length: bytes
    from which on a body is compressed; one whose length is not known is.
    gzip_level, brotli_level, zstd_level: 1 to 9, 0 to 11, 1 to 19.
    """

    codings: tuple[bytes, ...] = ()
    types: frozenset[bytes] = frozenset()
    min_length: int = 1024
    gzip_level: int = 6
    brotli_level: int = 5
    zstd_level: int = 6

    def level(self, coding: bytes) -> int:
        """Return the level for one of CODINGS."""
        levels = {b"gzip": self.gzip_level, b"br": self.brotli_level, b"zstd": self.zstd_level}
        return levels[coding]

    def lists(self, media_type: bytes) -> bool:
        """Tell whether a lower-case media type, without parameters, is to be compressed."""
        kind = media_type.partition(b"/")[0]
        return media_type in self.types or kind + b"/*" in self.types or b"*" in self.types


@lru_cache(1024)
def negotiated(value: bytes | None, offered: tuple[bytes, ...]) -> bytes | None:
    """Return the one of `offered` to send, None for the identity form (RFC 9110 12.5.3).

    value: Accept-Encoding, None when absent: then nothing is known of the client, and it
    gets what there is. The highest weight wins, then the order of `offered`. `*` stands for
    every coding that is not named, `identity` too; `identity` that is neither named nor
    meant comes last. A member that is malformed names nothing. Never raises.
    """
    weights: dict[bytes, int] = {}
    for member in list_members((value or b"").lower()):
        coding, *parameters = [part.strip(b" \t") for part in member.split(b";")]
        weight = _weight(parameters)
        if weight is not None:
            coding = _ALIASES.get(coding, coding)
            weights[coding] = max(weight, weights.get(coding, 0))
    others = weights.get(b"*", 0)
    best = max(offered, key=lambda coding: weights.get(coding, others), default=None)
    if best is None or not weights.get(best, others):
        return None
    return best if weights.get(best, others) >= weights.get(b"identity", others) else None


def _weight(parameters: list[bytes]) -> int | None:
    """Return a member's weight in thousandths, None when it is malformed."""
    if not parameters:
        return 1000
    name, _, value = parameters[0].partition(b"=")
    value = value.strip(b" \t")
    if len(parameters) > 1 or name.strip(b" \t") != b"q" or not _WEIGHT.fullmatch(value):
        return None
    whole, _, rest = value.partition(b".")
    return int(whole) * 1000 + int(rest.ljust(3, b"0"))


def chosen_coding(
    request: Request, meta: StoredResponse | None, offered: tuple[bytes, ...]
) -> bytes | None:
    """Return the coding of the form that answers a GET or HEAD, None for identity.

    meta: the identity form's; None where nothing is stored. What asks for bytes of a known
    representation gets identity. An If-Range that is a date does not say which form the client
    has a part of, so it does not hold: the client gets the whole (RFC 9110 13.1.5).
    """
    headers = request.headers
    coding = negotiated(headers.get(b"accept-encoding"), offered)
    if coding is None or b"if-match" in headers:
        return None
    if b"range" in headers and request.method == b"GET":
        held = headers.get(b"if-range")
        etag = b"" if meta is None else meta.etag
        if held is None or strong_match(held.strip(b" \t"), etag):
            return None
    return coding


@lru_cache(2048)
def _facts(head: bytes) -> tuple[int, bytes, int | None] | None:
    """Return status, media type and length of a body that may be coded; None: it may not.

    length: of the whole body, None when not known.
    """
    fields: dict[bytes, bytes] = {}
    for written, value in _FACT.findall(head):
        name = written.lower()
        fields[name] = b", ".join((fields[name], value)) if name in fields else value
    if fields.get(b"content-encoding") or b"content-type" not in fields:
        return None
    directives = parse_directives(fields.get(b"cache-control", b""))
    if any(each.name == b"no-transform" for each in directives):
        return None  # RFC 9111 5.2.2.6
    media_type = fields[b"content-type"].partition(b";")[0].rstrip(b" \t").lower()
    length = fields.get(b"content-length", b"")
    known = int(length) if length.isdigit() and b"content-range" not in fields else None
    return int(head[9:12]), media_type, known


def is_codable(head: bytes, compression: Compression, *, part: bool = False) -> bool:
    """Tell whether a response has coded forms. head: wire head, as `stored_head` writes it.

    A 200 of a listed type, long enough, that has no Content-Encoding and may be
    transformed. part: ask whether a 206 is a part of such a one.
    """
    facts = _facts(head)
    if facts is None:
        return False
    status, media_type, length = facts
    if status != 200 and not (part and status == 206):
        return False
    return compression.lists(media_type) and (length is None or length >= compression.min_length)


@lru_cache(2048)
def varied_head(head: bytes) -> bytes:
    """Return a wire head that says Vary: Accept-Encoding, besides what it says already."""
    values = _VARY.findall(head)
    names = [name for value in values for name in list_members(value)]
    if b"*" in names or b"accept-encoding" in [name.lower() for name in names]:
        return head
    line = b"Vary: %b\r\n" % b", ".join([*names, b"Accept-Encoding"])
    if not values:
        return head + line
    at = _VARY.search(head)
    assert at is not None
    return head[: at.start()] + line + _VARY.sub(b"", head[at.end() :])


def coded_etag(etag: bytes, coding: bytes) -> bytes:
    """Return the ETag of a coded form: weak, and another for each coding; empty for none."""
    tag = _TAG.fullmatch(etag)
    return b'W/"%b-%b"' % (tag[1], coding) if tag is not None else b""


@lru_cache(2048)
def coded_head(head: bytes, coding: bytes, length: int | None) -> bytes:
    """Return the wire head of a coded form. head: the identity form's, whole.

    length: bytes in the coded body, None while it is not known. Digests of the identity
    form's bytes are gone, and Accept-Ranges: there are none of this form.
    """
    found = _ETAG.findall(head)
    etag = coded_etag(found[0], coding) if len(found) == 1 else b""
    return b"".join(
        (
            _CODED_LINES.sub(b"", varied_head(head)),
            b"ETag: %b\r\n" % etag if etag else b"",
            b"Content-Encoding: %b\r\n" % coding,
            b"" if length is None else b"Content-Length: %d\r\n" % length,
        )
    )
