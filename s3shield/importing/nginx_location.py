"""nginx's locations: nested ones made flat, where they go, what guards them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from .buckets import add_bucket
from .draft import Draft, Entry, Section
from .nginx_access import keepers, methods_of, restricted
from .nginx_guards import kept
from .nginx_options import add_options, merged
from .nginx_origin import Origins, Target
from .regexes import by_number, one_word, prefix_rewrite, python_regex, quote_regex, uncaptured
from .source import Block, Chain, Directive, own

__all__ = ["Flat", "Locations", "flatten"]

_AFTER_URI: Final = re.compile(r"\$(?:uri|\{uri\})([^$?]*)")
_HASHES: Final = "passwords that are hashed by DES, or not at all, let nobody in here"
_MARKS: Final = ("=", "^~", "~", "~*")


@attrs.frozen(eq=False)
class Flat:
    """A location, nested or not.

    mark: "", `=`, `^~`, `~` or `~*`. text: path or regex. chain: blocks around it and its
    own. depth: how many of them, at the end, are locations'. inside_prefix: a regex inside
    of a location with a path, which nginx tries before those of the server. others:
    regexes of paths below its own that other locations take.
    """

    source: Directive
    mark: str
    text: str
    chain: Chain
    depth: int
    inside_prefix: bool = False
    others: tuple[str, ...] = ()

    @property
    def block(self) -> Block:
        """Its own block."""
        return self.chain[-1]

    @property
    def pattern(self) -> str:
        """As s3shield writes it."""
        return f"{self.mark} {self.text}".lstrip()

    @property
    def is_regex(self) -> bool:
        """Whether text is a regex."""
        return self.mark in ("~", "~*")

    def covers(self, other: Flat) -> bool:
        """Tell whether paths of the other could fall to this one if the other were not."""
        if self.mark == "=":
            return False
        return self.is_regex or other.is_regex or other.text.startswith(self.text)


def split(directive: Directive) -> tuple[str, str]:
    """Return mark and text of a location's arguments."""
    words = " ".join(directive.args)
    for mark in sorted(_MARKS, key=len, reverse=True):
        if words.startswith(mark):
            return mark, python_regex(words[len(mark) :].strip())
    return "", words.strip()


def flatten(draft: Draft, block: Block, chain: Chain, outer: Flat | None = None) -> Iterator[Flat]:
    """Yield the locations of a block, those within them first: nginx looks there first."""
    locations = own(block, "location")
    beside = [split(each) for each in locations]
    for each in locations:
        mark, text = split(each)
        if text.startswith("@"):
            continue
        if mark not in ("~", "~*") and not text.startswith("/"):
            draft.ledger.lost(each, "no path begins so: nothing ever came here")
            continue
        if outer is not None and mark in ("~", "~*"):
            if outer.mark == "^~":
                draft.ledger.access(
                    each,
                    "a regex inside of a ^~ location cannot be said here",
                    "write it as a location of its own; until then the outer one is closed",
                )
                continue
            text = _within(outer, text)
        depth = 1 if outer is None else outer.depth + 1
        inside = each.block or ()
        regex = mark in ("~", "~*")
        first = outer is not None and regex and (outer.inside_prefix or not outer.is_regex)
        others = () if outer is None else outer.others
        if not regex:
            others += tuple(
                quote_regex(other) + ("$" if kind == "=" else "")
                for kind, other in beside
                if kind not in ("~", "~*") and other.startswith(text) and other != text
            )
        flat = Flat(each, mark, text, (*chain, inside), depth, first, others)
        yield from flatten(draft, inside, flat.chain, flat)
        yield flat


def _within(outer: Flat, regex: str) -> str:
    """Return a regex that matches only what the outer location takes, with groups as it had."""
    minded = "i" if outer.mark == "~*" else "-i"
    if outer.is_regex:
        return f"^(?=.*?(?{minded}:{uncaptured(outer.text)})).*?(?:{regex})"
    below = "".join(f"(?!(?-i:{other}))" for other in outer.others)
    return f"^(?=(?-i:{quote_regex(outer.text)})){below}.*?(?:{regex})"


