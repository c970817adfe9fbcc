"""Options that Apache gives for everything, for a host or for a path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .apache_access import lowered
from .draft import Draft, Section
from .source import Block, Directive

__all__ = ["add_cache", "add_daemon", "add_options"]

_SECONDS: Final = {
    "cachedefaultexpire": "proxy_cache_valid",
    "cachelockmaxage": "proxy_cache_lock_age",
}
_CACHE: Final = "main"
_FORMATS: Final = ("combined", "common")
_STANDARD: Final = {"/dev/stdout": "stdout", "/dev/stderr": "stderr"}


def add_daemon(draft: Draft, top: Section, blocks: Sequence[Block]) -> None:
    """Put what is about the daemon into `[s3shield]`. blocks: global, then the hosts'."""
    ledger = draft.ledger
    for each in lowered(blocks[0], "user", "group"):
        if "$" in each.first or each.first.startswith("#"):
            ledger.lost(each, "this is no name", f"give {each.name.lower()} in [s3shield]")
        else:
            draft.put(top, each.name.lower(), each.first, each)
    for each in lowered(blocks[0], "keepalivetimeout"):
        draft.put(top, "keepalive_timeout", each.first, each)
    everything = [each for block in blocks for each in block]
    levels = lowered(everything, "loglevel")
    level = levels[0].first.lower() if levels else "warn"
    if level.startswith("trace"):
        level = "debug"
    for at, each in enumerate(lowered(everything, "errorlog")):
        if at or each.first.startswith(("|", "syslog")) or "$" in each.first:
            ledger.lost(each, "there is one error log for all, a file or `syslog`")
        else:
            path = _STANDARD.get(each.first, each.first)
            draft.put(top, "error_log", f"{path} {level}", each)
            ledger.used(*levels)
    for each in levels:
        if not ledger.knows(each):
            ledger.lost(each, "there is one error log for all", "its level stands behind its name")
    taken = False
    for each in lowered(everything, "customlog", "transferlog"):
        form = each.args[1] if len(each.args) > 1 else "combined"
        if taken or each.first.startswith("|") or "$" in each.first:
            ledger.lost(each, "there is one access log for all, a file or `syslog`")
            continue
        taken = True
        path = _STANDARD.get(each.first, each.first)
        draft.put(top, "access_log", f"{path} combined", each)
        if form not in _FORMATS or len(each.args) > 2:
            ledger.lost(each, "it is `combined` here", "formats are written with nginx's variables")


def add_options(draft: Draft, section: Section, block: Block) -> None:
    """Put the options of a block into the section that stands for it."""
    ledger = draft.ledger
    for each in block:
        name = each.name.lower()
        value = each.first
        if name == "header":
            _header(draft, section, each)
        elif name == "limitrequestbody":
            draft.put(section, "client_max_body_size", "1t" if value == "0" else value, each)
        elif name in _SECONDS:
            draft.put(section, _SECONDS[name], f"{value}s", each)
        elif name == "cachemaxfilesize":
            draft.put(section, "max_object_size", value, each)
        elif name == "cachelock":
            draft.put(section, "proxy_cache_lock", value.lower(), each)
        elif name == "cachestaleonerror" and value.lower() == "off":
            draft.put(section, "proxy_cache_use_stale", "updating", each)
        elif name == "cachestaleonerror":
            ledger.used(each)


def _header(draft: Draft, section: Section, each: Directive) -> None:
    ledger = draft.ledger
    words = list(each.args)
    if words and words[0].lower() in ("always", "onsuccess"):
        words.pop(0)
    action = words[0].lower() if words else ""
    if action == "unset" and len(words) == 2:
        _hide(draft, section, words[1], each)
    elif action in ("set", "add") and len(words) == 3 and "%" not in words[2] and words[2]:
        if action == "set":
            _hide(draft, section, words[1], each)
        value = f'"{words[2]}"' if " " in words[2] else words[2]
        draft.put(section, "add_header", f"{words[1]} {value}", each)
    else:
        ledger.lost(each, "of Header just set, add and unset are known here, with a fixed value")


def _hide(draft: Draft, section: Section, name: str, each: Directive) -> None:
    before = section.get("proxy_hide_header")
    names = [] if before is None else before.split()
    if name.lower() not in [known.lower() for known in names]:
        names.append(name)
    draft.put(section, "proxy_hide_header", " ".join(names), each)


def add_cache(draft: Draft, section: Section, path: str, scopes: Sequence[Block]) -> None:
    """Let a location cache where a CacheEnable covers its path. scopes: blocks around it."""
    enabled = None
    root = None
    for block in scopes:
        for each in lowered(block, "cacheroot", "cachesocache"):
            root = each
        for each in lowered(block, "cacheenable"):
            if len(each.args) < 2 or path.startswith(each.args[1]):
                enabled = each
        for each in lowered(block, "cachedisable"):
            if not each.args or path.startswith(each.first):
                enabled = None
                draft.ledger.used(each)
    if enabled is None:
        return
    cache = draft.section("cache", _CACHE)
    if cache.get("path") is None:
        known = root is not None and root.name.lower() == "cacheroot" and "$" not in root.first
        if root is not None and known:
            draft.put(cache, "path", root.first, root)
            draft.ledger.lost(
                root,
                "the cache begins empty, and htcacheclean deletes what it does not know",
                "stop Apache and empty the directory first, or give another path",
            )
        else:
            draft.put(cache, "path", "/var/cache/s3shield")
    draft.put(section, "proxy_cache", _CACHE, enabled)
