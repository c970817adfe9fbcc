"""Field values that caching turns on: Cache-Control, Age and comma-separated lists.

Cache-Control is read by RFC 9111 5.2 (tokens or quoted strings, any case, unknown
directives skipped) and, where a value does not fit the grammar, by 4.2.1: what
restricts is obeyed however it is written, what permits is not believed, and a lifetime
that is not a number is no lifetime. No function here raises, whatever the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import attrs

from .structured import Boolean, Integer, Member, String, Token

__all__ = [
    "MAX_DELTA",
    "NO_DIRECTIVES",
    "NO_REQUEST_DIRECTIVES",
    "Directive",
    "Directives",
    "RequestDirectives",
    "field_names",
    "list_members",
    "parse_age",
    "parse_directives",
    "request_directives",
    "response_directives",
    "targeted_directives",
]

MAX_DELTA: Final = 2**31
"""What a delta-seconds too large to count is taken for (RFC 9111 1.2.2)."""

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = rb'"(?:[^"\\]|\\[\s\S])*+"'
_NAME: Final = re.compile(rb"[ \t]*(" + _TOKEN + rb")?")
_QUOTED_STRING: Final = re.compile(_QUOTED)
_ELEMENT: Final = re.compile(
    rb"[ \t]*(?:(%b)(?:=(?:(%b)|(%b)))?[ \t]*)?(?:,|\Z)" % (_TOKEN, _TOKEN, _QUOTED)
)
_PLAIN_ELEMENT: Final = re.compile(
    rb"[ \t]*(?:(%b)(?:=(?:(%b)|(\Z\A)))?[ \t]*)?(?:,|\Z)" % (_TOKEN, _TOKEN)
)
_QUOTED_PAIR: Final = re.compile(rb"\\([\s\S])")
_MEMBER: Final = re.compile(rb'(?:[^",]|"(?:[^"\\]|\\[\s\S])*+"?)++')
_TOKEN_ONLY: Final = re.compile(_TOKEN)

# A list of no-cache or private that names one of these cannot be met by leaving them
# out: the rest would be unusable. The directive is then taken as unqualified.
_INDISPENSABLE: Final = frozenset(
    {
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"transfer-encoding",
        b"vary",
    }
)


@attrs.frozen
class Directive:
    """One list member of Cache-Control.

    name: lower-case. argument: unquoted, or None when there was none. valid: False when
    the member does not fit the grammar (then only its name was read).
    """

    name: bytes
    argument: bytes | None
    valid: bool


def list_members(value: bytes) -> list[bytes]:
    """Split a comma-separated field value, minding quoted strings (RFC 9110 5.6.1.2).

    Members without surrounding whitespace; empty ones left out.
    """
    return [m for m in (m.strip(b" \t") for m in _MEMBER.findall(value)) if m]


def field_names(value: bytes) -> frozenset[bytes] | None:
    """Return the lower-case names in a list of field names, None when it is not one."""
    names = [name.strip(b" \t").lower() for name in value.split(b",")]
    names = [name for name in names if name]
    if not names or not all(_TOKEN_ONLY.fullmatch(name) for name in names):
        return None
    return frozenset(names)


def _skip(value: bytes, position: int, *, quotes: bool) -> tuple[int, bool]:
    """Return where the next member starts, and whether quotes still come in pairs."""
    while position < len(value):
        octet = value[position]
        if octet == 0x2C:
            return position + 1, quotes
        if octet == 0x22 and quotes:
            quoted = _QUOTED_STRING.match(value, position)
            if quoted is not None:
                position = quoted.end()
                continue
            quotes = False
        position += 1
    return position, quotes


def parse_directives(value: bytes) -> list[Directive]:
    """Return the directives of a Cache-Control value, in order (RFC 9111 5.2).

    A member that does not fit the grammar is returned by its leading token, marked
    invalid, and reading goes on at the next comma. A quoted string that never ends is
    no quoted string: what follows is read as members, so that a stray quote cannot hide
    a `no-store`.
    """
    directives = []
    position, quotes = 0, True
    while position < len(value):
        element = (_ELEMENT if quotes else _PLAIN_ELEMENT).match(value, position)
        if element is None:
            start = _NAME.match(value, position)
            name = start[1] if start is not None else None
            if name:
                directives.append(Directive(name.lower(), None, valid=False))
            position, quotes = _skip(value, position, quotes=quotes)
            continue
        position = element.end()
        name, token, quoted = element.groups()
        if name is not None:
            argument = token
            if quoted is not None:
                argument = _QUOTED_PAIR.sub(rb"\1", quoted[1:-1])
            directives.append(Directive(name.lower(), argument, valid=True))
    return directives


def _delta(argument: bytes) -> int | None:
    if not argument.isdigit():
        return None
    digits = argument.lstrip(b"0")
    # The length first: int() refuses thousands of digits.
    return MAX_DELTA if len(digits) > 10 else min(int(digits or b"0"), MAX_DELTA)


def parse_age(value: bytes | None) -> int | None:
    """Return the seconds of an Age field, its lines joined, or None when it says nothing.

    The first member counts; when it is not a non-negative integer the whole field is
    ignored (RFC 9111 5.1).
    """
    if value is None:
        return None
    members = list_members(value)
    return _delta(members[0]) if members else None


@attrs.frozen(kw_only=True)
class Directives:
    """What a response's Cache-Control, or a targeted field in its place, says.

    Durations are seconds, None when absent; 0 for a max-age or s-maxage that is not a
    number. no_cache and private are the unqualified forms; withheld holds the field
    names (lower-case) of the qualified ones, which must not be stored.
    """

    max_age: int | None = None
    s_maxage: int | None = None
    no_store: bool = False
    no_cache: bool = False
    private: bool = False
    withheld: frozenset[bytes] = frozenset()
    public: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None

    @property
    def forbids_stale(self) -> bool:
        """Whether serving stale is prohibited in so many words (RFC 9111 4.2.4)."""
        return (
            self.must_revalidate
            or self.proxy_revalidate
            or self.no_cache
            or self.s_maxage is not None
        )


NO_DIRECTIVES: Final = Directives()


class _Gathering:
    """Collects directives; the first of a repeated one counts (RFC 9111 4.2.1)."""

    def __init__(self) -> None:
        self.seconds: dict[bytes, int] = {}
        self.flags: set[bytes] = set()
        self.withheld: frozenset[bytes] = frozenset()

    def lifetime(self, name: bytes, seconds: int | None) -> None:
        # Not a number: stale, as 4.2.1 encourages.
        self.seconds.setdefault(name, 0 if seconds is None else seconds)

    def permission(self, name: bytes, seconds: int | None) -> None:
        if seconds is not None:
            self.seconds.setdefault(name, seconds)

    def limit(self, name: bytes, listed: bytes | None) -> None:
        names = None if listed is None else field_names(listed)
        if names is None or names & _INDISPENSABLE:
            self.flags.add(name)
        else:
            self.withheld |= names

    def directives(self) -> Directives:
        return Directives(
            max_age=self.seconds.get(b"max-age"),
            s_maxage=self.seconds.get(b"s-maxage"),
            no_store=b"no-store" in self.flags,
            no_cache=b"no-cache" in self.flags,
            private=b"private" in self.flags,
            withheld=self.withheld,
            public=b"public" in self.flags,
            must_revalidate=b"must-revalidate" in self.flags,
            proxy_revalidate=b"proxy-revalidate" in self.flags,
            must_understand=b"must-understand" in self.flags,
            stale_while_revalidate=self.seconds.get(b"stale-while-revalidate"),
            stale_if_error=self.seconds.get(b"stale-if-error"),
        )


def response_directives(value: bytes | None) -> Directives:
    """Return what a response's Cache-Control says; value: its lines joined, or None."""
    if value is None:
        return NO_DIRECTIVES
    gathering = _Gathering()
    for directive in parse_directives(value):
        name, argument = directive.name, directive.argument
        seconds = _delta(argument) if argument is not None else None
        match name:
            case b"max-age" | b"s-maxage":
                gathering.lifetime(name, seconds)
            case b"stale-while-revalidate" | b"stale-if-error":
                gathering.permission(name, seconds)
            case b"no-cache" | b"private":
                gathering.limit(name, argument if directive.valid else None)
            case b"no-store" | b"must-revalidate" | b"proxy-revalidate" | b"must-understand":
                gathering.flags.add(name)
            case b"public" if directive.valid:
                gathering.flags.add(name)
            case _:
                pass  # unknown, or of no consequence here: skipped (RFC 9111 5.2.3)
    return gathering.directives()


