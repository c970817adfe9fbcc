"""`access.parse_keys`: key sets good, bad and hostile."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import KeySet, KeySetError, parse_keys

from .issuer import encode, jwk, jwk_set, rsa_key, signer

RSA = signer("RS256", "rsa")


def pem(key: Any) -> bytes:
    """Return a public key as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class KeySetTests(SynchronousTestCase):
    """JWK sets."""

    def why(self, data: bytes, *, local: bool = True) -> str:
        """Return why nothing of `data` can be used."""
        with self.assertRaises(KeySetError) as caught:
            parse_keys(data, local=local)
        return str(caught.exception)

    def test_kinds(self) -> None:
        """What each kind of key is for; a set may have all of them, or be one key alone."""
        found = parse_keys(
            jwk_set(RSA, signer("ES256"), signer("ES384"), signer("EdDSA"), signer("HS256")),
            local=True,
        )
        self.assertEqual((), found.ignored)
        algorithms = [sorted(key.algorithms) for key in found.keys]
        self.assertEqual(
            [
                ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"],
                ["ES256"],
                ["ES384"],
                ["EdDSA"],
                ["HS256", "HS384", "HS512"],
            ],
            algorithms,
        )
        alone = parse_keys(json.dumps(RSA.jwk()).encode(), local=False)
        self.assertEqual(["rsa"], [key.kid for key in alone.keys])

    def test_no_set(self) -> None:
        """What is no key set at all."""
        for data, word in [
            (b"", "JSON"),
            (b"<html>", "JSON"),
            (b"\xff\xfe", "UTF-8"),
            (b"[]", "object"),
            (b"{}", "`keys`"),
            (b'{"keys": {}}', "`keys`"),
            (b'{"keys": null}', "`keys`"),
            (b'{"keys": []}', "no key"),
            (b'{"keys": [], "keys": []}', "twice"),
            (b'{"keys": ' + b"[" * 100_000, "deeply"),
            (b'{"keys": [' + b"{}," * 10_000 + b"{}]}", "100 keys"),
            (b" " * (256 * 1024 + 1), "256 KiB"),
        ]:
            self.assertIn(word, self.why(data), data[:30])

    def test_keys_that_are_not_used(self) -> None:
        """Each reason; the other keys of the set are used all the same, nothing is quoted."""
        good = RSA.jwk()
        small = jwk("RS256", rsa.generate_private_key(65537, 1024), "s")
        cases: list[tuple[Any, str]] = [
            (None, "object"),
            ("key", "object"),
            ([], "object"),
            ({}, "kty"),
            (good | {"kty": "rsa"}, "kty"),
            (good | {"kty": ["RSA"]}, "kty"),
            (good | {"kid": 7}, "kid"),
            (good | {"kid": ""}, "kid"),
            (good | {"kid": "k" * 300}, "kid"),
            (good | {"use": "enc"}, "use"),
            (good | {"key_ops": ["encrypt"]}, "key_ops"),
            (good | {"key_ops": "verify"}, "key_ops"),
            (good | {"d": "c2VjcmV0LWQ"}, "private"),
            (good | {"n": 12345}, "its n"),
            (good | {"n": None}, "its n"),
            (good | {"n": "not base64!"}, "its n"),
            (good | {"n": "ü"}, "its n"),
            ({name: good[name] for name in ("kty", "n")}, "its e"),
            (good | {"e": encode(b"\1" * 9).decode()}, "exponent"),
            (good | {"e": encode(b"\2").decode()}, "numbers"),
            (good | {"n": encode(b"\1" * 2000).decode()}, "2048"),
            (small, "2048"),
            (good | {"alg": "HS256"}, "alg"),
            (good | {"alg": "none"}, "alg"),
            (good | {"alg": ["RS256"]}, "alg"),
            (good | {"alg": None}, "alg"),
            (signer("ES256").jwk(crv="secp256k1"), "curve"),
            (signer("ES256").jwk(crv="P-384"), "numbers"),
            (signer("ES256").jwk(crv=["P-256"]), "curve"),
            (signer("ES256").jwk(y=signer("ES256").jwk()["x"]), "numbers"),
            (signer("EdDSA").jwk(crv="X25519"), "curve"),
            (signer("EdDSA").jwk(x="AAAA"), "numbers"),
            ({"kty": "oct", "k": encode(b"s" * 31).decode()}, "32 bytes"),
        ]
        for entry, word in cases:
            found = parse_keys(jwk_set(entry, good | {"kid": "good"}), local=True)
            self.assertEqual(["good"], [key.kid for key in found.keys], word)
            (why,) = found.ignored
            self.assertIn(word, why)
            self.assertTrue(why.startswith("key 1: "), why)
            self.assertNotIn("c2VjcmV0LWQ", why)

    def test_secrets(self) -> None:
        """A shared secret counts from a file alone; what others can read proves nothing."""
        data = jwk_set(signer("HS256"))
        self.assertIn("shared secret", self.why(data, local=False))
        found = parse_keys(data, local=True)
        self.assertNotIn("AAEC", repr(found))
        short = jwk_set({"kty": "oct", "k": encode(b"s" * 40).decode()})
        self.assertEqual({"HS256"}, parse_keys(short, local=True).keys[0].algorithms)

    @settings(deadline=None, max_examples=150)
    @given(
        st.dictionaries(
            st.sampled_from(
                ["kty", "kid", "use", "key_ops", "alg", "crv", "n", "e", "x", "y", "k"]
            ),
            st.none()
            | st.integers()
            | st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "sig", "RS256"])
            | st.binary(max_size=80).map(lambda data: encode(data).decode())
            | st.lists(st.text(max_size=3), max_size=2),
        )
    )
    def test_never_anything_else(self, entry: dict[str, Any]) -> None:
        """Whatever a key is made of, it is one or it is ignored with a reason."""
        found = parse_keys(jwk_set(entry, RSA), local=True)
        self.assertIsInstance(found, KeySet)
        self.assertEqual(2, len(found.keys) + len(found.ignored))


