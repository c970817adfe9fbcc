"""Reloads, certificate swaps and a restart under load: not one request may fail.

    python bench/reload.py

A socket activator (this program: it holds the sockets as systemd does) starts the daemon with
two workers. Clients ask without a pause, over HTTP and HTTPS, hits and misses, each on a kept
connection; an answer other than the right one, a connection refused, or one that ends when the
last answer did not say so, is an error. Meanwhile the daemon is reloaded, its certificate is
replaced, and it is stopped and started again. Exit status 0 when there was no error.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import fcntl
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT: Final = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, not as a module
    sys.path.insert(0, str(ROOT))

from demo.daemon import environment_for, program  # noqa: E402  needs the line above

__all__ = ["main"]

INI: Final = """\
[s3shield]
listen =
    systemd:0
    systemd:1 tls
tls_certificate = {folder}/cert.pem
tls_certificate_key = {folder}/key.pem
workers = 2
pid_file = {folder}/s3shield.pid
error_log = {folder}/error.log info
access_log = {folder}/access.log combined
; generation {generation}

[cache:main]
path = {folder}/cache
max_size = 1g

[location:/]
origin = http://127.0.0.1:{origin}
proxy_cache = main
"""
BODY: Final = b"0123456789abcdef" * 64
ACTIVATE: Final = """\
import os, sys
for index, fd in enumerate(map(int, sys.argv[1].split(","))):
    os.dup2(fd, 3 + index)
