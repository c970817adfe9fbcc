"""What is printed of the runs, and the JSON."""

from __future__ import annotations

import json
import os
import platform
import shutil
import ssl
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import attrs

from bench.rows import Goal, Row, median
from bench.sides import Options
from bench.wrk import Run

__all__ = ["Result", "as_json", "block", "machine", "summary"]

AT_ITS_LIMIT: Final = 0.9
IDLE: Final = 0.8


@attrs.frozen
class Result:
    """A row's runs, by side. doubt: why there are none. seconds: that it took in all."""

    row: Row
    runs: dict[str, list[Run]]
    doubt: str = ""
    seconds: float = 0.0

    def figure(self, name: str) -> float | None:
        """Return a side's median."""
        return median(self.runs.get(name, []))

    @property
    def ratio(self) -> float | None:
        """Ours to nginx's, by the figures."""
        ours, theirs = self.figure("s3shield"), self.figure("nginx")
        return ours / theirs if ours is not None and theirs else None

    @property
    def cpu_ratio(self) -> float | None:
        """How much more a second of our processor does than one of nginx's."""
        ours = median(self.runs.get("s3shield", []), "cpu_us")
        theirs = median(self.runs.get("nginx", []), "cpu_us")
        return theirs / ours if ours and theirs else None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none, or no figure."""
        ours = self.figure("s3shield")
        return None if ours is None else self.row.target.met(ours, self.ratio)

    @property
    def verdict(self) -> str:
        """The same in words."""
        if self.doubt:
            return "doubt"
        if self.met is None:
            return "-"
        by_cpu = self.row.target.goal is Goal.RATIO and self.row.target.met(0, self.cpu_ratio)
        return "met" if self.met else "missed (met by CPU)" if by_cpu else "missed"

    def remarks(self) -> list[str]:
        """Return what a reader has to know of the figures."""
        found = []
        for name, runs in self.runs.items():
            generator, busy = median(runs, "generator"), median(runs, "busy")
            if generator is not None and generator >= AT_ITS_LIMIT:
                found.append(f"{name}: the load generator was at its own limit ({generator:.0%})")
            elif busy is not None and busy < IDLE and self.row.target.goal is Goal.RATIO:
                found.append(
                    f"{name}: its workers were only {busy:.0%} busy: something else was the limit, "
                    f"so compare the CPU time"
                )
            late = [run.more["late_p99_us"] for run in runs if "late_p99_us" in run.more]
            if late and statistics.median(late) > (median(runs) or 0) / 2:
                found.append(
                    f"{name}: the load generator itself sent its requests late "
                    f"(p99 {statistics.median(late):,.0f} us): this machine was too busy"
                )
        return found


def number(value: float | None, width: int = 0) -> str:
    """Return a figure with as many digits as mean something."""
    if value is None:
        return "-".rjust(width)
    text = f"{value:,.0f}" if value >= 1000 else f"{value:.4g}" if value >= 100 else f"{value:.3g}"
    return text.rjust(width)


def block(result: Result) -> str:
    """Return the lines on one row."""
    if result.doubt:
        return f"    STOPPED: {result.doubt}"
    lines = []
    for name, runs in result.runs.items():
        figures = [run.figure for run in runs]
        parts = [f"{name:<10}{number(statistics.median(figures), 10)} {result.row.unit}"]
        parts.append(f"({number(min(figures))} to {number(max(figures))})")
        if (cpu := median(runs, "cpu_us")) is not None:
            parts.append(f"CPU {number(cpu)} us each")
        if result.row.unit != "us" and (p50 := median(runs, "p50_us")) is not None:
            parts.append(f"p50 {number(p50)} us, p99 {number(median(runs, 'p99_us'))} us")
        for key in runs[0].more:
            if key != "bytes":
                value = statistics.median(run.more[key] for run in runs)
                parts.append(f"{key.replace('_', ' ')} {number(value)}")
        shares = {what: median(runs, what) for what in ("busy", "generator")}
        parts += [f"{what} {share:.0%}" for what, share in shares.items() if share is not None]
        lines.append("    " + ", ".join(parts))
    ratio = "" if result.ratio is None else f"ratio {result.ratio:.2f}"
    if result.cpu_ratio is not None:
        ratio += f", by CPU {result.cpu_ratio:.2f}"
    lines.append(f"    {ratio}; target {result.row.target}: {result.verdict}")
    lines += [f"    note: {text}" for text in result.remarks()]
    return "\n".join(lines)


def summary(results: list[Result]) -> str:
    """Return the table."""
    others = {name for result in results for name in result.runs} - {"nginx", "s3shield"}
    columns = ["nginx", "s3shield", *sorted(others)]
    wide = "".join(name.rjust(11) for name in columns)
    lines = [
        f"{'':<16}{'':<7}{wide}{'ratio':>8}{'by CPU':>8}  {'target':<10}",
        "-" * (16 + 7 + 11 * len(columns) + 16 + 22),
    ]
    for result in results:
        row = result.row
        figures = "".join(number(result.figure(name), 11) for name in columns)
        ratios = "".join(
            f"{value:8.2f}" if value is not None else f"{'-':>8}"
            for value in (result.ratio, result.cpu_ratio)
        )
        mark = "*" if result.remarks() else ""
        words = f"{row.target!s:<10}{result.verdict}{mark}"
        lines.append(f"{row.name:<16}{row.unit:<7}{figures}{ratios}  {words}")
    lines.append("")
    lines.append("Medians. by CPU: the ratio of processor time for each request, nginx's to ours.")
    if any(result.remarks() for result in results):
        lines.append("* see the row's notes above")
    return "\n".join(lines)


def version(*command: str) -> str:
    """Return the first line a program says of itself, or that it is not there."""
    if shutil.which(command[0]) is None:
        return "not installed"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return ((done.stdout + done.stderr).strip().splitlines() or ["?"])[0]


def machine(options: Options) -> dict[str, str]:
    """Return what the figures depend on."""
    processor = "?"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
    load = os.getloadavg()[0]
    return {
        "when": time.strftime("%Y-%m-%d %H:%M:%S"),
        "machine": f"{os.cpu_count()} x {processor}, {platform.system()} {platform.release()}",
        "load before": f"{load:.2f}{' (others work here: do not trust the times)' * (load > 0.5)}",
        "nginx": version("nginx", "-v"),
        "varnish": version("varnishd", "-V"),
        "python": f"{platform.python_version()} of {sys.base_prefix}, {ssl.OPENSSL_VERSION}",
        "runs": f"{options.rounds} x {options.seconds} s each, {options.connections} connections; "
        f"nginx's access log {options.log}, s3shield's in batches of 256 or 0.2 s",
    }


def as_json(about: dict[str, str], results: list[Result]) -> str:
    """Return all of it for programs."""
    rows: list[dict[str, Any]] = [
        {
            "name": result.row.name,
            "title": result.row.title,
            "unit": result.row.unit,
            "goal": result.row.target.goal.name.lower(),
            "target": result.row.target.value,
            "met": result.met,
            "ratio": result.ratio,
            "cpu_ratio": result.cpu_ratio,
            "medians": {name: median(runs) for name, runs in result.runs.items()},
            "runs": {
                name: [attrs.asdict(run) for run in runs] for name, runs in result.runs.items()
            },
            "notes": result.remarks(),
            "doubt": result.doubt,
            "seconds": result.seconds,
        }
        for result in results
    ]
    return json.dumps({"about": about, "rows": rows}, indent=1) + "\n"
