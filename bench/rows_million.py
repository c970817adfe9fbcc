"""Rows: the same with 1,000,000 objects stored; what they take, and how soon a start serves them.

The servers get the objects over HTTP, each once, which takes minutes: these rows are run when
they are named. `--keep` and `--reuse` keep what is stored for another day.
"""

from __future__ import annotations

import functools
import http.client
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping

import attrs

from bench.objects import KINDS, Doubt, body_of
from bench.rows import Bench, Measure, at_least, at_most, row
from bench.sides import Field, Side
from bench.wrk import HERE, Run, load

DRAWS = 100_000
THREADS = 2
CONNECTIONS = 64
PREFIX = "/cold/obj/m/"
MOST_SECONDS = 7200
LOOKED_AT = 2000
MOST_PASSES = 10


def path_of(number: int) -> tuple[str, int]:
    """Return the path of an entry and the object behind it, as fill.lua and zipf.lua have it."""
    name = number % KINDS["obj"].count + 1
    return f"{PREFIX}{number}/{name}", name


def walk(side: Side, field: Field) -> float:
    """Ask for every entry once, over many connections; return the seconds it took."""
    entries, objects = field.options.entries, KINDS["obj"].count
    side.forget_log()
    command = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{MOST_SECONDS}s", "-s"]
    command += [str(HERE / "fill.lua"), f"http://127.0.0.1:{side.group.port}/", "--"]
    command += [str(THREADS), PREFIX, str(entries), str(objects)]
    started = time.monotonic()
    wrk = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert wrk.stdout is not None
    try:
        done = 0
        for line in wrk.stdout:
            done += line == "done\n"
            if done == THREADS:
                wrk.send_signal(signal.SIGINT)
                break
        took = time.monotonic() - started
        text, _ = wrk.communicate(timeout=60)
    finally:
        wrk.kill()
    if wrk.returncode != 0 or done != THREADS:
        raise Doubt(f"wrk failed:\n{text}")
    answers = side.logged(entries)
    if answers[200, KINDS["obj"].bytes] < entries:
        raise Doubt(f"{side.name}: {entries} were asked for, (status, bytes) were {answers}")
    return took


def compare(side: Side, numbers: list[int]) -> None:
    """See that these entries are stored and right. Raises Doubt."""
    connection = http.client.HTTPConnection("127.0.0.1", side.group.port, timeout=30)
    for number in numbers:
        path, name = path_of(number)
        answer = side.group.get(path, connection)
        if answer != (200, "HIT", body_of(KINDS["obj"], name)):
            raise Doubt(f"{side.name}: {path} came back as {answer[:2]}, or not its own body")
    connection.close()


def million(bench: Bench) -> Field:
    """Return the servers that have them all; fill them when they have not."""
    if bench.million is None:
        options = attrs.evolve(bench.options, varnish=False)
        filled = options.state / "million" / f"filled-{options.entries}"
        if not filled.exists():  # what an earlier run did not bring to its end
            shutil.rmtree(filled.parent, ignore_errors=True)
        field = Field(options, "million")
        try:
            field.make("obj")
            if not filled.exists():
                fill(bench, field)
            numbers = random.Random(1).choices(range(1, options.entries + 1), k=LOOKED_AT)
            for side in field.sides:
                compare(side, numbers)
            filled.touch()
        except BaseException:
            field.stop()
            raise
        bench.million = field
    return bench.million


def fill(bench: Bench, field: Field) -> None:
    """Let both sides store all entries. Raises Doubt.

    A cache may leave out what comes faster than it can store: it is asked for all again then,
    until the origin is not asked any more. How often is said, for it is a finding.
    """
    entries = field.options.entries
    for side in field.sides:
        bench.say(f"    filling {side.name} with {entries:,} objects")
        for passed in range(MOST_PASSES):
            asked = field.asked()
            took = walk(side, field)
            asked = field.asked() - asked
            if passed == 0 and asked < entries:
                raise Doubt(f"{side.name} asked the origin for {asked} of {entries}")
            if not asked:
                break
            bench.say(f"    {asked:,} misses in {took:.0f} s, {asked / took:,.0f} a second")
        else:
            raise Doubt(f"{side.name} has not stored all after {MOST_PASSES} times")


def restart(field: Field, name: str) -> Side:
    """Stop a server and start it again on what it has stored."""
    place = field.sides.index(field.side(name))
    field.sides[place].group.stop()
    field.sides[place] = field.start_nginx() if name == "nginx" else field.start_s3shield()
    return field.sides[place]


def hits(name: str, number: int, *, field: Field) -> Run:
    """Run wrk on entries drawn Zipf-like."""
    arguments = [number + 1, PREFIX, field.options.entries, DRAWS, "-", KINDS["obj"].count]
    expected = {(200, KINDS["obj"].bytes)}
    return load(field.side(name), "zipf.lua", arguments, field.options, expected=expected)


def unasked(field: Field, asked: int) -> None:
    """See that the origin was left alone. Raises Doubt."""
    if field.asked() != asked:
        raise Doubt(f"{field.asked() - asked} requests went to the origin: not all were hits")


@row(
    "hit-1k-million",
    "hit 1 KiB, 1,000,000 objects stored, Zipf-like",
    at_least(1.25),
    explicit=True,
)
def hit_million(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Small hits in a large cache."""
    field = million(bench)
    asked = field.asked()
    yield {side.name: functools.partial(hits, side.name, field=field) for side in field.sides}
    unasked(field, asked)


def memory(name: str, _number: int, *, field: Field) -> Run:
    """Start anew, walk over all entries, look at the largest process's own memory."""
    side = restart(field, name)
    before = side.group.anonymous_mib()
    took = walk(side, field)
    found = side.group.memory().values()
    return Run(
        figure=side.group.anonymous_mib(),
        requests=field.options.entries,
        more={
            "before_mib": before,
            "rss_mib": max(each.get("VmRSS", 0) for each in found) / 1024,
            "seconds": took,
        },
    )


@row(
    "rss-million",
    "memory of a worker's own after a walk over 1,000,000 entries",
    at_most(100),
    unit="MiB",
    explicit=True,
    rounds=1,
    warm=False,
)
def rss_million(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Mapped files and shared memory are not counted."""
    field = million(bench)
    asked = field.asked()
    yield {side.name: functools.partial(memory, side.name, field=field) for side in field.sides}
    unasked(field, asked)


def start(name: str, number: int, *, field: Field) -> Run:
    """Stop it and start it; return the time from the start to the first hit."""
    path, body_name = path_of(random.Random(number).randint(1, field.options.entries))
    field.side(name).group.stop()
    started = time.monotonic()
    side = restart(field, name)  # returns when connections are accepted
    connection = http.client.HTTPConnection("127.0.0.1", side.group.port, timeout=60)
    answer = side.group.get(path, connection)
    took = time.monotonic() - started
    connection.close()
    if answer != (200, "HIT", body_of(KINDS["obj"], body_name)):
        raise Doubt(f"{name}: {path} came back as {answer[:2]} after a start, or not its own body")
    return Run(figure=took * 1e3, requests=1)


@row(
    "start-million",
    "start with 1,000,000 entries to the first hit",
    at_most(1000),
    unit="ms",
    explicit=True,
    rounds=3,
    warm=False,
)
def start_million(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """From the start of the command, the interpreter's and the parent's time included."""
    field = million(bench)
    yield {side.name: functools.partial(start, side.name, field=field) for side in field.sides}
