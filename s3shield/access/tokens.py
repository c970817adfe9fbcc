"""JSON Web Tokens: whether one is good, now, for those who ask (RFC 7519, 7515, 8725).

Nothing that a token says of itself chooses how it is checked: the algorithm must be one
that the key is for, a key comes from the key set alone (`jku`, `x5u`, `jwk` and `x5c` are not
read), and what must be understood to be safe (`crit`) is refused. The claims are not even
parsed before the signature is found good. Signatures are PyJWT's work; the times are ours,
because the library would read the clock.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from typing import Any, Final

import attrs

from .strict_json import parse_object
from .token_keys import ALGORITHMS, TokenKey, decode_base64url

__all__ = ["LONGEST_TOKEN", "GoodToken", "RefusedToken", "TokenFault", "TokenRules", "check_token"]

LONGEST_TOKEN: Final = 16 * 1024
"""Bytes; the wire takes no longer field or target, and nobody needs one."""
_MOST_TRIED: Final = 8
"""Keys that one token may have tried on it: a signature costs up to a millisecond."""
_LATEST: Final = 253_402_300_799
"""Epoch seconds at the end of the year 9999; later times are milliseconds, or a joke."""


class TokenFault(enum.Enum):
    """Why a token is refused: sentences for the log; clients are not told."""

    MALFORMED = "it is not a JSON Web Token"
    TOO_LONG = "it is too long"
    CRITICAL = "it has critical header fields, which are not understood"
    ALGORITHM = "its algorithm is not accepted"
    KEY = "there is no key for it"
    AMBIGUOUS = "it names no key, and too many could be its own"
    SIGNATURE = "its signature is wrong"
    CLAIMS = "its claims are not what they must be"
    EXPIRED = "it has expired"
    EARLY = "it is not valid yet"
    ISSUER = "its issuer is not accepted"
    AUDIENCE = "it is for another audience"
    REQUIRED = "a claim that is required is missing or has another value"


@attrs.frozen
class TokenRules:
    """What is asked of tokens.

    audience, issuer: any of them; empty: not asked. require: (claim, value), all of them.
    leeway: seconds that clocks may differ. algorithms: allow-list; None: what the keys are
    for.
    """

    audience: frozenset[str] = frozenset()
    issuer: frozenset[str] = frozenset()
    require: tuple[tuple[str, str], ...] = ()
    leeway: float = 0.0
    algorithms: frozenset[str] | None = None


@attrs.frozen
class GoodToken:
    """A token that was found good. until: epoch seconds at which it is not any more."""

    until: float


@attrs.frozen
class RefusedToken:
    """One that was not. kid: the key's name that it gave, where that key is not there."""

    fault: TokenFault
    kid: str | None = None

    @property
    def wants_keys(self) -> bool:
        """Whether newer keys could make it a good one."""
        return self.fault is TokenFault.KEY


def check_token(
    token: bytes, keys: Iterable[TokenKey], rules: TokenRules, now: float
) -> GoodToken | RefusedToken:
    """Check a token in compact form against `keys` and `rules`.

    now: epoch seconds. Raises nothing: what is not understood is refused.
    """
    if len(token) > LONGEST_TOKEN:
        return RefusedToken(TokenFault.TOO_LONG)
    parts = token.split(b".")
    if len(parts) != 3:
        return RefusedToken(TokenFault.MALFORMED)
    try:
        header = parse_object(decode_base64url(parts[0]))
        payload = decode_base64url(parts[1])
        signature = decode_base64url(parts[2])
    except ValueError:
        # `none` in its own form has no signature at all.
        return RefusedToken(TokenFault.MALFORMED)
    key = _chosen(header, keys, rules)
    if isinstance(key, RefusedToken):
        return key
    signed = token[: len(parts[0]) + 1 + len(parts[1])]
    algorithm: str = header["alg"]
    if not any(_is_signed(signed, signature, algorithm, each) for each in key):
        # Without a name the right key may be one that is not here yet.
        fault = TokenFault.KEY if header.get("kid") is None else TokenFault.SIGNATURE
        return RefusedToken(fault)
    try:
        return _judged(parse_object(payload), rules, now)
    except ValueError:
        return RefusedToken(TokenFault.CLAIMS)


