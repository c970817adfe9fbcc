"""What a bucket says of a body's bytes, and whether they are that.

S3, "Checking object integrity": `x-amz-checksum-*` is a checksum of the whole object, in
base64, unless it is COMPOSITE (of parts); the ETag of an object uploaded in one piece and
not encrypted with KMS or the customer's key is the MD5 of its body.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from typing import Final

import attrs

from .etags import received_etag
from .message import ResponseHead

__all__ = ["BodyDigest", "RunningDigest", "body_digest"]

_MD5: Final = re.compile(rb'"([0-9a-f]{32})"')
_CRC32: Final = "crc32"
# Those that the standard library computes at full speed; CRC-32C and CRC-64 it does not.
_FIELDS: Final = (
    (b"x-amz-checksum-sha256", "sha256", 32),
    (b"x-amz-checksum-sha1", "sha1", 20),
    (b"x-amz-checksum-crc32", _CRC32, 4),
)
_ENCRYPTED: Final = (
    b"x-amz-server-side-encryption-customer-algorithm",
    b"x-amz-server-side-encryption-aws-kms-key-id",
)


@attrs.frozen
class BodyDigest:
    """What a body must sum up to. field: bytes, the field that says so, for the log.

    algorithm: str, of hashlib, or crc32. value: bytes.
    """

    field: bytes
    algorithm: str
    value: bytes

    def running(self) -> RunningDigest:
        """Return one that nothing was added to yet."""
        return RunningDigest(self)


class RunningDigest:
    """The digest of the bytes so far. For one thread at a time."""

    __slots__ = ("_crc", "_hash", "wanted")

    def __init__(self, wanted: BodyDigest) -> None:
        self.wanted = wanted
        self._crc = 0
        # Integrity, not security: also where FIPS mode forbids MD5 for anything else.
        self._hash = (
            None
            if wanted.algorithm == _CRC32
            else hashlib.new(wanted.algorithm, usedforsecurity=False)
        )

    def update(self, data: bytes | memoryview) -> None:
        """Add the next bytes."""
        if self._hash is None:
            self._crc = zlib.crc32(data, self._crc)
        else:
            self._hash.update(data)

    @property
    def value(self) -> bytes:
        """The digest of the bytes so far."""
        return self._crc.to_bytes(4, "big") if self._hash is None else self._hash.digest()

    @property
    def matches(self) -> bool:
        """Whether the bytes so far are what was announced."""
        return self.value == self.wanted.value


def body_digest(head: ResponseHead) -> BodyDigest | None:
    """Return what a bucket's 200 announces of its body that can be checked, or None."""
    if head.status != 200:
        return None
    if (head.get(b"x-amz-checksum-type") or b"").strip().upper() != b"COMPOSITE":
        for field, algorithm, size in _FIELDS:
            value = _decoded(head.get(field))
            if value is not None and len(value) == size:
                return BodyDigest(field, algorithm, value)
    found = _MD5.fullmatch(received_etag(head))
    if found is None or any(head.get(field) is not None for field in _ENCRYPTED):
        return None
    encryption = (head.get(b"x-amz-server-side-encryption") or b"AES256").strip().upper()
    if encryption != b"AES256":
        return None
    return BodyDigest(b"etag", "md5", bytes.fromhex(found[1].decode("ascii")))


def _decoded(value: bytes | None) -> bytes | None:
    """Return base64 decoded; None for what is none, as the `-N` of a composite one."""
    if value is None:
        return None
    try:
        return base64.b64decode(value.strip(), validate=True)
    except binascii.Error:
        return None
