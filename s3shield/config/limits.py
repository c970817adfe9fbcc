"""`limit_req`, `limit_conn`, `limit_rate`: what a location says of how much and how fast."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import attrs

from s3shield.access import Leak
from s3shield.routing import Template

from .errors import BadValueError, nearest
from .spec import Spec
from .units import format_size, parse_count, parse_flag, parse_size

__all__ = ["LIMITS", "LimitConn", "LimitReq", "LimitsConfig", "dump_limits", "limits", "repeated"]

_RATE: Final = re.compile(r"([0-9]{1,9})r/([sm])")
_ZONE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SERVER_NAME: Final = re.compile(r"\$(?:server_name\b|\{server_name\})")
_MOST: Final = 1_000_000


@attrs.frozen
class LimitReq:
    """One line of `limit_req`.

    rate: as written, `10r/s`. zone: a name that keeps its counts apart, or empty.
    """

    key: Template
    rate: str
    leak: Leak
    zone: str = ""

    @property
    def counted_by(self) -> bytes:
        """What lines have in common that count together."""
        return f"req {self.zone} {self.rate} {self.key}".encode()

    def __str__(self) -> str:
        """As in the configuration."""
        words = [str(self.key), f"rate={self.rate}"]
        if self.leak.burst:
            words.append(f"burst={self.leak.burst // 1000}")
        if self.leak.delay is None:
            words.append("nodelay")
        elif self.leak.delay:
            words.append(f"delay={self.leak.delay // 1000}")
        return " ".join([*words, f"zone={self.zone}"] if self.zone else words)


@attrs.frozen
class LimitConn:
    """One line of `limit_conn`. most: requests at once. zone: as LimitReq's."""

    key: Template
    most: int
    zone: str = ""

    @property
    def counted_by(self) -> bytes:
        """What lines have in common that count together."""
        return f"conn {self.zone} {self.key}".encode()

    def __str__(self) -> str:
        """As in the configuration."""
        text = f"{self.key} {self.most}"
        return f"{text} zone={self.zone}" if self.zone else text


@attrs.frozen(kw_only=True)
class LimitsConfig:
    """The limits of one location.

    rate, rate_after: bytes each second, 0 for no limit, and bytes before it counts.
    req_status, conn_status: what is answered over a limit.
    req_dry_run, conn_dry_run: it is only told in the log.
    """

    req: tuple[LimitReq, ...] = ()
    req_status: int = 503
    req_dry_run: bool = False
    conn: tuple[LimitConn, ...] = ()
    conn_status: int = 503
    conn_dry_run: bool = False
    rate: int = 0
    rate_after: int = 0

    @property
    def counts(self) -> bool:
        """Whether there is anything by which a request may be refused."""
        return bool(self.req or self.conn)


def _key(text: str) -> Template:
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    try:
        Template.parse(_SERVER_NAME.sub("", text))
    except ValueError as error:
        raise BadValueError(str(error), text) from None
    # `$server_name` is put in when it is known whose location this is.
    return Template(text, False, ())


def _words(value: str, known: tuple[str, ...]) -> tuple[str, list[str], dict[str, str]]:
    """Return the key, the words without `=`, and those with one."""
    key, *rest = value.split()
    bare, named = [], {}
    for word in rest:
        name, mark, content = word.partition("=")
        if not mark:
            bare.append(word)
        elif name not in known:
            raise BadValueError(f"it has {', '.join(known)}, not", name, nearest(name, known))
        elif name in named:
            raise BadValueError("a word is there twice", name)
        else:
            named[name] = content
    zone = named.get("zone")
    if zone is not None and not _ZONE.fullmatch(zone):
        raise BadValueError("a zone is one name", zone)
    return key, bare, named


def _limit_req(value: str) -> LimitReq:
    """`KEY rate=10r/s [burst=N] [nodelay|delay=N] [zone=NAME]`, nginx's but for the zone."""
    key, bare, named = _words(value, ("rate", "burst", "delay", "zone"))
    rate = _RATE.fullmatch(named.get("rate", ""))
    # Thousandths of a request each second, cut off as nginx does.
    number = 0 if rate is None else int(rate[1]) * 1000 // (60 if rate[2] == "m" else 1)
    if not number:
        raise BadValueError("it has a rate, as rate=10r/s or rate=30r/m", value)
    if bare not in ([], ["nodelay"]) or (bare and "delay" in named):
        raise BadValueError("it is written KEY rate=10r/s burst=20 nodelay, or delay=N", value)
    burst = parse_count(named.get("burst", "0"), 0, _MOST) * 1000
    delay = None if bare else parse_count(named.get("delay", "0"), 0, _MOST) * 1000
    return LimitReq(_key(key), named["rate"], Leak(number, burst, delay), named.get("zone", ""))


def _limit_conn(value: str) -> LimitConn:
    """`KEY N [zone=NAME]`."""
    key, bare, named = _words(value, ("zone",))
    if len(bare) != 1:
        raise BadValueError("it is written KEY N, as $binary_remote_addr 10", value)
    return LimitConn(_key(key), parse_count(bare[0], 1, 65_535), named.get("zone", ""))


def _status(value: str) -> int:
    return parse_count(value, 400, 599)


LIMITS: Final[Mapping[str, Spec]] = {
    "limit_req": Spec(_limit_req, (), many=True, empty=True),
    "limit_req_status": Spec(_status, 503),
    "limit_req_dry_run": Spec(parse_flag, False),
    "limit_conn": Spec(_limit_conn, (), many=True, empty=True),
    "limit_conn_status": Spec(_status, 503),
    "limit_conn_dry_run": Spec(parse_flag, False),
    "limit_rate": Spec(parse_size, 0),
    "limit_rate_after": Spec(parse_size, 0),
}

_Line = TypeVar("_Line", LimitReq, LimitConn)


def limits(get: Callable[[str], Any], server_name: str) -> LimitsConfig:
    """Return the limits of a location. get: an option's value. server_name: nginx's variable."""

    def resolved(line: _Line) -> _Line:
        key = _SERVER_NAME.sub(lambda _: server_name, line.key.text)
        return attrs.evolve(line, key=Template.parse(key))

    return LimitsConfig(
        req=tuple(resolved(line) for line in get("limit_req")),
        req_status=get("limit_req_status"),
        req_dry_run=get("limit_req_dry_run"),
        conn=tuple(resolved(line) for line in get("limit_conn")),
        conn_status=get("limit_conn_status"),
        conn_dry_run=get("limit_conn_dry_run"),
        rate=get("limit_rate"),
        rate_after=get("limit_rate_after"),
    )


def repeated(found: LimitsConfig) -> str | None:
    """Return the option of which two lines count together, which nginx refuses too."""
    for name, lines in (("limit_req", found.req), ("limit_conn", found.conn)):
        if len({line.counted_by for line in lines}) < len(lines):
            return name
    return None


def dump_limits(found: LimitsConfig) -> Iterator[tuple[str, str | None]]:
    """Yield the options that say this."""
    for req in found.req:
        yield "limit_req", str(req)
    yield "limit_req_status", str(found.req_status)
    yield "limit_req_dry_run", "on" if found.req_dry_run else "off"
    for conn in found.conn:
        yield "limit_conn", str(conn)
    yield "limit_conn_status", str(found.conn_status)
    yield "limit_conn_dry_run", "on" if found.conn_dry_run else "off"
    yield "limit_rate", format_size(found.rate)
    yield "limit_rate_after", format_size(found.rate_after)
