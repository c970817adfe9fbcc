"""Key files: what `s3shield signing-key` prints, once or several times."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable

from .scope import KEY_LENGTH, SCOPE_SHAPE, TERMINATOR, Scope, ScopedKey

__all__ = ["format_key_file", "parse_key_file", "parse_signing_key"]


def parse_signing_key(text: str) -> bytes:
    """Decode a base64 signing key; raise ValueError, without quoting it, if it is not one."""
    try:
        key = b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the signing key is not valid base64") from None
    if len(key) != KEY_LENGTH:
        raise ValueError(f"a signing key has {KEY_LENGTH} bytes, this one has {len(key)}")
    return key


def parse_key_file(text: str) -> tuple[ScopedKey, ...]:
    """Read what `s3shield signing-key` prints, once or several times: key line, scope line.

    Empty lines and lines that begin with `#` are skipped. Raises ValueError with the line's
    number when a line is not what it should be, or there is no key at all.
    """
    lines = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise ValueError("there is no key in it")
    if len(lines) % 2:
        raise ValueError(f"line {lines[-1][0]}: a key is followed by the line of its scope")
    found = []
    for (number, key), (scope_number, scope) in zip(lines[::2], lines[1::2], strict=True):
        try:
            signing_key = parse_signing_key(key)
        except ValueError as why:
            raise ValueError(f"line {number}: {why}") from None
        # A key line in the scope's place must not be quoted.
        if "/" + TERMINATOR not in scope:
            raise ValueError(f"line {scope_number}: a key scope looks like {SCOPE_SHAPE}")
        try:
            found.append(ScopedKey(signing_key, Scope.parse(scope)))
        except ValueError as why:
            raise ValueError(f"line {scope_number}: {why}") from None
    return tuple(found)


def format_key_file(keys: Iterable[ScopedKey]) -> str:
    """Return what `parse_key_file` reads: two lines for each key."""
    return "".join(f"{b64encode(key.signing_key).decode('ascii')}\n{key.scope}\n" for key in keys)
