"""What each section says, option by option: known, resolved and read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import attrs

from .errors import BadValueError, Complaints, ConfigError, nearest
from .options import ALLOWED, LATER, Spec
from .text import Option, Section

__all__ = ["Given", "Sources", "Value", "find", "take"]

ReadFile = Callable[[str], str]
"""Path -> text. Raises OSError, or UnicodeDecodeError."""
ModeOf = Callable[[str], int | None]
"""Path -> permission bits, None when there are none to speak of."""


@attrs.frozen
class Value:
    """An option's value, and where it came from.

    broken: it could not be read. hidden: the text behind it, where that is not in the file
    itself and so must not be shown in a message. lines: of each value, of an option that may
    have many.
    """

    value: Any = attrs.field(repr=False)
    title: str
    option: str
    line: int
    broken: bool = False
    hidden: tuple[str, ...] = attrs.field(default=(), repr=False)
    lines: tuple[int, ...] = attrs.field(default=(), repr=False)


@attrs.frozen
class Given:
    """A section's options by name. line: of its header."""

    kind: str
    name: str
    title: str
    line: int
    values: Mapping[str, Value] = attrs.field(factory=dict)


@attrs.frozen
class Sources:
    """Where values come from besides the file.

    file: its name. environ: for `env:NAME`. read_file: for `file:/path`. mode_of: its
    permissions. installed: whether there is a module of that name.
    """

    file: str
    environ: Mapping[str, str] = attrs.field(repr=False)
    read_file: ReadFile
    mode_of: ModeOf
    installed: Callable[[str], bool]
    complaints: Complaints

    def complain(
        self, at: Given | Value, message: str, option: str = "", suggestion: str | None = None
    ) -> None:
        """Note a mistake. at: what it is about; option: of a section that lacks it."""
        name = option
        if isinstance(at, Value):
            name = at.option
            if at.hidden:
                message, suggestion = _masked(message, at.hidden), None
        self.complaints.add(ConfigError(self.file, at.line, at.title, name, message, suggestion))

    def where(self, at: Given | Value) -> str:
        """Return `file:line`."""
        return f"{self.file}:{at.line}"

    def path(self, name: str) -> str:
        """Return `name` relative to the configuration's directory."""
        return str(PurePath(self.file).parent / name)

    def warn_if_open(self, path: str) -> None:
        """Warn when a file with a secret can be read by others."""
        mode = self.mode_of(path)
        # A group may read it: of the daemon's own, as a package has it, or of Debian's ssl-cert.
        if mode is not None and mode & 0o004:
            self.complaints.warn(f"{path}: there is a secret in it and others can read it")

    def read(self, path: str) -> str:
        """Return a file's text. Raises BadValueError."""
        try:
            return self.read_file(path)
        except OSError as why:
            raise BadValueError(f"cannot read {path}: {why.strerror or 'no reason given'}") from why
        except UnicodeDecodeError:
            raise BadValueError(f"cannot read {path}: it is not UTF-8 text") from None


def _resolve(text: str, sources: Sources, *, secret: bool) -> str | None:
    """Return what `env:NAME` or `file:/path` stands for; None for a text that is itself."""
    scheme, colon, name = text.partition(":")
    if not colon or scheme not in ("env", "file"):
        return None
    if scheme == "env":
        if name not in sources.environ:
            raise BadValueError(f"there is no environment variable {name!r}")
        found = sources.environ[name]
    else:
        path = sources.path(name)
        found = sources.read(path)
        if secret:
            sources.warn_if_open(path)
    return found.removesuffix("\n")


def _masked(message: str, hidden: Iterable[str]) -> str:
    """Take from a message what must not be shown of a value."""
    for text in hidden:
        for part in (text, *text.split()):
            if len(part) > 1:
                message = message.replace(part, "***")
    return message


def _one(read: Callable[[str], Any], text: str, *, hide: bool) -> tuple[Any, str, str | None]:
    """Return (value, "", None), or (None, what is wrong, suggestion)."""
    try:
        return read(text), "", None
    except BadValueError as why:
        return None, (why.problem if hide else str(why)), (None if hide else why.suggestion)
    except ValueError as why:
        return None, (_masked(str(why), [text]) if hide else str(why)), None


