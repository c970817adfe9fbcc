"""Peak memory and throughput of s3shield while a large object is uploaded through it.

The bucket is a few lines in here, a process of its own: it takes any PUT, at first slowly,
computes the SHA-256 of the body and compares it with the signed one; a GET says how many
PUTs there were. Signatures are not checked: tests/daemon/test_uploads.py does that, with
real servers. The same upload goes to the bucket directly, then through s3shield, between
GETs that show the stored object replaced. Linux only.
"""

from __future__ import annotations

import argparse
import atexit
import hashlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

if __package__ in (None, ""):  # run as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.rig import ROOT, Group, s3shield, stop_all
from bench.stream_rss import BLOCK, block, peak

STATE: Final = ROOT / ".bench" / f"upload-{os.getpid()}"

INI: Final = """\
[s3shield]
listen = 127.0.0.1:PORT
workers = 1
access_log = DIRECTORY/access.log combined

[cache:bench]
path = DIRECTORY/cache
max_size = 1g

[bucket:sink]
aws_s3_bucket = sink
aws_endpoint = http://127.0.0.1:{sink}
aws_addressing = path
aws_access_key = AKIAIOSFODNN7EXAMPLE
aws_secret_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
aws_region = us-east-1

[location:/]
bucket = sink
proxy_cache = bench
proxy_cache_valid = 200 1d
methods = GET HEAD PUT
client_max_body_size = 100g
"""


class Sink:
    """The bucket. pause: seconds for which it reads nothing of each body."""

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self.version = 0
        self.listening = socket.create_server(("127.0.0.1", 0))

    def run(self) -> None:
        """Say the port, and serve until the starter ends."""
        print(self.listening.getsockname()[1], flush=True)
        threading.Thread(target=self._accept, daemon=True).start()
        sys.stdin.read()

    def _accept(self) -> None:
        while True:
            connection, _ = self.listening.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb", buffering=0) as stream:
            while (line := stream.readline()) != b"":
                fields: dict[str, str] = {}
                while (field := stream.readline().strip()) != b"":
                    name, _, value = field.decode("latin-1").partition(":")
                    fields[name.lower()] = value.strip()
                status, body = b"200 OK", b"version %d" % self.version
                if line.startswith(b"PUT "):
                    body = b""
                    if self._take(connection, fields):
                        self.version += 1
                    else:
                        status = b"400 Bad Request"
                connection.sendall(
                    b'HTTP/1.1 %b\r\nContent-Length: %d\r\nETag: "%d"\r\n\r\n%b'
                    % (status, len(body), self.version, body)
                )

    def _take(self, connection: socket.socket, fields: dict[str, str]) -> bool:
        """Read a body; tell whether it is the one that was signed."""
        time.sleep(self.pause)
        left, digest, room = int(fields["content-length"]), hashlib.sha256(), bytearray(BLOCK)
        view = memoryview(room)
        while left:
            size = connection.recv_into(room, min(left, BLOCK))
            if not size:
                return False
            digest.update(view[:size])
            left -= size
        return digest.hexdigest() == fields["x-amz-content-sha256"]


def upload(port: int, path: str, size: int, digest: str) -> float:
    """PUT the object; return the seconds it took."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=120)
    started = time.monotonic()
    with connection:
        head = f"Host: bench\r\nContent-Length: {size}\r\nx-amz-content-sha256: {digest}"
        connection.sendall(f"PUT {path} HTTP/1.1\r\n{head}\r\n\r\n".encode())
        for number in range(size // BLOCK):
            connection.sendall(block(number))
        answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200"):
        sys.exit(f"the upload was answered {answer[:60]!r}")
    return time.monotonic() - started


def look(group: Group) -> str:
    """GET the object through s3shield; return what comes."""
    connection = http.client.HTTPConnection("127.0.0.1", group.port, timeout=60)
    connection.request("GET", "/large")
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return f"{response.status} {response.headers['X-Cache-Status']} {body!r}"


def main(arguments: list[str]) -> int:
    """Upload and print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=1.0, help="size (%(default)s)")
    parser.add_argument("--pause", type=float, default=3.0, help="seconds the bucket sleeps first")
    parser.add_argument("--limit", type=float, default=120.0, help="MiB (%(default)s)")
    parser.add_argument("--sink", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.sink:
        Sink(options.pause).run()
        return 0
    size = int(options.gib * 1024) * BLOCK
    atexit.register(shutil.rmtree, STATE, ignore_errors=True)
    atexit.register(stop_all)
    STATE.mkdir(parents=True)
    sink = subprocess.Popen(
        [sys.executable, __file__, "--sink", "--pause", str(options.pause)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    atexit.register(sink.kill)
    assert sink.stdout is not None  # a pipe was asked for
    port = int(sink.stdout.readline())
    digest = hashlib.sha256()
    for number in range(size // BLOCK):
        digest.update(block(number))
    direct = upload(port, "/sink/direct", size, digest.hexdigest()) - options.pause
    group = s3shield(STATE / "s3shield", INI.format(sink=port))
    print("before:", look(group), "then", look(group))
    before, _ = peak(group)
    through = upload(group.port, "/large", size, digest.hexdigest()) - options.pause
    after, line = peak(group)
    print("after: ", look(group), "then", look(group))
    print(f"{options.gib:g} GiB, its SHA-256 compared by the bucket, which slept first: ", end="")
    print(f"{size / direct / 1e6:.0f} MB/s directly, {size / through / 1e6:.0f} MB/s through")
    print(f"peak RSS: {before:.0f} MiB before, {after:.0f} MiB after (limit {options.limit:.0f})")
    print(f"by process: {line}")
    stop_all()
    return 0 if after <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