class Locations:
    """Makes `[location:...]` sections of one server. server: its section's name, or ""."""

    def __init__(self, draft: Draft, origins: Origins, server: str) -> None:
        self.draft = draft
        self.origins = origins
        self.server = server
        self.made: list[tuple[Flat, Section]] = []
        self.unserved: list[Flat] = []
        self.patterns: set[tuple[str, str]] = set()

    def add(self, flats: Sequence[Flat]) -> None:
        """Make them all, in the order in which nginx looks at their regexes."""
        for flat in flats:
            self.one(flat, several=len(flats) > 1)
        made = {flat.source: section for flat, section in self.made}
        # A path that was never the bucket's must not become so.
        for flat in self.unserved:
            over = [section for other, section in self.made if other.covers(flat)]
            if over:
                section = made[flat.source] = self.section(flat)
                for option in ("bucket", "origin"):
                    value = over[0].get(option)
                    if value is not None:
                        section.entries.append(Entry(option, value, flat.source))
                section.close()
        ordered = sorted(flats, key=lambda flat: not flat.inside_prefix)
        sections = [made[flat.source] for flat in ordered if flat.source in made]
        self.draft.sections = [each for each in self.draft.sections if each not in sections]
        self.draft.sections += sections

    def section(self, flat: Flat) -> Section:
        """Return a new section for a location."""
        section = self.draft.section("location", flat.pattern)
        section.server = self.server
        if self.server:
            section.entries.append(Entry("server", self.server, flat.source))
        return section

    def one(self, flat: Flat, *, several: bool) -> None:
        """Make the section of one location, or put it aside when nothing here serves it."""
        ledger = self.draft.ledger
        kind = "prefix" if flat.mark in ("", "^~") else flat.mark
        if (kind, flat.text) in self.patterns:
            ledger.lost(flat.source, "the server has this location already")
            return
        self.patterns.add((kind, flat.text))
        door, flat = flat, self.behind(flat)
        answers = own(flat.block, "return")
        target = (
            None if answers else self.origins.find(flat.chain, flat.text, is_regex=flat.is_regex)
        )
        if target is None:
            why = "it is not passed on to an origin; here it is answered 404 or 405"
            for each in answers:
                ledger.lost(each, "answers of the configuration's own are not made here", why)
            kept_out = self.kept_out(door, flat)
            if not kept_out and not ledger.knows(flat.source):
                ledger.note(flat.source, why, "leave it to another server")
            ledger.used(flat.source)
            self.unserved.append(flat)
            return
        ledger.used(flat.source)
        section = self.section(flat)
        self.made.append((flat, section))
        if target.place is not None:
            bucket = add_bucket(self.draft, target.place, target.keys, target.source)
            section.entries.append(Entry("bucket", bucket.name, target.source))
        else:
            section.entries.append(Entry("origin", target.url.root, target.source))
        ledger.used(target.source)
        self.rewrites(flat, section, target, several=several)
        add_options(self.draft, section, merged(flat.chain[-flat.depth :]))
        self.methods(flat, section)
        if target.missing_403:
            self.draft.put(section, "missing_403", "404")
        self.guard(door, flat, section)

    def guard(self, door: Flat, flat: Flat, section: Section) -> None:
        """Let in whom the location, and the one that it leads to, let in; else nobody."""
        ledger = self.draft.ledger
        found = keepers(door.chain, ledger)
        guards = kept(door.chain, found)
        if flat is not door and guards is not None:
            inner = kept(flat.chain, keepers(flat.chain, ledger))
            if inner is None or [x.words for x in inner] != [x.words for x in guards]:
                guards = None  # who comes by both would have to pass both
        if guards is None:
            self.kept_out(door, flat)
            section.close()
            return
        ledger.used(*found)
        for each in guards:
            ledger.whole(each.source)
            if each.option:
                self.draft.put(section, each.option, each.value, each.source, guard=True)
            if each.option == "auth_basic_user_file":
                ledger.lost(each.source, _HASHES, "see the error log when it is first asked for")

    def kept_out(self, door: Flat, flat: Flat) -> bool:
        """Tell whether somebody is: by the location, or by the one that it leads to."""
        found = [restricted(each.chain, self.draft.ledger) for each in (door, flat)]
        return any(found)

    def behind(self, flat: Flat) -> Flat:
        """Return the location with that of its `try_files ... @name` inside, if it has one."""
        server = flat.chain[-flat.depth - 1]
        for each in own(flat.block, "try_files"):
            name = each.args[-1] if each.args else ""
            for named in own(server, "location"):
                if name.startswith("@") and named.args == (name,):
                    self.draft.ledger.lost(
                        each, f"no files of this machine are looked for: all goes to {name}"
                    )
                    self.draft.ledger.used(named)
                    chain = (*flat.chain, named.block or ())
                    return attrs.evolve(flat, chain=chain, depth=flat.depth + 1)
        return flat

    def rewrites(self, flat: Flat, section: Section, target: Target, *, several: bool) -> None:
        """Add the rewrites of its own block, then what proxy_pass does with the path."""
        ledger = self.draft.ledger
        lines = own(flat.block, "rewrite")
        if target.unchanged:
            for each in lines:
                ledger.needless(each, "proxy_pass sends $request_uri, the path as it came")
            lines = []
        if target.front and len(lines) > 1:
            ledger.access(
                target.source,
                "several rewrites and then a path in front cannot be said here",
                "write the rewrites by hand, then take `methods` out of the location",
            )
            section.close()
        for each in lines:
            words = each.args
            flag = words[2] if len(words) > 2 else ""
            if len(words) not in (2, 3) or any(not w or re.search(r"\s", w) for w in words):
                ledger.lost(each, "a rewrite has two words, without space in them, and a flag")
                section.close()
                continue
            if flag in ("redirect", "permanent") or "://" in words[1]:
                ledger.lost(each, "redirects are not made here", "redirect in front of s3shield")
                continue
            if flag != "break" and several:
                ledger.lost(
                    each,
                    "the location is not chosen again after it, as nginx does",
                    "see that the bucket behind this location has what the new path names",
                )
            regex = python_regex(words[0])
            if target.of_rewrite:
                self.draft.put(section, "rewrite", f"{regex} {target.path} break", each, guard=True)
                continue
            value = f"{regex} {by_number(regex, words[1])}"
            after = _AFTER_URI.fullmatch(words[1])
            if after is not None:
                value = f"^(?=.*?(?:{uncaptured(regex)}))(.*)$ $1{after[1]}"
            if flag and not target.front:
                value += f" {flag}"
            self.draft.put(section, "rewrite", value, each, guard=True)
        last = self.last_rewrite(flat, target)
        if last is not None:
            self.draft.put(section, "rewrite", last, target.source, guard=True)

    @staticmethod
    def last_rewrite(flat: Flat, target: Target) -> str | None:
        """Return what proxy_pass itself does with the path, as a rewrite."""
        if target.front:
            return f"^(.*)$ {target.front.replace('$', '$$')}$1 break"
        if target.path is None:
            return None
        if target.of_rewrite:
            # The groups are empty where the rewrite did not match.
            return f"^.*$ {re.sub(r'[$][1-9]', '', target.path) or '/'} break"
        if flat.is_regex:
            return f"{_plain(flat)} {target.path} break"
        return prefix_rewrite(flat.text, target.path, exact=flat.mark == "=")

    def methods(self, flat: Flat, section: Section) -> None:
        """Add what is left of the methods, where the configuration says so."""
        for block in flat.chain:
            for each in (*own(block, "if"), *own(block, "limit_except")):
                names = methods_of(each)
                if names is not None:
                    self.draft.put(section, "methods", names, each, guard=True)
                    self.draft.ledger.whole(each)


def _plain(flat: Flat) -> str:
    """Return the regex of a location, to be a word of a rewrite."""
    text = one_word(flat.text)
    return f"(?i){text}" if flat.mark == "~*" else text