def _take_option(option: Option, title: str, spec: Spec, sources: Sources) -> Value:
    good: list[Any] = []
    at_lines: list[int] = []
    lines = [(line.number, line.text) for line in option.lines]
    if not spec.many and lines:
        if spec.secret and len(lines) > 1:
            lines = [(option.number, "")]  # never joined: half of it may be another option
        lines = [(option.number, " ".join(text for _, text in lines))]
    broken = False
    hidden: list[str] = []
    for number, text in lines:
        at = Value(None, title, option.name, number, broken=True)
        try:
            found = _resolve(text, sources, secret=spec.secret)
        except BadValueError as why:
            sources.complain(at, str(why))
            broken = True
            continue
        if found is None and spec.secret and text:
            sources.warn_if_open(sources.file)
        if found is not None:
            hidden.append(found)
        whole = text if found is None else found
        for part in [each.strip() for each in whole.splitlines()] if spec.many else [whole]:
            if spec.many and not part:
                continue
            if not part and not spec.empty:
                sources.complain(at, "there is no value")
                broken = True
                continue
            hide = spec.secret or found is not None
            value, problem, suggestion = _one(spec.read, part, hide=hide)
            if problem:
                sources.complain(at, problem, suggestion=suggestion)
                broken = True
            else:
                good.append(value)
                at_lines.append(number)
    if not lines:
        if not spec.empty:
            at = Value(None, title, option.name, option.number, broken=True)
            sources.complain(at, "there is no value")
            return at
        good = [] if spec.many else [spec.read("")]
    if spec.many:
        found_at = (broken, tuple(hidden), tuple(at_lines))
        return Value(tuple(good), title, option.name, option.number, *found_at)
    value = good[0] if good else None
    return Value(value, title, option.name, option.number, broken or not good, tuple(hidden))


def take(section: Section, sources: Sources) -> Given:
    """Read all options of a section; complain about each that cannot be."""
    allowed = ALLOWED[section.kind]
    given = Given(section.kind, section.name, section.title, section.number)
    gathered: dict[str, Option] = {}
    for option in section.options:
        at = Value(None, section.title, option.name, option.number)
        before = gathered.get(option.name)
        if option.name in LATER:
            sources.complain(at, LATER[option.name])
        elif option.name not in allowed:
            _complain_unknown(at, allowed, sources)
        elif before is None:
            gathered[option.name] = Option(option.name, option.number, list(option.lines))
        elif allowed[option.name].many:
            before.lines.extend(option.lines)
        else:
            sources.complain(at, f"it is there twice in this section (first: line {before.number})")
    values = {
        name: _take_option(option, section.title, allowed[name], sources)
        for name, option in gathered.items()
    }
    return attrs.evolve(given, values=values)


def _complain_unknown(at: Value, allowed: Mapping[str, Spec], sources: Sources) -> None:
    homes = [other for other in ALLOWED if at.option in ALLOWED[other]]
    if homes:
        places = " or ".join(
            f"[{home}]" if home == "s3shield" else f"[{home}:...]" for home in homes
        )
        sources.complain(at, f"this option belongs in {places}")
        return
    close = nearest(at.option, allowed) or nearest(at.option, [*LATER, *_everywhere()])
    if close is None and not at.option.islower():
        # It may be a piece of a key: not even its name is shown.
        hidden = Value(None, at.title, "", at.line)
        sources.complain(hidden, "this cannot be the name of an option")
        return
    sources.complain(at, "there is no such option", suggestion=close)


def _everywhere() -> set[str]:
    return {name for specs in ALLOWED.values() for name in specs}


def find(chain: Sequence[Given], name: str) -> Value | None:
    """Return the nearest value of an option, the innermost section first, or None."""
    for given in chain:
        value = given.values.get(name)
        if value is not None:
            return value
    return None
