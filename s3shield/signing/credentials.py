"""What a request is signed with: an access key and either a secret or scoped keys."""

from __future__ import annotations

import re
from typing import Final

import attrs

from .key_ring import KeyRing
from .scope import KEY_LENGTH, SCOPE_SHAPE, Scope, ScopedKey

__all__ = ["Credentials"]

_VISIBLE: Final = re.compile(r"[!-~]+")


@attrs.frozen
class Credentials:
    """An access key with a secret, with a scoped signing key and its scope, or with several.

    access_key: str, visible ASCII. secret_key: str, or None. signing_key: the 32 bytes
    that `derive_signing_key` gives, or None; scope goes with it. session_token: str of
    temporary credentials, or None. keys: several scoped keys, or None. Raises ValueError
    unless exactly one of secret_key, (signing_key, scope) and keys is there and all can
    stand in a header; never quotes a secret.
    """

    access_key: str
    secret_key: str | None = attrs.field(default=None, repr=False)
    signing_key: bytes | None = attrs.field(default=None, repr=False)
    scope: Scope | None = None
    session_token: str | None = attrs.field(default=None, repr=False)
    keys: KeyRing | None = None

    def __attrs_post_init__(self) -> None:
        if not _VISIBLE.fullmatch(self.access_key):
            raise ValueError("the access key is empty or has spaces or non-ASCII characters")
        if self.secret_key is not None and self.signing_key is not None:
            raise ValueError("give the secret key or the signing key, not both")
        if self.keys is not None and (self.secret_key, self.signing_key) != (None, None):
            raise ValueError("give several scoped keys, or one, or the secret key")
        if self.secret_key is None and self.signing_key is None and self.keys is None:
            raise ValueError("neither a secret key nor a signing key is given")
        if self.secret_key is not None:
            if not self.secret_key or self.secret_key != self.secret_key.strip():
                raise ValueError("the secret key is empty or has white space at its ends")
            if self.scope is not None:
                raise ValueError("a key scope goes with a signing key, not with a secret key")
        if self.signing_key is not None:
            if len(self.signing_key) != KEY_LENGTH:
                raise ValueError(
                    f"a signing key has {KEY_LENGTH} bytes, this one has {len(self.signing_key)}"
                )
            if self.scope is None:
                raise ValueError(f"a signing key needs its key scope ({SCOPE_SHAPE})")
        if self.session_token is not None and not _VISIBLE.fullmatch(self.session_token):
            raise ValueError("the session token is empty or has spaces or non-ASCII characters")

    @property
    def ring(self) -> KeyRing | None:
        """The scoped keys, also when it is one; None with a secret."""
        if self.signing_key is None or self.scope is None:
            return self.keys
        return KeyRing((ScopedKey(self.signing_key, self.scope),))
