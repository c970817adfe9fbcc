"""The processes of a measurement: nginx as origin and as rival, s3shield, and their cost."""

from __future__ import annotations

import atexit
import contextlib
import http.client
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

ROOT: Final = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, not as a module
    sys.path.insert(0, str(ROOT))

from demo.daemon import environment_for, free_port, program  # noqa: E402  needs the line above

__all__ = [
    "ROOT",
    "Group",
    "free_port",
    "need",
    "nginx",
    "raise_limit",
    "s3shield",
    "start",
    "stop_all",
]

_READY_TIMEOUT: Final = 30.0
_groups: list[Group] = []

NGINX: Final = """\
{user}
daemon off;
worker_processes {workers};
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections {connections}; }}
http {{
    client_body_temp_path {directory}/tmp; proxy_temp_path {directory}/tmp;
    fastcgi_temp_path {directory}/tmp; uwsgi_temp_path {directory}/tmp;
    scgi_temp_path {directory}/tmp;
    default_type text/plain;
    sendfile on; tcp_nopush off; tcp_nodelay on;
    keepalive_timeout 65s; keepalive_requests 1000000000;
    open_file_cache max={open_files} inactive=1h; open_file_cache_valid 1h;
    access_log {directory}/access.log combined{log_options};
{body}
}}
"""


@attrs.define
class Group:
    """A server: its processes are one process group. port: where it listens."""

    name: str
    port: int
    directory: Path
    process: subprocess.Popen[bytes] = attrs.field(repr=False)

    def pids(self) -> list[int]:
        """Return the processes of the group (Linux)."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):  # it ended meanwhile
                    if os.getpgid(int(entry.name)) == self.process.pid:
                        found.append(int(entry.name))
        return found

    def cpu_seconds(self) -> float:
        """Return the CPU time, user and system, of the group so far."""
        ticks = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> dict[int, dict[str, int]]:
        """Return pid -> {VmHWM, VmRSS, RssAnon, RssFile, RssShmem} in KiB."""
        found = {}
        for pid in self.pids():
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                pairs = (line.partition(":") for line in lines)
                found[pid] = {
                    name: int(value.split()[0])
                    for name, _, value in pairs
                    if name in ("VmHWM", "VmRSS", "RssAnon", "RssFile", "RssShmem")
                }
        return found

    def anonymous_mib(self) -> float:
        """Return the largest process's own memory, mapped files not counted."""
        return max(each.get("RssAnon", 0) for each in self.memory().values()) / 1024

    def get(self, path: str, connection: http.client.HTTPConnection) -> tuple[int, str, bytes]:
        """Return status, X-Cache-Status and body of one GET."""
        connection.request("GET", path, headers={"Host": "assets.example.com"})
        response = connection.getresponse()
        body = response.read()
        return response.status, response.getheader("X-Cache-Status", ""), body

    def stop(self) -> None:
        """End the group; safe to call twice."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@atexit.register
def stop_all() -> None:
    """End every server that was started."""
    while _groups:
        _groups.pop().stop()


def need(*names: str) -> None:
    """Leave with advice when a program is missing."""
    # Debian keeps nginx in sbin, which is not on everyone's PATH.
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        sys.exit(f"{' and '.join(missing)} not found: apt install {' '.join(missing)}")


def start(
    name: str,
    command: list[str],
    port: int,
    directory: Path,
    environment: Mapping[str, str] | None = None,
) -> Group:
    """Start a server and wait until it accepts connections; leave with its log if it does not."""
    # `timeout` and the like end us with SIGTERM; what is registered with atexit must still run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    log = directory / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    group = Group(name, port, directory, process)
    _groups.append(group)
    deadline = time.monotonic() + _READY_TIMEOUT
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return group
        if process.poll() is not None or time.monotonic() > deadline:
            stop_all()
            sys.exit(f"{name} did not start:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.02)


def raise_limit() -> int:
    """Let us and what we start have as many descriptors as we may; return how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def nginx(
    name: str,
    directory: Path,
    body: str,
    *,
    log_options: str = "",
    workers: int = 1,
    connections: int = 4096,
    port: int = 0,
) -> Group:
    """Start an nginx. body: what stands in `http {}`, with PORT for its port.

    connections: of each worker at most. What it may open besides, it may keep open. port: a
    free one when left out.
    """
    (directory / "tmp").mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    room = raise_limit() - connections - 1000
    text = NGINX.format(
        user="user root;" if os.geteuid() == 0 else "",
        directory=directory,
        body=body.replace("PORT", str(port)),
        log_options=log_options,
        workers=workers,
        connections=connections,
        open_files=max(1000, min(100_000, room)),
    )
    (directory / "nginx.conf").write_text(text)
    command = ["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")]
    return start(name, command, port, directory)


def s3shield(directory: Path, ini: str) -> Group:
    """Start s3shield. ini: its configuration, with PORT and DIRECTORY to be filled in."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    path = directory / "bench.ini"
    path.touch(mode=0o600)
    path.write_text(ini.replace("PORT", str(port)).replace("DIRECTORY", str(directory)))
    options = ["-n", f"--pidfile={directory}/twistd.pid", "s3shield", "-c", str(path)]
    environment = environment_for()
    return start("s3shield", [*program("twistd"), *options], port, directory, environment)
