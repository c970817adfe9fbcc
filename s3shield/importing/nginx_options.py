"""Options that nginx's http, server and location blocks share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from .draft import Draft, Section
from .nginx_compression import COMPRESSION, add_compression
from .nginx_words import SAME
from .source import Block, Directive, own

__all__ = ["OPTIONS", "add_caches", "add_options", "merged"]

_JOINED: Final = frozenset(
    {"proxy_cache_bypass", "proxy_no_cache", "proxy_ignore_headers", "proxy_hide_header"}
)
"""Directives that may be given several times; each adds to those before it."""
_UNCACHED: Final = frozenset({"proxy_cache_bypass", "proxy_no_cache", "proxy_cache_key"})
OPTIONS: Final = frozenset({*SAME, *COMPRESSION, "add_header", "proxy_cache", "proxy_cache_key"})
"""Directives that `add_options` takes."""
_USUAL_KEYS: Final = frozenset(
    {
        "$scheme$proxy_host$request_uri",
        "$scheme$proxy_host$uri$is_args$args",
        "$proxy_host$request_uri",
        "$proxy_host$uri$is_args$args",
        "$request_uri",
        "$uri$is_args$args",
    }
)
_CACHE_STATUS: Final = ("$upstream_cache_status", "${upstream_cache_status}")
_ZONE: Final = re.compile(r"[^A-Za-z0-9_.+-]")
_NO_LIMIT: Final = "1t"


def merged(blocks: Iterable[Block]) -> list[Directive]:
    """Return what is in force in the innermost of nested locations.

    What a block says of one thing replaces all that those around it say of it.
    """
    found: list[Directive] = []
    for block in blocks:
        names = {each.name for each in block}
        found = [each for each in found if each.name not in names]
        found += [each for each in block if each.name in OPTIONS]
    return found


def add_options(draft: Draft, section: Section, directives: Sequence[Directive]) -> None:
    """Put the options of one block into a section."""
    add_compression(draft, section, directives)
    for each in directives:
        if each.name == "proxy_cache":
            _cache(draft, section, each)
        elif each.name == "proxy_cache_key":
            _key(draft, section, each)
        elif each.name == "add_header":
            _header(draft, section, each)
        elif each.name == "client_max_body_size" and each.first in ("0", "0k", "0m"):
            draft.put(section, each.name, _NO_LIMIT, each)
        elif each.name in SAME:
            value = " ".join(each.args)
            option = SAME[each.name]
            before = section.get(option)
            if each.name in _JOINED and before is not None:
                value = f"{before} {value}"
            draft.put(section, option, value, each, uncached=each.name in _UNCACHED)


def _cache(draft: Draft, section: Section, each: Directive) -> None:
    zone = _ZONE.sub("-", each.first)
    if "$" in each.first:
        draft.ledger.lost(each, "which cache it is cannot depend on the request", "name one")
        draft.put(section, "proxy_cache", "off")
        return
    if zone != "off" and not any(
        known.kind == "cache" and known.name == zone for known in draft.sections
    ):
        made = draft.section("cache", zone)
        draft.put(made, "path", f"/var/cache/s3shield/{zone}")
        draft.ledger.lost(
            each,
            "no proxy_cache_path that was read names this zone",
            f"see to the path in [cache:{zone}]",
        )
    draft.put(section, "proxy_cache", zone, each)


def _key(draft: Draft, section: Section, each: Directive) -> None:
    """The origin stands in front of our key anyway, and blocks are kept apart."""
    key = each.first.strip().replace("${", "$").replace("}", "")
    if "$slice_range" in key:
        key = key.replace("$slice_range", "")
    if key in _USUAL_KEYS:
        draft.ledger.needless(each, "the key is the origin, the path and the query anyway")
        return
    rest = re.sub(r"\$proxy_(?:host|port)\b", "", each.first.replace("$slice_range", ""))
    draft.put(section, "proxy_cache_key", rest, each, uncached=True)


def _header(draft: Draft, section: Section, each: Directive) -> None:
    words = list(each.args)
    always = len(words) == 3 and words[2] == "always"
    if len(words) != 2 and not always:
        draft.ledger.lost(each, "an add_header has a name and a value")
        return
    name, value = words[:2]
    if value in _CACHE_STATUS:
        draft.ledger.used(each)
        if name != "X-Cache-Status":
            draft.put(section, "cache_status_header", name, each)
        # As in nginx, what is added further out is not added here.
        if not any(entry.option == "add_header" for entry in section.entries):
            draft.put(section, "add_header", f'{name} ""')
        return
    if not value:
        draft.ledger.needless(each, "nothing is added")
        return
    blank = [e for e in section.entries if e.option == "add_header" and e.value.endswith(' ""')]
    for entry in blank:
        section.entries.remove(entry)
    quoted = f'"{value}"' if " " in value or value.endswith('"') else value
    ending = " always" if always else ""
    draft.put(section, "add_header", f"{name} {quoted}{ending}", each)


def add_caches(draft: Draft, block: Block) -> None:
    """Make a `[cache:...]` of each proxy_cache_path."""
    paths: dict[str, str] = {}
    for each in own(block, "proxy_cache_path"):
        words = dict(word.partition("=")[::2] for word in each.args[1:])
        zone = _ZONE.sub("-", words.get("keys_zone", "").partition(":")[0])
        if not zone or not each.first or "$" in each.first:
            draft.ledger.lost(each, "it names no directory or no keys_zone")
            continue
        tidy = each.first.rstrip("/") or "/"
        if tidy in paths:
            draft.ledger.lost(each, f"[cache:{paths[tidy]}] has the directory already")
            continue
        paths[tidy] = zone
        section = draft.section("cache", zone)
        draft.put(section, "path", each.first, each)
        for option in ("max_size", "min_free", "inactive"):
            if option in words:
                draft.put(section, option, words[option], each)
        draft.ledger.lost(
            each,
            "the cache begins empty, and nginx deletes files in it that are not its own",
            "stop nginx and empty the directory first, or give another path",
        )
