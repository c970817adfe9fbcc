"""What S3 says of a page of a bucket's keys: ListObjectsV2, read with care.

A document is data of a stranger: the bucket may be anybody's server. It is read by expat as it
comes, without a document type (so there are no entities but XML's own five, and nothing is
loaded), and what it says is not believed: keys outside of the prefix are dropped, numbers and
dates that are none are left out. AWS: API_ListObjectsV2, with encoding-type=url.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote_to_bytes
from xml.parsers import expat  # nosec: no DTD gets past `_no_doctype`

import attrs

__all__ = ["MAX_DOCUMENT", "BadListingError", "Listed", "Listing", "read_listing"]

MAX_DOCUMENT: Final = 4 << 20
"""Bytes of a document that is read: 1000 keys of 1 KiB, all escaped, are less."""
_MAX_ENTRIES: Final = 2000
_MAX_ELEMENTS: Final = 50_000
"""Of a name there are some ten; each costs time, and the event loop waits."""
_MAX_TEXT: Final = 16 * 1024
_MAX_DEPTH: Final = 8
_SIZE: Final = re.compile(r"[0-9]{1,18}")
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")

_ROOT: Final = "ListBucketResult"
_WANTED: Final = frozenset(
    {
        (_ROOT, "EncodingType"),
        (_ROOT, "IsTruncated"),
        (_ROOT, "NextContinuationToken"),
        (_ROOT, "Contents", "Key"),
        (_ROOT, "Contents", "Size"),
        (_ROOT, "Contents", "LastModified"),
        (_ROOT, "CommonPrefixes", "Prefix"),
    }
)


class BadListingError(ValueError):
    """What came is no listing; its text is for the log."""


@attrs.frozen
class Listed:
    """One name.

    name: bytes, of a directory with its slash. size, modified (epoch seconds): of a file, None
    where they are not known.
    """

    name: bytes
    size: int | None = None
    modified: int | None = None

    @property
    def is_directory(self) -> bool:
        """Whether there are keys below it."""
        return self.name.endswith(b"/")


@attrs.frozen
class Listing:
    """A page of names: directories, then files, each in the order of the bucket.

    exists: whether there was any key at all with the prefix. token: leads to the next page,
    b"" on the last.
    """

    names: tuple[Listed, ...]
    exists: bool
    token: bytes = b""


class _Reader:
    """Gathers what is wanted of a document while expat reads it."""

    def __init__(self) -> None:
        self.path: list[str] = []
        self.text: list[str] = []
        self.length = self.elements = 0
        self.entries: list[tuple[str, dict[str, str]]] = []
        self.facts: dict[str, str] = {}
        self.rooted = False
        self._wanted = False

    def begin(self, name: str, _attributes: dict[str, str]) -> None:
        if not self.path:
            if name != _ROOT:
                raise BadListingError("it is not a ListBucketResult")
            self.rooted = True
        self.path.append(name)
        self.elements += 1
        if self.elements > _MAX_ELEMENTS:
            raise BadListingError("there are too many elements in it")
        if len(self.path) > _MAX_DEPTH:
            raise BadListingError("it is too deep")
        if len(self.path) == 2 and name in ("Contents", "CommonPrefixes"):
            if len(self.entries) >= _MAX_ENTRIES:
                raise BadListingError("there are more names than were asked for")
            self.entries.append((name, {}))
        self._wanted = tuple(self.path) in _WANTED
        self.text.clear()
        self.length = 0

    def data(self, data: str) -> None:
        if self._wanted:
            self.length += len(data)
            if self.length > _MAX_TEXT:
                raise BadListingError("a text in it is too long")
            self.text.append(data)

    def end(self, name: str) -> None:
        if self._wanted:
            facts = self.facts if len(self.path) == 2 else self.entries[-1][1]
            facts.setdefault(name, "".join(self.text))
            self._wanted = False
        self.path.pop()


def _no_doctype(*_: object) -> None:
    raise BadListingError("there is a document type in it")


def read_listing(document: bytes, prefix: bytes) -> Listing:
    """Return what a document says about the keys that begin with `prefix` and hold no `/` after.

    Raises BadListingError.
    """
    if len(document) > MAX_DOCUMENT:
        raise BadListingError("it is too long")
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")  # whatever the document says
    parser.buffer_text = True
    for event, told in (
        ("StartElement", reader.begin),
        ("EndElement", reader.end),
        ("CharacterData", reader.data),
        ("StartDoctypeDecl", _no_doctype),
        ("EntityDecl", _no_doctype),
    ):
        setattr(parser, f"{event}Handler", told)  # the word is expat's
    try:
        parser.Parse(document, True)
    except expat.ExpatError as why:
        raise BadListingError(f"it is not XML: {expat.errors.messages[why.code]}") from None
    except (ValueError, LookupError) as why:
        if isinstance(why, BadListingError):
            raise
        raise BadListingError(f"it cannot be read: {why}") from None
    encoded = reader.facts.get("EncodingType") == "url"
    directories: dict[bytes, Listed] = {}
    files: dict[bytes, Listed] = {}
    exists = False
    for kind, facts in reader.entries:
        text = facts.get("Prefix" if kind == "CommonPrefixes" else "Key", "")
        key = unquote_to_bytes(text.replace("+", " ")) if encoded else text.encode("utf-8")
        if not key.startswith(prefix):
            continue
        exists = True
        name = key[len(prefix) :]
        if kind == "CommonPrefixes":
            if name.find(b"/") == len(name) - 1 >= 0:
                directories.setdefault(name, Listed(name))
        elif name and b"/" not in name:
            size = facts.get("Size", "")
            files.setdefault(
                name,
                Listed(
                    name,
                    int(size) if _SIZE.fullmatch(size) else None,
                    _instant(facts.get("LastModified", "")),
                ),
            )
    token = reader.facts.get("NextContinuationToken", "")
    if reader.facts.get("IsTruncated") != "true" or not _TOKEN.fullmatch(token):
        token = ""
    return Listing((*directories.values(), *files.values()), exists, token.encode("ascii"))


def _instant(text: str) -> int | None:
    """Return the epoch second of an ISO 8601 date in UTC, None when it is none."""
    if len(text) > 40 or not text.endswith("Z"):
        return None
    try:
        return int(datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return None
