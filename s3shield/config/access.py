"""The options about who may come in: how they are read, what they make together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs

from s3shield.access import AddressRule

from .errors import BadValueError
from .spec import Spec
from .units import parse_choice

if TYPE_CHECKING:
    from .given import Given, Sources

__all__ = ["ACCESS", "AccessConfig", "access_pairs", "read_access"]


@attrs.frozen(kw_only=True)
class AccessConfig:
    """Who may come in at a location.

    satisfy: `all` or `any` of its checks. rules: the lines of `allow` and `deny` in order.
    """

    satisfy: str = "all"
    rules: tuple[AddressRule, ...] = ()


def _rules(value: str, *, allow: bool) -> tuple[AddressRule, ...]:
    """Addresses, networks, `unix:`, `all`."""
    found = []
    for word in value.split():
        try:
            found.append(AddressRule.parse(word, allow=allow))
        except ValueError as why:
            problem = f"it is an address, a network, unix: or all: {why}"
            raise BadValueError(problem, word) from None
    return tuple(found)


def _satisfy(value: str) -> str:
    return parse_choice(value, ("all", "any"))


ACCESS: Final[Mapping[str, Spec]] = {
    "satisfy": Spec(_satisfy, "all"),
    "allow": Spec(partial(_rules, allow=True), (), many=True),
    "deny": Spec(partial(_rules, allow=False), (), many=True),
}


def _get(chain: Sequence[Given], name: str) -> Any:
    for given in chain:
        found = given.values.get(name)
        if found is not None:
            return ACCESS[name].default if found.broken else found.value
    return ACCESS[name].default


def _lines(chain: Sequence[Given], sources: Sources) -> tuple[AddressRule, ...]:
    """Return the lines of the innermost section that has any, of both options in order."""
    for given in chain:
        here = [given.values[name] for name in ("allow", "deny") if name in given.values]
        if not here:
            continue
        lines = [pair for each in here for pair in zip(each.lines, each.value or (), strict=False)]
        rules = [rule for _, line in sorted(lines, key=lambda pair: pair[0]) for rule in line]
        if all(rule.allow for rule in rules) and not any(each.broken for each in here):
            sources.complaints.warn(
                f"{sources.where(here[0])}: allow without deny keeps nobody out; "
                "end the list with deny = all"
            )
        return tuple(rules)
    return ()


def read_access(chain: Sequence[Given], sources: Sources) -> AccessConfig:
    """Return what the sections say, the innermost first; complain about what is wrong."""
    return AccessConfig(satisfy=_get(chain, "satisfy"), rules=_lines(chain, sources))


def access_pairs(access: AccessConfig) -> list[tuple[str, str | None]]:
    """Return the options that say the same."""
    return [
        ("satisfy", access.satisfy),
        *[("allow" if rule.allow else "deny", str(rule)) for rule in access.rules],
    ]
