"""Cache hits per second, s3shield against nginx: one worker each, access logs on.

Both stand before the same origin and hold the same objects; runs of wrk alternate between
them. Needs nginx and wrk. Prints medians and their ratio.
"""

from __future__ import annotations

import argparse
import atexit
import http.client
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

if __package__ in (None, ""):  # run as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.rig import ROOT, Group, need, nginx, s3shield, stop_all

STATE: Final = ROOT / ".bench" / f"hits-{os.getpid()}"
SCRIPT: Final = ROOT / "bench" / "zipf.lua"
SAMPLED: Final = 200

ORIGIN: Final = """
    server {{ listen 127.0.0.1:PORT backlog=4096; root {root}; }}
"""
RIVAL: Final = """
    proxy_cache_path {cache} levels=1:2 keys_zone=bench:200m max_size=50g inactive=7d
                     use_temp_path=off;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; }}
    server {{
        listen 127.0.0.1:PORT backlog=4096;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_cache bench;
            proxy_cache_valid 200 1d;
            add_header X-Cache-Status $upstream_cache_status;
        }}
    }}
"""
INI: Final = """\
[s3shield]
listen = 127.0.0.1:PORT
workers = 1
access_log = DIRECTORY/access.log combined

[cache:bench]
path = DIRECTORY/cache
max_size = 50g

[location:/]
origin = http://127.0.0.1:{origin}
proxy_cache = bench
proxy_cache_valid = 200 1d
"""


class Doubt(SystemExit):
    """The measurement would not mean what it says; the text tells why."""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (%(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="length of a run (%(default)s)")
    parser.add_argument("--objects", type=int, default=10_000, help="how many (%(default)s)")
    parser.add_argument("--size", type=int, default=1024, help="bytes of each (%(default)s)")
    parser.add_argument("--connections", type=int, default=32, help="(%(default)s)")
    parser.add_argument(
        "--nginx-log",
        choices=("buffered", "plain"),
        default="plain",
        help="plain: a write per request, as nginx does unless told; buffered: in batches, as "
        "s3shield does (%(default)s)",
    )
    parser.add_argument("--keep", action="store_true", help="keep its files, in .bench")
    return parser.parse_args(arguments)


def body_of(number: int, size: int) -> bytes:
    """Return the object's body: its own, so that a mix-up is seen."""
    return (b"%d " % number * (size // 2 + 1))[:size]


def make_objects(directory: Path, objects: int, size: int) -> None:
    """Write /obj/1 .. /obj/N."""
    (directory / "obj").mkdir(parents=True)
    for number in range(1, objects + 1):
        (directory / "obj" / str(number)).write_bytes(body_of(number, size))


def visit(group: Group, numbers: list[int], size: int, status: str | None) -> None:
    """Get each object, compare it and, when `status` is given, its X-Cache-Status."""
    connection = http.client.HTTPConnection("127.0.0.1", group.port, timeout=30)
    for number in numbers:
        answer = group.get(f"/obj/{number}", connection)
        wanted = (200, answer[1] if status is None else status, body_of(number, size))
        if answer != wanted:
            shown = (*answer[:2], f"{len(answer[2])} bytes")
            raise Doubt(f"{group.name}: /obj/{number} came back as {shown}")
    connection.close()


def requests_at(origin: Group) -> int:
    """Return how many requests the origin has answered."""
    return (origin.directory / "access.log").read_bytes().count(b"\n")


def load(group: Group, options: argparse.Namespace) -> dict[str, Any]:
    """Run wrk once; return its figures and the CPU time per request."""
    before = group.cpu_seconds()
    command = ["wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds}s"]
    command += ["-s", str(SCRIPT), f"http://127.0.0.1:{group.port}/", "--", str(options.objects)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Doubt(f"wrk failed:\n{done.stdout}{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if figures["bad_status"] or figures["broken"] or not figures["requests"]:
        raise Doubt(f"{group.name} did not answer everything with 200: {figures}")
    figures["rate"] = figures["requests"] / figures["us"] * 1e6
    figures["cpu_us"] = (group.cpu_seconds() - before) / figures["requests"] * 1e6
    return figures


def report(name: str, runs: list[dict[str, Any]], size: int) -> float:
    """Print a line; return the median rate."""
    rates = [run["rate"] for run in runs]
    median = statistics.median(rates)
    others = [statistics.median(run[key] for run in runs) for key in ("p50_us", "p99_us", "cpu_us")]
    p50, p99, cpu = others
    print(
        f"{name:<10}{median:>10,.0f}{min(rates):>10,.0f}{max(rates):>10,.0f}"
        f"{median * size / 1e6:>10,.0f}{p50:>10,.0f}{p99:>10,.0f}{cpu:>12.1f}"
    )
    return float(median)


def main(arguments: list[str]) -> None:
    """Measure and print."""
    options = parse(arguments)
    need("nginx", "wrk")
    if not options.keep:
        atexit.register(shutil.rmtree, STATE, ignore_errors=True)
        atexit.register(stop_all)
    make_objects(STATE / "files", options.objects, options.size)
    origin = nginx("origin", STATE / "origin", ORIGIN.format(root=STATE / "files"))
    log_options = " buffer=64k flush=1s" if options.nginx_log == "buffered" else ""
    rival = nginx(
        "nginx",
        STATE / "nginx",
        RIVAL.format(cache=STATE / "nginx" / "cache", origin=origin.port),
        log_options=log_options,
    )
    product = s3shield(STATE / "s3shield", INI.format(origin=origin.port))
    groups = [rival, product]
    everything = list(range(1, options.objects + 1))
    print(f"filling both caches with {options.objects:,} objects of {options.size:,} bytes")
    for group in groups:
        visit(group, everything, options.size, None)
        visit(group, everything, options.size, "HIT")
    asked = requests_at(origin)
    runs: dict[str, list[dict[str, Any]]] = {group.name: [] for group in groups}
    for number in range(options.rounds):
        for group in groups if number % 2 == 0 else reversed(groups):
            runs[group.name].append(load(group, options))
            print(f"round {number + 1}: {group.name:<10}{runs[group.name][-1]['rate']:>10,.0f}/s")
    for group in groups:
        sample = random.Random(1).sample(everything, min(SAMPLED, options.objects))
        visit(group, sample, options.size, "HIT")
    if requests_at(origin) != asked:
        raise Doubt(f"{requests_at(origin) - asked} requests went to the origin: not all were hits")
    print(
        f"\n{'':<10}{'hits/s':>10}{'min':>10}{'max':>10}{'MB/s':>10}{'p50 us':>10}{'p99 us':>10}"
        f"{'CPU us/hit':>12}"
    )
    rates = [report(group.name, runs[group.name], options.size) for group in groups]
    print(f"\nratio to nginx (medians of {options.rounds}): {rates[1] / rates[0]:.2f}")
    print(f"nginx's access log: {options.nginx_log}; one worker each; wrk on the same machine")
    stop_all()


if __name__ == "__main__":
    main(sys.argv[1:])