def _chosen(
    header: dict[str, Any], keys: Iterable[TokenKey], rules: TokenRules
) -> list[TokenKey] | RefusedToken:
    """Return the keys that may have signed a token with this header."""
    algorithm, kid = header.get("alg"), header.get("kid")
    if "crit" in header or header.get("b64", True) is not True:
        return RefusedToken(TokenFault.CRITICAL)
    if not isinstance(algorithm, str) or not (kid is None or isinstance(kid, str)):
        return RefusedToken(TokenFault.MALFORMED)
    allowed = ALGORITHMS if rules.algorithms is None else rules.algorithms
    if algorithm not in allowed:
        return RefusedToken(TokenFault.ALGORITHM)
    known = list(keys)
    if kid is not None:
        # A key without a name (PEM) may be any that a token names.
        known = [key for key in known if key.kid == kid] or [
            key for key in known if key.kid is None
        ]
    if not known:
        return RefusedToken(TokenFault.KEY, kid)
    fit = [key for key in known if algorithm in key.algorithms]
    if not fit:
        return RefusedToken(TokenFault.ALGORITHM)
    if len(fit) > _MOST_TRIED:
        return RefusedToken(TokenFault.AMBIGUOUS)
    return fit


def _is_signed(signed: bytes, signature: bytes, algorithm: str, key: TokenKey) -> bool:
    import jwt  # noqa: PLC0415 - an extra

    try:
        return jwt.get_algorithm_by_name(algorithm).verify(signed, key.material, signature)
    except Exception:  # whatever it is that could not be done, nothing was proved
        return False


def _judged(claims: dict[str, Any], rules: TokenRules, now: float) -> GoodToken | RefusedToken:
    """Judge what a genuine token says. Raises ValueError for claims of a wrong kind."""
    expires, begins, issued = (_moment(claims, name) for name in ("exp", "nbf", "iat"))
    until = math.inf if expires is None else expires + rules.leeway
    if now >= until:
        return RefusedToken(TokenFault.EXPIRED)
    for moment in (begins, issued):
        if moment is not None and now < moment - rules.leeway:
            return RefusedToken(TokenFault.EARLY)
    if rules.issuer and _text(claims, "iss") not in rules.issuer:
        return RefusedToken(TokenFault.ISSUER)
    if rules.audience and rules.audience.isdisjoint(_audience(claims)):
        return RefusedToken(TokenFault.AUDIENCE)
    if not all(_has(claims, name, value) for name, value in rules.require):
        return RefusedToken(TokenFault.REQUIRED)
    return GoodToken(until)


def _moment(claims: dict[str, Any], name: str) -> float | None:
    """Return a NumericDate, None when it is not there. Raises ValueError."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise ValueError(name)
    return float(value)


def _text(claims: dict[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) else None


def _audience(claims: dict[str, Any]) -> set[str]:
    """Return whom a token is for: one text or a list of texts. Raises ValueError."""
    value = claims.get("aud", [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise ValueError("aud")
    return set(values)


def _has(claims: dict[str, Any], name: str, wanted: str) -> bool:
    """Tell whether a claim is `wanted`, or a list that has it.

    name: of a claim, or a way through objects, `realm_access.roles`. `scope` and `scp` are
    lists with spaces (RFC 8693 section 4.2).
    """
    found: Any = claims
    if name in claims:
        found = claims[name]
    else:
        for step in name.split("."):
            if not isinstance(found, dict) or step not in found:
                return False
            found = found[step]
    if name in ("scope", "scp") and isinstance(found, str):
        found = found.split(" ")
    values = found if isinstance(found, list) else [found]
    return any(_written(value) == wanted for value in values)


def _written(value: Any) -> str | None:
    """Return how a claim's value is written in the configuration; None for what is not."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else None
