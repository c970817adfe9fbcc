"""One daemon with two workers, its origin, and clients."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import time
from pathlib import Path
from typing import Final

import attrs

from tests.ops.test_daemon import PATIENCE, Running
from tests.ports import free_port

from .origin import Origin

__all__ = ["Got", "World"]

WORKERS: Final = 2


@attrs.frozen
class Got:
    """An answer. whole: it did not end before it should. status 0: none at all."""

    status: int
    fields: dict[str, str]
    body: bytes
    whole: bool

    @property
    def cache(self) -> str:
        """X-Cache-Status."""
        return self.fields.get("x-cache-status", "")


class World:
    """Everything that is real. folder: where it lives; it is made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True)
        self.origin = Origin()
        self.port, self.admin = free_port(), free_port()
        self.examples = 0
        (self.folder / "s3shield.ini").write_text(
            f"""\
[s3shield]
listen = 127.0.0.1:{self.port}
admin_listen = 127.0.0.1:{self.admin}
workers = {WORKERS}
access_log = {self.folder}/access.log json
shutdown_timeout = 20s

[cache:main]
path = {self.folder}/cache
max_size = 1g
min_free = 0
block_size = 64k

[location:/]
origin = http://127.0.0.1:{self.origin.number}
proxy_cache = main
purge_allow = 127.0.0.1
proxy_cache_background_update = off
range_connections = 2

[location:/one/]
origin = http://127.0.0.1:{self.origin.number}
proxy_cache = main
purge_allow = 127.0.0.1
proxy_cache_background_update = off
fetch_on_abort = cancel
"""
        )
        self.start()

    # The daemon's life

    def start(self) -> None:
        """Start it and wait until all of it is there."""
        self.running = Running(self.folder, "-c", "s3shield.ini")
        self.running.until("ready: listening on")
        self.running.until(" is ready, pid ", WORKERS)

    def restart(self) -> None:
        """As an operator does."""
        status = self.running.end()
        if status != 0:
            raise AssertionError(f"it ended with {status}:\n" + "\n".join(self.running.lines))
        self.start()

    def kill_all(self) -> None:
        """Power cut for processes, not for the system."""
        os.killpg(self.running.process.pid, signal.SIGKILL)
        self.running.clean()
        self.start()

    def kill_worker(self, number: int) -> None:
        """Kill one; its parent starts another, which is waited for."""
        pids = self.running.workers()
        alive = [pid for pid in pids if self._is_alive(pid)]
        os.kill(alive[number % len(alive)], signal.SIGKILL)
        self.running.until(" is ready, pid ", len(pids) + 1)

    def _is_alive(self, pid: int) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return True
        return False

    def delete_bodies(self) -> None:
        """What an operator should not do."""
        for file in (self.folder / "cache" / "blobs").rglob("*"):
            if file.is_file():
                file.unlink(missing_ok=True)

    def close(self) -> None:
        """End everything."""
        self.running.clean()
        self.origin.shutdown()
        self.origin.server_close()

    def trouble(self) -> list[str]:
        """Lines of the daemon's log that tell of a fault of its own."""
        words = ("Traceback", "Unhandled", "failed on a request", "CRITICAL")
        return [line for line in self.running.lines if any(word in line for word in words)]

    # Clients

    def get(self, path: str, method: str = "GET", leave: int | None = None, **fields: str) -> Got:
        """One request on a connection of its own. leave: bytes of body after which to hang up."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(
                method, path, headers={name.replace("_", "-"): v for name, v in fields.items()}
            )
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            if leave is not None:
                return Got(response.status, named, response.read(leave), whole=False)
            try:
                return Got(response.status, named, response.read(), whole=True)
            except http.client.IncompleteRead as cut:
                return Got(response.status, named, cut.partial, whole=False)
        except (http.client.HTTPException, ConnectionError):
            return Got(0, {}, b"", whole=False)
        finally:
            connection.close()

    def purge(self, **wanted: object) -> int:
        """Through the admin listener; return how many went."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=PATIENCE)
        try:
            text = json.dumps(wanted)
            connection.request("POST", "/purge", text, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status != http.HTTPStatus.OK:
                raise AssertionError(f"purge {wanted}: {answer}")
            return int(answer["purged"])
        finally:
            connection.close()

    def url(self, path: str) -> str:
        """As clients ask for it."""
        return f"http://127.0.0.1:{self.port}{path}"

    def wait_a_little(self) -> None:
        """Let what goes on behind clients' backs go on."""
        time.sleep(0.02)
