"""The keys that tokens are checked with: a JWK set (RFC 7517) or PEM text.

Which algorithms a key is good for follows from its kind alone, and from what the key
itself says; never from a token. So a public RSA key cannot be taken for an HMAC secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from .strict_json import parse_object

__all__ = [
    "ALGORITHMS",
    "LARGEST_KEY_SET",
    "KeySet",
    "KeySetError",
    "TokenKey",
    "decode_base64url",
    "parse_keys",
]

LARGEST_KEY_SET: Final = 256 * 1024
"""Bytes of a key set or PEM text."""
_MOST_KEYS: Final = 100
_RSA_BITS: Final = range(2048, 8192 + 1)
"""Below: broken. Above: a signature takes milliseconds to check, in the loop."""
_LARGEST_EXPONENT: Final = 1 << 32
_LONGEST_KID: Final = 256

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_PEM_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_HMAC: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Algorithms, and the bytes of a secret that they need at least (RFC 7518 section 3.2)."""
ALGORITHMS: Final = (*_HMAC, *_RSA, *_CURVES.values(), "EdDSA")
"""What there is; `none` is not among them."""

_BASE64URL: Final = re.compile(rb"[A-Za-z0-9_-]+")
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_NUMBERS: Final = {"RSA": ("n", "e"), "EC": ("x", "y"), "OKP": ("x",), "oct": ("k",)}
"""By kty, the members that are base64url."""


class KeySetError(ValueError):
    """A key set of which nothing can be used; the text says why, and quotes none of it."""


@attrs.frozen
class TokenKey:
    """One key.

    kid: its name, None without. algorithms: those it checks. material: the library's form.
    """

    kid: str | None
    algorithms: frozenset[str]
    material: Any = attrs.field(repr=False)


@attrs.frozen
class KeySet:
    """What a key set has to offer.

    keys: at least one. ignored: sentences about keys that cannot be used.
    """

    keys: tuple[TokenKey, ...]
    ignored: tuple[str, ...] = ()


def decode_base64url(text: bytes) -> bytes:
    """Decode base64url as JOSE writes it: no padding, and one text for each value.

    Raises ValueError. RFC 7515 section 2.
    """
    if not _BASE64URL.fullmatch(text):
        raise ValueError("it is not base64url")
    try:
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("it is not base64url") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=") != text:
        raise ValueError("it is not base64url in its one form")
    return data


def parse_keys(data: bytes, *, local: bool) -> KeySet:
    """Return the keys in a JWK set, a single JWK, or PEM public keys and certificates.

    local: it is a file of the operator's: then it may be PEM, and HMAC secrets count. From
    a URL they do not: others can read it, too. Raises KeySetError. A private key is never
    taken: who can read it here can sign.
    """
    if len(data) > LARGEST_KEY_SET:
        raise KeySetError(f"it is larger than {LARGEST_KEY_SET // 1024} KiB")
    is_pem = local and b"-----BEGIN " in data
    found = _pem_keys(data) if is_pem else _jwk_keys(data, local=local)
    if not found.keys:
        why = f": {found.ignored[0]}" if found.ignored else ""
        raise KeySetError(f"there is no key in it that can be used{why}")
    return found


def _jwk_keys(data: bytes, *, local: bool) -> KeySet:
    try:
        whole = parse_object(data)
    except ValueError as why:
        raise KeySetError(str(why)) from None
    entries = whole.get("keys", [whole] if "kty" in whole else None)
    if not isinstance(entries, list):
        raise KeySetError("it is not a JWK set: there is no list `keys`")
    if len(entries) > _MOST_KEYS:
        raise KeySetError(f"there are more than {_MOST_KEYS} keys in it")
    keys, ignored = [], []
    for number, entry in enumerate(entries, 1):
        try:
            keys.append(_jwk(entry, local=local))
        except ValueError as why:
            ignored.append(f"key {number}: {why}")
    return KeySet(tuple(keys), tuple(ignored))


