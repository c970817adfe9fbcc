"""Rows: how long small hits take while the server is busy with large bodies."""

from __future__ import annotations

import contextlib
import functools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.objects import KINDS, Doubt, visit
from bench.rows import Bench, Goal, Measure, Target, no_slower, row
from bench.rows_hits import zipf
from bench.sides import Field, Side
from bench.wrk import Run

HERE = Path(__file__).parent
CAPACITY_RUNS = 2


def ended(process: subprocess.Popen[str], what: str) -> dict[str, float]:
    """Let a disturbance end; return what it says. Raises Doubt."""
    out, error = process.communicate("\n", timeout=90)
    if process.returncode != 0:
        raise Doubt(f"{what} beside the small hits went wrong: {error.strip()[-500:]}")
    found: dict[str, float] = json.loads(out)
    return found


@contextlib.contextmanager
def beside(commands: Mapping[str, list[object]], more: dict[str, float]) -> Iterator[None]:
    """Have disturbances go on meanwhile; what they read goes into `more`, in MB/s."""
    running = {
        what: subprocess.Popen(
            [sys.executable, str(HERE / "disturb.py"), *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for what, command in commands.items()
    }
    try:
        time.sleep(1)
        yield
        for what, process in running.items():
            found = ended(process, what)
            if not found["bytes"]:
                raise Doubt(f"{what} beside the small hits did not get on at all")
            more[f"{what}_mb_s"] = found["bytes"] / found["seconds"] / 1e6
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def paced(side: Side, rate: float, seconds: float, connections: int, seed: int) -> Run:
    """Run the constant-rate load generator; return the 99th percentile. Raises Doubt."""
    command = [sys.executable, str(HERE / "paced.py"), "--port", str(side.group.port)]
    command += ["--rate", str(rate), "--seconds", str(seconds), "--seed", str(seed)]
    command += ["--connections", str(connections)]
    before = side.group.cpu_seconds()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise Doubt(f"{side.name}: {done.stderr.strip()[-500:]}")
    used = side.group.cpu_seconds() - before
    found = json.loads(done.stdout)
    return Run(
        figure=found["p99_us"],
        requests=found["requests"],
        p50_us=found["p50_us"],
        p99_us=found["p99_us"],
        busy=used / (found["requests"] / found["rate"]),
        generator=found["generator"],
        more={key: found[key] for key in ("p90_us", "p999_us", "max_us", "late_p99_us", "rate")},
    )


def capacity(field: Field) -> float:
    """Return how many 1 KiB hits a second nginx serves when there is nothing else to do."""
    side = field.side("nginx")
    runs = [zipf(side, number, field=field, name="obj").figure for number in range(CAPACITY_RUNS)]
    return statistics.median(runs)


def busy_latency(side: Side, number: int, *, field: Field, rate: float) -> Run:
    """Measure while cold objects are filled and the disk is read."""
    more: dict[str, float] = {}
    prefix = f"/slow/o100m/run{number}/"
    commands: dict[str, list[object]] = {
        "fill": ["fill", side.group.port, prefix],
        "cold reads": ["cold", side.group.port, "/o100m/", side.cache],
    }
    seconds = max(5, field.options.seconds)
    with beside(commands, more):
        run = paced(side, rate, seconds, field.options.connections, number + 1)
    run.more.update(more)
    return run


@row(
    "p99-busy",
    "p99 of 1 KiB hits at 50% of nginx's capacity, beside cold 100 MiB fills and disk reads",
    no_slower(1.0),
    unit="us",
    rounds=3,
    warm=False,
)
def p99_busy(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Small hits among large work."""
    field = bench.field()
    kind = field.fill("obj")
    field.fill("o100m")
    rate = capacity(field) / 2
    bench.say(f"    {rate:,.0f} requests a second")
    yield {
        side.name: functools.partial(busy_latency, side, field=field, rate=rate)
        for side in field.sides
    }
    field.still_hits(kind)
    for side in field.sides:
        visit(side.group, KINDS["o100m"], [1], "HIT")


def fair(side: Side, number: int, *, field: Field) -> Run:
    """Measure 1,000 small hits while one client reads as fast as it can."""
    more: dict[str, float] = {}
    with beside({"fast client": ["fast", side.group.port, "/huge/1"]}, more):
        run = paced(side, 500, 2, field.options.connections, number + 1)
    run.more.update(more)
    return run


@row(
    "fairness",
    "p99 of 1,000 hits 1 KiB (500/s), beside one fast client reading a 2 GiB object",
    Target(Goal.SHOWN),
    unit="us",
    rounds=3,
    warm=False,
)
def fairness(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """One fast client and many small hits."""
    field = bench.field()
    kind = field.fill("obj")
    field.fill("huge")
    yield {side.name: functools.partial(fair, side, field=field) for side in field.sides}
    field.still_hits(kind)
