"""What each rule before a location costs a hit.

    python -m bench.access_cost [--seconds 2] [--rounds 5]

One worker with hits of 1 KiB, a location for each rule, asked in turn on kept connections; told is
the median, over the rounds, of processor time and of hits a second as ratios to the location
without any. Credentials are good ones, and known by then, as on all but a client's first request.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Final

import attrs
import bcrypt
import jwt

from bench.closed_loop import Loop, origin, ratio
from bench.rig import Group, s3shield, stop_all
from s3shield.access import LinkTerms, sign_link

SECRET: Final = b"a-key-of-this-benchmark-alone-32"
TOP: Final = """\
[s3shield]
listen = 127.0.0.1:PORT
workers = 1
access_log = DIRECTORY/access.log combined
origin = http://127.0.0.1:{origin}
proxy_cache = bench
proxy_cache_valid = 200 1d

[cache:bench]
path = DIRECTORY/cache
"""


@attrs.define
class _Rule:
    """One location. lines: its options. target: of the hit. fields: that go with it."""

    name: str
    lines: tuple[str, ...] = ()
    query: str = ""
    fields: dict[str, str] = attrs.field(factory=dict)
    path: str = "object"

    @property
    def target(self) -> str:
        return f"/{self.name}/{self.path}{self.query}"


def _rules(folder: Path) -> list[_Rule]:
    """Return the rules, with their files in `folder`."""
    users, keys = folder / "users", folder / "keys.json"
    users.write_bytes(b"ann:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(10)) + b"\n")
    secret = base64.urlsafe_b64encode(SECRET).rstrip(b"=").decode()
    keys.write_text(json.dumps({"keys": [{"kty": "oct", "k": secret, "alg": "HS256"}]}))
    for file in (users, keys):
        file.chmod(0o600)
    until = int(time.time()) + 86_400
    basic = base64.b64encode(b"ann:secret").decode()
    token = jwt.encode({"sub": "ann", "exp": until}, SECRET, "HS256")
    link = sign_link(SECRET, b"/signed_link/object", LinkTerms(expires=until)).decode()
    digest = hashlib.md5(f"{until}/secure_link/object secret".encode()).digest()
    md5 = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    many = "rate=1000000r/s burst=1000000 nodelay"
    return [
        _Rule("bare"),
        _Rule("allow", ("allow = 10.0.0.0/8", "allow = 127.0.0.1", "deny = all")),
        _Rule(
            "auth_basic",
            ('auth_basic = "members"', f"auth_basic_user_file = {users}"),
            fields={"Authorization": f"Basic {basic}"},
        ),
        _Rule(
            "auth_jwt",
            ('auth_jwt = "members"', f"auth_jwt_key_file = {keys}"),
            fields={"Authorization": f"Bearer {token}"},
        ),
        _Rule(
            "signed_link",
            (f"signed_link_key = {SECRET.decode()}",),
            query=link[link.index("?") :],
        ),
        _Rule(
            "secure_link",
            (
                "secure_link = $arg_md5,$arg_expires",
                'secure_link_md5 = "$secure_link_expires$uri secret"',
            ),
            query=f"?md5={md5}&expires={until}",
        ),
        _Rule("limit_req", (f"limit_req = $binary_remote_addr {many}",)),
        _Rule("limit_conn", ("limit_conn = $binary_remote_addr 1000",)),
        _Rule("limit_rate", ("limit_rate = 100m",)),
        _Rule(
            "cors",
            ("cors_origin = https://www.example.com",),
            fields={"Origin": "https://www.example.com"},
        ),
        _Rule(
            "compress",
            ("compress = gzip", "compress_min_length = 100"),
            fields={"Accept-Encoding": "gzip"},
        ),
        _Rule("index", ("index = index.html",), path=""),
        _Rule("error_page", ("error_page = 404 /bare/404.html",)),
        _Rule("security_headers", ("security_headers = basic",)),
    ]


def _fetch(group: Group, rule: _Rule) -> str:
    url = f"http://127.0.0.1:{group.port}{rule.target}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=rule.fields)) as got:
        return str(got.headers["X-Cache-Status"])


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, origin() as port:
        rules = _rules(Path(name))
        parts = [f"[location:/{rule.name}/]\n" + "\n".join(rule.lines) for rule in rules]
        text = TOP.format(origin=port) + "\n" + "\n\n".join(parts) + "\n"
        group = s3shield(Path(name) / "daemon", text)
        deadline = time.monotonic() + 30
        for rule in rules:
            while _fetch(group, rule) != "HIT":
                if time.monotonic() > deadline:
                    raise SystemExit(f"{rule.name}: no hit")
                time.sleep(0.1)
        loops = [Loop(rule.name, group, rule.target, rule.fields) for rule in rules]
        for _ in range(options.rounds):
            for loop in loops:
                loop.run(options.seconds)
        stop_all()
    base = loops[0]
    print(f"{'rule':<18} {'us a hit':>9} {'CPU':>7} {'hits/s':>9} {'rate':>7}")
    for loop in loops:
        print(
            f"{loop.name:<18} {statistics.median(loop.cpu_us):9.2f} "
            f"{ratio(loop.cpu_us, base.cpu_us):7.2f} {statistics.median(loop.rate):9.0f} "
            f"{ratio(loop.rate, base.rate):7.2f}"
        )


if __name__ == "__main__":
    main()
