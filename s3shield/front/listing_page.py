"""A listing as a page for people, and as nginx's `autoindex_format json`. Pure.

Names are whatever somebody has put into the bucket: each is escaped where it is text, encoded
where it is a link, and kept from changing the direction of what stands around it. The page has no
script, and the policy that goes with it allows none.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from email.utils import formatdate
from html import escape
from typing import Final

from s3shield.signing import encode_key

from .listing_xml import Listed, Listing

__all__ = ["CONTENT_POLICY", "html_page", "json_page"]

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2126; --soft: #5a636e; --line: #dde1e6;
  --back: #fff; --row: #f4f6f8; --link: #0b57c2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --soft: #a3adb8; --line: #343b43;
  --back: #15181c; --row: #1e2329; --link: #8ab8ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 3rem; background: var(--back);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0 .5rem 1rem; font-size: 1.25rem; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; }
caption { padding: 0 .5rem .5rem; text-align: left; color: var(--soft); font-size: .875rem; }
th, td { padding: .4rem .5rem; text-align: left; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-size: .875rem; font-weight: 600; }
tbody th { font-weight: 400; overflow-wrap: anywhere; white-space: pre-wrap; }
tbody tr:hover { background: var(--row); }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td { color: var(--soft); white-space: nowrap; font-variant-numeric: tabular-nums; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 2px; }
nav { margin: 1.25rem .5rem 0; }
nav a { display: inline-block; padding: .4rem .8rem; border: 1px solid var(--line);
  border-radius: .4rem; }
@media (max-width: 30rem) { .t { display: none; } body { padding: 1rem .5rem 2rem; } }
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
).encode()
"""The page's Content-Security-Policy: its own style, and nothing else."""

# Controls, and what turns the direction of text around: shown as one sign for "something".
_UNSEEN: Final = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]")
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def _shown(name: bytes) -> str:
    """Return a name as text that is safe in HTML."""
    text = name.decode("utf-8", "replace")
    return escape(_UNSEEN.sub("\ufffd", text))


def _size(size: int | None) -> str:
    if size is None:
        return "\u2013"
    value, unit = float(size), 0
    while value >= 1023.95 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    return f"{size} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def _name_cell(each: Listed) -> str:
    shown = f"<bdi>{_shown(each.name)}</bdi>"
    if each.name.rstrip(b"/") in (b".", b".."):
        return shown  # a browser would not ask for it
    # With `./` in front `javascript:x` is a name as well.
    return f'<a href="./{encode_key(each.name).decode("ascii")}">{shown}</a>'


def _row(each: Listed) -> str:
    when = "\u2013"
    if each.modified is not None:
        moment = datetime.fromtimestamp(each.modified, UTC)
        when = f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment:%Y-%m-%d %H:%M}</time>'
    exact = "" if each.size is None else f' title="{each.size} bytes"'
    return (
        f'<tr><th scope="row">{_name_cell(each)}</th>'
        f'<td class="n"{exact}>{_size(each.size)}</td><td class="t">{when}</td></tr>\n'
    )


def html_page(listing: Listing, path: bytes, *, up: bool, first: bool) -> bytes:
    """Return the page. path: decoded, as asked for. up: link to the directory above.

    first: it is the first page of the listing.
    """
    title = f"Index of {_shown(path)}"
    folders = sum(each.is_directory for each in listing.names)
    files = len(listing.names) - folders
    counts = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((folders, "folder"), (files, "file"))
        if count
    ]
    part = " on this page" if listing.token or not first else ""
    caption = (" and ".join(counts) or "Nothing here") + part + ". Times are UTC."
    rows = [_row(each) for each in listing.names]
    if up:
        rows.insert(
            0,
            '<tr><th scope="row"><a href="../">../</a></th><td class="n">\u2013</td>'
            '<td class="t">\u2013</td></tr>\n',
        )
    links = []
    if not first:
        links.append('<a href="?" rel="first">First page</a>')
    if listing.token:
        links.append(f'<a href="?page={encode_token(listing.token)}" rel="next">Next page</a>')
    pages = f'<nav aria-label="Pages">{" ".join(links)}</nav>\n' if links else ""
    text = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>Index of <bdi>{_shown(path)}</bdi></h1>\n<table>\n<caption>{caption}</caption>\n"
        '<thead><tr><th scope="col">Name</th><th scope="col" class="n">Size</th>'
        '<th scope="col" class="t">Modified</th></tr></thead>\n'
        f"<tbody>\n{''.join(rows)}</tbody>\n</table>\n{pages}</main>\n</body>\n</html>\n"
    )
    return text.encode("utf-8", "replace")


def json_page(listing: Listing) -> bytes:
    """Return names as nginx's `autoindex_format json` has them.

    A directory has no `mtime`: S3 knows none. Bytes that are no UTF-8 are U+FFFD.
    """
    lines = []
    for each in listing.names:
        name = each.name.removesuffix(b"/") if each.is_directory else each.name
        fields: dict[str, object] = {
            "name": name.decode("utf-8", "replace"),
            "type": "directory" if each.is_directory else "file",
        }
        if each.modified is not None:
            fields["mtime"] = formatdate(each.modified, usegmt=True)
        if each.size is not None:
            fields["size"] = each.size
        lines.append(json.dumps(fields, ensure_ascii=True))
    return b"[\n" + ",\n".join(lines).encode("ascii") + b"\n]\n"


def encode_token(token: bytes) -> str:
    """Return a token as it stands in a query."""
    return base64.urlsafe_b64encode(token).decode("ascii").rstrip("=")


def decode_token(text: bytes) -> bytes | None:
    """Return the token that was encoded, None for what is none."""
    if not re.fullmatch(rb"[A-Za-z0-9_-]{1,6000}", text):
        return None
    try:
        token = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    return token if re.fullmatch(rb"[!-~]{1,4096}", token) else None
