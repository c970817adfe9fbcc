"""Passwords: what a client says, what a file of users holds, and whether they agree.

RFC 7617; nginx: auth_basic, ngx_crypt. Kinds of hashes: bcrypt ($2a$, $2b$, $2y$), MD5 of
Apache's htpasswd ($apr1$), SHA-2 crypt ($5$, $6$), {SHA} and {SSHA}. Passwords in the clear
({PLAIN}) and DES (no mark at all) are not taken: the first is what a thief of the file
wants, the second he has within the hour.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from s3shield.policy import Request

from .verdict import Refused

__all__ = ["Credential", "Users", "challenge", "credential_of", "parse_users"]

_LONGEST: Final = 1024
"""Bytes of a name, and of a password: nobody types more, and each costs a hash."""
_BCRYPT_BYTES: Final = 72
"""Of a password; bcrypt has never seen the rest, neither here nor where the hash was made."""


def challenge(realm: str) -> Refused:
    """Return the refusal of whoever has not told a right password. realm: its text."""
    escaped = realm.replace("\\", "\\\\").replace('"', '\\"')
    value = f'Basic realm="{escaped}", charset="UTF-8"'.encode()
    return Refused(401, ((b"WWW-Authenticate", value),))


@attrs.frozen
class Credential:
    """A name and a password as a client sent them. Neither is ever shown."""

    name: bytes = attrs.field(repr=False)
    password: bytes = attrs.field(repr=False)


def credential_of(request: Request) -> Credential | None:
    """Return what `Authorization: Basic` holds; None where it is none, or makes no sense."""
    scheme, _, token = request.headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        text = base64.b64decode(token.strip(b" "), validate=True)
    except binascii.Error:
        return None
    name, colon, password = text.partition(b":")
    if not colon or b"\0" in text or max(len(name), len(password)) > _LONGEST:
        return None
    return Credential(name, password)


@attrs.frozen
class Users:
    """What a file of users holds. hashes: by name."""

    hashes: Mapping[bytes, bytes] = attrs.field(factory=dict, repr=False)
    _names: tuple[bytes, ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Put the names in a row."""
        object.__setattr__(self, "_names", tuple(self.hashes))

    def find(self, name: bytes) -> bytes | None:
        """Return the hash of a user's password, None where nobody has this name."""
        return self.hashes.get(name)

    def admits(self, credential: Credential, secret: bytes) -> bool:
        """Tell whether the password is that of the user. Takes as long as its hash wants.

        secret: chooses, for a name that nobody has, whose hash is computed in its stead:
        always the same one, so that the time tells nothing about who is in the file.
        """
        found = self.hashes.get(credential.name)
        if found is not None:
            return _agree(credential.password, found)
        if self._names:
            digest = hashlib.blake2b(credential.name, key=secret, digest_size=8).digest()
            other = self._names[int.from_bytes(digest, "big") % len(self._names)]
            _agree(credential.password, self.hashes[other])
        return False


def parse_users(text: bytes) -> tuple[Users, list[str]]:
    """Read the lines `NAME:HASH`, perhaps with a `:COMMENT`, and what is wrong with them.

    Of several lines for one name the first counts, as nginx reads. A line that is wrong is
    told by its number alone, and nobody comes in by it.
    """
    hashes: dict[bytes, bytes] = {}
    wrong = []
    for number, raw in enumerate(text.split(b"\n"), 1):
        line = raw.rstrip(b"\r")
        if not line.strip() or line.startswith(b"#"):
            continue
        name, colon, rest = line.partition(b":")
        stored = rest.partition(b":")[0]
        if not colon or not name:
            wrong.append(f"line {number}: it looks like NAME:HASH")
        elif not _is_hash(stored):
            wrong.append(f"line {number}: no hash of a kind that is taken, or not all of it")
        elif name in hashes:
            wrong.append(f"line {number}: a line above is about the same name, and counts")
        else:
            hashes[name] = stored
    return Users(hashes), wrong


# The kinds

_Compare = Callable[[bytes, bytes], bool]
"""Whether a password is that of a hash. Raises ValueError for a hash that is none."""


def _bcrypt(password: bytes, stored: bytes) -> bool:
    import bcrypt  # noqa: PLC0415  # what nobody has to have without auth_basic

    return bcrypt.checkpw(password[:_BCRYPT_BYTES], stored)


def _passlib(kind: str) -> _Compare:
    def compare(password: bytes, stored: bytes) -> bool:
        from passlib import hash as kinds  # noqa: PLC0415  # what nobody has to have either

        return bool(getattr(kinds, kind).verify(password, stored))

    return compare


def _sha(password: bytes, stored: bytes) -> bool:
    """{SHA} and {SSHA}: base64 of a SHA-1 and of the salt behind it, perhaps empty."""
    whole = base64.b64decode(stored.partition(b"}")[2], validate=True)
    if len(whole) < hashlib.sha1().digest_size:  # noqa: S324  # the file's, not our choice
        return False
    size = hashlib.sha1().digest_size  # noqa: S324  # as above
    made = hashlib.sha1(password + whole[size:]).digest()  # noqa: S324  # as above
    return hmac.compare_digest(made, whole[:size])


_KINDS: Final[tuple[tuple[bytes, _Compare], ...]] = (
    (b"$2a$", _bcrypt),
    (b"$2b$", _bcrypt),
    (b"$2y$", _bcrypt),
    (b"$apr1$", _passlib("apr_md5_crypt")),
    (b"$5$", _passlib("sha256_crypt")),
    (b"$6$", _passlib("sha512_crypt")),
    (b"{SHA}", _sha),
    (b"{SSHA}", _sha),
)


def _agree(password: bytes, stored: bytes) -> bool:
    for mark, compare in _KINDS:
        if stored.startswith(mark):
            try:
                return compare(password, stored)
            except ValueError:
                return False  # a hash that is cut, or not of its kind
    return False


def _is_hash(stored: bytes) -> bool:
    """Tell whether a hash is of a kind that is taken, and whole, as far as that shows."""
    for mark, _ in _KINDS:
        if stored.startswith(mark):
            return len(stored) > len(mark) + 20  # the shortest, 22, is $apr1$'s
    return False