def _jwk(entry: Any, *, local: bool) -> TokenKey:
    """Read one JWK. Raises ValueError with a sentence of ours, never with the library's.

    The library's own texts quote the key.
    """
    if not isinstance(entry, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - what callers catch
    kind, kid = entry.get("kty"), entry.get("kid")
    if kind not in ("RSA", "EC", "OKP", "oct"):
        raise ValueError("its kty is not RSA, EC, OKP or oct")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= _LONGEST_KID):
        raise ValueError("its kid is no text of ordinary length")
    if entry.get("use", "sig") != "sig":
        raise ValueError("it is not for signatures (use)")
    if "key_ops" in entry:
        uses = entry["key_ops"]
        if not isinstance(uses, list) or "verify" not in uses:
            raise ValueError("it is not for checking signatures (key_ops)")
    if "d" in entry:
        raise ValueError("it is a private key, which must not be here: let its owner replace it")
    if kind == "oct" and not local:
        raise ValueError("it is a shared secret, and others can read it where it came from")
    numbers = {name: _number(entry, name) for name in _NUMBERS[kind]}
    algorithms = _algorithms_of(kind, entry, numbers)
    if "alg" in entry:
        algorithms &= {entry["alg"]} if isinstance(entry["alg"], str) else set()
        if not algorithms:
            raise ValueError("its alg does not go with its kind, or is not known")
    return TokenKey(kid, frozenset(algorithms), _material(kind, entry, min(algorithms)))


def _number(entry: Mapping[str, Any], name: str) -> bytes:
    value = entry.get(name)
    if not isinstance(value, str):
        raise ValueError(f"its {name} is missing, or no text")  # noqa: TRY004 - as above
    try:
        return decode_base64url(value.encode("ascii"))
    except ValueError:
        raise ValueError(f"its {name} is not base64url") from None


def _algorithms_of(kind: str, entry: Mapping[str, Any], numbers: Mapping[str, bytes]) -> set[str]:
    if kind == "RSA":
        _check_rsa(
            int.from_bytes(numbers["n"], "big").bit_length(), int.from_bytes(numbers["e"], "big")
        )
        return set(_RSA)
    if kind == "EC":
        curve = entry.get("crv")
        if not isinstance(curve, str) or curve not in _CURVES:
            raise ValueError("its curve is not P-256, P-384 or P-521")
        return {_CURVES[curve]}
    if kind == "OKP":
        if entry.get("crv") not in ("Ed25519", "Ed448"):
            raise ValueError("its curve is not Ed25519 or Ed448")
        return {"EdDSA"}
    long_enough = {name for name, least in _HMAC.items() if len(numbers["k"]) >= least}
    if not long_enough:
        raise ValueError("its secret has less than 32 bytes (RFC 7518 section 3.2)")
    return long_enough


def _check_rsa(bits: int, exponent: int) -> None:
    if bits not in _RSA_BITS:
        raise ValueError("it has not 2048 to 8192 bits")
    if exponent > _LARGEST_EXPONENT:
        raise ValueError("its exponent is too large")


def _material(kind: str, entry: Mapping[str, Any], algorithm: str) -> Any:
    import jwt  # noqa: PLC0415 - an extra, and slow to import

    members = ("kty", "crv", *_NUMBERS[kind])
    try:
        return jwt.PyJWK({name: entry[name] for name in members if name in entry}, algorithm).key
    except Exception:  # the library and what it stands on fail in many ways
        raise ValueError("its numbers make no key") from None


# PEM


def _pem_keys(data: bytes) -> KeySet:
    keys, ignored = [], []
    blocks = list(_PEM.finditer(data))
    if len(blocks) > _MOST_KEYS:
        raise KeySetError(f"there are more than {_MOST_KEYS} keys in it")
    for number, block in enumerate(blocks, 1):
        try:
            keys.append(_pem_key(block[1], block[0]))
        except ValueError as why:
            ignored.append(f"PEM block {number}: {why}")
    return KeySet(tuple(keys), tuple(ignored))


def _pem_key(label: bytes, block: bytes) -> TokenKey:
    from cryptography.hazmat.primitives.asymmetric import (  # noqa: PLC0415 - slow to import
        ec,
        ed448,
        ed25519,
        rsa,
    )
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415

    if b"PRIVATE" in label:
        raise ValueError("it is a private key, which must not be here: give its public part")
    key: Any
    try:
        if label == b"CERTIFICATE":
            key = load_pem_x509_certificate(block).public_key()
        else:
            key = load_pem_public_key(block)
    except Exception:  # as above
        raise ValueError("it is no public key and no certificate") from None
    if isinstance(key, rsa.RSAPublicKey):
        _check_rsa(key.key_size, key.public_numbers().e)
        return TokenKey(None, frozenset(_RSA), key)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _PEM_CURVES:
        return TokenKey(None, frozenset({_CURVES[_PEM_CURVES[key.curve.name]]}), key)
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return TokenKey(None, frozenset({"EdDSA"}), key)
    raise ValueError("it is not an RSA key, one of P-256, P-384 or P-521, or an Ed25519 or Ed448")
