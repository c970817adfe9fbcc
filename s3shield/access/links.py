"""Links that let in whoever has them: nginx's MD5 links, and ours.

nginx (ngx_http_secure_link_module): `secure_link` names a hash and perhaps an end in the
request, `secure_link_md5` says what the hash is of. No or a wrong hash is 403, a right one
whose time is over 410, as its documentation has the two told apart.

Ours: HMAC-SHA256 of the end, the client's network if the link is for one, and either path
and query or the beginning of the path. The path is signed in one spelling, each segment
decoded and encoded again, so that a client may spell it as it likes; a slash that is encoded
stays one that is. It is for GET and HEAD.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

import attrs

from s3shield.policy import Request
from s3shield.routing import BadTargetError, Template, has_dot_segments, parse_target

from .verdict import GRANTED, Refused, Verdict

__all__ = ["LINK_NAMES", "HashedLink", "LinkTerms", "sign_link", "signed_link_verdict"]

_EXPIRES, _IP, _PREFIX, _SIGNATURE = b"link_expires", b"link_ip", b"link_prefix", b"link_signature"
LINK_NAMES: Final = frozenset({_EXPIRES, _IP, _PREFIX, _SIGNATURE})
"""The parameters of our links."""

_FORBIDDEN: Final = Refused(403)
_OVER: Final = Refused(410)
_ARGUMENT: Final = re.compile(r"\$(?:\{arg_([a-z0-9_]+)\}|arg_([a-z0-9_]+))", re.IGNORECASE)
_END: Final = re.compile(r"\$(?:\{secure_link_expires\}|secure_link_expires(?![A-Za-z0-9_]))")
_NUMBER: Final = re.compile(rb"[0-9]{1,18}")
_BASE64: Final = re.compile(rb"[A-Za-z0-9_-]*")
_MD5_BYTES: Final = 16
_MD5_TEXT: Final = 24


# nginx's


@attrs.frozen
class HashedLink:
    """`secure_link` and `secure_link_md5`.

    link: gives `HASH` or `HASH,END`. text: what is hashed, as written: a secret is in it.
    """

    link: Template
    text: str = attrs.field(repr=False)
    _parts: tuple[Template, ...] = attrs.field(repr=False, eq=False)

    @classmethod
    def parse(cls, link: Template, text: str) -> HashedLink:
        """Read what is hashed. Raises ValueError, with nothing of the text in it."""
        try:
            parts = tuple(Template.parse(part) for part in _END.split(text))
        except ValueError:
            raise ValueError("there is a $ in it that begins no variable that is known") from None
        return cls(link, text, parts)

    @property
    def names(self) -> frozenset[bytes]:
        """Return the lower-case names of the parameters that are the link's alone."""
        found = [one or other for one, other in _ARGUMENT.findall(self.link.text)]
        return frozenset(name.lower().encode("ascii") for name in found)

    def verdict(self, request: Request, now: float) -> Verdict:
        """Judge. now: epoch seconds."""
        given, comma, end = self.link.value(request).partition(b",")
        if comma and (not _NUMBER.fullmatch(end) or not int(end)):
            return _FORBIDDEN
        digest = _decoded(given)
        if digest is None:
            return _FORBIDDEN
        text = end.join([part.value(request) for part in self._parts])
        right = hashlib.md5(text).digest()  # noqa: S324  # nginx's choice
        if not hmac.compare_digest(digest, right):
            return _FORBIDDEN
        return _OVER if comma and int(end) < int(now) else GRANTED


def _decoded(given: bytes) -> bytes | None:
    """Decode as ngx_decode_base64url: what follows a `=` does not count."""
    text = given.partition(b"=")[0]
    if len(given) > _MD5_TEXT or not _BASE64.fullmatch(text):
        return None
    try:
        found = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return None
    return found if len(found) == _MD5_BYTES else None


# Ours


@attrs.frozen(kw_only=True)
class LinkTerms:
    """What a link of ours is good for.

    expires: epoch seconds. ip: a network or an address as text, "" for every client's.
    prefix: bytes, an undecoded path with a slash at its end, of everything below it; None:
    of the URL alone.
    """

    expires: int
    ip: str = ""
    prefix: bytes | None = None


