"""Variables of the access log for which something must be noted while a request is served.

Who has a format that names one pays for it, and nobody else: the service asks what is named
(`AccessLog.wanted`) before it makes listeners and pools.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from s3shield.ops.log_record import ORIGIN_STATUS, PEER, REQUEST, LogRecord, Value
from s3shield.policy import OriginStatus, notes_of
from s3shield.wire import TlsFacts, TlsPeer

__all__ = ["ORIGIN_TIMES", "SENT", "TLS", "bytes_sent", "seconds", "sent_header"]

_SECRET_ANSWERS: Final = frozenset({"set_cookie", "authentication_info"})
"""Fields of answers that let their readers in."""


def seconds(value: float | None) -> bytes | None:
    """Return a duration as nginx writes it, in milliseconds' precision."""
    return None if value is None else b"%.3f" % value


def bytes_sent(record: LogRecord) -> bytes | None:
    """Return what the client was sent, the head and what frames the body too."""
    notes = notes_of(record[REQUEST])
    return None if notes is None else b"%d" % notes.sent


def _of_origin(name: str) -> Value:
    def value(record: LogRecord) -> bytes | None:
        status = record[ORIGIN_STATUS]
        return seconds(getattr(status, name)) if isinstance(status, OriginStatus) else None

    return value


def _of_tls(tell: Callable[[TlsFacts], str | None]) -> Value:
    def value(record: LogRecord) -> bytes | None:
        peer = record[PEER]
        facts = peer.tls if isinstance(peer, TlsPeer) else None
        text = None if facts is None else tell(facts)
        return text.encode("utf-8", "backslashreplace") if text else None

    return value


def _reused(facts: TlsFacts) -> str | None:
    return None if facts.reused is None else ("r" if facts.reused else ".")


def sent_header(name: str) -> Value:
    """Return the value of a field of the answer. Raises ValueError for a secret, or no name."""
    name = name.lower()
    if not name:
        raise ValueError("$sent_http_ names no header")
    if name in _SECRET_ANSWERS:
        raise ValueError(f"$sent_http_{name} would write a secret into the log")
    field = re.compile(rb"(?im)^%b:[ \t]*([^\r\n]*?)[ \t]*\r?$" % name.replace("_", "-").encode())

    def value(record: LogRecord) -> bytes | None:
        notes = notes_of(record[REQUEST])
        found = () if notes is None else field.findall(notes.head)
        return b", ".join(found) if found else None

    return value


TLS: Final[Mapping[str, Value]] = {
    "ssl_protocol": _of_tls(lambda facts: facts.protocol),
    "ssl_cipher": _of_tls(lambda facts: facts.cipher),
    "ssl_server_name": _of_tls(lambda facts: facts.server_name),
    "ssl_session_reused": _of_tls(_reused),
    "ssl_client_s_dn": _of_tls(lambda facts: facts.client),
    "ssl_client_verify": _of_tls(lambda facts: "NONE" if facts.client is None else "SUCCESS"),
}
"""For which a listener must note what the handshake has told."""
SENT: Final = frozenset({"bytes_sent", "sent_http"})
"""For which answers must be noted as they are sent."""
ORIGIN_TIMES: Final[Mapping[str, Value]] = {
    "upstream_connect_time": _of_origin("connect"),
    "upstream_header_time": _of_origin("header"),
}
"""For which an origin's answers must be noted with their times."""
