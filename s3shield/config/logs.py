"""How the options about logs are read, and where a log may go."""

from __future__ import annotations

import re
from typing import Final

import attrs

from .errors import BadValueError, nearest
from .reading import text
from .units import parse_choice
from .values import AccessLogConfig, ErrorLogConfig

__all__ = [
    "LOG_LEVELS",
    "SyslogPlace",
    "access_log",
    "access_log_sample",
    "error_log",
    "is_log_file",
    "syslog_place",
]

LOG_LEVELS: Final = ("debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")
"""nginx's, as `error_log` names them."""

_WORDS: Final = ("stdout", "stderr", "syslog", "journald", "off")
_FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news"),
    *("uucp", "clock", "authpriv", "ftp", "ntp", "audit", "alert", "cron"),
    *("local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
"""nginx's names of RFC 5424's facilities, in the order of their numbers."""
_SEVERITIES: Final = ("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")
_PARAMETERS: Final = ("server", "facility", "tag", "severity", "nohostname", "rfc5424")
_SHAPE: Final = "it looks like syslog:server=127.0.0.1:514,facility=local7,tag=s3shield"


@attrs.frozen(kw_only=True)
class SyslogPlace:
    """Where `syslog` or nginx's `syslog:server=...` sends lines, and how it dresses them.

    kind: unix, udp or tcp. path: of a unix socket; None: the system's own. host, port: else.
    facility, severity: RFC 5424's numbers. tag: the program's name. hostname: whether the
    host's name is in a line. rfc5424: the newer form, in place of RFC 3164's.
    """

    kind: str = "unix"
    path: str | None = None
    host: str = ""
    port: int = 514
    facility: int = 23
    severity: int = 6
    tag: str = "s3shield"
    hostname: bool = True
    rfc5424: bool = False


def is_log_file(target: str) -> bool:
    """Tell whether a log's target is a path, not one of the words."""
    return target not in _WORDS and not target.startswith("syslog:")


def syslog_place(target: str) -> SyslogPlace:
    """Read `syslog`, or `syslog:server=ADDRESS[,facility=..][,tag=..][,severity=..]`...

    ADDRESS: `host`, `host:port` (UDP), `tcp:host:port` or `unix:/path`. As nginx's parameter
    of that name, but for tcp and `rfc5424`. Raises BadValueError.
    """
    if target == "syslog":
        return SyslogPlace(hostname=False)
    given: dict[str, str] = {}
    for piece in target.removeprefix("syslog:").split(","):
        name, equals, value = piece.partition("=")
        flag = name in ("nohostname", "rfc5424")
        if name not in _PARAMETERS:
            raise BadValueError("syslog has no such parameter", name, nearest(name, _PARAMETERS))
        if flag == bool(equals) or (not flag and not value) or name in given:
            raise BadValueError(_SHAPE, piece)
        given[name] = value
    if "server" not in given:
        raise BadValueError(f"syslog: wants a server: {_SHAPE}")
    tag = given.get("tag", "s3shield")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", tag):
        raise BadValueError("a tag is up to 32 letters, digits, _ and -", tag)
    facility = parse_choice(given.get("facility", "local7"), _FACILITIES)
    severity = parse_choice(given.get("severity", "info"), _SEVERITIES)
    return attrs.evolve(
        _server(given["server"]),
        facility=_FACILITIES.index(facility),
        severity=_SEVERITIES.index(severity),
        tag=tag,
        hostname="nohostname" not in given,
        rfc5424="rfc5424" in given,
    )


def _server(address: str) -> SyslogPlace:
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        if not path.startswith("/"):
            raise BadValueError("a unix socket is named by its whole path, unix:/path", address)
        return SyslogPlace(path=path)
    kind, place = "udp", address
    for each in ("tcp", "udp"):
        if address.startswith(f"{each}:"):
            kind, place = each, address.removeprefix(f"{each}:")
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?", place)
    if found is None or not 0 < int(found[3] or 514) < 65_536:
        raise BadValueError("a syslog server looks like 192.0.2.1:514, tcp:host:514", address)
    return SyslogPlace(kind=kind, host=found[1] or found[2], port=int(found[3] or 514))


def _target(target: str, words: tuple[str, ...]) -> str:
    if target.startswith("syslog:"):
        syslog_place(target)
    elif is_log_file(target) and "/" not in target and "." not in target:
        near = nearest(target, words)
        if near is not None:
            raise BadValueError("there is no such target; a file has a / in it", target, near)
    return target


def access_log(value: str) -> AccessLogConfig:
    """`path|stdout|stderr|syslog|syslog:...|journald|off [combined|json|FORMAT]`."""
    target, _, form = text(value).partition(" ")
    form = form.strip()
    if form and "$" not in form:
        parse_choice(form, ("combined", "json"))
    return AccessLogConfig(target=_target(target, _WORDS), format=form or "combined")


def error_log(value: str) -> ErrorLogConfig:
    """`path|stdout|stderr|syslog|syslog:...|journald [LEVEL]`."""
    target, _, level = text(value).partition(" ")
    if target.startswith("syslog:") and "severity=" in target:
        raise BadValueError("each message of the error log has its own", "severity")
    _target(target, _WORDS[:-1])
    return ErrorLogConfig(target=target, level=parse_choice(level.strip() or "info", LOG_LEVELS))


def access_log_sample(value: str) -> float:
    """A part of 1, `0.1`: of that many requests the lines are written."""
    if not re.fullmatch(r"1(?:\.0*)?|0?\.[0-9]{1,6}", value) or float(value) <= 0.0:
        raise BadValueError("it is a part of 1: 0.1 writes every tenth request, 1 all", value)
    return float(value)
