"""Row: what idle clients take."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.objects import Doubt, visit
from bench.rig import raise_limit
from bench.rows import Bench, Measure, at_most, row
from bench.wrk import Run

HERE = Path(__file__).parent
CLIENTS = 10_000


def idle(name: str, _number: int, *, bench: Bench) -> Run:
    """Start one server anew, connect to it, look at its memory."""
    raise_limit()
    # nginx closes idle connections when a sixteenth of the most it may have is left.
    with bench.fresh("idle", only=name, connections=CLIENTS * 6 // 5) as field:
        kind = field.make("obj")
        group = field.side(name).group
        visit(group, kind, [1], "MISS")
        before = resident(group.memory())
        command = [sys.executable, str(HERE / "idle.py"), str(group.port), str(CLIENTS)]
        command += ["/obj/1", str(kind.bytes)]
        clients = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert clients.stdout is not None
        opened = clients.stdout.readline()
        memory, shared_once = group.memory(), proportional(group.pids())
        _, error = clients.communicate("\n", timeout=60)
        if clients.returncode != 0 or not opened:
            raise Doubt(f"{name}: {error.strip()[-500:]}")
        return Run(
            figure=resident(memory),
            requests=CLIENTS,
            more={
                "before_mib": before,
                "largest_process_mib": max(each.get("VmRSS", 0) for each in memory.values()) / 1024,
                "anonymous_mib": sum(each.get("RssAnon", 0) for each in memory.values()) / 1024,
                "shared_once_mib": shared_once,
            },
        )


def proportional(pids: list[int]) -> float:
    """Return the same with each shared page counted once, in MiB (the kernel's Pss)."""
    found = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            found += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return found / 1024


def resident(memory: dict[int, dict[str, int]]) -> float:
    """Return the resident sets of all processes together, in MiB; shared pages count twice."""
    return sum(each.get("VmRSS", 0) for each in memory.values()) / 1024


@row(
    "idle-10k",
    "RSS with 10,000 keep-alive clients, all processes together",
    at_most(150),
    unit="MiB",
    rounds=1,
    warm=False,
)
def idle_10k(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Idle clients."""
    names = [side.name for side in bench.field().sides]
    yield {name: functools.partial(idle, name, bench=bench) for name in names}
