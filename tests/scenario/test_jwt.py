"""`auth_jwt_key_request`: keys from an address that is down, slow or hostile."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import LoopingCall

from s3shield.front import url_fetch, url_keys
from tests.access.issuer import jwk_set, signer
from tests.wire.certificates import Authority

from .bearer import Bearer
from .harness import Asked, OriginConnection, answer, raw, until
from .test_tls import TlsOrigin

CHALLENGE: Final = 'Bearer realm="media"'


def held(connection: OriginConnection, asked: Asked) -> None:
    """Say nothing."""


class EndpointTests(Bearer):
    """What becomes of clients, and what is told."""

    def setUp(self) -> None:
        """Have tokens with unknown keys begin a fetch whenever they come."""
        super().setUp()
        self.patch(url_keys, "PAUSE", 0.0)

    def source(self) -> Any:
        """Return where the keys come from."""
        serving: Any = self.serving
        (found,) = serving._front._access._tokens._sources.values()
        return found

    async def test_keys_are_fetched(self) -> None:
        """Once, before the first client; a key that is not there has them fetched again, once."""
        await self.by_url()
        await until(lambda: self.told("1 keys for tokens are in use"), "the keys")
        got = await self.bring(self.token())
        self.assertEqual((200, "MISS"), (got.status, got.cache))
        got = await self.bring(self.token())
        self.assertEqual((200, "HIT"), (got.status, got.cache))
        self.assertEqual(1, self.fetches())
        new = signer("EdDSA", "two")
        self.keys_are(jwk_set(self.issuer, new))
        got = await self.bring(self.token(new))
        self.assertEqual((200, "HIT"), (got.status, got.cache))
        self.assertEqual(2, self.fetches())
        self.assertEqual(200, (await self.bring(self.token())).status)

    async def test_an_old_key_is_gone(self) -> None:
        """A token that was good is not any more when its key has been withdrawn."""
        await self.by_url()
        token = self.token()
        self.assertEqual(200, (await self.bring(token)).status)
        new = signer("EdDSA", "two")
        self.keys_are(jwk_set(new))
        self.assertEqual(200, (await self.bring(self.token(new))).status)
        self.assertEqual(401, (await self.bring(token)).status)

    async def test_invented_names(self) -> None:
        """A flood of unknown keys has the set fetched once, not once each."""
        self.patch(url_keys, "PAUSE", 600.0)
        await self.by_url()
        self.assertEqual(200, (await self.bring(self.token())).status)
        for number in range(5):
            got = await self.bring(self.token(signer("ES256", f"invented{number}")))
            self.assertEqual(401, got.status)
        self.assertEqual(1, self.fetches())
        self.assertEqual(1, len(self.told("there is no key for it: 'invented0'")))

    async def test_down(self) -> None:
        """Without any keys: 503 with Retry-After for who brings a token, 401 for who does not."""
        self.origin.answers["/keys"] = raw(abort=True)
        await self.by_url()
        got = await self.bring(self.token())
        self.assertEqual((503, "5"), (got.status, got.headers["retry-after"]))
        self.assertNotIn("www-authenticate", got.headers)
        got = await self.bring(None)
        self.assertEqual((401, CHALLENGE), (got.status, got.headers["www-authenticate"]))
        self.assertTrue(self.told("there are no keys, tokens cannot be checked"))
        self.assertEqual(0, self.origin.targets().count("/a"))
        self.keys_are(jwk_set(self.issuer))
        self.assertEqual(200, (await self.bring(self.token())).status)
        self.assertTrue(self.told("/keys answers again"))

    async def test_slow(self) -> None:
        """All wait for one fetch, and no longer than that may take."""
        self.patch(url_fetch, "FETCH_TIME", 600.0)
        self.origin.answers["/keys"] = held
        await self.by_url()
        several = [ensureDeferred(self.bring(self.token())) for _ in range(5)]
        await until(lambda: len(self.source()._waiting) == 5, "all to wait")
        self.assertEqual(1, self.fetches())
        self.source()._fetch._timer.reset(0)
        self.assertEqual([503] * 5, [(await got).status for got in several])
        self.assertTrue(self.told("it took longer than 600 s"))
        self.assertEqual(1, self.fetches())

    async def test_slow_refresh(self) -> None:
        """While newer keys do not come, who has a token of the old ones does not wait."""
        waiting: list[OriginConnection] = []
        await self.by_url()
        self.assertEqual(200, (await self.bring(self.token())).status)
        self.origin.answers["/keys"] = lambda connection, asked: waiting.append(connection)
        new = signer("EdDSA", "two")
        other = ensureDeferred(self.bring(self.token(new)))
        await until(lambda: waiting, "the fetch")
        for name in ("known", "fresh"):
            self.assertEqual(200, (await self.bring(self.token(sub=name))).status)
        self.assertFalse(other.called)
        answer(body=jwk_set(new))(waiting[0], Asked("GET", "/keys", {}, b""))
        self.assertEqual(200, (await other).status)

    async def test_trickle(self) -> None:
        """A byte now and then does not make the time longer."""
        self.patch(url_fetch, "FETCH_TIME", 0.5)
        dropping = LoopingCall(lambda: trickling[0].send(b" "))
        trickling: list[OriginConnection] = []
        self.addCleanup(lambda: dropping.running and dropping.stop())

        def trickle(connection: OriginConnection, asked: Asked) -> None:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
            trickling.append(connection)
            dropping.start(0.02)

        self.origin.answers["/keys"] = trickle
        await self.by_url()
        self.assertEqual(503, (await self.bring(self.token())).status)
        self.assertTrue(self.told("it took longer"))

    async def test_the_client_leaves(self) -> None:
        """Who leaves while the keys are on their way is noted as gone; the others come in."""
        waiting: list[OriginConnection] = []
        self.origin.answers["/keys"] = lambda connection, asked: waiting.append(connection)
        await self.by_url()
        await until(lambda: waiting, "the fetch")
        client = await self.connect()
        head = f"GET /a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token()}\r\n\r\n"
        client.send(head.encode())
        other = ensureDeferred(self.bring(self.token()))
        await until(lambda: len(self.source()._waiting) == 2, "both to wait")
        client.transport.abortConnection()
        await until(lambda: len(self.source()._waiting) == 1, "the one to be let go")
        answer(body=jwk_set(self.issuer))(waiting[0], Asked("GET", "/keys", {}, b""))
        self.assertEqual(200, (await other).status)
        self.assertEqual([499, 200], [line["status"] for line in self.logged()])

    async def test_hostile(self) -> None:
        """Each way of being no key set: told, quoted nowhere, and the keys in use go on."""
        await self.by_url()
        self.assertEqual(200, (await self.bring(self.token())).status)
        good = self.issuer.jwk()
        private = good | {"d": "c2VjcmV0"}
        many = b'{"keys": [' + b",".join([b'{"kty": "oct", "k": "AA"}'] * 10_000) + b"]}"
        endless = raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            *[b"10000\r\n" + b" " * 65_536 + b"\r\n"] * 5,
        )
        zipped = gzip.compress(b" " * 5_000_000 + jwk_set(good), 9)
        cases: list[tuple[Any, str]] = [
            (answer(body=b" " * 262_145), "larger than 256 KiB"),
            (endless, "larger than 256 KiB"),
            (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"), "256 KiB"),
            (answer(body=zipped, headers={"Content-Encoding": "gzip"}), "compressed"),
            (answer(body=b"<html>c2VjcmV0"), "not JSON"),
            (answer(body=b"[" * 200_000), "nested too deeply"),
            (answer(body=many), "more than 100 keys"),
            (answer(body=b'{"keys": {"kty": "RSA"}}'), "no list `keys`"),
            (answer(body=json.dumps({"keys": [private]}).encode()), "private key"),
            (answer(body=jwk_set(signer("HS256"))), "shared secret"),
            (answer(body=b'{"keys": [null, 7, [], "x", {"kty": ["RSA"]}]}'), "not an object"),
            (answer(302, headers={"Location": "http://127.0.0.1:1/k"}), "127.0.0.1:1/k', which"),
            (answer(301, headers={"Location": "/elsewhere"}), "'/elsewhere', which"),
            (answer(404, b"c2VjcmV0"), "answered 404"),
            (answer(503), "answered 503"),
            (raw(b"rubbish\r\n\r\n", close=True), "/keys: "),
            (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", close=True), "/keys: "),
            (raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000), "/keys: "),
        ]
        for number, (said, word) in enumerate(cases):
            self.origin.answers["/keys"] = said
            self.events.clear()
            self.source()._told = None  # as after five minutes
            unknown = self.token(signer("ES256", f"unknown{number}"))
            got = await self.bring(unknown)
            challenge = f'{CHALLENGE}, error="invalid_token"'
            self.assertEqual((401, challenge), (got.status, got.headers["www-authenticate"]), word)
            (line,) = self.told("go on")
            self.assertIn(word, line)
            self.assertTrue(line.startswith("warn: "), line)
            self.assertEqual([], self.told("c2VjcmV0"))
            self.assertEqual(200, (await self.bring(self.token())).status, word)
        self.assertNotIn("/elsewhere", self.origin.targets())

    async def test_private_keys_beside_a_good_one(self) -> None:
        """A set with a key that everybody can sign with: that key is not used, the others are."""
        leaked = signer("EdDSA", "leaked")
        self.keys_are(jwk_set(self.issuer, leaked.jwk(d="c2VjcmV0")))
        await self.by_url()
        self.assertEqual(200, (await self.bring(self.token())).status)
        self.assertEqual(401, (await self.bring(self.token(leaked))).status)
        self.assertEqual(1, len(self.told("key 2: it is a private key")))
        self.assertEqual([], self.told("c2VjcmV0"))


class SecureEndpointTests(Bearer):
    """Keys by https."""

    def secure(self, name: str) -> TlsOrigin:
        """Start an endpoint whose certificate is for `name`; its authority is the system's."""
        authority = Authority()
        trusted = Path(self.mktemp())
        trusted.write_bytes(authority.pem)
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = str(trusted)
        self.addCleanup(
            lambda: (
                os.environ.pop("SSL_CERT_FILE")
                if before is None
                else os.environ.update(SSL_CERT_FILE=before)
            )
        )
        endpoint = TlsOrigin(authority.server(name))
        self.addCleanup(endpoint.stop)
        self.addCleanup(endpoint.tls_port.stopListening)
        endpoint.answers["/keys"] = answer(body=jwk_set(self.issuer))
        return endpoint

    async def begin(self, endpoint: TlsOrigin) -> None:
        """Take keys from there."""
        url = f"https://localhost:{endpoint.tls_number}/keys"
        await self.shield(f"auth_jwt = media\nauth_jwt_key_request = {url}")

    async def test_good(self) -> None:
        """With a certificate of an authority that the system knows."""
        await self.begin(self.secure("localhost"))
        self.assertEqual(200, (await self.bring(self.token())).status)

    async def test_another_name(self) -> None:
        """Of one that is for somebody else nothing is taken."""
        endpoint = self.secure("other.test")
        await self.begin(endpoint)
        self.assertEqual(503, (await self.bring(self.token())).status)
        self.assertTrue(self.told("certificate is for other.test, not localhost"), self.events)
        self.assertEqual([], endpoint.asked)

    async def test_unknown_authority(self) -> None:
        """Nor of one whose authority nobody knows."""
        endpoint = self.secure("localhost")
        self.secure("localhost")
        await self.begin(endpoint)
        self.assertEqual(503, (await self.bring(self.token())).status)
        self.assertTrue(self.told("authority"), self.events)
        self.assertEqual([], endpoint.asked)
