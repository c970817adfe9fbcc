"""Rows: what has to be fetched and stored, and the mixture of both."""

from __future__ import annotations

import functools
import http.client
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.objects import KINDS, Doubt, body_of
from bench.rows import Bench, Measure, at_least, row
from bench.sides import Field, Side
from bench.wrk import Run, load

WARM = 100
"""Misses before the clock starts: connections to the origin, the interpreter's caches."""
LOOKED_AT = 100
TOUCHED = 2 * 1024**3
"""Bytes of memory that are made ready for what a run will store."""


def ready_memory(directory: Path) -> None:
    """Have the machine own the memory that stored bodies will take in the page cache.

    A virtual machine gets a page from its host when it touches it for the first time; that
    costs ten times what writing to it does, and whoever comes first would pay for both.
    """
    path = directory / "touched"
    piece = bytes(256 * 1024)
    with path.open("wb", buffering=0) as file:
        for _ in range(TOUCHED // len(piece)):
            file.write(piece)
    path.unlink()


def compare(side: Side, kind_name: str, paths: list[tuple[str, int]], status: str) -> None:
    """Get each path, compare it with the object of that number. Raises Doubt."""
    kind = KINDS[kind_name]
    connection = http.client.HTTPConnection("127.0.0.1", side.group.port, timeout=30)
    for path, number in paths:
        answered, word, body = side.group.get(path, connection)
        if (answered, word) != (200, status) or body != body_of(kind, number):
            raise Doubt(
                f"{side.name}: {path} came back as {answered} {word}, {len(body)} bytes, "
                f"not as {status} with the body of {kind_name}/{number}"
            )
    connection.close()


def cold_path(kind_name: str, tag: str, index: int) -> tuple[str, int]:
    """Return what cold.lua asks for as its request `index`, and the object behind it."""
    number = 1 + index % KINDS[kind_name].count
    return f"/cold/{kind_name}/{tag}1.{index}/{number}", number


def misses(name: str, number: int, *, bench: Bench, kind_name: str) -> Run:
    """Start one server anew, ask it for what it does not have, look at what it stored."""
    kind = KINDS[kind_name]
    with bench.fresh(f"cold-{kind_name}", only=name) as field:
        field.make(kind_name)
        side = field.side(name)
        warm = [cold_path(kind_name, "warm/", index) for index in range(1, WARM + 1)]
        compare(side, kind_name, warm, "MISS")
        ready_memory(field.directory)
        asked = field.asked()
        tag = f"run{number}/"
        arguments = [0, f"/cold/{kind_name}/{tag}", f"1-{kind.count}"]
        run = load(side, "cold.lua", arguments, field.options, expected={(200, kind.bytes)})
        asked = field.asked() - asked
        if not run.requests <= asked <= run.requests + field.options.connections:
            raise Doubt(f"{name}: {run.requests} misses were {asked} requests to the origin")
        # The first is made only to be looked at by wrk; the last ones may have been cut.
        whole = range(2, max(3, run.requests - 4 * field.options.connections))
        chosen = sorted(random.Random(number).sample(whole, min(LOOKED_AT, len(whole))))
        compare(side, kind_name, [cold_path(kind_name, tag, index) for index in chosen], "HIT")
        return run


def all_misses(bench: Bench, kind_name: str) -> Iterator[Mapping[str, Measure]]:
    """Measure misses, each run on a server with an empty cache."""
    names = [side.name for side in bench.field().sides]
    yield {
        name: functools.partial(misses, name, bench=bench, kind_name=kind_name) for name in names
    }


@row("miss-1k", "miss, stored, 1 KiB (s3shield signs, nginx does not)", at_least(1.2), warm=False)
def miss_1k(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Small misses."""
    yield from all_misses(bench, "obj")


@row("miss-1m", "miss, stored, 1 MiB", at_least(1.0), warm=False)
def miss_1m(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Large misses."""
    yield from all_misses(bench, "o1m")


def mixture(side: Side, number: int, *, field: Field) -> Run:
    """Run wrk: 90% hits, 10% misses; the same requests in the same order for each side."""
    kind = KINDS["mixed"]
    cold = f"/cold/mixed/run{number}/"
    draws = 20_000 * field.options.seconds
    arguments = [number + 1, "/mixed/", kind.count, cold, draws]
    sizes = {(200, kind.size(each)) for each in range(1, 14)}
    ready_memory(field.directory)
    asked = field.asked()
    run = load(side, "mixed.lua", arguments, field.options, expected=sizes)
    fetched = (field.asked() - asked) / run.requests
    if not 0.08 < fetched < 0.12:
        raise Doubt(f"{side.name}: {fetched:.1%} of the requests went to the origin, not 10%")
    return run


@row("mixed", "mixed: 90% hits, 10% misses, Zipf-like, 1 KiB to 4 MiB", at_least(1.2))
def mixed(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """As in life."""
    field = bench.field()
    kind = field.fill("mixed")
    yield {side.name: functools.partial(mixture, side, field=field) for side in field.sides}
    field.still_hits(kind)
