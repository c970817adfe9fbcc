"""Starting one of the servers in a process of its own, and talking to it as its owner."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

__all__ = ["KINDS", "RunningServer", "ServerStartError", "start", "why_unavailable"]

KINDS: Final[dict[str, tuple[str, ...]]] = {
    "swift": ("v4", "v4-query", "v2", "v2-query"),
    "moto": ("v4",),
}
"""Server -> the signing modes it checks. (moto answers 500 to the others.)"""

_NEEDS: Final = {
    "swift": ("swift", "eventlet", "pkg_resources", "boto3"),
    "moto": ("moto", "flask", "boto3"),
}
_START_TIMEOUT: Final = 60.0
_CHECKOUT: Final = Path(__file__).resolve().parents[2]


class ServerStartError(Exception):
    """The server did not come up; the text says why, with the end of its log."""


def why_unavailable(kind: str, directory: Path | None = None) -> str | None:
    """Return why `kind` cannot run here (in `directory`), in words for a person, or None."""
    missing = [name for name in _NEEDS[kind] if importlib.util.find_spec(name) is None]
    if missing:
        return f"{kind} is not installed (no {', '.join(missing)}): pip install 's3shield[demo]'"
    if kind == "swift" and sys.platform == "darwin":
        return "swift needs Linux's epoll and extended attributes"
    if kind == "swift" and not _has_user_xattrs(directory):
        return f"swift needs user extended attributes; {directory or 'the temp dir'} has none"
    return None


def _has_user_xattrs(directory: Path | None) -> bool:
    with tempfile.NamedTemporaryFile(dir=directory) as probe:
        try:
            os.setxattr(probe.name, "user.s3shield", b"1")
        except OSError:
            return False
    return True


@attrs.define
class RunningServer:
    """A server that listens on loopback and refuses what is not signed with its keys.

    endpoint: str, `http://127.0.0.1:PORT`. modes: the signing modes it checks, in
    s3shield's words. log: Path of its standard error.
    """

    kind: str
    endpoint: str
    access_key: str
    secret_key: str = attrs.field(repr=False)
    region: str
    modes: tuple[str, ...]
    log: Path
    process: subprocess.Popen[bytes] = attrs.field(repr=False)

    def client(self, secret_key: str | None = None) -> Any:
        """Return a boto3 S3 client with the owner's keys (or another secret)."""
        import boto3  # noqa: PLC0415  the demo's extra: without it there is no server either
        from botocore.config import Config  # noqa: PLC0415

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=secret_key or self.secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                retries={"max_attempts": 1},
                # Old servers know no CRC trailers.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def make_bucket(self, bucket: str) -> None:
        """Make a private bucket."""
        self.client().create_bucket(Bucket=bucket)

    def put(self, bucket: str, key: str, body: bytes, content_type: str = "text/plain") -> None:
        """Put one object."""
        self.client().put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def get(self, path: str, mode: str = "off", secret_key: str | None = None) -> tuple[int, bytes]:
        """Return status and body of a GET signed by botocore in `mode` (`off`: unsigned).

        path: the percent-encoded path. secret_key: a wrong one, to see it refused.
        """
        target, headers = self._signed(path, mode, secret_key or self.secret_key)
        where = urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
        try:
            connection.request("GET", target, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _signed(self, path: str, mode: str, secret_key: str) -> tuple[str, dict[str, str]]:
        if mode == "off":
            return path, {}
        from botocore import auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.credentials import Credentials  # noqa: PLC0415

        keys = Credentials(self.access_key, secret_key)
        signer: Any = {
            "v4": lambda: auth.S3SigV4Auth(keys, "s3", self.region),
            "v4-query": lambda: auth.S3SigV4QueryAuth(keys, "s3", self.region, 60),
            "v2": lambda: auth.HmacV1Auth(keys),
            "v2-query": lambda: auth.HmacV1QueryAuth(keys, 60),
        }[mode]()
        request = AWSRequest("GET", self.endpoint + path)
        request.context["signing"] = {"region": self.region}
        signer.add_auth(request)
        prepared = request.prepare()
        parts = urlsplit(prepared.url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return target, dict(prepared.headers.items())

    def stop(self) -> None:
        """End the server and whatever it started; safe to call twice."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # it has nothing to save
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


def start(kind: str, directory: Path, port: int = 0, *, detached: bool = False) -> RunningServer:
    """Start a server and wait until it answers.

    kind: one of KINDS. directory: its own, made when absent, kept at the end. port: 0
    for a free one. detached: it outlives this process; else it ends with it, however
    this process ends. Raises ServerStartError.
    """
    _go_direct()
    directory.mkdir(parents=True, exist_ok=True)
    reason = why_unavailable(kind, directory)
    if reason is not None:
        raise ServerStartError(reason)
    log = directory / "server.log"
    module = f"demo.s3_servers.{kind}_server"
    command = [sys.executable, "-W", "ignore", "-m", module, "--directory", str(directory)]
    command += ["--port", str(port)] + ([] if detached else ["--lifeline"])
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            cwd=_CHECKOUT,
            stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        ready = _first_line(process)
    except BaseException:
        process.kill()  # interrupted: nobody else knows of it yet
        raise
    if not ready:
        process.kill()
        status = process.wait()
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise ServerStartError(f"the {kind} server did not start (exit {status}):\n{tail}")
    return RunningServer(
        kind=kind, modes=KINDS[kind], log=log, process=process, **json.loads(ready)
    )


def _go_direct() -> None:
    """Keep an http_proxy of the user's out of what is said on loopback, here and in the server."""
    hosts = [os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "", "127.0.0.1"]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, hosts))


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    """Return the ready line, or b"" when the process ended or took too long."""
    assert process.stdout is not None
    killer = threading.Timer(_START_TIMEOUT, process.kill)
    killer.start()
    try:
        return process.stdout.readline()
    finally:
        killer.cancel()
