"""What an Apache configuration passes on: ProxyPass in its forms, IsmProxyPass, rules with [P]."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import attrs

from .apache_access import lowered
from .buckets import Url
from .ledger import Ledger
from .regexes import python_regex
from .source import Block, Directive

__all__ = ["PATHS", "TREES", "Pass", "find_passes", "read_address", "takes"]

PATHS: Final = ("<location>", "<locationmatch>")
TREES: Final = ("<directory>", "<directorymatch>")


@attrs.frozen
class Pass:
    """Something that is passed on.

    path: a prefix, or a regex where that is so. address: a URL. blocks: sections around
    it. words: of ProxyPass behind the address.
    """

    source: Directive
    path: str
    address: str
    blocks: tuple[Block, ...] = ()
    words: tuple[str, ...] = ()
    is_regex: bool = False


def find_passes(block: Block, whole: Block, ledger: Ledger) -> Iterator[Pass]:
    """Yield what a block passes on. whole: the global block, for its DocumentRoot."""
    for each in block:
        name, words = each.name.lower(), each.args
        inside = each.block or ()
        if name == "proxypass" and len(words) > 1:
            yield Pass(each, words[0], words[1], (), words[2:])
        elif name == "proxypassmatch" and len(words) > 1:
            yield Pass(each, words[0], words[1], (), words[2:], is_regex=True)
        elif name == "rewriterule" and len(words) == 3:
            yield from _rule(each, block)
        elif name in PATHS and words:
            regex = name == "<locationmatch>" or words[0] == "~"
            path = words[-1]
            for inner in lowered(inside, "proxypass", "proxypassmatch", "ismproxypass"):
                if inner.args:
                    yield Pass(inner, path, inner.first, (inside,), inner.args[1:], regex)
        elif name in TREES and words:
            for inner in lowered(inside, "ismproxypass"):
                ledger.used(each)
                found = _directory(words[-1], (*block, *whole))
                if found is None:
                    ledger.lost(
                        inner, "which path this directory has is not said", "DocumentRoot says"
                    )
                else:
                    yield Pass(inner, found, inner.first, (inside,))


def _rule(each: Directive, block: Block) -> Iterator[Pass]:
    flags = {flag.strip().upper() for flag in each.args[2].strip("[]").split(",")}
    at = list(block).index(each)
    conditions = at > 0 and block[at - 1].name.lower() == "rewritecond"
    if flags & {"P", "PROXY"} and not conditions:
        yield Pass(each, each.first, each.args[1], (), (), is_regex=True)


def _directory(tree: str, block: Block) -> str | None:
    """Return the path of a directory: below DocumentRoot, or the end of both."""
    roots = lowered(block, "documentroot")
    tidy = tree.rstrip("/") + "/"
    for each in roots:
        root = each.first.rstrip("/") + "/"
        if tidy.startswith(root):
            return "/" + tidy.removeprefix(root)
    paths = [each.first for each in lowered(block, "<location>") if each.args]
    ends = [path for path in paths if path != "/" and tidy.endswith(path.rstrip("/") + "/")]
    return max(ends, key=len).rstrip("/") + "/" if ends else None


def read_address(text: str, *, regex: bool) -> tuple[Url, str] | None:
    """Return an address with its path, which may name groups of a regex; None: it is none."""
    parts = re.fullmatch(r"(?i)(https?://[^/?$]+)(/[^?#]*)?", text)
    url = None if parts is None else Url.parse(parts[1])
    if parts is None or url is None:
        # ProxyPassMatch ^(/.*)$ http://origin$1
        parts = re.fullmatch(r"(?i)(https?://[^/?$]+)(\$[0-9])", text) if regex else None
        url = None if parts is None else Url.parse(parts[1])
        if parts is None or url is None:
            return None
    tail = parts[2] or "/"
    if "%{" in tail or (not regex and "$" in tail):
        return None
    return attrs.evolve(url, path=tail), tail


def takes(section: Directive, path: str) -> bool:
    """Tell whether a <Location> or <LocationMatch> takes all of a path."""
    pattern = section.args[-1]
    if section.name.lower() == "<locationmatch>" or section.first == "~":
        try:
            return re.search(python_regex(pattern), path) is not None
        except (re.error, OverflowError, RecursionError):
            return True
    return pattern == "/" or path.startswith(pattern.rstrip("/") + "/")