def sign_link(key: bytes, target: bytes, terms: LinkTerms) -> bytes:
    """Return `target`, an undecoded path perhaps with a query, with a link's parameters.

    Raises ValueError for terms that no link can have, and for a target that is not below
    the prefix.
    """
    path, mark, query = target.partition(b"?")
    if not path.startswith(b"/"):
        raise ValueError("a path begins with a slash")
    named = _named(query) if mark else {}
    if named is None or named:
        raise ValueError("there are parameters of a link in it already")
    if terms.prefix is not None and not _below(path, terms.prefix):
        raise ValueError("the path is not below the prefix, or that has no slash at its end")
    named = {_EXPIRES: b"%d" % terms.expires}
    if terms.ip:
        ipaddress.ip_network(terms.ip)
        named[_IP] = terms.ip.encode("ascii")
    if terms.prefix is not None:
        named[_PREFIX] = _spelled(terms.prefix).encode("ascii")
    named[_SIGNATURE] = _signature(key, _message(named, path, query))
    ours = b"&".join(
        [
            b"%b=%b" % (name, quote(value, safe="/:").encode("ascii"))
            for name, value in named.items()
        ]
    )
    return b"%b?%b&%b" % (path, query, ours) if query else b"%b?%b" % (path, ours)


def signed_link_verdict(keys: Sequence[bytes], request: Request, now: float) -> Verdict:
    """Judge a link of ours. keys: each is good. now: epoch seconds."""
    named = _named(request.query or b"")
    if not named or request.method not in (b"GET", b"HEAD"):
        return _FORBIDDEN
    path = request.path
    if not path.startswith(b"/"):
        try:
            path = parse_target(request.target).path
        except BadTargetError:
            return _FORBIDDEN
    given, end = named.get(_SIGNATURE, b""), named.get(_EXPIRES, b"")
    rest = _without_ours(request.query)
    prefix = named.get(_PREFIX)
    if not _NUMBER.fullmatch(end) or (prefix is not None and not _below(path, prefix)):
        return _FORBIDDEN
    message = _message(named, path, rest)
    right = [hmac.compare_digest(_signature(key, message), given) for key in keys]
    if not any(right) or not _is_in(request.peer, named.get(_IP)):
        return _FORBIDDEN
    return _OVER if int(end) < int(now) else GRANTED


def _named(query: bytes) -> dict[bytes, bytes] | None:
    """Return the parameters of a link by name, None where one is there twice."""
    found: dict[bytes, bytes] = {}
    for piece in query.split(b"&"):
        name, _, value = piece.partition(b"=")
        if name in LINK_NAMES:
            if name in found:
                return None
            found[name] = unquote_to_bytes(value)
    return found


def _without_ours(query: bytes | None) -> bytes | None:
    """Return what is signed of a query: what is not the link's own, as it is written."""
    if query is None:
        return None
    pieces = [
        each for each in query.split(b"&") if each.partition(b"=")[0].lower() not in LINK_NAMES
    ]
    return b"&".join(pieces) or None


def _spelled(path: bytes) -> str:
    """Return an undecoded path in the one spelling that is signed."""
    return "/".join([quote_from_bytes(unquote_to_bytes(x), safe="") for x in path.split(b"/")])


def _below(path: bytes, prefix: bytes) -> bool:
    """Tell whether a path is below a prefix, also for whoever resolves dots."""
    if not prefix.startswith(b"/") or not prefix.endswith(b"/"):
        return False
    if has_dot_segments(unquote_to_bytes(path)):
        return False
    return _spelled(path).startswith(_spelled(prefix))


def _message(named: Mapping[bytes, bytes], path: bytes, query: bytes | None) -> bytes:
    prefix = named.get(_PREFIX)
    if prefix is not None:
        about = b"^" + _spelled(prefix).encode("ascii")
    else:
        about = b"=" + _spelled(path).encode("ascii")
        if query:
            about += b"?" + query
    return b"\n".join((b"s3shield-link-1", named[_EXPIRES], named.get(_IP, b""), about))


def _signature(key: bytes, message: bytes) -> bytes:
    digest = hmac.digest(key, message, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=")


def _is_in(peer: bytes, network: bytes | None) -> bool:
    if network is None:
        return True
    try:
        address = ipaddress.ip_address(peer.decode("ascii"))
        return address in ipaddress.ip_network(network.decode("ascii"))
    except ValueError:
        return False
