"""The ini in the making: what is put in is proven by the loader that will read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import attrs

from s3shield.config import ConfigError, ConfigErrors, escape, loads

from .ledger import Ledger
from .source import Directive, ImportFailed

__all__ = ["CLOSED", "Draft", "Entry", "Section"]

CLOSED: Final = "OPTIONS"
"""`methods` of a location that answers everybody 405."""
_NOWHERE: Final = "http://127.0.0.1:9"
_CLOSED_WHY: Final = "closed to everybody: see the notes of the import"
_MANY: Final = frozenset(
    {
        *("listen", "rewrite", "proxy_cache_valid", "add_header", "limit_conn", "limit_req"),
        *("tls_certificate", "tls_certificate_key", "allow", "deny"),
    }
)
_IN_ORDER: Final = ("allow", "deny")
"""Options whose lines count in the order in which they stand, whichever they are of."""
_ROUNDS: Final = 20
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_ORDER: Final = ("s3shield", "cache", "bucket", "server", "location")


@attrs.frozen(eq=False)
class Entry:
    """One line of the ini.

    source: the directive it is made of. guard: without it the location would show other
    things than it shall, or to others. uncached: without it what is for one client could be
    stored for all.
    """

    option: str
    value: str = attrs.field(repr=False)
    source: Directive | None = None
    guard: bool = False
    uncached: bool = False


@attrs.define(eq=False)
class Section:
    """A section. name: empty for `[s3shield]`. server: of a location."""

    kind: str
    name: str = ""
    entries: list[Entry] = attrs.field(factory=list)
    server: str = ""
    closed: bool = False

    @property
    def title(self) -> str:
        """What stands in brackets."""
        return f"{self.kind}:{self.name}" if self.name else self.kind

    def get(self, option: str) -> str | None:
        """Return the first value of an option, or None."""
        return next((each.value for each in self.entries if each.option == option), None)

    def remove(self, option: str) -> None:
        """Take an option out."""
        self.entries = [each for each in self.entries if each.option != option]

    def close(self) -> None:
        """Let nobody in: what cannot be guarded is not shown."""
        if not self.closed:
            self.closed = True
            self.remove("methods")
            self.entries.append(Entry("methods", CLOSED))
            if self.get("bucket") is None and self.get("origin") is None:
                self.entries.insert(0, Entry("origin", _NOWHERE))


def _group(entry: Entry) -> str:
    """Return the option with whose lines an entry stands."""
    return _IN_ORDER[0] if entry.option in _IN_ORDER else entry.option


def _unwritable(value: str) -> str | None:
    """Return why a value cannot stand in an ini, or None."""
    if _CONTROL.search(value):
        return "there is a line break or a control character in it"
    if value != value.strip() or not value:
        return "it is empty, or has space at its ends"
    if value.startswith(("env:", "file:", ";", "#")):
        return "its beginning means something else in an ini"
    return None


@attrs.define
class Draft:
    """The sections so far.

    ledger: is told of what the loader does not take. refused: what no ini can say.
    """

    ledger: Ledger
    sections: list[Section] = attrs.field(factory=list)
    refused: list[tuple[Section, Entry]] = attrs.field(factory=list)

    def section(self, kind: str, name: str = "") -> Section:
        """Return the section of that kind and name, made when it is not there."""
        for each in self.sections:
            if each.kind == kind and each.name == name and kind != "location":
                return each
        made = Section(kind, name)
        self.sections.append(made)
        return made

    def put(
        self,
        section: Section,
        option: str,
        value: str,
        source: Directive | None = None,
        *,
        guard: bool = False,
        uncached: bool = False,
    ) -> bool:
        """Add an option; tell whether it can be written. One that is there is replaced.

        Options of several lines get one more line.
        """
        if section.closed and option == "methods":
            # What is closed stays so, whatever else is said of methods.
            if source is not None:
                self.ledger.used(source)
            return True
        problem = _unwritable(value)
        if problem is not None:
            if source is not None:
                self.ledger.lost(source, f"an ini cannot say it: {problem}")
            self.refused.append((section, Entry(option, value, source, guard, uncached)))
            return False
        if option not in _MANY:
            section.remove(option)
        section.entries.append(Entry(option, value, source, guard, uncached))
        if source is not None:
            self.ledger.used(source)
        return True

    def _without(self, section: Section, entry: Entry) -> None:
        """Do without an entry, safely."""
        if entry.guard:
            section.close()
        if not entry.uncached:
            return
        for each in [section, *self.sections]:
            below = each.kind == "location" and section.kind in ("s3shield", "server")
            inherits = section.kind == "s3shield" or each.server == section.name
            if each is section or (below and inherits and each.get(entry.option) is None):
                self.put(each, "proxy_cache", "off")

    def render(self) -> tuple[str, dict[int, tuple[Section, Entry | None]]]:
        """Return the ini, and what stands on each of its lines (1-based)."""
        lines: list[str] = []
        at: dict[int, tuple[Section, Entry | None]] = {}

        def write(line: str, section: Section, entry: Entry | None = None) -> None:
            lines.append(line)
            at[len(lines)] = (section, entry)

        for kind in _ORDER:
            for section in [each for each in self.sections if each.kind == kind]:
                if lines:
                    lines.append("")
                write(f"[{escape(section.title)}]", section)
                for option in dict.fromkeys(_group(each) for each in section.entries):
                    if option in _IN_ORDER:
                        for entry in [x for x in section.entries if _group(x) == option]:
                            write(f"{entry.option} = {escape(entry.value)}", section, entry)
                        continue
                    group = [each for each in section.entries if each.option == option]
                    if section.closed and option == "methods":
                        lines.append(f"; {_CLOSED_WHY}")
                    if len(group) == 1:
                        write(f"{option} = {escape(group[0].value)}", section, group[0])
                        continue
                    lines.append(f"{option} =")
                    for entry in group:
                        write(f"    {escape(entry.value)}", section, entry)
        return "".join(f"{line}\n" for line in lines), at

    def settle(self) -> str:
        """Return the ini that the loader takes; what it refuses goes out, with a note.

        Raises ImportFailed when nothing that can be served is left.
        """
        for section, entry in self.refused:
            self._without(section, entry)
        for _ in range(_ROUNDS):
            text, at = self.render()
            errors = mistakes(text)
            if not errors:
                return text
            for error in errors:
                self._give_way(error, *at.get(error.line, (None, None)))
        raise ImportFailed("the ini", 0, "the import made one that `s3shield check` does not take")

    def _give_way(self, error: ConfigError, section: Section | None, entry: Entry | None) -> None:
        why = self.ledger.masking.text(f"{error.option}: {error.message}".removeprefix(": "))
        if section is None or (entry is None and section.kind != "location"):
            raise ImportFailed("the ini", 0, f"[{error.section}] {why}")
        if entry is not None and error.option == entry.option:
            if entry not in section.entries:
                return
            section.entries.remove(entry)
            if entry.source is not None:
                self.ledger.lost(entry.source, f"it cannot stand in the ini: {why}")
            self._without(section, entry)
            return
        # The location itself cannot be written; what it took falls to others now.
        if section in self.sections:
            self.sections.remove(section)
        for other in self.sections:
            if other.kind == "location" and other.server == section.server:
                other.close()
        sources = [each.source for each in section.entries if each.source is not None]
        for source in sources[:1]:
            self.ledger.access(
                source,
                f"its location cannot stand in the ini: {why}",
                "write it by hand, then take `methods` out of the other locations of the server",
            )


def _no_file(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)


def mistakes(text: str) -> Sequence[ConfigError]:
    """Return what is wrong with an ini, by the loader's own word; no file is read."""
    try:
        loads(text, "the ini", environ={}, read_file=_no_file, mode_of=lambda _: None)
    except ConfigErrors as why:
        return why.errors
    return ()
