"""The options about JSON Web Tokens: `auth_jwt` and what belongs to it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import attrs

from s3shield.access import (
    ALGORITHMS,
    KeySetError,
    TokenPlace,
    TokenRules,
    kept_from_others,
    parse_keys,
)
from s3shield.policy import NOTHING_CONSUMED, Consumed

from .errors import BadValueError, nearest
from .spec import Spec
from .units import format_seconds, parse_seconds

if TYPE_CHECKING:
    from .given import Given, Sources, Value

__all__ = ["JWT", "JwtConfig", "check_key_files", "consumed_by", "jwt_pairs", "read_jwt"]

_REALM: Final = re.compile(r"[ !#-\[\]-~]+")
"""What needs no escape in a quoted string (RFC 9110 section 5.6.4)."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SHORTEST_TTL: Final = 10


@attrs.frozen(kw_only=True)
class JwtConfig:
    """Whose tokens a location takes.

    realm: as clients are told. places: where a token may be, in order. rules: what it must
    say. key_files: paths. key_urls: of JWK sets. key_ttl: seconds for which a set from a URL
    is taken to be fresh.
    """

    realm: str
    places: tuple[TokenPlace, ...] = (TokenPlace("header"),)
    rules: TokenRules = attrs.field(factory=TokenRules)
    key_files: tuple[str, ...] = ()
    key_urls: tuple[str, ...] = ()
    key_ttl: int = 3600
    where: str = attrs.field(default="", eq=False)

    @property
    def consumed(self) -> Consumed:
        """What of a request is a token, and nobody else's business."""
        return kept_from_others(self.places)


def _realm(value: str) -> str:
    """`off`, or a realm, in quotes or not; off is the empty text."""
    if value == "off":
        return ""
    if " token=" in value:
        raise BadValueError(
            "where the token is, auth_jwt_token says: header, cookie:NAME, arg:NAME"
        )
    inner = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    if not _REALM.fullmatch(inner):
        raise BadValueError('a realm is a text such as "media", or the whole is off', value)
    return inner


def _path(value: str) -> str:
    if _CONTROL.search(value):
        raise BadValueError("there is a control character or a line break in it")
    return value


def _url(value: str) -> str:
    """An address of a JWK set: https, or http on this machine."""
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        raise BadValueError("it is no URL", value) from None
    if "@" in url.netloc:
        raise BadValueError("an address with a password in it is not asked")
    if url.scheme not in ("https", "http") or not url.hostname or port == 0:
        raise BadValueError("it is an address such as https://id.example.com/jwks.json", value)
    if not re.fullmatch(r"[!-~]+", value) or url.fragment:
        raise BadValueError("there are characters in it that no address has", value)
    if url.scheme == "http" and not _is_loopback(url.hostname):
        raise BadValueError("keys come by https; http is for this machine alone", value)
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _places(value: str) -> tuple[TokenPlace, ...]:
    found = []
    for word in value.split():
        try:
            found.append(TokenPlace.parse(word))
        except ValueError as why:
            raise BadValueError(str(why), word) from None
    return tuple(dict.fromkeys(found))


def _words(value: str) -> frozenset[str]:
    return frozenset(value.split())


def _requirement(value: str) -> tuple[str, str]:
    name, mark, wanted = (part.strip() for part in value.partition("="))
    if not mark or not name or not wanted:
        raise BadValueError("it is a claim and its value: role=editor", value)
    return name, wanted


def _algorithms(value: str) -> frozenset[str]:
    for word in value.split():
        if word.lower() == "none":
            raise BadValueError("a token that nobody has signed is never taken", word)
        if word not in ALGORITHMS:
            known = ", ".join(ALGORITHMS)
            raise BadValueError(f"it is any of {known}; not", word, nearest(word, ALGORITHMS))
    return frozenset(value.split())


def _ttl(value: str) -> int:
    seconds = parse_seconds(value)
    if seconds < _SHORTEST_TTL:
        raise BadValueError("keys are not asked for more often than every 10 s", value)
    return seconds


_NOTHING: Final = JwtConfig(realm="")

