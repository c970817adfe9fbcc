"""`check --dump`: what is written loads as what it was written from."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import ConfigErrors, dump, loads
from s3shield.config.dump import render

from .fixture import BUCKET, PLAIN, SCOPE, SECRET, SIGNING_KEY, read
from .test_load import SAMPLE

times = st.sampled_from(["1s", "90s", "1h30m", "7d", "1m"])
flags = st.sampled_from(["on", "off"])
words = st.sampled_from(["X-A", "x-b", "Cache-Control", "Vary"])
values = st.text(alphabet=' \\;a"=[]#é', min_size=1, max_size=8).map(str.strip).filter(bool)

OPTIONS = {
    "proxy_cache_valid": st.builds(
        "{} {}".format, st.sampled_from(["", "200", "404 410", "any"]), times
    ),
    "proxy_cache_valid_force": flags,
    "proxy_cache_use_stale": st.sampled_from(["off", "error", "updating http_404"]),
    "proxy_cache_heuristic": flags,
    "proxy_cache_max_range_offset": st.sampled_from(["off", "0", "3m"]),
    "proxy_ignore_headers": st.sampled_from(["", "Vary", "Cache-Control CDN-Cache-Control"]),
    "proxy_hide_header": st.lists(words).map(" ".join),
    "cache_targets": st.lists(words).map(" ".join),
    "pass_amz_headers": st.sampled_from(["", "*", "x-amz-meta-*"]),
    "max_object_size": st.sampled_from(["off", "10g", "7"]),
    "max_ranges": st.integers(0, 1000).map(str),
    "missing_403": st.sampled_from(["off", "404", "410"]),
    "cache_status_header": st.sampled_from(["", "off", "X-C"]),
    "via": st.sampled_from(["", "1.1 us (here)"]),
    "rewrite": st.sampled_from(["", r"^/a/([^/]+)\;x$ /$1?v=$$&w=%20 last", "^/é(.)? /$1"]),
    "query": st.sampled_from(["drop", "pass", "allow a b;c", "auto"]),
    "origin_connect_timeout": st.sampled_from(["500ms", "5s"]),
    "origin_verify": flags,
    "origin_ca": st.sampled_from(["/ca.pem", "/a b.pem"]),
    "fetch_on_abort": st.sampled_from(["keep", "cancel"]),
    "add_header": values.map("X-V {}".format).map(
        lambda text: re.sub(r"(\s)(\\*;)", r"\1\\\2", text)
    ),
}
sections = st.dictionaries(st.sampled_from(sorted(OPTIONS)), st.none(), max_size=8).flatmap(
    lambda names: st.fixed_dictionaries({name: OPTIONS[name] for name in names})
)
patterns = st.sampled_from(["/", "= /a", "^~ /b/", r"~ ^/[a-z]:]\;x", "~* é$"])


def lines(options):
    """The options as ini lines."""
    return "".join(f"{name} = {value}\n" for name, value in options.items())


def again(config):
    """Write with the secrets, and read."""
    return loads(render(config, lambda secret: secret), environ={}, mode_of=lambda _path: None)


class Dump(SynchronousTestCase):
    @settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
    @given(sections, st.dictionaries(patterns, sections, min_size=1), sections, st.booleans())
    def test_round_trip(self, top, locations, server, servers):
        """Any configuration, inherited from every level, is the same after dump and load."""
        text = f"[s3shield]\n{lines(top)}[cache:c]\npath = /c\nmax_size = off\n{BUCKET}"
        if servers:
            text += f"[server:a]\nserver_name = a.test\n{lines(server)}[server:b]\n"
        for at, (pattern, options) in enumerate(locations.items()):
            source = "bucket = media" if at % 2 else "origin = http://[::1]:9000"
            text += f"[location:{pattern}]\n{source}\nproxy_cache = c\n{lines(options)}"
        config = read(text)
        self.assertEqual(again(config), config)

    def test_samples(self):
        """The design's sample, scoped keys, derived buckets and a daemon that says it all."""
        keys = f"aws_sign = v4-query\naws_signing_key = {SIGNING_KEY}\naws_key_scope = {SCOPE}\n"
        daemon = (
            "[s3shield]\nlisten = unix:/run/x\nlisten = [::]:443 tls\ntls_certificate = /c\n"
            "tls_certificate_key = /k\nworkers = 0\nuser = www\ngroup = www\npid_file = /p\n"
            "access_log = stdout $status ; \nerror_log = syslog warn\nsend_timeout = 1500ms\n"
            "stall_log = 5ms\n"
        )
        for text in (SAMPLE, f"{daemon}{BUCKET}{PLAIN}[location:/b]\nbucket = media\n{keys}"):
            config = read(text)
            self.assertEqual(again(config), config)

    def test_key_file(self):
        """A key file is named, not opened up: what is in it may be other keys tomorrow."""
        files = {"/k": f"{SIGNING_KEY}\n{SCOPE}\n"}
        bucket = BUCKET.replace(f"aws_secret_key = {SECRET}", "aws_signing_key_file = /k")
        config = read(f"{bucket}[location:/]\nbucket = media\n", files=files)
        shown = dump(config)
        self.assertIn("aws_signing_key_file = /k\n", shown)
        self.assertNotIn(SCOPE, shown)
        self.assertEqual(read(shown, files=files), config)

    def test_sources(self):
        """Each source is named, with its role; what the role is assumed with is masked."""
        role = "aws_role_arn = arn:aws:iam::123456789012:role/reader\n"
        bare = "".join(f"{line}\n" for line in BUCKET.splitlines() if "_key" not in line)
        for kind in ("file", "profile:x", "imds", "ecs", "web-identity", "process", "chain"):
            config = read(f"{bare}aws_credentials = {kind}\n{role}[location:/]\nbucket = media\n")
            self.assertIn(f"aws_credentials = {kind}\n{role}", dump(config))
            self.assertEqual(again(config), config)
        config = read(f"{BUCKET}{role}aws_role_session_name = me\n[location:/]\nbucket = media\n")
        self.assertNotIn(SECRET, dump(config) + repr(config))
        self.assertEqual(again(config), config)
        environ = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": SECRET}
        text = f"{bare}aws_credentials = env\n{role}[location:/]\nbucket = media\n"
        config = read(text, environ=environ)
        self.assertEqual(config.buckets["media"].source.base.access_key, "AKIA")
        self.assertEqual(again(config), config)

    def test_secrets_masked(self):
        """No secret is written, and what is written instead cannot be taken for one."""
        token = "FwoGZXIvYXdzEXAMPLE"
        text = f"{BUCKET}aws_session_token = {token}\n{PLAIN}[location:/b]\nbucket = media\n"
        shown = dump(read(text))
        for secret in (SECRET, token):
            self.assertNotIn(secret, shown)
        self.assertEqual(shown.count("= ***\n"), 2)
        with self.assertRaises(ConfigErrors) as caught:
            loads(shown)
        self.assertIn("masked by `check --dump`", caught.exception.render())
        shown = dump(read(SAMPLE))
        self.assertNotIn(SIGNING_KEY, shown)
        self.assertIn(SCOPE, shown)
