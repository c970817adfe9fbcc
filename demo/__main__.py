"""A private bucket served through s3shield, every answer checked.

Starts a real S3 server on loopback that refuses what is not signed, puts objects in a
private bucket, starts the real daemon with twistd, and asks for everything twice. Exit
status 0 when every answer is what it must be, 1 as soon as one is not.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from demo.daemon import Daemon, DaemonError, write_ini
from demo.objects import Sample, samples
from demo.s3_servers import KINDS, RunningServer, ServerStartError, start, why_unavailable
from demo.walk import MismatchError, Walk

STATE: Final = Path(".demo").resolve()
BUCKET: Final = "private-media"
_REFUSALS: Final = (400, 401, 403)
"""What S3 servers say to a request that nobody signed: AWS and moto 403, Swift 400."""

_running: list[RunningServer | Daemon] = []


def say(text: str = "") -> None:
    """Print a line at once: a demo is watched."""
    print(text, flush=True)


def clean_up() -> None:
    """End what is still running."""
    for each in reversed(_running):
        each.kill() if isinstance(each, Daemon) else each.stop()
    _running.clear()


def main(arguments: list[str]) -> int:
    """Run the demo; return the exit status."""
    options = parse(arguments)
    if options.stop:
        say("stopped" if stop_kept() else "nothing was running")
        return 0
    atexit.register(clean_up)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stop_kept()
    shutil.rmtree(STATE, ignore_errors=True)
    STATE.mkdir(mode=0o700)
    started = time.monotonic()
    try:
        passed = [f"{kind} {mode}: {tour(kind, mode, options)}" for kind, mode in plan(options)]
    except (MismatchError, DaemonError, ServerStartError) as problem:
        say(f"\nNOT as it should be. {problem}")
        for each in _running:
            if isinstance(each, Daemon) and not isinstance(problem, DaemonError):
                say(f"\nThe end of the daemon's log:\n{each.log_tail()}")
        return 1
    except KeyboardInterrupt:
        say("\ninterrupted")
        return 130
    say()
    for line in passed:
        say(line)
    say(f"All as it should be, in {time.monotonic() - started:.1f} s.")
    if options.keep:
        keep()
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--server", choices=[*KINDS], help="default: the first that runs here")
    modes = sorted({mode for each in KINDS.values() for mode in each})
    parser.add_argument("--sign", choices=modes, default="v4", help="default: %(default)s")
    parser.add_argument("--all", action="store_true", help="every server, in every mode it checks")
    parser.add_argument("--workers", type=int, default=1, help="0: serve in twistd's own process")
    parser.add_argument("--keep", action="store_true", help="leave both running at the end")
    parser.add_argument("--stop", action="store_true", help="stop what --keep left running")
    options = parser.parse_args(arguments)
    if options.all and options.keep:
        parser.error("--keep goes with one server and one mode")
    return options


def plan(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Return the (server, mode) pairs to show. Raises ServerStartError when there is none."""
    reasons = {kind: why_unavailable(kind, STATE) for kind in KINDS}
    wanted = [options.server] if options.server else [*KINDS]
    for kind in wanted:
        if reasons[kind]:
            say(f"Not shown: {reasons[kind]}")
    able = [kind for kind in wanted if reasons[kind] is None]
    if options.all:
        pairs = [(kind, mode) for kind in able for mode in KINDS[kind]]
    else:
        pairs = [(kind, options.sign) for kind in able if options.sign in KINDS[kind]][:1]
    if not pairs:
        raise ServerStartError("no S3 server here that checks this way of signing")
    return pairs


def tour(kind: str, mode: str, options: argparse.Namespace) -> str:
    """Show one server in one mode; return a line about it. Raises what went wrong."""
    directory = STATE / f"{kind}-{mode}"
    say(f"\n=== S3 server: {kind}; aws_sign = {mode}\n")
    server = start(kind, directory / "s3", detached=options.keep)
    _running.append(server)
    objects = fill(server)
    show_refusals(server, objects[0], mode)
    port = write_ini(directory, server, mode, BUCKET, options.workers)
    secret = None if mode.startswith("v4") else server.secret_key
    daemon = Daemon(directory, port, secret)
    _running.append(daemon)
    daemon.start()
    source = "a scoped signing key, not the secret" if secret is None else "the secret"
    say(f"\n{shlex.join(daemon.command)}")
    say(f"listens on http://127.0.0.1:{port} and signs with {source}\n")
    walk = Walk(port, objects, say)
    walk.heading()
    walk.twice()
    walk.others()
    daemon.stop()
    daemon.start()
    say("-- the daemon was restarted; the cache was kept")
    walk.all_hits()
    if not options.keep:
        clean_up()
    return f"{walk.count} requests, each body compared byte for byte"


def fill(server: RunningServer) -> list[Sample]:
    """Make the private bucket and put the objects in it."""
    objects = samples()
    server.make_bucket(BUCKET)
    for each in objects:
        server.put(BUCKET, each.key, each.body, each.content_type)
    size = sum(len(each.body) for each in objects) / (1 << 20)
    say(f"{server.endpoint}: private bucket {BUCKET}, {len(objects)} objects, {size:.0f} MiB")
    return objects


def show_refusals(server: RunningServer, sample: Sample, mode: str) -> None:
    """Show that the bucket is private: nothing comes out unsigned or wrongly signed."""
    path = f"/{BUCKET}{sample.path}"
    cases = (("without a signature", "off", None), ("signed with a wrong secret", mode, "wrong"))
    for what, how, secret in cases:
        status, body = server.get(path, how, secret)
        if status not in _REFUSALS or sample.body in body:
            raise MismatchError(f"the S3 server answers {status} to a request {what}")
        code = body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()
        say(f"  {what:<28} {status} {code}".rstrip())
    if server.get(path, mode) != (200, sample.body):
        raise MismatchError(f"the S3 server refuses botocore's own {mode} signature")


def keep() -> None:
    """Leave both running; print what to try."""
    server, daemon = _running
    assert isinstance(server, RunningServer)
    assert isinstance(daemon, Daemon)
    assert daemon.process is not None
    pids = [server.process.pid, daemon.process.pid]
    (STATE / "kept.json").write_text(json.dumps(pids))
    _running.clear()
    origin, ours = server.endpoint, f"http://127.0.0.1:{daemon.port}"
    say("\nBoth are left running. Try:\n")
    say(f"  curl -i {origin}/{BUCKET}/hello.txt        # S3 itself, unsigned: refused")
    say(f"  curl -i {ours}/hello.txt                      # through s3shield: a HIT")
    say(f"  curl -I {ours}/caf%C3%A9.txt")
    say(f"  curl -sr 0-99 {ours}/large/video.bin | xxd")
    say(f"  tail -f {shlex.quote(os.path.relpath(daemon.directory / 'access.log'))}")
    say(f"\nStop them:  {shlex.quote(os.path.relpath(sys.executable))} -m demo --stop")


def stop_kept() -> bool:
    """End what an earlier --keep left running; return whether there was anything."""
    try:
        pids = json.loads((STATE / "kept.json").read_text())
    except FileNotFoundError:
        return False
    found = False
    for pid in pids:
        # A number may have gone to another process since: look before ending it.
        shown = ["ps", "-o", "args=", "-p", str(pid)]
        command = subprocess.run(shown, capture_output=True, text=True, check=False).stdout
        if str(STATE) in command:
            found = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)
    (STATE / "kept.json").unlink()
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