JWT: Final[Mapping[str, Spec]] = {
    "auth_jwt": Spec(_realm, ""),
    "auth_jwt_key_file": Spec(_path, (), many=True),
    "auth_jwt_key_request": Spec(_url, (), many=True),
    "auth_jwt_token": Spec(_places, _NOTHING.places),
    "auth_jwt_audience": Spec(_words, frozenset()),
    "auth_jwt_issuer": Spec(_words, frozenset()),
    "auth_jwt_require": Spec(_requirement, (), many=True),
    # nginx: 0; but it does not look at iat, which would be in the future by any clock that lags.
    "auth_jwt_leeway": Spec(parse_seconds, 10),
    "auth_jwt_algorithms": Spec(_algorithms),
    "auth_jwt_key_ttl": Spec(_ttl, _NOTHING.key_ttl),
}


def read_jwt(chain: Sequence[Given], sources: Sources) -> JwtConfig | None:
    """Return what the sections say, the innermost first; None for `off`.

    Complains about tokens that could not be checked.
    """

    def find(name: str) -> Value | None:
        return next((given.values[name] for given in chain if name in given.values), None)

    def get(name: str) -> Any:
        found = find(name)
        return JWT[name].default if found is None or found.broken else found.value

    at, realm = find("auth_jwt"), get("auth_jwt")
    if at is None or not realm:
        return None
    named = [find(name) for name in ("auth_jwt_key_file", "auth_jwt_key_request")]
    if named == [None, None]:
        sources.complain(at, "it needs keys: auth_jwt_key_file or auth_jwt_key_request")
    if not sources.installed("jwt"):
        sources.complain(at, "it needs PyJWT: install s3shield[jwt]")
    return JwtConfig(
        realm=realm,
        places=get("auth_jwt_token"),
        rules=TokenRules(
            audience=get("auth_jwt_audience"),
            issuer=get("auth_jwt_issuer"),
            require=get("auth_jwt_require"),
            leeway=float(get("auth_jwt_leeway")),
            algorithms=get("auth_jwt_algorithms"),
        ),
        key_files=tuple(sources.path(name) for name in get("auth_jwt_key_file")),
        key_urls=get("auth_jwt_key_request"),
        key_ttl=get("auth_jwt_key_ttl"),
        where=sources.where(at),
    )


def check_key_files(configs: Iterable[JwtConfig | None], sources: Sources) -> None:
    """Warn about key files that are not good now.

    No mistake of the configuration: a worker that is started again must not fail for it,
    and until they are good nobody comes in.
    """
    if not sources.installed("jwt"):
        return
    for path in dict.fromkeys(x for each in configs if each is not None for x in each.key_files):
        try:
            found = parse_keys(sources.read(path).encode("utf-8"), local=True)
        except KeySetError as why:
            sources.complaints.warn(f"{path}: {why}; nobody can be let in by it")
            continue
        except BadValueError as why:
            sources.complaints.warn(f"{why.problem}; nobody can be let in by it")
            continue
        for why_not in found.ignored:
            sources.complaints.warn(f"{path}: {why_not}; it is not used")
        if any(name.startswith("HS") for key in found.keys for name in key.algorithms):
            sources.warn_if_open(path)


def jwt_pairs(jwt: JwtConfig | None) -> list[tuple[str, str | None]]:
    """Return the options that say the same."""
    if jwt is None:
        return [("auth_jwt", "off")]
    rules = jwt.rules
    algorithms = rules.algorithms
    return [
        ("auth_jwt", f'"{jwt.realm}"'),
        *[("auth_jwt_key_file", path) for path in jwt.key_files],
        *[("auth_jwt_key_request", url) for url in jwt.key_urls],
        ("auth_jwt_token", " ".join(map(str, jwt.places))),
        ("auth_jwt_audience", " ".join(sorted(rules.audience)) or None),
        ("auth_jwt_issuer", " ".join(sorted(rules.issuer)) or None),
        *[("auth_jwt_require", f"{name}={value}") for name, value in rules.require],
        ("auth_jwt_leeway", format_seconds(rules.leeway)),
        ("auth_jwt_algorithms", None if algorithms is None else " ".join(sorted(algorithms))),
        ("auth_jwt_key_ttl", format_seconds(jwt.key_ttl)),
    ]


def consumed_by(jwt: JwtConfig | None) -> Consumed:
    """Return what of a request is for `jwt` alone."""
    return NOTHING_CONSUMED if jwt is None else jwt.consumed
