"""`access.check_token`: what is a good token, and each way of not being one."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import (
    ALGORITHMS,
    GoodToken,
    RefusedToken,
    TokenFault,
    TokenRules,
    check_token,
    parse_keys,
)
from s3shield.access.strict_json import parse_object

from .issuer import NOW, SECRET, Signer, encode, jwk_set, rsa_key, signer

RSA = signer("RS256", "rsa")
KEYS = parse_keys(jwk_set(RSA), local=True).keys
CLAIMS = {"exp": int(NOW) + 60}


def check(token: bytes, rules: TokenRules | None = None, keys: Any = KEYS) -> Any:
    """Return GoodToken, or the fault's name."""
    found = check_token(token, keys, rules or TokenRules(), NOW)
    return found if isinstance(found, GoodToken) else found.fault.name


class SignatureTests(SynchronousTestCase):
    """Who signed it, and how."""

    def test_every_algorithm(self) -> None:
        """Each algorithm that there is checks what its key signed, and nothing that was changed."""
        for algorithm in ALGORITHMS:
            each = signer(algorithm)
            keys = parse_keys(jwk_set(each), local=True).keys
            token = each.token(CLAIMS)
            self.assertEqual(GoodToken(NOW + 60), check(token, keys=keys), algorithm)
            header, payload, signature = token.split(b".")
            changed = encode(CLAIMS | {"admin": True})
            for bad in (
                b".".join([header, changed, signature]),
                b".".join([header, payload, encode(b"\0" * 64)]),
                b".".join([header, payload, encode(b"x")]),
            ):
                self.assertEqual("SIGNATURE", check(bad, keys=keys), algorithm)

    def test_none(self) -> None:
        """`none` is no algorithm, in any spelling, signed or not, listed or not."""
        rules = TokenRules(algorithms=frozenset(ALGORITHMS))
        for word in ("none", "None", "NONE", "nOnE", "", " none"):
            header = encode({"alg": word})
            for rule in (rules, None):
                self.assertEqual("MALFORMED", check(header + b"." + encode(CLAIMS) + b".", rule))
                signed = RSA.raw(header, encode(CLAIMS))
                self.assertEqual("ALGORITHM", check(signed, rule), word)

    def test_key_confusion(self) -> None:
        """A public RSA key is no HMAC secret, in none of its forms, named or not."""
        public = rsa_key().public_key()
        forms = [
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
            json.dumps(RSA.jwk()).encode(),
        ]
        pem = parse_keys(forms[0], local=True).keys
        for form in forms:
            for kid in ({"kid": "rsa"}, {}):
                signed = encode({"alg": "HS256", **kid}) + b"." + encode(CLAIMS)
                token = signed + b"." + encode(hmac.digest(form, signed, hashlib.sha256))
                self.assertEqual("ALGORITHM", check(token))
                self.assertEqual("ALGORITHM", check(token, keys=pem))

    def test_allow_list(self) -> None:
        """`auth_jwt_algorithms` narrows what a key is for, and cannot widen it."""
        token = RSA.token(CLAIMS)
        self.assertEqual("ALGORITHM", check(token, TokenRules(algorithms=frozenset({"PS256"}))))
        both = TokenRules(algorithms=frozenset({"HS256", "RS256"}))
        self.assertIsInstance(check(token, both), GoodToken)
        self.assertEqual("ALGORITHM", check(Signer("HS256", SECRET, "rsa").token(CLAIMS), both))

    def test_own_algorithm(self) -> None:
        """A key that says its `alg` is good for no other."""
        keys = parse_keys(jwk_set(RSA.jwk(alg="RS256")), local=True).keys
        self.assertIsInstance(check(RSA.token(CLAIMS), keys=keys), GoodToken)
        self.assertEqual("ALGORITHM", check(signer("PS256", "rsa").token(CLAIMS), keys=keys))

    def test_names(self) -> None:
        """The key that a token names; one without a name; never another that has one."""
        other = signer("RS256", "other", 1)
        keys = parse_keys(jwk_set(RSA, other), local=True).keys
        for each in (RSA, other):
            self.assertIsInstance(check(each.token(CLAIMS), keys=keys), GoodToken)
            self.assertIsInstance(check(each.token(CLAIMS, kid=None), keys=keys), GoodToken)
        self.assertEqual("SIGNATURE", check(RSA.token(CLAIMS, kid="other"), keys=keys))
        found = check_token(RSA.token(CLAIMS, kid="new"), keys, TokenRules(), NOW)
        self.assertEqual(RefusedToken(TokenFault.KEY, "new"), found)
        assert isinstance(found, RefusedToken)
        self.assertTrue(found.wants_keys)
        nameless = parse_keys(jwk_set(signer("RS256", None)), local=True).keys
        self.assertIsInstance(check(RSA.token(CLAIMS), keys=nameless), GoodToken)
        self.assertEqual("KEY", check(other.token(CLAIMS, kid=None), keys=KEYS))
        self.assertEqual("MALFORMED", check(RSA.token(CLAIMS, kid=7)))

    def test_too_many_keys_to_try(self) -> None:
        """A token without a name does not have a hundred signatures computed for it."""
        keys = parse_keys(jwk_set(*[RSA.jwk(kid=str(n)) for n in range(9)]), local=True).keys
        self.assertEqual("AMBIGUOUS", check(RSA.token(CLAIMS, kid=None), keys=keys))
        self.assertIsInstance(check(RSA.token(CLAIMS, kid="8"), keys=keys), GoodToken)

    def test_offered_keys(self) -> None:
        """A key that comes in the token itself, or by an address in it, is not looked at."""
        thief = signer("RS256", "thief", 1)
        offers: list[dict[str, Any]] = [
            {"jwk": thief.jwk()},
            {"jku": "https://thief.example/keys"},
            {"x5u": "https://thief.example/cert"},
            {"x5c": ["MIIB"]},
        ]
        for offer in offers:
            self.assertEqual("KEY", check(thief.token(CLAIMS, **offer)))
            self.assertEqual("SIGNATURE", check(thief.token(CLAIMS, kid="rsa", **offer)))
            self.assertIsInstance(check(RSA.token(CLAIMS, **offer)), GoodToken)

    def test_critical(self) -> None:
        """What must be understood to be safe is not: `crit`, of any kind, and `b64` (RFC 7797)."""
        for header in ({"crit": ["b64"], "b64": False}, {"crit": []}, {"crit": None}, {"b64": 0}):
            self.assertEqual("CRITICAL", check(RSA.token(CLAIMS, **header)), header)


