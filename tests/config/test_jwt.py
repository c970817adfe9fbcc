"""The options `auth_jwt...`: what they make, and their mistakes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import TokenPlace, TokenRules
from s3shield.config import Config, ConfigErrors, dump, load, loads
from tests.access.issuer import jwk_set, signer

BASE = "[s3shield]\nlisten = 8080\n"
PLACE = "[location:/]\norigin = http://127.0.0.1:1\n"


def read(options: str, *, installed: bool = True) -> Config:
    """Load a location with these options."""
    return loads(BASE + PLACE + options, "/s3.ini", installed=lambda _name: installed)


class ReadTests(SynchronousTestCase):
    """What is read."""

    def test_all(self) -> None:
        """Each option, and the same again from the dump."""
        found = read(
            'auth_jwt = "a realm"\n'
            "auth_jwt_key_file = keys.json\nauth_jwt_key_file = /other.pem\n"
            "auth_jwt_key_request = https://id.example.com:8443/jwks?x=1\n"
            "auth_jwt_token = cookie:Session arg:Token header\n"
            "auth_jwt_audience = a b\nauth_jwt_issuer = https://id.example.com/\n"
            "auth_jwt_require = role=a = b\nauth_jwt_require = https://x.example/g=1\n"
            "auth_jwt_leeway = 1m\nauth_jwt_algorithms = ES256 EdDSA\nauth_jwt_key_ttl = 5m\n"
        )
        jwt = found.locations[0].jwt
        assert jwt is not None
        self.assertEqual("a realm", jwt.realm)
        self.assertEqual(("/keys.json", "/other.pem"), jwt.key_files)
        self.assertEqual(("https://id.example.com:8443/jwks?x=1",), jwt.key_urls)
        self.assertEqual(
            (TokenPlace("cookie", b"Session"), TokenPlace("arg", b"token"), TokenPlace("header")),
            jwt.places,
        )
        rules = TokenRules(
            audience=frozenset({"a", "b"}),
            issuer=frozenset({"https://id.example.com/"}),
            require=(("role", "a = b"), ("https://x.example/g", "1")),
            leeway=60.0,
            algorithms=frozenset({"ES256", "EdDSA"}),
        )
        self.assertEqual(rules, jwt.rules)
        self.assertEqual((300, "/s3.ini:5"), (jwt.key_ttl, jwt.where))
        again = loads(dump(found), "/s3.ini", installed=lambda _name: True)
        self.assertEqual(found, again)

    def test_inherited(self) -> None:
        """A location takes its server's, and `off` is none; without the option there is none."""
        text = (
            "[s3shield]\nlisten = 8080\nauth_jwt = x\nauth_jwt_key_file = /k\n"
            "[location:/]\norigin = http://127.0.0.1:1\nauth_jwt_token = arg:t\n"
            "[location:/open/]\norigin = http://127.0.0.1:1\nauth_jwt = off\nauth_jwt_token = arg:t\n"
        )
        closed, opened = loads(text, installed=lambda _name: True).locations
        assert closed.jwt is not None
        self.assertEqual(("x", ("/k",)), (closed.jwt.realm, closed.jwt.key_files))
        self.assertEqual(frozenset({b"t"}), closed.policy.consumed.arguments)
        self.assertIsNone(opened.jwt)
        self.assertFalse(opened.policy.consumed)
        self.assertIsNone(read("").locations[0].jwt)
        self.assertIn("auth_jwt = off", dump(read("", installed=False)))

    def test_mistakes(self) -> None:
        """Each is told with its option, and what would be right."""
        keys = "auth_jwt_key_file = /k\n"
        for options, words in [
            ("auth_jwt = x", "auth_jwt_key_file or auth_jwt_key_request"),
            ('auth_jwt = "x" token=$cookie_t\n' + keys, "auth_jwt_token says"),
            ('auth_jwt = "a"b"\n' + keys, "a realm is a text"),
            ("auth_jwt = a\\b\n" + keys, "a realm is a text"),
            ("auth_jwt_key_request = http://id.example.com/k", "keys come by https"),
            ("auth_jwt_key_request = http://10.0.0.1/k", "keys come by https"),
            ("auth_jwt_key_request = ftp://id.example.com/k", "https://id.example.com/jwks.json"),
            ("auth_jwt_key_request = https://", "https://id.example.com/jwks.json"),
            ("auth_jwt_key_request = https://u:p@id.example.com/k", "password"),
            ("auth_jwt_key_request = https://id.example.com/ü", "characters"),
            ("auth_jwt_key_request = https://id.example.com/#k", "characters"),
            ("auth_jwt_key_request = https://[::1/k", "no URL"),
            ("auth_jwt_key_request = https://id.example.com:99999/k", "no URL"),
            ("auth_jwt_token = body", "cookie:NAME or arg:NAME"),
            ("auth_jwt_token = cookie:", "cookie:NAME or arg:NAME"),
            ("auth_jwt_require = role", "a claim and its value"),
            ("auth_jwt_require = =x", "a claim and its value"),
            ("auth_jwt_algorithms = none", "never taken"),
            ("auth_jwt_algorithms = RS256 None", "never taken"),
            ("auth_jwt_algorithms = RS265", "did you mean"),
            ("auth_jwt_key_ttl = 1s", "every 10 s"),
            ("auth_jwt_leeway = soon", "time"),
        ]:
            with self.assertRaises(ConfigErrors) as caught:
                read(options)
            self.assertIn(words, caught.exception.render(), options)
        for url in ("http://127.0.0.1:1/k", "http://[::1]/k", "http://localhost/k"):
            read(f"auth_jwt = x\nauth_jwt_key_request = {url}")

    def test_the_extra(self) -> None:
        """Without the library the operator is told what to install, where it is needed alone."""
        with self.assertRaises(ConfigErrors) as caught:
            read("auth_jwt = x\nauth_jwt_key_file = /k", installed=False)
        self.assertIn("install s3shield[jwt]", caught.exception.render())
        read("auth_jwt = off", installed=False)


class KeyFileTests(SynchronousTestCase):
    """What is said of key files before the start."""

    def warnings(self, keys: bytes | None, mode: int = 0o600) -> str:
        """Load a configuration beside such a file."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "s3.ini"
            path.write_text(BASE + PLACE + "auth_jwt = x\nauth_jwt_key_file = keys\n")
            if keys is not None:
                file = Path(directory) / "keys"
                file.write_bytes(keys)
                file.chmod(mode)
            return "\n".join(load(str(path)).warnings)

    def test_warnings(self) -> None:
        """What is wrong with them, and a secret that others can read; no mistakes of ours."""
        secret = jwk_set(signer("HS256"))
        for keys, mode, words in [
            (jwk_set(signer("ES256")), 0o644, ""),
            (None, 0, "No such file"),
            (b"{}", 0o600, "no list `keys`"),
            (jwk_set(signer("ES256"), {"kty": "x"}), 0o600, "key 2: its kty"),
            (secret, 0o600, ""),
            (secret, 0o644, "others can read it"),
        ]:
            found = self.warnings(keys, mode)
            if words:
                self.assertIn(words, found)
            else:
                self.assertEqual("", found)
