"""What is known of one finished request when its line in the access log is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from s3shield.policy import CacheStatus, NoStoreReason, Request

__all__ = [
    "BODY_BYTES",
    "CACHED_BYTES",
    "CACHE_STATUS",
    "DURATION",
    "KEY",
    "LOCATION",
    "ORIGIN_STATUS",
    "ORIGIN_TIME",
    "PEER",
    "REASON",
    "REQUEST",
    "STATUS",
    "WALL",
    "LogRecord",
    "Value",
]

LogRecord = tuple[
    bytes,  # PEER: the client's address as text; empty for a Unix socket
    float,  # WALL: epoch seconds when the response ended
    Request,  # REQUEST
    int,  # STATUS: as sent to the client
    int,  # BODY_BYTES: of the body, sent to the client
    CacheStatus,  # CACHE_STATUS
    NoStoreReason | None,  # REASON
    float,  # DURATION: seconds from the request's head to the response's end
    float | None,  # ORIGIN_TIME: seconds spent on the origin; None: not asked
    int,  # ORIGIN_STATUS: 0: none
    str,  # LOCATION: its name in the configuration
    bytes,  # KEY: the cache key's text
    int,  # CACHED_BYTES: of BODY_BYTES, those that came from the cache
]
"""One finished request. A plain tuple because it is made once per hit."""

PEER: Final = 0
WALL: Final = 1
REQUEST: Final = 2
STATUS: Final = 3
BODY_BYTES: Final = 4
CACHE_STATUS: Final = 5
REASON: Final = 6
DURATION: Final = 7
ORIGIN_TIME: Final = 8
ORIGIN_STATUS: Final = 9
LOCATION: Final = 10
KEY: Final = 11
CACHED_BYTES: Final = 12

Value = Callable[[LogRecord], bytes | None]
"""A variable: what it is of a record; None: there is none."""