class FormTests(SynchronousTestCase):
    """What a token looks like."""

    def test_malformed(self) -> None:
        """Other forms, other alphabets, and base64url in another than its one form."""
        good = RSA.token(CLAIMS)
        header, payload, signature = good.split(b".")
        last = signature[:-1] + bytes((signature[-1] + 1,))
        for bad in (
            b"",
            b"..",
            b"a.b",
            good + b".",
            b"." + good,
            good + b"=",
            good + b"\n",
            good.replace(b".", b" ."),
            b".".join([header, payload, signature, b"x"]),
            b".".join([header, payload, b"", b"", b""]),
            b".".join([header + b"=", payload, signature]),
            b".".join([header, payload, last]),
            b".".join([b"!" + header, payload, signature]),
            RSA.raw(encode(b"[]"), payload),
            RSA.raw(encode(b"\xff"), payload),
            RSA.raw(encode(b'\xef\xbb\xbf{"alg": "RS256"}'), payload),
            RSA.raw(encode('{"alg": "RS256"}'.encode("utf-16")), payload),
            RSA.raw(encode(b'{"alg": "RS256", "alg": "RS256"}'), payload),
            RSA.token(CLAIMS, alg=["RS256"]),
            RSA.token(CLAIMS, alg=None),
        ):
            self.assertEqual("MALFORMED", check(bad), bad[:80])

    def test_too_long(self) -> None:
        """16 KiB is more than any token needs."""
        self.assertEqual("TOO_LONG", check(RSA.token({"x": "y" * 16_000})))

    def test_bombs(self) -> None:
        """Depth, in the header or in the claims, is refused before a recursive reader meets it."""
        deep = b'{"alg": "RS256", "exp": 9999999999, "x": ' + b"[" * 5000 + b"]" * 5000 + b"}"
        self.assertEqual("MALFORMED", check(encode(deep) + b".e30.AAAA"))
        self.assertEqual("CLAIMS", check(RSA.raw(encode({"alg": "RS256"}), encode(deep[:8000]))))
        fine = b'{"exp": 9999999999, "x": "' + b"[" * 5000 + b'"}'
        self.assertIsInstance(check(RSA.raw(encode({"alg": "RS256"}), encode(fine))), GoodToken)

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=70))
    def test_never_raises(self, header: bytes, payload: bytes, signature: bytes) -> None:
        """Whatever comes is refused, not an error."""
        self.assertIsInstance(check(b".".join([header, payload, signature])), str)
        self.assertIsInstance(check(b".".join(map(encode, [header, payload, signature]))), str)


