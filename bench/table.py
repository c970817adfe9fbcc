"""s3shield against nginx, and Varnish where it is installed, side by side on this machine.

Every row measures both in turns, on the same origin, with the same objects, as many workers
and an access log, and looks at what came back. Prints medians and ratios. Needs nginx, wrk and
openssl; installs nothing. docs/benchmarks.rst says how to read it.
"""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Final

if __package__ in (None, ""):  # run as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.every_row import TABLE
from bench.objects import Doubt
from bench.report import Result, as_json, block, machine, summary
from bench.rig import ROOT, need, stop_all
from bench.rows import Bench, Row, run_row
from bench.sides import Options

KEPT: Final = ROOT / ".bench" / "kept"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options. Leaves with advice for a wrong one."""
    parser = argparse.ArgumentParser(prog="bench/table.py", description=__doc__)
    parser.add_argument("--rows", default="", help="names, with commas; see --list")
    parser.add_argument("--all", action="store_true", help="those that take long, too")
    parser.add_argument("--list", action="store_true", help="print the rows' names and targets")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (%(default)s)")
    parser.add_argument("--seconds", type=int, default=2, help="length of a run (%(default)s)")
    parser.add_argument("--connections", type=int, default=32, help="of wrk (%(default)s)")
    parser.add_argument(
        "--nginx-log",
        choices=("plain", "buffered"),
        default="plain",
        help="plain: a write per request, as nginx does unless told; buffered: in batches, as "
        "s3shield does (%(default)s)",
    )
    parser.add_argument("--no-varnish", action="store_true", help="leave Varnish out")
    parser.add_argument(
        "--entries", type=int, default=1_000_000, help="of the rows -million (%(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="every run's figures, too")
    parser.add_argument("--keep", action="store_true", help=f"keep all files, in {KEPT.name}")
    parser.add_argument(
        "--reuse", action="store_true", help="keep, and begin with what was kept of -million"
    )
    options = parser.parse_args(arguments)
    names = [name for name in options.rows.split(",") if name]
    unknown = [name for name in names if name not in TABLE]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(TABLE)}")
    if min(options.rounds, options.seconds, options.connections, options.entries) < 1:
        parser.error("--rounds, --seconds, --connections and --entries are at least 1")
    options.chosen = [
        row
        for row in TABLE.values()
        if (row.name in names if names else options.all or not row.explicit)
    ]
    return options


def measure(bench: Bench, row: Row) -> Result:
    """Measure a row; what makes its figures doubtful is the result then."""
    started = time.monotonic()
    try:
        return Result(row, run_row(bench, row), seconds=time.monotonic() - started)
    except Doubt as doubt:
        return Result(row, {}, doubt=str(doubt), seconds=time.monotonic() - started)


def state_for(options: argparse.Namespace) -> Path:
    """Return the directory of all files, empty but for what is to be used again."""
    if not (options.keep or options.reuse):
        state = ROOT / ".bench" / f"table-{os.getpid()}"
        atexit.register(shutil.rmtree, state, ignore_errors=True)
    else:
        state = KEPT
        for path in state.iterdir() if state.exists() else ():
            if not options.reuse or path.name not in ("files", "million"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    atexit.register(stop_all)  # the last registered is the first done
    state.mkdir(parents=True, exist_ok=True)
    return state


def main(arguments: list[str]) -> int:
    """Measure and print; return 1 when a row could not be measured."""
    options = parse(arguments)
    if options.list:
        for row in TABLE.values():
            print(f"{row.name:<16}{row.target!s:<12}{row.title}{' (--all)' * row.explicit}")
        return 0
    need("nginx", "wrk", "openssl")
    common = Options(
        rounds=options.rounds,
        seconds=options.seconds,
        connections=options.connections,
        log=options.nginx_log,
        entries=options.entries,
        varnish=not options.no_varnish,
        state=state_for(options),
    )
    bench = Bench(common, say=lambda text: print(text, flush=True))
    about = machine(common)
    print("\n".join(f"{name}: {value}" for name, value in about.items()), flush=True)
    results = []
    for row in options.chosen:
        title = row.title.replace("1,000,000", f"{common.entries:,}")
        print(f"\n{row.name}: {title}", flush=True)
        results.append(measure(bench, row))
        print(block(results[-1]), flush=True)
        if options.json:
            options.json.write_text(as_json(about, results))
    bench.stop()
    print(f"\n{summary(results)}")
    return 1 if any(result.doubt for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
