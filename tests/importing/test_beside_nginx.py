"""The same paths asked of nginx and of what its configuration is imported to.

Where the imported one passes a request on, nginx passes on the same; where nginx does not,
it does not either.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from s3shield.importing import import_file

from .fixture import lets_in, loaded, need_crossplane

SERVERS = (
    # Kinds of locations, in an order that matters.
    """location / { proxy_pass ORIGIN; }
       location = /a { proxy_pass ORIGIN/exact; }
       location /a/ { proxy_pass ORIGIN/p/; }
       location ^~ /img/ { proxy_pass ORIGIN; }
       location ~ \\.mp4$ { proxy_pass ORIGIN/v$uri; }
       location ~* ^/B/(.*)$ { proxy_pass ORIGIN/z/$1/e; }""",
    # Refusals and answers of its own between them.
    """location ~ \\.git { return 404; }
       location ~ /(?<name>[a-z]+)\\.txt$ { proxy_pass ORIGIN/n/$name; }
       location /a { deny all; proxy_pass ORIGIN; }
       location /a/b/ { allow all; proxy_pass ORIGIN/q; }
       location /img { root /nonexistent; }
       location /b/ { internal; proxy_pass ORIGIN; }
       location / { proxy_pass ORIGIN/f$uri; }""",
    # Nested ones, three deep.
    """location ~ b { proxy_pass ORIGIN/late$uri; }
       location /a { proxy_pass ORIGIN;
           location = /a/b/ { proxy_pass ORIGIN/p/; }
           location ~* ^/A/(b)/ { proxy_pass ORIGIN/n/$1;
               location ~ ^/a/(b)/(.*[.]mp4)$ { proxy_pass ORIGIN/m/$2/$1; }
               location ~ /$ { return 404; } }
           location /a/ab/ { proxy_pass ORIGIN/r/; } }
       location /a/ab/b/ { deny all; proxy_pass ORIGIN; }
       location = /a/b/x.mp4 { return 404; }
       location ^~ /img/ { proxy_pass ORIGIN/i/; }""",
    # Rewrites, with and without a path in proxy_pass.
    """location /a/ { rewrite ^/a/b/(.*)$ /r/$1 break; proxy_pass ORIGIN/p/; }
       location /img { rewrite ^/img/(.*)$ /j/$1 break; proxy_pass ORIGIN/f$uri; }
       location /b { rewrite ^/b(.*)$ /w$1 break; proxy_pass ORIGIN$request_uri; }
       location / { rewrite ^/(.*)/x.mp4$ /v/$1 break; rewrite ^/ab(.*)$ /y$1 break;
                    proxy_pass ORIGIN; }""",
    # One location and a server's own rewrite; methods.
    """rewrite ^/a/(.*)$ /img/$1;
       if ($request_method !~ ^(GET|HEAD)$) { return 405; }
       location / { proxy_pass ORIGIN; }""",
    # A fallback by name, one of them guarded; constants.
    """set $up ORIGIN_HOST;
       location /a/ { try_files $uri @up; }
       location /b/ { deny all; try_files $uri @up; }
       location @up { rewrite ^/a/(.*)$ /n/$1 break; proxy_pass http://$up; }
       location /img/ { proxy_pass http://$up/k$uri$is_args$args; }""",
    # Groups of a rewrite in proxy_pass, and what is added to $uri.
    """location /a { rewrite /a/(.*) /$1 break; proxy_pass ORIGIN/g/$1; }
       location /img/ { rewrite /$ "${uri}index.html" break; proxy_pass ORIGIN; }
       location / { rewrite ^(.*)/(b|ab)/ ${uri}x break; proxy_pass ORIGIN; }""",
    # The whole server kept from somebody.
    """deny 192.0.2.1; location / { proxy_pass ORIGIN; }
       location /a/ { allow all; proxy_pass ORIGIN/p/; }""",
)
PATHS = tuple(
    f"{start}{middle}{end}"
    for start in ("/a", "/b", "/img", "/ab", "/B", "")
    for middle in ("", "/b", "/ab", "/.git", "/a/b", "/ab/b")
    for end in ("/", "/x.mp4", "/y.txt", "/x.mp4/")
)


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it is asked for, unchanged."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.requestline.split()[1].encode("latin-1")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


class Asking(http.client.HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


@contextlib.contextmanager
def origin() -> Iterator[str]:
    """Run the origin; give its host and port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def nginx(folder: Path, servers: str) -> Iterator[Path]:
    """Run nginx on `server` blocks; give its configuration."""
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;\n"
        f"events {{ worker_connections 64; }}\n"
        f"http {{ access_log off; merge_slashes off; {temporary}\n{servers}\n}}\n"
    )
    words = [shutil.which("nginx") or "", "-c", str(conf), "-p", str(folder)]
    with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(OSError), contextlib.closing(Asking(f"{folder}/0")) as to:
                    to.connect()
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    raise AssertionError(f"nginx: {process.communicate()[1].decode()}")
                time.sleep(0.01)
            yield conf
        finally:
            process.kill()


class BesideTests(SynchronousTestCase):
    """Both, asked for the same."""

    def test_the_same(self) -> None:
        """Nothing is passed on that nginx does not pass on, and the same path where both do."""
        need_crossplane()
        if shutil.which("nginx") is None:
            raise SkipTest("nginx is not installed")
        with origin() as host, tempfile.TemporaryDirectory(prefix="b") as directory:
            folder = Path(directory)
            blocks = [
                f"server {{ listen unix:{folder}/{number}; server_name s{number};\n{text}\n}}"
                for number, text in enumerate(SERVERS)
            ]
            text = (
                "\n".join(blocks).replace("ORIGIN_HOST", host).replace("ORIGIN", f"http://{host}")
            )
            with nginx(folder, text) as conf:
                what = import_file(str(conf), "nginx")
                self.compare(folder, loaded(what))

    def compare(self, folder: Path, config) -> None:
        routing = config.routing()
        passed = refused = 0
        for number in range(len(SERVERS)):
            with contextlib.closing(Asking(f"{folder}/{number}")) as asking:
                for path in PATHS:
                    asking.request("GET", path, headers={"Host": f"s{number}"})
                    response = asking.getresponse()
                    body = response.read().decode("latin-1")
                    theirs = body if response.status == 200 else None
                    if response.status == 301:
                        continue  # nginx adds a slash to a location's path
                    route = routing.find(f"s{number}".encode(), path.encode(), None)
                    location = None if route is None else config.locations[route.number]
                    open_ = location is not None and lets_in(location, b"unix:")
                    ours = route.target.decode() if route is not None and open_ else None
                    self.assertEqual(theirs, ours, (number, path))
                    passed, refused = passed + bool(ours), refused + (not ours)
        self.assertGreater(min(passed, refused), 100)
