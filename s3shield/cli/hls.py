"""HLS playlists (RFC 8216): the URIs in one. Pure."""

from __future__ import annotations

import re
from typing import Final

import attrs

__all__ = ["Playlist", "read_playlist"]

_MOST: Final = 200_000
_URI: Final = re.compile(r'(?:^|[:,])URI="([^"]*)"')
_PLAYLISTS: Final = ("#EXT-X-MEDIA:", "#EXT-X-I-FRAME-STREAM-INF:")
_PARTS: Final = ("#EXT-X-MAP:", "#EXT-X-KEY:", "#EXT-X-SESSION-KEY:", "#EXT-X-PART:")


@attrs.frozen
class Playlist:
    """URIs as they stand in it: of further playlists, and of what is played."""

    playlists: tuple[str, ...]
    parts: tuple[str, ...]


def read_playlist(document: bytes) -> Playlist:
    """Read a master playlist or one of media. Raises ValueError when it is none."""
    lines = [line.strip() for line in document.decode("utf-8-sig", "replace").splitlines()]
    if not lines or lines[0] != "#EXTM3U":
        raise ValueError("it is no HLS playlist: it does not begin with #EXTM3U")
    if len(lines) > _MOST:
        raise ValueError("it is longer than any playlist")
    playlists: list[str] = []
    parts: list[str] = []
    stream = False
    for line in lines[1:]:
        if line.startswith("#EXT-X-STREAM-INF:"):
            stream = True  # the line after it is a playlist's
        elif line.startswith(_PLAYLISTS):
            playlists += _URI.findall(line)
        elif line.startswith(_PARTS):
            parts += [uri for uri in _URI.findall(line) if _is_fetched(uri)]
        elif line and not line.startswith("#"):
            (playlists if stream else parts).append(line)
            stream = False
    return Playlist(tuple(dict.fromkeys(playlists)), tuple(dict.fromkeys(parts)))


def _is_fetched(uri: str) -> bool:
    """Tell a URI of HTTP from a key's `skd://` or `data:`."""
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", uri)
    return scheme is None or scheme[0].lower() in ("http:", "https:")
