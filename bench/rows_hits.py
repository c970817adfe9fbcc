"""Rows: what the cache answers by itself, over plain HTTP and over TLS."""

from __future__ import annotations

import functools
import http.client
import random
from collections.abc import Iterator, Mapping

from bench.objects import KINDS, Doubt, body_of
from bench.rows import Bench, Measure, at_least, row
from bench.sides import Field, Side, tls_terms
from bench.wrk import Run, load

__all__ = ["zipf"]

DRAWS = 20_000
RANGE = 64 * 1024


def zipf(
    side: Side,
    number: int,
    *,
    field: Field,
    name: str,
    tag: str | None = None,
    tls: bool = False,
    threads: int = 1,
) -> Run:
    """Run wrk on the objects of a kind. tag: for If-None-Match; then 304 is the right answer."""
    kind = KINDS[name]
    arguments = [number + 1, f"/{name}/", kind.count, DRAWS, tag or "-"]
    expected = {(304, 0)} if tag else {(200, kind.bytes)}
    return load(
        side, "zipf.lua", arguments, field.options, expected=expected, tls=tls, threads=threads
    )


def hits(
    bench: Bench, name: str, *, workers: int = 1, tls: bool = False, tag: str | None = None
) -> Iterator[Mapping[str, Measure]]:
    """Measure hits on the objects of a kind; nothing may reach the origin meanwhile."""
    field = bench.field(workers)
    kind = field.fill(name)
    sides = [side for side in field.sides if side.tls_port or not tls]
    if tls:
        same_terms(sides)
    asked = field.asked()
    more = {"field": field, "name": name, "tag": tag, "tls": tls, "threads": workers}
    yield {side.name: functools.partial(zipf, side, **more) for side in sides}
    field.still_hits(kind)
    if field.asked() != asked:
        raise Doubt(f"{field.asked() - asked} requests went to the origin: not all were hits")


def same_terms(sides: list[Side]) -> None:
    """See that all agree on TLS 1.3 and one cipher. Raises Doubt."""
    terms = {side.name: tls_terms(side.tls_port) for side in sides if side.tls_port}
    if len(set(terms.values())) != 1 or {version for version, _ in terms.values()} != {"TLSv1.3"}:
        raise Doubt(f"the sides do not agree on the same TLS: {terms}")


@row(
    "hit-1k",
    "hit 1 KiB, 10,000 objects Zipf-like, headers varying, 32 connections",
    at_least(1.25),
)
def hit_1k(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Small hits."""
    yield from hits(bench, "obj")


@row("hit-64k", "hit 64 KiB", at_least(1.2))
def hit_64k(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Middling hits."""
    yield from hits(bench, "o64k")


@row("hit-1m", "hit 1 MiB", at_least(1.4))
def hit_1m(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Large hits."""
    yield from hits(bench, "o1m")


@row("hit-16m", "hit 16 MiB", at_least(1.4))
def hit_16m(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Larger hits."""
    yield from hits(bench, "o16m")


def ranges(side: Side, number: int, *, field: Field) -> Run:
    """Run wrk on ranges of the 1 GiB object."""
    size = KINDS["large"].bytes
    arguments = [number + 1, "/large/1", size, RANGE]
    return load(side, "range.lua", arguments, field.options, expected={(206, RANGE)})


def compare_ranges(side: Side, count: int) -> None:
    """Get some ranges and compare them. Raises Doubt."""
    kind = KINDS["large"]
    connection = http.client.HTTPConnection("127.0.0.1", side.group.port, timeout=30)
    dice = random.Random(1)
    for _ in range(count):
        first = dice.randrange(kind.bytes - RANGE)
        wanted = f"bytes={first}-{first + RANGE - 1}"
        connection.request(
            "GET", "/large/1", headers={"Host": "assets.example.com", "Range": wanted}
        )
        response = connection.getresponse()
        body, word = response.read(), response.getheader("X-Cache-Status")
        if (
            response.status != 206
            or word != "HIT"
            or body != body_of(kind, 1, first, RANGE)
            or response.getheader("Content-Range") != f"{wanted.replace('=', ' ')}/{kind.bytes}"
        ):
            raise Doubt(f"{side.name}: {wanted} came back as {response.status} {word}, or wrong")
    connection.close()


@row("range-64k", "range of 64 KiB out of a stored 1 GiB object, random offsets", at_least(1.0))
def range_64k(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Parts of one large body."""
    field = bench.field()
    field.fill("large")
    asked = field.asked()
    yield {side.name: functools.partial(ranges, side, field=field) for side in field.sides}
    for side in field.sides:
        compare_ranges(side, 50)
    if field.asked() != asked:
        raise Doubt(f"{field.asked() - asked} requests went to the origin: not all were hits")


@row("not-modified", "304 answers (If-None-Match of a stored object)", at_least(0.8))
def not_modified(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Revalidations by clients that have the object."""
    field = bench.field()
    field.fill("obj")
    yield from hits(bench, "obj", tag=tag_of(field.sides))


def tag_of(sides: list[Side]) -> str:
    """Return the entity tag that all 1 KiB objects have at all sides. Raises Doubt."""
    tags = set()
    for side in sides:
        connection = http.client.HTTPConnection("127.0.0.1", side.group.port, timeout=30)
        for number in (1, KINDS["obj"].count):
            connection.request("GET", f"/obj/{number}", headers={"Host": "assets.example.com"})
            response = connection.getresponse()
            response.read()
            tags.add(response.getheader("ETag"))
        connection.close()
    (tag, *others) = tags
    if others or tag is None:
        raise Doubt(f"the objects were to have one entity tag, not {tags}")
    return tag


@row("tls-1k", "hit 1 KiB over TLS 1.3, keep-alive", at_least(0.9))
def tls_1k(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Small hits, encrypted."""
    yield from hits(bench, "obj", tls=True)


@row("tls-1m", "hit 1 MiB over TLS 1.3", at_least(1.1))
def tls_1m(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Large hits, encrypted."""
    yield from hits(bench, "o1m", tls=True)
