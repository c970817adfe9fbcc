"""Addresses of S3 told from others, and `[bucket:...]` sections made of them."""

from __future__ import annotations

import re
from typing import Final

import attrs

from .draft import Draft, Entry, Section, mistakes
from .source import Directive

__all__ = ["Keys", "Place", "Url", "add_bucket", "find_bucket"]

_AMAZON: Final = re.compile(
    r"(?:(?P<bucket>.+)\.)?"
    r"(?P<host>s3(?:[.-](?:dualstack\.|fips\.)?"
    r"(?P<region>(?!website|control|object)[a-z]{2,}(?:-[a-z0-9]+)+))?"
    r"\.amazonaws\.com(?:\.cn)?)"
)
_PORTS: Final = {"http": 80, "https": 443}
_OPTIONAL: Final = ("aws_role_arn", "aws_role_session_name")
"""What this version may not take, and a bucket can be signed for without."""


@attrs.frozen
class Url:
    """`scheme://host:port/path`. port: None for the scheme's. path: "" when there is none."""

    scheme: str
    host: str
    port: int | None
    path: str

    @classmethod
    def parse(cls, text: str) -> Url | None:
        """Read one; None for what is none, or has a user or a query in it."""
        found = re.fullmatch(
            r"(?i)(https?)://(\[[0-9a-f:]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?(/[^?#]*)?", text
        )
        if found is None:
            return None
        scheme, host, port, path = found.groups()
        number = None if port is None else int(port)
        if number == _PORTS[scheme.lower()]:
            number = None
        return cls(scheme.lower(), host.lower().removesuffix("."), number, path or "")

    @property
    def authority(self) -> str:
        """Host, and port when it is not the scheme's."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def root(self) -> str:
        """Without the path."""
        return f"{self.scheme}://{self.authority}"


@attrs.frozen
class Place:
    """A bucket, and how it is reached.

    endpoint: a URL without the bucket. prefix: what of the URL's path is left, from `/` on,
    or "". region: None when the host does not say.
    """

    bucket: str
    endpoint: str
    addressing: str
    region: str | None
    prefix: str


def find_bucket(url: Url, bucket: str | None = None) -> Place | None:
    """Return the bucket that a URL names, or None when it is not S3's.

    bucket: its name where that is known from elsewhere; then any host may be S3's.
    """
    amazon = _AMAZON.fullmatch(url.host)
    if amazon is not None and amazon["bucket"] is not None and bucket in (None, amazon["bucket"]):
        endpoint = attrs.evolve(url, host=amazon["host"]).root
        return Place(amazon["bucket"], endpoint, "auto", amazon["region"], url.path)
    region = None if amazon is None else amazon["region"]
    if bucket is not None and url.host.startswith(f"{bucket}."):
        endpoint = attrs.evolve(url, host=url.host.removeprefix(f"{bucket}.")).root
        return Place(bucket, endpoint, "virtual", region, url.path)
    first, slash, rest = url.path.removeprefix("/").partition("/")
    if first and bucket in (None, first) and (bucket or amazon is not None):
        return Place(first, url.root, "path", region, slash + rest)
    if bucket is not None:
        return Place(bucket, url.root, "path", region, url.path)
    return None


@attrs.frozen
class Keys:
    """What signs. sign: as `aws_sign`. source: the directive that each value is from."""

    sign: str = "off"
    region: str | None = None
    values: tuple[tuple[str, str, Directive | None], ...] = ()
    """(option, value, source) of keys."""

    def without(self) -> Keys:
        """The same, unsigned."""
        return Keys()


def add_bucket(draft: Draft, place: Place, keys: Keys, source: Directive) -> Section:
    """Return the section of a bucket, made when there is none like it.

    With keys that the loader does not take it is unsigned, with a note, so that S3 refuses
    rather than a wrong thing is signed.
    """
    entries = _entries(place, keys, source)
    for option in _OPTIONAL:
        given = [each for each in entries if each.option == option]
        refused = [each for each in mistakes(_alone(entries)) if each.option == option]
        if given and refused:
            entries = [each for each in entries if each not in given]
            if given[0].source is not None:
                draft.ledger.lost(
                    given[0].source, f"it cannot stand in the ini: {refused[0].message}"
                )
    problems = mistakes(_alone(entries))
    if problems:
        at = [each.source for each in entries if each.option == problems[0].option and each.source]
        why = draft.ledger.masking.text(f"{problems[0].option}: {problems[0].message}")
        draft.ledger.used(*[each for _, _, each in keys.values if each is not None])
        draft.ledger.lost(
            at[0] if at else source,
            f"the bucket is not signed for, as its keys cannot stand in the ini: {why}",
            f"give keys in the section of {place.bucket} and take out `aws_sign = off`",
        )
        entries = _entries(place, keys.without(), source)
    facts = [(each.option, each.value) for each in entries]
    taken = set()
    for section in draft.sections:
        if section.kind != "bucket":
            continue
        taken.add(section.name)
        if [(each.option, each.value) for each in section.entries][: len(facts)] == facts:
            draft.ledger.used(*[each.source for each in entries if each.source is not None])
            return section
    name = re.sub(r"[^A-Za-z0-9_.+-]", "-", place.bucket)
    number = 2
    unique = name
    while unique in taken:
        unique, number = f"{name}-{number}", number + 1
    made = draft.section("bucket", unique)
    for entry in entries:
        draft.put(made, entry.option, entry.value, entry.source)
    return made


def _entries(place: Place, keys: Keys, source: Directive) -> list[Entry]:
    entries = [
        Entry("aws_s3_bucket", place.bucket, source),
        Entry("aws_endpoint", place.endpoint, source),
    ]
    if place.addressing != "auto":
        entries.append(Entry("aws_addressing", place.addressing, source))
    scoped = any(option == "aws_key_scope" for option, _, _ in keys.values)
    region = keys.region or place.region
    if region is not None and keys.sign != "off" and not scoped:
        entries.append(Entry("aws_region", region, source))
    if keys.sign != "v4":
        entries.append(Entry("aws_sign", keys.sign, source))
    return entries + [Entry(*each) for each in keys.values]


def _alone(entries: list[Entry]) -> str:
    """Return an ini with one bucket in it."""
    section = Section("bucket", "probe", list(entries))
    draft = Draft.__new__(Draft)
    draft.sections = [section, Section("location", "/", [Entry("bucket", "probe")])]
    return draft.render()[0]
