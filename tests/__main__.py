"""`python -m tests`: trial on uvloop, then what does I/O again on Twisted's own reactor.

With arguments, only those modules, on both. With `--part`, one part of the whole, for CI, which
runs the parts side by side. Every run's closing line is trial's; the exit status is 1 when any
test of any run failed, or when a run executed no test.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import attrs

TWICE: Final = ("tests.wire", "tests.scenario")
"""What depends on the reactor."""
ONCE: Final = (
    "tests.daemon",
    "tests.model",
    "tests.test_chart",
    "tests.test_docs",
    "tests.test_layering",
    "tests.test_pack",
    "tests.test_packaging",
    "tests.test_shell_examples",
    "tests.test_troubleshooting",
    "tests.test_units",
)
"""What is about the operating system, the documents or the sources, so in CI on one Python alone.
That a daemon with workers starts, serves and ends is in `tests.ops`, on every Python."""
PARTS: Final = ("every", "once", "twisted")
"""What each Python runs, what one runs, and the second run of `TWICE`."""
RUN_LIMIT: Final = 900.0
"""Seconds after which a run hangs rather than works."""

_VERDICTS: Final = ("[FAIL]", "[ERROR]", "[SUCCESS!?!]")
"""Lines with which trial's account of a test that failed begins."""
_CLOSING: Final = re.compile(r"^(?:PASSED|FAILED)\b(?: \((.*)\))?\s*$")


@attrs.frozen
class Tally:
    """The result of one run of trial, or of several."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def read_closing(line: str) -> Tally | None:
    """Return what trial's closing line says, or None when `line` is not one."""
    match = _CLOSING.match(line)
    if match is None:
        return None
    counts: dict[str, int] = {}
    for part in (match[1] or "").split(", "):
        name, mark, number = part.partition("=")
        if mark:
            counts[name] = int(number)
    return Tally(
        passed=counts.get("successes", 0) + counts.get("expectedFailures", 0),
        failed=sum(counts.get(name, 0) for name in ("failures", "errors", "unexpectedSuccesses")),
        skipped=counts.get("skips", 0),
    )


class Failures:
    """What trial says of the tests that failed: said again at the end, where CI looks."""

    def __init__(self) -> None:
        self.text = ""
        self._telling = False

    def feed(self, line: str) -> None:
        """Take the next line of trial's output."""
        bare = line.rstrip()
        if bare in _VERDICTS:
            self._telling = True
        elif len(bare) > 70 and not bare.strip("=-"):  # a rule between two accounts
            self._telling = False
        if self._telling:
            self.text += line


def modules_of(part: str) -> list[str]:
    """Return what trial is to load for one of `PARTS`; `every` and `once` are all there is."""
    if part == "twisted":
        return [*TWICE]
    if part == "once":
        return [*ONCE]
    found = set()
    for path in Path(__file__).resolve().parent.iterdir():
        if (path / "__init__.py").is_file() or (path.match("test_*.py") and path.is_file()):
            found.add(f"tests.{path.stem}")
    return sorted(found - set(ONCE))


def run_trial(reactor: str | None, modules: list[str], failures: Failures) -> Tally:
    """Run trial on a reactor (None: the platform's) and show what it says as it says it."""
    command = [sys.executable, "-u", "-m", "twisted.trial"]
    command += ["--reactor", reactor] if reactor else []
    print(f"== trial on {reactor or 'the default reactor'}: {' '.join(modules)}", flush=True)
    process = subprocess.Popen(
        [*command, *modules],
        cwd=Path(__file__).resolve().parents[1],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    limit = threading.Timer(RUN_LIMIT, process.kill)
    limit.start()
    tally = None
    for line in process.stdout:
        print(line, end="", flush=True)
        failures.feed(line)
        tally = read_closing(line) or tally
    status = process.wait()
    limit.cancel()
    if tally is None:
        print(f"trial ended without a closing line (exit {status})")
        return Tally(failed=1)
    if tally.passed == 0 or (status != 0 and tally.failed == 0):
        print(f"trial ended with exit {status} and {tally.passed} tests passed")
        return tally + Tally(failed=1)
    return tally


def main(arguments: list[str]) -> int:
    """Run; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests", description=__doc__)
    parser.add_argument("modules", nargs="*", help="default: all")
    parser.add_argument("--part", choices=PARTS, help="of all modules, those that CI runs together")
    parser.add_argument("--tally", type=Path, help="file to add a line of counts to, for CI")
    parser.add_argument("--failures", type=Path, help="file to add the failures to, for CI")
    options = parser.parse_args(arguments)
    if options.part and options.modules:
        parser.error("--part and modules: one of them")
    failures = Failures()
    runs: list[tuple[str | None, list[str]]]
    if options.part:
        runs = [(None if options.part == "twisted" else "uvloop", modules_of(options.part))]
    else:
        runs = [("uvloop", options.modules or ["tests"]), (None, options.modules or [*TWICE])]
    results = [run_trial(reactor, modules, failures) for reactor, modules in runs]
    total = sum(results, Tally())
    if options.tally:
        with options.tally.open("a") as file:
            print(total.passed, total.failed, total.skipped, file=file)
    version = ".".join(map(str, sys.version_info[:3]))
    if options.failures and failures.text:
        with options.failures.open("a") as file:
            print(f"== Python {version}\n{failures.text}", file=file)
    print(f"\nPython {version}, {options.part or 'both reactors'}: {total}", flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
