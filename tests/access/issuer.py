"""An issuer of tokens, good and otherwise, made by hand so that anything can be said."""

from __future__ import annotations

import base64
import functools
import json
from typing import Any, Final

import attrs
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

__all__ = ["NOW", "SECRET", "Signer", "encode", "jwk", "jwk_set", "rsa_key", "signer"]

NOW: Final = 1_795_500_000.0
SECRET: Final = bytes(range(64))


def encode(data: bytes | dict[str, Any]) -> bytes:
    """Return base64url of bytes, or of an object as JSON."""
    if isinstance(data, dict):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@functools.cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    """Return the same key for the same number; it takes long to make one."""
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def _other(algorithm: str) -> Any:
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    return ec.generate_private_key(curves[algorithm])


@attrs.frozen
class Signer:
    """A private key with a name."""

    algorithm: str
    key: Any
    kid: str | None

    def token(self, claims: dict[str, Any] | bytes | None = None, **header: Any) -> bytes:
        """Return a token. claims: or the payload's bytes. header: fields instead of ours."""
        fields = {"alg": self.algorithm, "typ": "JWT"}
        if self.kid is not None:
            fields["kid"] = self.kid
        fields |= header
        payload = {"sub": "someone", "exp": int(NOW) + 60} if claims is None else claims
        return self.raw(encode(fields), encode(payload))

    def raw(self, header: bytes, payload: bytes) -> bytes:
        """Return a token of these two parts, signed as this key does."""
        signed = header + b"." + payload
        signature = jwt.get_algorithm_by_name(self.algorithm).sign(signed, self.key)
        return signed + b"." + encode(signature)

    def jwk(self, **members: Any) -> dict[str, Any]:
        """Return what a key set has of it. members: instead of ours."""
        return jwk(self.algorithm, self.key, self.kid) | members


def signer(algorithm: str, kid: str | None = "one", number: int = 0) -> Signer:
    """Return a signer; the same key for the same algorithm and number."""
    if algorithm.startswith("HS"):
        return Signer(algorithm, SECRET, kid)
    if algorithm[:2] in ("RS", "PS"):
        return Signer(algorithm, rsa_key(number), kid)
    return Signer(algorithm, _other(algorithm), kid)


def jwk(algorithm: str, key: Any, kid: str | None) -> dict[str, Any]:
    """Return the public part of a key as a JWK; a secret as it is."""
    public = key if isinstance(key, bytes) else key.public_key()
    found = jwt.get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True)
    found.pop("key_ops", None)
    return found if kid is None else found | {"kid": kid}


def jwk_set(*entries: Any) -> bytes:
    """Return a key set of signers and JWKs."""
    keys = [each.jwk() if isinstance(each, Signer) else each for each in entries]
    return json.dumps({"keys": keys}).encode()
