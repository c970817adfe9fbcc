"""`auth_jwt` from one end to the other: tokens of every kind, and what becomes of them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from s3shield.front import file_keys
from tests.access.issuer import encode, jwk_set, signer
from tests.scenario.bearer import Bearer
from tests.scenario.harness import answer, until

REFUSED: Final = 'Bearer realm="media", error="invalid_token"'


class LocationTests(Bearer):
    """A location that wants tokens."""

    async def test_who_comes_in(self) -> None:
        """Who has a token; on hits as on misses, whatever is asked and however."""
        await self.by_file()
        got = await self.bring(None)
        self.assertEqual(
            (401, 'Bearer realm="media"'), (got.status, got.headers["www-authenticate"])
        )
        self.assertEqual([], self.origin.targets())
        token = self.token()
        for status in ("MISS", "HIT", "HIT"):
            got = await self.bring(token)
            self.assertEqual((200, status), (got.status, got.cache))
        for headers in (
            {},
            {"range": "bytes=0-1"},
            {"if_none_match": "*"},
            {"authorization": token},
        ):
            self.assertEqual(401, (await self.bring(None, **headers)).status)
        got = await self.get("/a", method="HEAD")
        self.assertEqual(401, got.status)
        self.assertEqual(401, (await self.get("/a", method="PURGE")).status)
        self.assertEqual(401, (await self.bring(None, authorization=f"Basic {token}")).status)
        got = await self.get("/a", authorization=f"bEARER  {token}")
        self.assertEqual(200, got.status)
        self.assertEqual(["/a"], self.origin.targets())
        self.assertNotIn("authorization", self.origin.asked[0].headers)

    async def test_one_entry_for_all(self) -> None:
        """Tokens in the query make no entries of their own, and neither origin nor log sees them."""
        self.origin.answers["/a?x=1"] = answer(headers={"Cache-Control": "max-age=60"})
        await self.by_file("auth_jwt_token = arg:token cookie:session header")
        first, second = self.token(sub="one"), self.token(sub="two")
        asked = [
            f"/a?x=1&token={first}",
            f"/a?token={second}&x=1",
            f"/a?x=1&%74oken={second}",
            f"/a?x=1&TOKEN={first}",
        ]
        for target, status in zip(asked, ("MISS", "HIT", "HIT", "HIT"), strict=True):
            got = await self.get(target, referer=f"http://shield.test/?token={first}")
            self.assertEqual((200, status), (got.status, got.cache), target)
        for target in (
            "/a?x=1",
            f"/a?x=1&TOKEN={first}&token=",
            f"/a?x=1&token={first}&token={first}",
        ):
            self.assertEqual(401, (await self.get(target)).status, target)
        got = await self.get("/a?x=1", cookie=f"a=b; session={first}; c=d")
        self.assertEqual(200, got.status)
        self.assertEqual(["/a?x=1"], self.origin.targets())
        self.assertNotIn(first, json.dumps(self.origin.asked[0].headers))
        shown = json.dumps(self.logged())
        for token in (first, second):
            self.assertNotIn(token.rpartition(".")[2], shown + "".join(self.events))
        self.assertIn("/a?x=1&token=***", shown)
        self.assertIn("/a?token=***&x=1", shown)

    async def test_what_a_plain_origin_sees(self) -> None:
        """Other cookies and other credentials go on; the answer is stored all the same."""
        await self.by_file("auth_jwt_token = cookie:session header")
        token = self.token()
        got = await self.get("/a", cookie=f"a=b; session={token}; c=d", authorization="Basic eA==")
        self.assertEqual(200, got.status)
        headers = self.origin.asked[0].headers
        self.assertEqual(("a=b; c=d", "Basic eA=="), (headers["cookie"], headers["authorization"]))
        self.origin.answers["/v"] = answer(
            headers={"Cache-Control": "max-age=60", "Vary": "Cookie, Authorization"}
        )
        for status in ("MISS", "HIT"):
            got = await self.get("/v", cookie=f"session={self.token(sub=status)}")
            self.assertEqual(status, got.cache)
            got = await self.bring(self.token(sub=status), "/v")
            self.assertEqual("HIT", got.cache)

    async def test_cache_key(self) -> None:
        """A key made of the whole target has no token in it."""
        await self.by_file('auth_jwt_token = arg:t\nproxy_cache_key = "$request_uri $args $arg_t"')
        self.origin.answers["/a?x=1"] = answer(headers={"Cache-Control": "max-age=60"})
        for status in ("MISS", "HIT"):
            got = await self.get(f"/a?x=1&t={self.token(sub=status)}")
            self.assertEqual(status, got.cache)

    async def test_claims(self) -> None:
        """403 for who is known and may not; 401 for another's tokens."""
        await self.by_file(
            "auth_jwt_audience = media\nauth_jwt_issuer = https://id.example.com/\n"
            "auth_jwt_require = role=editor\nauth_jwt_require = scope=read\n"
        )
        good = {
            "aud": ["x", "media"],
            "iss": "https://id.example.com/",
            "role": ["editor"],
            "scope": "write read",
        }
        self.assertEqual(200, (await self.bring(self.token(**good))).status)
        for other in ({"aud": "x"}, {"iss": "https://id.example.org/"}):
            got = await self.bring(self.token(**(good | other)))
            self.assertEqual((401, REFUSED), (got.status, got.headers["www-authenticate"]))
        for less in ({"role": "reader"}, {"scope": "write"}):
            got = await self.bring(self.token(**(good | less)))
            self.assertEqual(403, got.status)
            challenge = 'Bearer realm="media", error="insufficient_scope"'
            self.assertEqual(challenge, got.headers["www-authenticate"])

    async def test_forged_tokens(self) -> None:
        """All refused alike; one log line for each reason, none with the token or a claim."""
        rsa = signer("RS256", "rsa")
        self.key_path.write_bytes(jwk_set(rsa))
        await self.by_file("auth_jwt_audience = media\nmethods = GET")
        now = int(time.time())
        fine = {"exp": now + 600, "aud": "media", "note": "pr1vate"}
        self.assertEqual(200, (await self.bring(rsa.token(fine).decode())).status)
        public = rsa.key.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        mixed = encode({"alg": "HS256", "kid": "rsa"}) + b"." + encode(fine)
        thief = signer("RS256", "thief", 1)
        evil = f"http://127.0.0.1:{self.origin.number}/evil"
        head = encode({"alg": "RS256", "kid": "rsa"})
        bomb = b'{"aud": "media", "x": ' + b"[" * 3000
        tokens = [
            *[encode({"alg": word}) + b"." + encode(fine) + b"." for word in ("none", "nOnE")],
            *[rsa.token(fine, alg=word) for word in ("none", "NONE")],
            rsa.token(fine | {"aud": "other"}),
            rsa.token(fine | {"note": "x" * 16_000}),
            rsa.token(fine, kid="wrong"),
            mixed + b"." + encode(hmac.digest(pem, mixed, hashlib.sha256)),
            thief.token(fine, jku=evil),
            thief.token(fine, kid="rsa", x5u=evil, jwk=thief.jwk()),
            rsa.raw(head, encode(b'{"aud": "x", "aud": "media", "exp": 99999999999}')),
            *[
                rsa.raw(head, encode(b'{"aud": "media", "exp": %b}' % exp))
                for exp in (b'"9999999999"', b"NaN", b"1e999", b"1" + b"0" * 400, b"null")
            ],
            rsa.raw(head, encode(bomb)),
            encode(b'{"alg": ' + b"[" * 3000) + b".e30.AAAA",
            rsa.token(fine, crit=["exp"]),
            rsa.token(fine | {"exp": now - 20}),
            rsa.token(fine | {"nbf": now + 300}),
            b"rubbish",
            b"",
        ]
        self.events.clear()
        answers = set()
        for token in tokens:
            got = await self.bring(token.decode())
            answers.add((got.status, got.headers["www-authenticate"], got.body))
            self.assertEqual(401, got.status, token[:80])
        ((_, challenge, _),) = answers
        self.assertEqual(REFUSED, challenge)
        self.assertNotIn("/evil", self.origin.targets())
        self.assertEqual(1, self.origin.targets().count("/a"))
        lines = self.told("a token from 127.0.0.1 is refused: ")
        self.assertEqual(self.events, lines)
        reasons = [line.rpartition("refused: ")[2] for line in lines]
        self.assertEqual(len(reasons), len(set(reasons)))
        self.assertEqual(10, len(reasons), reasons)
        shown = "".join(self.events)
        self.assertNotIn("pr1vate", shown)
        self.assertNotIn("eyJ", shown)

    async def test_satisfy_any(self) -> None:
        """An address that is allowed needs no token."""
        await self.by_file("satisfy = any\nallow = 127.0.0.1\ndeny = all")
        self.assertEqual(200, (await self.bring(None)).status)

    async def test_satisfy_any_by_token(self) -> None:
        """A token stands in for an address that is not; without either there is a challenge."""
        await self.by_file("satisfy = any\ndeny = all")
        self.assertEqual(200, (await self.bring(self.token())).status)
        got = await self.bring(None)
        self.assertEqual(
            (401, 'Bearer realm="media"'), (got.status, got.headers["www-authenticate"])
        )