os.environ.update(LISTEN_FDS=str(index + 1), LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])
"""
_PATIENCE: Final = 120.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer everything with BODY, to be kept."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nCache-Control: max-age=3600\r\n\r\n"
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head % len(BODY) + BODY)
    writer.close()


@attrs.define
class Load:
    """The clients. answers, closes: how many answers, and how many said close."""

    ports: tuple[int, int]
    answers: int = 0
    closes: int = 0
    errors: list[str] = attrs.field(factory=list)
    stop: bool = False

    async def connect(self, *, secure: bool) -> tuple[int, Streams]:
        """Return the serial number of the certificate shown, 0 without, and the connection."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.ports[secure], ssl=context if secure else None
        )
        if not secure:
            return 0, (reader, writer)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(shown).serial_number, (reader, writer)

    async def until_shown(self, serial: int) -> None:
        """Wait until new connections, to whichever worker, show this certificate."""
        seen, deadline = 0, time.monotonic() + _PATIENCE
        while seen < 10:
            if time.monotonic() > deadline:
                raise SystemExit("the new certificate is not shown")
            shown, (_, writer) = await self.connect(secure=True)
            seen = seen + 1 if shown == serial else 0
            writer.close()
            await asyncio.sleep(0.05)

    async def client(self, number: int) -> None:
        """Ask until `stop`; every other client over HTTPS, every eighth request a miss."""
        count = 0
        secure = number % 2 == 1
        while not self.stop:
            try:
                _, (reader, writer) = await self.connect(secure=secure)
                going = True
                while going and not self.stop:
                    count += 1
                    path = f"miss/{number}/{count}" if count % 8 == 0 else f"hit/{count % 100}"
                    going = await self.ask(reader, writer, path)
                writer.close()
            except (OSError, asyncio.IncompleteReadError) as error:
                self.errors.append(f"client {number}, request {count}: {error!r}")
                await asyncio.sleep(0.1)

    async def ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str
    ) -> bool:
        """One request; return whether the connection stays."""
        writer.write(f"GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        if not head.startswith(b"http/1.1 200 ") or body != BODY:
            self.errors.append(f"{path}: {head!r}")
        self.answers += 1
        closes = b"\r\nconnection: close\r\n" in head
        self.closes += closes
        return not closes


@attrs.define
class Activator:
    """Holds the sockets, and starts the daemon on them."""

    folder: Path
    origin: int
    sockets: list[socket.socket] = attrs.field(factory=list)
    generation: int = 0
    process: subprocess.Popen[bytes] | None = None

    def listen(self) -> tuple[int, int]:
        """Bind two sockets; return their ports."""
        self.sockets = [socket.create_server(("127.0.0.1", 0), backlog=511) for _ in range(2)]
        first, second = (each.getsockname()[1] for each in self.sockets)
        return first, second

    def write(self) -> None:
        """Write the configuration anew."""
        self.generation += 1
        text = INI.format(folder=self.folder, origin=self.origin, generation=self.generation)
        (self.folder / "s3shield.ini").write_text(text)

    def certificate(self) -> int:
        """Write another certificate and its key, each in one step; return its serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
        now = dt.datetime.now(dt.UTC)
        made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        made = made.not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        public = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        for file, data in (("key.pem", private), ("cert.pem", public)):
            half = self.folder / f"{file}.half"
            half.touch(mode=0o600)
            half.write_bytes(data)
            half.rename(self.folder / file)
        return x509.load_pem_x509_certificate(public).serial_number

    def start(self) -> None:
        """Start the daemon as systemd does: descriptors from 3 on, LISTEN_FDS, LISTEN_PID."""
        fds = [fcntl.fcntl(each, fcntl.F_DUPFD, 20) for each in self.sockets]
        twistd = [*program("twistd"), "-n", f"--pidfile={self.folder}/twistd.pid"]
        command = [*twistd, "s3shield", "-c", str(self.folder / "s3shield.ini")]
        with (self.folder / "output.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", ACTIVATE, ",".join(map(str, fds)), *command],
                cwd=self.folder,
                env=environment_for(),
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        for fd in fds:
            os.close(fd)

    async def until(self, words: str, times: int) -> None:
        """Wait until the error log has these words so often."""
        deadline, log = time.monotonic() + _PATIENCE, self.folder / "error.log"
        while not log.exists() or log.read_text(errors="replace").count(words) < times:
            if time.monotonic() > deadline or self.running().poll() is not None:
                raise SystemExit(f"waited in vain for {words!r}; see {self.folder}")
            await asyncio.sleep(0.05)

    async def reload(self) -> float:
        """Reload; return how many seconds that took."""
        self.write()
        began = time.time()
        self.running().send_signal(signal.SIGHUP)
        outcome = self.folder / "s3shield.pid.reload"
        while time.time() < began + _PATIENCE:
            with contextlib.suppress(ValueError, OSError):
                found = json.loads(outcome.read_text())
                if found["began"] >= began:
                    if not found["good"]:
                        raise SystemExit(found["text"])
                    return time.time() - began
            await asyncio.sleep(0.02)
        raise SystemExit("the reload does not end")

    async def restart(self) -> float:
        """Stop it and start another on the same sockets; return the seconds in between."""
        self.running().terminate()
        began = time.monotonic()
        status = await asyncio.to_thread(self.running().wait, _PATIENCE)
        if status:
            raise SystemExit(f"the daemon ended with status {status}")
        self.start()
        await self.until("ready: listening", 2)
        return time.monotonic() - began

    def running(self) -> subprocess.Popen[bytes]:
        """The daemon."""
        assert self.process is not None
        return self.process


async def run(options: argparse.Namespace, folder: Path) -> int:
    """Do it all; return the exit status."""
    server = await asyncio.start_server(origin, "127.0.0.1", 0)
    activator = Activator(folder, server.sockets[0].getsockname()[1])
    load = Load(activator.listen())
    activator.certificate()
    activator.write()
    activator.start()
    try:
        await activator.until("ready: listening", 1)
        clients = [asyncio.create_task(load.client(each)) for each in range(options.clients)]
        began, took, restart = time.monotonic(), [], 0.0
        swaps = 0
        for number in range(options.reloads):
            took.append(await activator.reload())
            if swaps < options.swaps * (number + 1) // options.reloads:
                swaps += 1
                await load.until_shown(activator.certificate())
            if number == options.reloads // 2:
                restart = await activator.restart()
        while load.answers < options.requests:  # noqa: ASYNC110  # counted, not signalled
            await asyncio.sleep(0.1)
        load.stop = True
        await asyncio.gather(*clients)
        seconds = time.monotonic() - began
    finally:
        activator.running().terminate()
        await asyncio.to_thread(activator.running().wait, _PATIENCE)
    print(
        f"{load.answers} answers in {seconds:.0f} s over {options.clients} connections at a time, "
        f"{load.closes} of them with Connection: close\n"
        f"{len(took)} reloads, {min(took):.2f} to {max(took):.2f} s; {swaps} certificates "
        f"replaced; 1 restart in {restart:.1f} s\n"
        f"{len(load.errors)} errors"
    )
    for error in load.errors[:20]:
        print(f"  {error}")
    return 1 if load.errors else 0


def main() -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--swaps", type=int, default=5)
    parser.add_argument("--clients", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="s3shield-reload-") as folder:
        return asyncio.run(run(options, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