class ClaimTests(SynchronousTestCase):
    """What a genuine token says."""

    def check(self, claims: dict[str, Any] | bytes, **rules: Any) -> Any:
        """Sign and check."""
        return check(RSA.token(claims), TokenRules(**rules))

    def test_times(self) -> None:
        """exp, nbf and iat against the time that is given, to the second, and leeway both ways."""
        now = int(NOW)
        cases: list[tuple[dict[str, Any], float, Any]] = [
            ({}, 0, GoodToken(float("inf"))),
            ({"exp": now + 1}, 0, GoodToken(NOW + 1)),
            ({"exp": now}, 0, "EXPIRED"),
            ({"exp": now - 9}, 10, GoodToken(NOW + 1)),
            ({"exp": now - 10}, 10, "EXPIRED"),
            ({"exp": 0}, 0, "EXPIRED"),
            ({"exp": now + 0.5}, 0, GoodToken(NOW + 0.5)),
            ({"nbf": now}, 0, GoodToken(float("inf"))),
            ({"nbf": now + 1}, 0, "EARLY"),
            ({"nbf": now + 10}, 10, GoodToken(float("inf"))),
            ({"iat": now + 1}, 0, "EARLY"),
            ({"iat": now + 11}, 10, "EARLY"),
            ({"iat": now}, 0, GoodToken(float("inf"))),
        ]
        for claims, leeway, wanted in cases:
            self.assertEqual(wanted, self.check(claims, leeway=leeway), claims)

    def test_no_times(self) -> None:
        """What is no NumericDate is not taken for one, nor for none."""
        for name in ("exp", "nbf", "iat"):
            for value in (
                b'"9999999999"',
                b"NaN",
                b"Infinity",
                b"-Infinity",
                b"1e999",
                b"1" + b"0" * 30,
                b"1" * 5000,
                b"-1",
                b"null",
                b"true",
                b"[9999999999]",
                b"{}",
                b"1795500060000",
            ):
                payload = b'{"%b": %b}' % (name.encode(), value)
                self.assertEqual("CLAIMS", self.check(payload), payload[:40])

    def test_duplicates(self) -> None:
        """A claim that is there twice is not chosen from (RFC 7519 section 4)."""
        for payload in (
            b'{"exp": 1, "exp": 9999999999}',
            b'{"aud": "a", "aud": "b"}',
            b'{"x": {"y": 1, "y": 1}}',
            b'{"exp": 9999999999, "\\u0065xp": 9999999999}',
        ):
            self.assertEqual("CLAIMS", self.check(payload))
        for payload in (b"[]", b"1", b'"x"', b"", b"{", b"{} {}"):
            wanted = "CLAIMS" if payload else "MALFORMED"
            self.assertEqual(wanted, self.check(payload))

    def test_audience(self) -> None:
        """One of ours among its own; without any of ours nothing is asked."""
        ours = frozenset({"media", "assets"})
        for value, good in [
            ("media", True),
            (["x", "assets"], True),
            ("Media", False),
            ("media assets", False),
            (["x"], False),
            ([], False),
        ]:
            found = self.check({"aud": value}, audience=ours)
            self.assertEqual(good, isinstance(found, GoodToken), value)
            self.assertIn(found, (GoodToken(float("inf")), "AUDIENCE"))
        self.assertEqual("AUDIENCE", self.check({}, audience=ours))
        for wrong in (None, 7, {"media": 1}, ["media", 7], [["media"]]):
            self.assertEqual("CLAIMS", self.check({"aud": wrong}, audience=ours), wrong)
        self.assertIsInstance(self.check({"aud": "anybody"}), GoodToken)

    def test_issuer(self) -> None:
        """Letter for letter, as a text."""
        ours = frozenset({"https://id.example.com/"})
        self.assertIsInstance(
            self.check({"iss": "https://id.example.com/"}, issuer=ours), GoodToken
        )
        for value in ("https://id.example.com", ["https://id.example.com/"], None, 1):
            self.assertEqual("ISSUER", self.check({"iss": value}, issuer=ours), value)
        self.assertEqual("ISSUER", self.check({}, issuer=ours))

    def test_required(self) -> None:
        """Texts, numbers, flags, lists, scopes, ways through objects and names with dots."""
        claims = {
            "role": "admin",
            "roles": ["a", "b"],
            "level": 3,
            "paid": True,
            "scope": "read write",
            "words": "read write",
            "realm": {"roles": ["x"]},
            "https://x.example/g": "g1",
            "nothing": None,
            "part": 1.5,
        }
        cases = [
            ("role", "admin", True),
            ("role", "adm", False),
            ("roles", "b", True),
            ("roles", "c", False),
            ("level", "3", True),
            ("paid", "true", True),
            ("paid", "1", False),
            ("scope", "read", True),
            ("scope", "read write", False),
            ("scope", "re", False),
            ("words", "read", False),
            ("realm.roles", "x", True),
            ("realm.no", "x", False),
            ("role.x", "admin", False),
            ("https://x.example/g", "g1", True),
            ("nothing", "None", False),
            ("nothing", "null", False),
            ("part", "1.5", False),
            ("realm", "x", False),
            ("missing", "", False),
        ]
        for name, value, good in cases:
            found = self.check(claims, require=((name, value),))
            wanted = GoodToken(float("inf")) if good else "REQUIRED"
            self.assertEqual(wanted, found, name)
        both = (("role", "admin"), ("level", "4"))
        self.assertEqual("REQUIRED", self.check(claims, require=both))


class StrictJsonTests(SynchronousTestCase):
    """The reader beneath."""

    def test_depth_scan_is_linear(self) -> None:
        """A text made of quotes and backslashes, without an end, is gone through once."""
        for text in (b'{"' + b'\\"' * 120_000, b'"' * 250_001, b'{"' + b"\\" * 250_001):
            self.assertRaises(ValueError, parse_object, text)

    @settings(deadline=None, max_examples=100)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=9),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=10,
        )
    )
    def test_reads_what_json_writes(self, value: Any) -> None:
        """Ordinary JSON is read as `json` reads it."""
        self.assertEqual({"v": value}, parse_object(json.dumps({"v": value}).encode()))
