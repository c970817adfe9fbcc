"""Signs requests to S3. Pure: no I/O, no clock.

A request is signed by a `Signer`, made once for a bucket, a mode and credentials. Keys and
queries come in decoded and are encoded once; the bytes that are signed are the bytes to send.
"""

from .credentials import Credentials
from .encoding import PRESIGN_PARAMETERS, Query, encode_key, encode_query, without_presign
from .endpoint import Addressing, Endpoint
from .key_file import format_key_file, parse_key_file, parse_signing_key
from .key_ring import KeyNotice, KeyRing, key_notice
from .renewal import renew_in, retry_in
from .scope import Scope, ScopedKey, derive_signing_key
from .signed import Explanation, SignedRequest, SignMode
from .signer import Signer
from .sigv4 import EMPTY_HASH, UNSIGNED_PAYLOAD

__all__ = [
    "EMPTY_HASH",
    "PRESIGN_PARAMETERS",
    "UNSIGNED_PAYLOAD",
    "Addressing",
    "Credentials",
    "Endpoint",
    "Explanation",
    "KeyNotice",
    "KeyRing",
    "Query",
    "Scope",
    "ScopedKey",
    "SignMode",
    "SignedRequest",
    "Signer",
    "derive_signing_key",
    "encode_key",
    "encode_query",
    "format_key_file",
    "key_notice",
    "parse_key_file",
    "parse_signing_key",
    "renew_in",
    "retry_in",
    "without_presign",
]