class PemTests(SynchronousTestCase):
    """PEM text."""

    def test_kinds(self) -> None:
        """Public keys of each kind and a certificate, one after the other, text between."""
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
        key = rsa_key()
        day = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        made = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day)
        certificate = made.sign(key, hashes.SHA256())
        data = b"# ours\n".join(
            [
                pem(key),
                pem(signer("ES512").key),
                pem(signer("EdDSA").key),
                certificate.public_bytes(Encoding.PEM),
                key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1),
            ]
        )
        found = parse_keys(data, local=True)
        self.assertEqual((), found.ignored)
        kinds = [min(key.algorithms) for key in found.keys]
        self.assertEqual(["PS256", "ES512", "EdDSA", "PS256", "PS256"], kinds)

    def test_not_used(self) -> None:
        """A private key, a curve that is not ours, rubbish between the lines."""
        private = rsa_key().private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
        for data, word in [
            (private, "private"),
            (pem(ec.generate_private_key(ec.SECP256K1())), "P-256"),
            (b"-----BEGIN PUBLIC KEY-----\nrubbish\n-----END PUBLIC KEY-----\n", "no public key"),
            (b"-----BEGIN PUBLIC KEY-----\nrubbish\n", "no key"),
            (pem(rsa_key()) * 101, "100 keys"),
        ]:
            with self.assertRaises(KeySetError) as caught:
                parse_keys(data, local=True)
            self.assertIn(word, str(caught.exception))

    def test_from_afar(self) -> None:
        """PEM is for files: a text of a thousand beginnings costs nothing from a URL."""
        for data in (pem(rsa_key()), b"-----BEGIN A-----" * 15_000):
            with self.assertRaises(KeySetError) as caught:
                parse_keys(data, local=False)
            self.assertIn("JSON", str(caught.exception))
