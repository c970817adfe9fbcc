"""The servers side by side: one origin, before it s3shield, nginx and, where it is, Varnish.

All have the same number of workers, an access log, and the same objects. s3shield signs what
it asks the origin for, which is an nginx that does not look at signatures; nginx does not sign.
"""

from __future__ import annotations

import functools
import http.client
import os
import re
import shutil
import ssl
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Final

import attrs

from bench.objects import KINDS, Doubt, Kind, make, sample, visit
from bench.rig import Group, free_port, nginx, s3shield
from bench.varnish import varnish

__all__ = ["Field", "Options", "Side"]

ORIGIN: Final = """
    server {{
        listen 127.0.0.1:PORT backlog=4096;
        location /media/ {{ alias {files}/; }}
        location ~ "^/media/cold/([^/]+)/.*/([^/]+)$" {{ alias {files}/$1/$2; }}
        location ~ "^/media/slow/([^/]+)/.*/([^/]+)$" {{ alias {files}/$1/$2; limit_rate 100m; }}
    }}
"""
RIVAL: Final = """
    proxy_cache_path {cache} levels=1:2 keys_zone=bench:200m max_size=200g inactive=7d
                     use_temp_path=off loader_files=10000 loader_sleep=1 loader_threshold=10s;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; }}
    server {{
        listen 127.0.0.1:PORT backlog=4096;
        listen 127.0.0.1:TLS ssl backlog=4096;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:20m; ssl_session_tickets on;
        location / {{
            proxy_pass http://origin/media/;
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
listen =
    127.0.0.1:PORT
    127.0.0.1:TLS tls
tls_certificate = {certificate}
tls_certificate_key = {key}
workers = {workers}
access_log = DIRECTORY/access.log combined
{more}
[cache:bench]
path = DIRECTORY/cache
max_size = 200g

[bucket:media]
aws_s3_bucket = media
aws_endpoint = http://127.0.0.1:{origin}
aws_addressing = path
aws_region = us-east-1
aws_access_key = BENCHMARK
aws_secret_key = not-a-secret

[location:/]
bucket = media
proxy_cache = bench
proxy_cache_valid = 200 206 1d
"""
_LINE: Final = re.compile(rb'HTTP/1\.[01]" (\d{3}) (\d+|-) ')
_LOGGED_WITHIN: Final = 10.0
MIB: Final = 1 << 20


@attrs.frozen(kw_only=True)
class Options:
    """What holds for all rows. seconds: of a run. log: nginx's access log, plain or buffered."""

    rounds: int = 5
    seconds: int = 2
    connections: int = 32
    log: str = "plain"
    entries: int = 1_000_000
    varnish: bool = True
    state: Path


@attrs.define
class Side:
    """One server. tls_port: None: it has no TLS. log_delay: seconds a line may take at most."""

    group: Group
    tls_port: int | None
    log_delay: float = 0.3

    @property
    def name(self) -> str:
        """What it is called in the table."""
        return self.group.name

    @property
    def cache(self) -> Path:
        """Where it stores."""
        return self.group.directory / "cache"

    def forget_log(self) -> None:
        """Begin the access log anew: what is in it from now on is of the next run."""
        log = self.group.directory / "access.log"
        before = -1
        while log.exists() and (size := log.stat().st_size) != before:
            before = size
            time.sleep(self.log_delay)
        if log.exists():
            os.truncate(log, 0)

    def logged(self, at_least: int) -> Counter[tuple[int, int]]:
        """Return how often each (status, body bytes) is in the log, once that many lines are.

        Raises Doubt when they do not come.
        """
        deadline = time.monotonic() + _LOGGED_WITHIN
        log = self.group.directory / "access.log"
        while True:
            found: Counter[tuple[int, int]] = Counter()
            with log.open("rb") as lines:
                while block := lines.readlines(16 << 20):
                    found.update(_LINE.findall(b"".join(block)))  # type: ignore[arg-type]
            if found.total() >= at_least:
                break
            if time.monotonic() > deadline:
                raise Doubt(f"{self.name} logged {found.total()} of {at_least} requests")
            time.sleep(0.1)
        return Counter(
            {(int(s), 0 if b == b"-" else int(b)): n for (s, b), n in found.items()}  # type: ignore[call-overload]
        )


def certificate(directory: Path) -> tuple[Path, Path]:
    """Return the paths of a throw-away certificate and its key."""
    pem, key = directory / "tls.pem", directory / "tls.key"
    if not pem.exists():
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "30"]
        command += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=assets.example.com"]
        command += ["-keyout", str(key), "-out", str(pem)]
        subprocess.run(command, check=True, capture_output=True)
    return pem, key


