"""Scopes of SigV4 keys: a day, a region, a service; and the keys derived for them."""

from __future__ import annotations

import datetime as dt
import hmac
import re
from typing import Final, NamedTuple

import attrs

__all__ = [
    "KEY_LENGTH",
    "SCOPE_SHAPE",
    "TERMINATOR",
    "WEEK",
    "Scope",
    "ScopedKey",
    "derive_signing_key",
]

TERMINATOR: Final = "aws4_request"
SCOPE_SHAPE: Final = "YYYYMMDD/region/service/aws4_request"
KEY_LENGTH: Final = 32
WEEK: Final = 7 * 86_400
"""Seconds from the beginning of its day for which AWS takes a scoped key."""

# Printable ASCII but space, `,` and `/`: they stand in the Credential element.
_NAME: Final = re.compile(r"[!-+.0-~-]+")
_DATE: Final = re.compile(r"[0-9]{8}")


@attrs.frozen
class Scope:
    """A SigV4 credential scope: the day, region and service a signing key is good for.

    date: YYYYMMDD, UTC. `str()` gives `date/region/service/aws4_request`.
    Raises ValueError, with the part that is wrong.
    AWS: "Create a signed AWS API request", credential scope.
    """

    date: str
    region: str
    service: str

    def __attrs_post_init__(self) -> None:
        if not _DATE.fullmatch(self.date):
            raise ValueError(f"the date of a key scope has eight digits, YYYYMMDD: {self.date!r}")
        try:
            dt.date(int(self.date[:4]), int(self.date[4:6]), int(self.date[6:]))
        except ValueError:
            raise ValueError(f"the calendar has no such day: {self.date!r}") from None
        for what, value in (("region", self.region), ("service", self.service)):
            if not _NAME.fullmatch(value):
                raise ValueError(f"{value!r} cannot be the {what} of a key scope")

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Read `20260226/eu-central-1/s3/aws4_request`; raise ValueError if it is not one."""
        parts = text.strip().split("/")
        if len(parts) != 4 or parts[3] != TERMINATOR:
            raise ValueError(f"a key scope looks like {SCOPE_SHAPE}: {text.strip()!r}")
        return cls(*parts[:3])

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"

    @property
    def begins(self) -> int:
        """Epoch seconds of its day's beginning, 00:00 UTC."""
        year, month, day = int(self.date[:4]), int(self.date[4:6]), int(self.date[6:])
        return int(dt.datetime(year, month, day, tzinfo=dt.UTC).timestamp())

    @property
    def ends(self) -> int:
        """Epoch seconds from which on AWS refuses it: seven days later."""
        return self.begins + WEEK


class ScopedKey(NamedTuple):
    """A signing key and the scope that it is derived for.

    signing_key: the 32 bytes that `derive_signing_key` gives; never in the repr.
    """

    signing_key: bytes
    scope: Scope

    def __repr__(self) -> str:
        return f"<ScopedKey {self.scope}>"


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("utf-8"), "sha256")


def derive_signing_key(secret: str, scope: Scope) -> bytes:
    """Return the 32-byte SigV4 key of `secret` for `scope`'s day, region and service.

    AWS: "Create a signed AWS API request", derive a signing key.
    """
    day = _mac(b"AWS4" + secret.encode("utf-8"), scope.date)
    return _mac(_mac(_mac(day, scope.region), scope.service), TERMINATOR)