class FileTests(Bearer):
    """`auth_jwt_key_file` while the daemon runs."""

    def setUp(self) -> None:
        """Look often."""
        super().setUp()
        self.patch(file_keys, "FILE_INTERVAL", 0.01)

    def replace(self, data: bytes) -> None:
        """Put another file in its place."""
        new = self.key_path.with_name("new")
        new.write_bytes(data)
        new.rename(self.key_path)

    async def test_changed(self) -> None:
        """New keys are in force when they have been seen, and the old ones are not."""
        await self.by_file()
        token, new = self.token(), signer("EdDSA", "two")
        self.assertEqual(200, (await self.bring(token)).status)
        self.replace(jwk_set(new, new.jwk(kid="three")))
        await until(lambda: self.told("2 keys for tokens are in use"), "the new keys")
        self.assertEqual(401, (await self.bring(token)).status)
        self.assertEqual(200, (await self.bring(self.token(new))).status)

    async def test_not_good(self) -> None:
        """A file that is broken, or gone, changes nothing, and is told once."""
        await self.by_file()
        self.assertEqual(200, (await self.bring(self.token())).status)
        self.replace(b'{"keys": [')
        await until(lambda: self.told("it is not JSON; the keys that were read"), "a word about it")
        self.assertEqual(200, (await self.bring(self.token(sub="x"))).status)
        self.key_path.unlink()
        await until(lambda: self.told("it is not there; the keys"), "another")
        self.assertEqual(200, (await self.bring(self.token(sub="y"))).status)
        self.replace(jwk_set(self.issuer))
        await until(lambda: self.told("is good again"), "that it is good")
        self.assertEqual(2, len(self.told("error: ")))

    async def test_never_good(self) -> None:
        """Without any key nobody comes in: 503, with a warning before and a line when it happens."""
        self.key_path.unlink()
        await self.by_file()
        got = await self.bring(self.token())
        self.assertEqual((503, "5"), (got.status, got.headers["retry-after"]))
        self.assertTrue(self.told("error: "))
        self.replace(jwk_set(self.issuer))
        await until(lambda: self.told("keys for tokens are in use"), "the keys")
        self.assertEqual(200, (await self.bring(self.token())).status)

    async def test_several_sources(self) -> None:
        """Keys of all files and addresses count together."""
        other = self.key_path.with_name("other")
        second = signer("EdDSA", "two")
        other.write_bytes(jwk_set(second))
        await self.by_file(f"auth_jwt_key_file = {other}")
        for issuer in (self.issuer, second):
            self.assertEqual(200, (await self.bring(self.token(issuer))).status)