def tls_terms(port: int) -> tuple[str, str]:
    """Return the TLS version and the cipher that a server agrees on with OpenSSL's defaults."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    connection.connect()
    agreed = connection.sock.cipher()
    connection.close()
    return agreed[1], agreed[0]


@attrs.define
class Field:
    """The servers of some rows.

    name: of its directory. connections: that nginx may have. only: the one server, by name,
    that is started besides the origin; all when left out. more: lines for [s3shield].
    """

    options: Options
    name: str
    workers: int = 1
    connections: int = 4096
    only: str | None = None
    more: str = ""
    sides: list[Side] = attrs.field(factory=list, init=False)
    filled: set[str] = attrs.field(factory=set, init=False)
    origin: Group = attrs.field(init=False)

    @property
    def directory(self) -> Path:
        """Where all of it is."""
        return self.options.state / self.name

    @property
    def files(self) -> Path:
        """Where the origin's objects are: the same for all fields."""
        return self.options.state / "files"

    def __attrs_post_init__(self) -> None:
        self.files.mkdir(parents=True, exist_ok=True)
        self.directory.mkdir(parents=True, exist_ok=True)
        # What was kept of an earlier run must find its origin where it was.
        ported = self.directory / "origin.port"
        port = int(ported.read_text()) if ported.exists() else free_port()
        ported.write_text(str(port))
        text = ORIGIN.format(files=self.files)
        self.origin = nginx("origin", self.directory / "origin", text, port=port)
        starts = {"nginx": self.start_nginx, "s3shield": self.start_s3shield}
        if self.options.varnish and shutil.which("varnishd"):
            starts["varnish"] = self.start_varnish
        self.sides = [start() for name, start in starts.items() if self.only in (None, name)]

    def start_nginx(self) -> Side:
        """Start the rival."""
        pem, key = certificate(self.options.state)
        tls = free_port()
        where = self.directory / "nginx"
        body = RIVAL.format(
            cache=where / "cache", origin=self.origin.port, certificate=pem, key=key
        ).replace("TLS", str(tls), 1)
        log = " buffer=64k flush=1s" if self.options.log == "buffered" else ""
        many = {"workers": self.workers, "connections": self.connections}
        delay = 1.5 if log else 0.3
        return Side(nginx("nginx", where, body, log_options=log, **many), tls, delay)

    def start_s3shield(self) -> Side:
        """Start the product."""
        pem, key = certificate(self.options.state)
        tls = free_port()
        ini = INI.format(
            origin=self.origin.port,
            certificate=pem,
            key=key,
            workers=self.workers,
            more=self.more,
        )
        group = s3shield(self.directory / "s3shield", ini.replace("TLS", str(tls), 1))
        return Side(group, tls)

    def start_varnish(self) -> Side:
        """Start the other rival."""
        group = varnish(self.directory / "varnish", self.origin.port, self.workers)
        return Side(group, None)

    def side(self, name: str) -> Side:
        """Return it."""
        return next(side for side in self.sides if side.name == name)

    def make(self, name: str) -> Kind:
        """Let the origin have the objects of a kind; return it."""
        make(self.files, KINDS[name])
        return KINDS[name]

    def fill(self, name: str) -> Kind:
        """Let all sides store the objects of a kind, and see that they have; return it."""
        kind = self.make(name)
        if name not in self.filled:
            everything = list(range(1, kind.count + 1))
            for side in self.sides:
                visit(side.group, kind, everything, None)
                self.settle(side, kind)
                visit(side.group, kind, everything, "HIT")
            self.filled.add(name)
        return kind

    def settle(self, side: Side, kind: Kind) -> None:
        """Wait until a large body that has just been read is stored, too."""
        connection = http.client.HTTPConnection("127.0.0.1", side.group.port, timeout=60)
        path = f"/{kind.name}/{kind.count}"
        deadline = time.monotonic() + 30
        while True:
            connection.request("HEAD", path, headers={"Host": "assets.example.com"})
            response = connection.getresponse()
            response.read()
            if response.getheader("X-Cache-Status") == "HIT":
                break
            if time.monotonic() > deadline:
                raise Doubt(f"{side.name}: {path} is not stored after half a minute")
            time.sleep(0.05)
        connection.close()

    def still_hits(self, kind: Kind) -> None:
        """See that a sample is served from the cache by all sides, and is right."""
        for side in self.sides:
            visit(side.group, kind, sample(kind, 200, 1), "HIT")

    def asked(self) -> int:
        """Return how many requests the origin has answered."""
        with (self.origin.directory / "access.log").open("rb") as log:
            return sum(block.count(b"\n") for block in iter(functools.partial(log.read, MIB), b""))

    def stop(self) -> None:
        """End all servers."""
        for side in self.sides:
            side.group.stop()
        self.origin.stop()

    def remove(self) -> None:
        """End them and remove what they stored."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
