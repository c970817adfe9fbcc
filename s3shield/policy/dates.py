"""HTTP-date, in its three shapes (RFC 9110 5.6.7, RFC 9111 4.2)."""

from __future__ import annotations

import datetime as dt
import functools
import re
from typing import Final

__all__ = ["format_date", "parse_date"]

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
_MONTH_NUMBER: Final = {name.lower().encode(): n for n, name in enumerate(_MONTHS, 1)}
_EPOCH_ORDINAL: Final = 719163
_DAY: Final = 86400
_LONGEST: Final = len("Wednesday, 00-Jan-00 00:00:00 GMT")
_FIFTY_YEARS: Final = int(50 * 365.2425 * _DAY)

# Case does not matter to a cache (RFC 9111 4.2); a zone other than GMT is invalid there.
_MONTH_RE: Final = rb"(?P<month>" + "|".join(_MONTHS).encode() + rb")"
_TIME_RE: Final = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_IMF_FIXDATE: Final = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>\d\d) "
    + _MONTH_RE
    + rb" (?P<year>\d{4}) "
    + _TIME_RE
    + rb" GMT",
    re.IGNORECASE,
)
_RFC850: Final = re.compile(
    rb"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-"
    + _MONTH_RE
    + rb"-(?P<year>\d\d) "
    + _TIME_RE
    + rb" GMT",
    re.IGNORECASE,
)
_ASCTIME: Final = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) "
    + _MONTH_RE
    + rb" (?P<day>\d\d| \d) "
    + _TIME_RE
    + rb" (?P<year>\d{4})",
    re.IGNORECASE,
)


def _instant(parts: re.Match[bytes], year: int) -> int | None:
    hour, minute, second = int(parts["hour"]), int(parts["minute"]), int(parts["second"])
    if hour > 23 or minute > 59 or second > 60:  # 60: a leap second
        return None
    try:
        day = dt.date(year, _MONTH_NUMBER[parts["month"].lower()], int(parts["day"]))
    except ValueError:
        return None
    return (day.toordinal() - _EPOCH_ORDINAL) * _DAY + hour * 3600 + minute * 60 + second


def _two_digit_year(parts: re.Match[bytes], now: float) -> int | None:
    # More than 50 years ahead means the latest such year in the past (RFC 9110 5.6.7).
    current = dt.date.fromordinal(_EPOCH_ORDINAL + int(now) // _DAY).year
    year = current - current % 100 + 100 + int(parts["year"])
    while True:
        instant = _instant(parts, year)
        if instant is not None and instant <= now + _FIFTY_YEARS:
            return instant
        year -= 100
        if year < current - 200:
            return None


def parse_date(value: bytes, now: float) -> int | None:
    """Return the epoch second that an HTTP-date names, or None when it is not one.

    value: a field's value. now: epoch seconds, for the two-digit years of the RFC 850
    form. All three forms are read, without regard to case; the name of the day is not
    checked against the date. Any other zone than GMT, any deviation in spacing and any
    impossible day or time is no date. Never raises.
    """
    value = value.strip(b" \t")
    if len(value) > _LONGEST:
        return None
    instant = _full_year(value)
    if instant is None:
        parts = _RFC850.fullmatch(value)
        instant = None if parts is None else _two_digit_year(parts, now)
    return instant


@functools.lru_cache(maxsize=2048)
def _full_year(value: bytes) -> int | None:
    """Read the forms that say which century; clients send the same ones again and again."""
    parts = _IMF_FIXDATE.fullmatch(value) or _ASCTIME.fullmatch(value)
    return None if parts is None else _instant(parts, int(parts["year"]))


@functools.lru_cache(maxsize=64)
def format_date(second: int) -> bytes:
    """Return the IMF-fixdate of an epoch second, clamped to the years 1 to 9999."""
    ordinal, rest = divmod(second, _DAY)
    ordinal = min(max(ordinal + _EPOCH_ORDINAL, 1), dt.date.max.toordinal())
    day = dt.date.fromordinal(ordinal)
    name, month = _DAYS[day.weekday()], _MONTHS[day.month - 1]
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{name}, {day.day:02} {month} {day.year:04} {clock} GMT".encode()
