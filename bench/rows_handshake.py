"""Row: new TLS connections."""

from __future__ import annotations

import concurrent.futures
import functools
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping

from bench.objects import KINDS, Doubt
from bench.rows import Bench, Measure, at_least, row
from bench.rows_hits import same_terms
from bench.sides import Field, Side
from bench.wrk import Run, answers_right

CLIENTS = 4
"""Processes of `openssl s_time`: each has one connection at a time."""
_SAYS = re.compile(r"^(\d+) connections in (\d+) real seconds", re.MULTILINE)
_MARKS = re.compile(r"^[r*t]+$", re.MULTILINE)
"""What it prints for each connection: r where a session was resumed."""


def handshakes(side: Side, _number: int, *, field: Field) -> Run:
    """Make connections, ask for one object on each, count those that resumed a session."""
    side.forget_log()
    seconds = field.options.seconds
    command = ["openssl", "s_time", "-connect", f"127.0.0.1:{side.tls_port}", "-reuse", "-tls1_3"]
    command += ["-time", str(seconds), "-www", "/obj/1"]
    before, started = side.group.cpu_seconds(), time.monotonic()
    mine = os.times()
    clients = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(CLIENTS)
    ]
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as readers:
        texts = list(readers.map(lambda client: client.communicate(timeout=60)[0], clients))
    took, used = time.monotonic() - started, side.group.cpu_seconds() - before
    now = os.times()
    connections = resumed = 0
    for text in texts:
        found = _SAYS.search(text)
        if found is None:
            raise Doubt(f"openssl s_time failed against {side.name}:\n{text[-500:]}")
        connections += int(found[1])
        resumed += sum(marks.count("r") for marks in _MARKS.findall(text))
    if resumed < 0.99 * connections:
        raise Doubt(f"{side.name} resumed {resumed} of {connections} sessions")
    # s_time speaks HTTP/1.0; the first connection, which is not counted, has a session made.
    answers_right(side, connections, {(200, KINDS["obj"].bytes)}, 2 * CLIENTS)
    cores = min(CLIENTS, os.cpu_count() or 1)
    return Run(
        figure=connections / took,
        requests=connections,
        cpu_us=used / connections * 1e6,
        busy=used / took,
        generator=(
            (now.children_user + now.children_system - mine.children_user - mine.children_system)
            / took
            / cores
        ),
    )


@row(
    "tls-new", "new TLS 1.3 connections, resumed, one 1 KiB hit each", at_least(0.8), unit="conn/s"
)
def tls_new(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Handshakes."""
    field = bench.field()
    kind = field.fill("obj")
    sides = [side for side in field.sides if side.tls_port]
    same_terms(sides)
    yield {side.name: functools.partial(handshakes, side, field=field) for side in sides}
    field.still_hits(kind)
