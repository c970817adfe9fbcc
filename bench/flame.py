"""Where the time of a request goes: a table by layer and by Python function, and a flame graph.

One worker of s3shield serves wrk while `perf` samples it, kernel and all. Python names
its functions to perf (PYTHON_PERF_JIT_SUPPORT), which takes Python 3.13 or newer, and costs
time: a run without it tells how much. Needs perf, nginx and wrk; Linux only.
"""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

if __package__ in (None, ""):  # run as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.objects import KINDS, Doubt
from bench.rig import ROOT, need, stop_all
from bench.rows_hits import ranges, tag_of, zipf
from bench.sides import Field, Options
from bench.stacks import Stack, by_function, by_layer, draw, fold, read
from bench.wrk import Run, load

STATE: Final = ROOT / ".bench" / f"flame-{os.getpid()}"
STACK_BYTES: Final = 16384
"""Of each sample: perf unwinds from a copy of the stack."""
LEAST: Final = 200
DUMPS: Final = Path("/tmp")
"""Python writes its jit-PID.dump there and nowhere else."""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="bench/flame.py", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="of sampling (%(default)s)")
    parser.add_argument("--frequency", type=int, default=1999, help="samples/s (%(default)s)")
    parser.add_argument("--work", choices=("hit", "miss", "not-modified", "range"), default="hit")
    parser.add_argument("--objects", choices=("obj", "o64k", "o1m", "o16m"), default="obj")
    parser.add_argument("--tls", action="store_true", help="hits and 304s over TLS")
    parser.add_argument("--functions", type=int, default=25, help="lines shown (%(default)s)")
    parser.add_argument("--svg", type=Path, default=Path("hit.svg"), help="(%(default)s)")
    parser.add_argument("--folded", type=Path, help="the stacks as text, for other programs")
    return parser.parse_args(arguments)


def serve(name: str, options: argparse.Namespace) -> Field:
    """Start s3shield, filled and warm."""
    field = Field(Options(seconds=options.seconds, state=STATE), name, only="s3shield")
    if options.work == "miss":
        field.make(options.objects)
    else:
        field.fill("large" if options.work == "range" else options.objects)
    measure(field, options, 0)
    return field


def measure(field: Field, options: argparse.Namespace, number: int) -> Run:
    """Run wrk once. number: of the run; the objects of a miss are new in each."""
    side, kind = field.side("s3shield"), KINDS[options.objects]
    if options.work == "range":
        return ranges(side, number, field=field)
    if options.work == "miss":
        arguments = [0, f"/cold/{kind.name}/run{number}/", f"1-{kind.count}"]
        return load(side, "cold.lua", arguments, field.options, expected={(200, kind.bytes)})
    tag = tag_of([side]) if options.work == "not-modified" else None
    return zipf(side, number, field=field, name=kind.name, tag=tag, tls=options.tls)


def sampled(field: Field, options: argparse.Namespace, data: Path) -> Run:
    """Run wrk while perf samples the worker. Raises Doubt."""
    group = field.side("s3shield").group
    workers = [pid for pid in group.pids() if pid != group.process.pid]
    command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(options.frequency)]
    command += ["-k", "mono", "--call-graph", f"dwarf,{STACK_BYTES}", "-o", str(data)]
    command += ["-p", ",".join(map(str, workers))]
    perf = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(0.5)
        run = measure(field, options, 1)
        perf.send_signal(signal.SIGINT)
        _, said = perf.communicate(timeout=60)
    finally:
        perf.kill()
    if not data.exists() or not data.stat().st_size:
        raise Doubt(f"perf recorded nothing: {said.strip()[-500:]}")
    return run


def stacks_of(data: Path) -> list[Stack]:
    """Return the stacks of what perf recorded. Raises Doubt."""
    named = data.with_suffix(".named")
    for command in (
        ["perf", "inject", "--jit", "-i", str(data), "-o", str(named)],
        ["perf", "script", "-i", str(named), "--no-inline", "-F", "comm,tid,period,ip,sym,dso"],
    ):
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, cwd=data.parent
        )
        if done.returncode != 0:
            raise Doubt(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-500:]}")
    return list(read(done.stdout.splitlines()))


def tidy_up(pids: list[int]) -> None:
    """Remove what Python and perf left of these processes beside our own directory."""
    for pid in pids:
        for pattern in (f"jit-{pid}.dump", f"jitted-{pid}-*.so"):
            for path in DUMPS.glob(pattern):
                path.unlink(missing_ok=True)


def report(stacks: list[Stack], run: Run, plain: Run, options: argparse.Namespace) -> None:
    """Print the tables, write the files."""
    folded = fold(stacks)
    total = folded.total()
    each = run.cpu_us or 0.0
    functions = by_function(folded)
    named = sum(own for own, _ in functions.values())
    if total < LEAST or not named:
        raise Doubt(f"{total} samples, {named} of them in Python functions: too few to tell")
    print(f"{total:,} samples while {run.requests:,} requests were served")
    print(f"CPU for each: {plain.cpu_us:.2f} us; with functions named to perf {each:.2f} us,")
    print("which is what the lines below share out.\n")
    print(f"{'us each':>9}{'share':>8}  layer")
    for layer, count in by_layer(folded).most_common():
        print(f"{count / total * each:9.2f}{count / total:8.1%}  {layer}")
    print(f"\n{'own us':>9}{'with all':>9}  Python function")
    order = sorted(functions.items(), key=lambda item: -item[1][0])
    for name, (own, whole) in order[: options.functions]:
        print(f"{own / total * each:9.2f}{whole / total * each:9.2f}  {name}")
    what = f"{'TLS ' * options.tls}{options.work}, {options.objects}: {each:.2f} us of CPU each"
    options.svg.write_text(draw(folded, f"s3shield, {what}", each))
    print(f"\nflame graph: {options.svg}")
    if options.folded:
        lines = (
            f"{';'.join(frame.name for frame in stack)} {count}"
            for stack, count in sorted(folded.items(), key=lambda item: -item[1])
        )
        options.folded.write_text("\n".join(lines) + "\n")


def main(arguments: list[str]) -> int:
    """Sample and print; return 1 when there is nothing to tell."""
    options = parse(arguments)
    if sys.version_info < (3, 13):
        sys.exit("Python 3.13 or newer is needed here: older ones cannot be unwound by perf")
    need("perf", "nginx", "wrk", "openssl")
    atexit.register(shutil.rmtree, STATE, ignore_errors=True)
    atexit.register(stop_all)
    STATE.mkdir(parents=True)
    pids: list[int] = []
    try:
        field = serve("plain", options)
        plain = measure(field, options, 1)
        field.stop()
        os.environ["PYTHON_PERF_JIT_SUPPORT"] = "1"
        field = serve("named", options)
        pids = field.side("s3shield").group.pids()
        data = STATE / "perf.data"
        run = sampled(field, options, data)
        field.stop()
        report(stacks_of(data), run, plain, options)
    except Doubt as doubt:
        print(f"STOPPED: {doubt}")
        return 1
    finally:
        tidy_up(pids)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
