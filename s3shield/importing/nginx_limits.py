"""nginx's limits with their zones: a line of ours says key and rate itself."""

from __future__ import annotations

from typing import Final

import attrs

from .source import Block, Directive, walk

__all__ = ["with_zones"]

_ZONED: Final = frozenset({"limit_req", "limit_conn"})


def with_zones(tree: Block) -> Block:
    """Return the configuration with what each limit's zone says put into its line.

    `limit_req zone=one burst=5` becomes `limit_req $key rate=1r/s burst=5 zone=one`, and
    `limit_conn addr 10` `limit_conn $key 10 zone=addr`: lines of one zone count together, as
    in nginx. A line whose zone is nowhere stays as it is.
    """
    zones: dict[tuple[str, str], tuple[str, ...]] = {}
    for each in walk(tree):
        if each.name in ("limit_req_zone", "limit_conn_zone") and len(each.args) > 1:
            named = dict(word.partition("=")[::2] for word in each.args[1:])
            name = named.get("zone", "").partition(":")[0]
            rate = (f"rate={named['rate']}",) if "rate" in named else ()
            zones[each.name, name] = (each.first, *rate)
    return _resolved(tree, zones) if zones else tree


def _resolved(block: Block, zones: dict[tuple[str, str], tuple[str, ...]]) -> tuple[Directive, ...]:
    return tuple(
        attrs.evolve(each, block=_resolved(each.block, zones))
        if each.block is not None
        else _line(each, zones)
        if each.name in _ZONED
        else each
        for each in block
    )


def _line(each: Directive, zones: dict[tuple[str, str], tuple[str, ...]]) -> Directive:
    zone = each.first
    rest = list(each.args[1:])
    if each.name == "limit_req":
        zone = next((word[5:] for word in each.args if word.startswith("zone=")), "")
        rest = [word for word in each.args if not word.startswith("zone=")]
    said = zones.get((f"{each.name}_zone", zone))
    if said is None:
        return each
    key, *rate = said
    return attrs.evolve(each, args=(key, *rate, *rest, f"zone={zone}"))