def targeted_directives(members: Mapping[bytes, Member]) -> Directives:
    """Return what a targeted field says (RFC 9213 2.1), from its dictionary.

    A member of another type than its directive has is not consumed, except that
    no-store, no-cache and private restrict unless they are false.
    """
    gathering = _Gathering()
    for name, member in members.items():
        present = not (isinstance(member, Boolean) and not member.value)
        seconds = None
        if isinstance(member, Integer) and member.value >= 0:
            seconds = min(member.value, MAX_DELTA)
        match name:
            case b"max-age" | b"s-maxage" | b"stale-while-revalidate" | b"stale-if-error":
                gathering.permission(name, seconds)
            case b"no-cache" | b"private":
                listed = member.value if isinstance(member, String | Token) else None
                if present:
                    gathering.limit(name, listed)
            case b"no-store":
                if present:
                    gathering.flags.add(name)
            case b"must-revalidate" | b"proxy-revalidate" | b"must-understand" | b"public":
                if isinstance(member, Boolean) and present:
                    gathering.flags.add(name)
            case _:
                pass
    return gathering.directives()


@attrs.frozen(kw_only=True)
class RequestDirectives:
    """What a request's Cache-Control says (RFC 9111 5.2.1).

    Seconds, None when absent; max_stale is MAX_DELTA when it came without a number.
    """

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age: int | None = None
    min_fresh: int | None = None
    max_stale: int | None = None


NO_REQUEST_DIRECTIVES: Final = RequestDirectives()


def request_directives(headers: Mapping[bytes, bytes]) -> RequestDirectives:
    """Return a request's directives; `Pragma: no-cache` counts when there are none.

    headers: lower-case name -> value. A max-age or min-fresh that is not a number asks
    for validation; a max-stale that is not a number permits nothing.
    """
    value = headers.get(b"cache-control")
    if value is None:
        pragma = headers.get(b"pragma")
        no_cache = pragma is not None and any(
            d.name == b"no-cache" for d in parse_directives(pragma)
        )
        return RequestDirectives(no_cache=no_cache)
    flags: set[bytes] = set()
    seconds: dict[bytes, int] = {}
    for directive in parse_directives(value):
        name, argument = directive.name, directive.argument
        flags.add(name)
        delta = _delta(argument) if argument is not None else None
        if name == b"max-stale" and argument is None and directive.valid:
            delta = MAX_DELTA
        if delta is not None:
            seconds.setdefault(name, delta)
    unread = (flags & {b"max-age", b"min-fresh"}) - seconds.keys()
    return RequestDirectives(
        no_cache=b"no-cache" in flags or bool(unread),
        no_store=b"no-store" in flags,
        only_if_cached=b"only-if-cached" in flags,
        max_age=seconds.get(b"max-age"),
        min_fresh=seconds.get(b"min-fresh"),
        max_stale=seconds.get(b"max-stale"),
    )
