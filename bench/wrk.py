"""One run of wrk, and whether every answer in it was right."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

import attrs

from bench.objects import Doubt
from bench.sides import Options, Side

__all__ = ["Run", "answers_right", "load"]

HERE: Final = Path(__file__).parent


@attrs.frozen(kw_only=True)
class Run:
    """What one run found.

    figure: in the row's unit. cpu_us: the server's processor time for each request, None
    where requests are not what counts. busy: how much of its processors the server used, 1
    for each worker: far below 1 the server was not the limit. generator: the same of the load
    generator: near 1 it was. more: for the JSON.
    """

    figure: float
    requests: int = 0
    cpu_us: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None
    busy: float | None = None
    generator: float | None = None
    more: dict[str, float] = attrs.field(factory=dict)


def answers_right(
    side: Side, requests: int, expected: Collection[tuple[int, int]], spare: int
) -> None:
    """Compare the access log with what was asked for. Raises Doubt.

    expected: (status, body bytes) of answers that are right. spare: how many requests may
    have been cut at the end of the run, which no client counts.
    """
    logged = side.logged(requests)
    right = sum(count for answer, count in logged.items() if answer in expected)
    if right < requests or logged.total() - right > spare:
        wrong = {answer: n for answer, n in logged.most_common(8) if answer not in expected}
        raise Doubt(
            f"{side.name} answered {right} of {requests} requests as expected; besides there "
            f"were (status, bytes): {wrong}"
        )


def load(
    side: Side,
    script: str,
    arguments: list[object],
    options: Options,
    *,
    expected: Collection[tuple[int, int]],
    tls: bool = False,
    threads: int = 1,
) -> Run:
    """Run wrk once. Raises Doubt when an answer was not as expected.

    script: of this directory. arguments: the script's. expected: see answers_right. threads:
    as many as the server has workers.
    """
    side.forget_log()
    scheme, port = ("https", side.tls_port) if tls else ("http", side.group.port)
    command = ["wrk", f"-t{threads}", f"-c{options.connections}", f"-d{options.seconds}s"]
    command += ["--timeout", "30s", "-s", str(HERE / script), f"{scheme}://127.0.0.1:{port}/"]
    command += ["--", *map(str, arguments)]
    before, started = side.group.cpu_seconds(), time.monotonic()
    with tempfile.TemporaryFile() as output:
        wrk = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(wrk.pid, 0)
        wrk.returncode = os.waitstatus_to_exitcode(status)
        took, used = time.monotonic() - started, side.group.cpu_seconds() - before
        output.seek(0)
        text = output.read().decode(errors="replace")
    if wrk.returncode != 0:
        raise Doubt(f"wrk failed:\n{text}")
    found = json.loads(text.splitlines()[-1])
    if found["bad_status"] or found["broken"] or not found["requests"]:
        raise Doubt(f"{side.name} did not answer everything: {found}\n{text}")
    requests = found["requests"]
    answers_right(side, requests, expected, options.connections)
    return Run(
        figure=requests / found["us"] * 1e6,
        requests=requests,
        cpu_us=used / requests * 1e6,
        p50_us=found["p50_us"],
        p99_us=found["p99_us"],
        busy=used / (found["us"] / 1e6) / threads,
        generator=(usage.ru_utime + usage.ru_stime) / took / threads,
        more={"bytes": found["bytes"]},
    )
