"""`front.secure`: to https without being led astray; no certificate, no answer."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import SecureConfig
from s3shield.front.secure import secure
from s3shield.policy import Request
from s3shield.wire import VerifiedPeer

CA, OTHER = "/etc/ca.pem", "/etc/other.pem"


@attrs.define
class Ground:
    """A location that notes what becomes of requests. secure: what it wants."""

    secure: SecureConfig
    seen: list[Any] = attrs.field(factory=list)

    @property
    def config(self) -> Any:
        """It is its own configuration."""
        return self

    def refuse(self, *told: Any) -> None:
        """Note it."""
        fields = told[4] if len(told) > 4 else ()
        self.seen.append((told[3], dict(fields).get(b"Location", b"").decode()))

    def serve(self, request: Any, route: Any, downstream: Any) -> None:
        """Note it."""
        self.seen.append("served")

    def ask(self, target: bytes = b"/", **options: Any) -> Any:
        """Return what becomes of a request."""
        method = options.pop("method", b"GET")
        secure(self, self.serve)(Request(method, target, **options), None, None)  # type: ignore[arg-type]
        return self.seen.pop()


class SecureTests(SynchronousTestCase):
    def test_bare(self) -> None:
        """A location that wants nothing is served without anything in between."""
        ground = Ground(SecureConfig())
        self.assertEqual(secure(ground, ground.serve), ground.serve)  # type: ignore[arg-type]

    def test_redirect(self) -> None:
        """Host, path and query stay; so do method and body; what is https is served."""
        ground = Ground(SecureConfig(redirect=True, names=("a.test", "*.b.test")))
        for method, target, host, status, place in (
            (b"GET", b"/x/%2e?y=1&z", b"a.test", 301, "https://a.test/x/%2e?y=1&z"),
            (b"HEAD", b"/?", b"a.test", 301, "https://a.test/?"),
            (b"GET", b"//evil.test/x", b"a.test", 301, "https://a.test//evil.test/x"),
            (b"PUT", b"/x", b"c.b.test", 308, "https://c.b.test/x"),
        ):
            got = ground.ask(target, method=method, host=host)
            self.assertEqual(got, (status, place))
        self.assertEqual(ground.ask(host=b"a.test", scheme=b"https"), "served")

    def test_strange_host(self) -> None:
        """Nobody is sent to a name that is not ours: to ours, or nowhere."""
        ground = Ground(SecureConfig(redirect=True, names=("*.b.test", "a.test"), port=8443))
        for host in (b"evil.test", b"", b"xa.test", b"b.test", b"a.test.evil.test", b"127.0.0.1"):
            self.assertEqual(ground.ask(b"/x", host=host), (301, "https://a.test:8443/x"), host)
        ground = Ground(SecureConfig(redirect=True, names=("*.b.test",)))
        self.assertEqual(ground.ask(b"/x", host=b"evil.test"), (400, ""))

    def test_client_certificate(self) -> None:
        """One of the right authority, not none, not another's; also on a plain connection."""
        ground = Ground(SecureConfig(client_ca=CA))
        for peer, wanted in (
            (VerifiedPeer.of(b"192.0.2.1", CA), "served"),
            (VerifiedPeer.of(b"192.0.2.1", OTHER), (421, "")),
            (b"192.0.2.1", (400, "")),
        ):
            for scheme in (b"http", b"https"):
                self.assertEqual(ground.ask(peer=peer, scheme=scheme), wanted)
        both = Ground(SecureConfig(client_ca=CA, redirect=True, names=("a.test",)))
        self.assertEqual(both.ask(b"/x", host=b"a.test"), (301, "https://a.test/x"))
