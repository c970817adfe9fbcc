"""Sitemaps (https://www.sitemaps.org/protocol.html): the URLs in one. Pure."""

from __future__ import annotations

import zlib
from typing import Final

from .bounded_xml import BadXmlError, read_xml

__all__ = ["MAX_SITEMAP", "read_sitemap"]

MAX_SITEMAP: Final = 50 << 20
"""Bytes: the protocol's limit, unpacked."""
_ELEMENTS: Final = 1_000_000
_GZIP: Final = b"\x1f\x8b"


def read_sitemap(document: bytes) -> tuple[list[str], bool]:
    """Return the URLs in order, and whether they are of further sitemaps.

    document: XML, perhaps packed by gzip; or a text with a URL a line. Raises BadXmlError.
    """
    if document.startswith(_GZIP):
        document = _unpacked(document)
    if len(document) > MAX_SITEMAP:
        raise BadXmlError("it is larger than a sitemap may be")
    if not document.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return document.decode("utf-8", "surrogateescape").split(), False
    found: list[str] = []
    root: list[str] = []

    def end(path: tuple[str, ...], text: str) -> None:
        if path[1:] in (("url", "loc"), ("sitemap", "loc")):
            root.append(path[0])
            found.append(text)
        elif len(path) == 1 and path[0] not in ("urlset", "sitemapindex"):
            raise BadXmlError(f"it is no sitemap but <{path[0][:40]}>")

    read_xml(document, end=end, most=_ELEMENTS)
    return found, "sitemapindex" in root


def _unpacked(document: bytes) -> bytes:
    unpack = zlib.decompressobj(31)
    try:
        return unpack.decompress(document, MAX_SITEMAP + 1)
    except zlib.error as why:
        raise BadXmlError(f"it cannot be unpacked: {why}") from None
