"""The real daemon as a subprocess: its configuration file, its start, its end."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import attrs

from demo.s3_servers import RunningServer

__all__ = [
    "Daemon",
    "DaemonError",
    "environment_for",
    "free_port",
    "program",
    "scoped_key",
    "write_ini",
]

_READY_TIMEOUT: Final = 30.0
_STOP_TIMEOUT: Final = 15.0
_CHECKOUT: Final = Path(__file__).resolve().parents[1]

SECRET_NAME: Final = "S3SHIELD_DEMO_SECRET"
"""Environment variable through which a daemon that must have the whole secret gets it."""

INI: Final = """\
[s3shield]
listen = 127.0.0.1:{port}
workers = {workers}
access_log = {directory}/access.log combined

[cache:demo]
path = {directory}/cache
max_size = 1g

[bucket:demo]
aws_s3_bucket = {bucket}
aws_endpoint = {endpoint}
aws_region = {region}
aws_sign = {mode}
aws_access_key = {access_key}
{secret_lines}

[location:/]
bucket = demo
proxy_cache = demo
proxy_cache_valid = 200 10m
"""


class DaemonError(Exception):
    """The daemon did not start or stop as it should; the text has the end of its log."""


def free_port() -> int:
    """Return a port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def program(name: str) -> list[str]:
    """Return the command of `twistd` or `s3shield` in the environment that runs us."""
    installed = Path(sys.executable).with_name(name)
    if installed.exists():
        return [str(installed)]
    where = {"twistd": "twisted.scripts.twistd", "s3shield": "s3shield.cli"}[name]
    entry = {"twistd": "run", "s3shield": "main"}[name]
    code = f"import sys; from {where} import {entry}; sys.argv[0] = {name!r}; sys.exit({entry}())"
    return [sys.executable, "-c", code]


def environment_for(**extra: str) -> dict[str, str]:
    """Return our environment, in which this checkout is what runs.

    `make demo` sets S3SHIELD_INSTALLED, after installing: then it is what was installed. An
    older copy, left in the environment by that, must never be what the tests test.
    """
    environment = {**os.environ, **extra}
    if not os.environ.get("S3SHIELD_INSTALLED"):
        environment["PYTHONPATH"] = str(_CHECKOUT)
    return environment


def scoped_key(server: RunningServer) -> tuple[str, str]:
    """Derive today's signing key with the product's own command; return (key, scope)."""
    command = [*program("s3shield"), "signing-key", "--region", server.region]
    done = subprocess.run(
        command,
        env=environment_for(AWS_SECRET_ACCESS_KEY=server.secret_key),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    lines = done.stdout.split()
    if done.returncode != 0 or len(lines) != 2:
        raise DaemonError(f"`s3shield signing-key` failed:\n{done.stdout}{done.stderr}")
    return lines[0], lines[1]


def write_ini(directory: Path, server: RunningServer, mode: str, bucket: str, workers: int) -> int:
    """Write `demo.ini`; return the port it listens on.

    SigV4 gets a scoped key: the secret is nowhere on the daemon's side. SigV2 knows no
    such thing: there the secret comes through the environment.
    """
    if mode.startswith("v4"):
        key, scope = scoped_key(server)
        secret_lines = f"aws_signing_key = {key}\naws_key_scope = {scope}"
    else:
        secret_lines = f"aws_secret_key = env:{SECRET_NAME}"
    port = free_port()
    text = INI.format(
        port=port,
        workers=workers,
        directory=directory,
        bucket=bucket,
        endpoint=server.endpoint,
        region=server.region,
        mode=mode,
        access_key=server.access_key,
        secret_lines=secret_lines,
    )
    ini = directory / "demo.ini"
    ini.touch(mode=0o600)
    ini.write_text(text)
    return port


@attrs.define
class Daemon:
    """`twistd -n s3shield -c demo.ini`. directory: where demo.ini is. port: its listener."""

    directory: Path
    port: int
    secret: str | None = attrs.field(default=None, repr=False)
    process: subprocess.Popen[bytes] | None = attrs.field(default=None, repr=False)

    @property
    def command(self) -> list[str]:
        """What is run, as a person would type it."""
        ini, pid_file = self.directory / "demo.ini", self.directory / "twistd.pid"
        options = ["-n", f"--pidfile={pid_file}", "s3shield", "-c", str(ini)]
        return [*program("twistd"), *options]

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.directory / "daemon.log"

    def start(self) -> None:
        """Start and wait until it answers. Raises DaemonError."""
        extra = {SECRET_NAME: self.secret} if self.secret else {}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env=environment_for(**extra),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _READY_TIMEOUT
        while not self._answers():
            if self.process.poll() is not None:
                status = self.process.returncode
                raise DaemonError(f"twistd ended at once (exit {status}):\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise DaemonError(f"twistd does not listen on {self.port}:\n{self.log_tail()}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        """Ask something that goes no further than the daemon: a method it does not take.

        A connection alone proves nothing: the parent's sockets take them before a worker
        is there to answer.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_READY_TIMEOUT)
        try:
            connection.request("DELETE", "/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    def stop(self) -> None:
        """Ask it to end, as an operator would, and wait. Raises DaemonError if it does not."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            status = self.process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DaemonError(f"twistd did not end on SIGTERM:\n{self.log_tail()}") from None
        self.kill()
        if status != 0:
            raise DaemonError(f"twistd ended with exit {status}:\n{self.log_tail()}")

    def kill(self) -> None:
        """End it and its workers, whatever state they are in; safe to call twice."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            self.process.wait()  # all of the group had ended
        self.process.wait()
        self.process = None

    def log_tail(self, lines: int = 20) -> str:
        """Return the end of what it printed."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
