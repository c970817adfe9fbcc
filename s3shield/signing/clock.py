"""The two ways a request tells when it was signed, from epoch seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

__all__ = ["amz_date", "http_date"]

# strftime's names follow the locale; the wire's are English.
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)


def amz_date(second: int) -> str:
    """Return x-amz-date's form, `20130524T000000Z`."""
    return f"{datetime.fromtimestamp(second, UTC):%Y%m%dT%H%M%SZ}"


def http_date(second: int) -> str:
    """Return the IMF-fixdate of RFC 9110 section 5.6.7, `Fri, 24 May 2013 00:00:00 GMT`."""
    when = datetime.fromtimestamp(second, UTC)
    day, month = _DAYS[when.weekday()], _MONTHS[when.month - 1]
    return f"{day}, {when.day:02d} {month} {when.year:04d} {when:%H:%M:%S} GMT"
