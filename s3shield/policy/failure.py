"""How asking the origin can go wrong, in the words of nginx's `proxy_cache_use_stale`."""

from __future__ import annotations

import enum

import attrs

from .status import NoStoreReason

__all__ = ["FailureKind", "OriginFailure"]


class FailureKind(enum.Enum):
    """The value is the `proxy_cache_use_stale` token that covers it."""

    CONNECT = "error"
    """No connection: refused, unreachable, name not found, TLS refused."""
    CUT = "error "
    """The connection ended or was reset in the middle of an exchange."""
    TIMEOUT = "timeout"
    """Connecting, the first byte, or the next byte took too long."""
    INVALID = "invalid_header"
    """Not HTTP, or HTTP that must not be believed (RFC 9112 section 6.3)."""
    DAMAGED = "error  "
    """A whole answer whose body is not what its head announces: see `digests`."""
    STATUS = "http_"
    """A whole answer whose status counts as a failure: see `OriginFailure.status`."""

    @property
    def token(self) -> str:
        """The `proxy_cache_use_stale` token, without the status for STATUS."""
        return self.value.strip()


@attrs.frozen
class OriginFailure:
    """One failed attempt.

    kind: FailureKind. detail: str for the log, never with a secret in it. status: int,
    the origin's status when kind is STATUS, else 0. code: str, S3's `<Code>` or empty.
    before_head: bool, whether no response head had been received.
    """

    kind: FailureKind
    detail: str = ""
    status: int = 0
    code: str = ""
    before_head: bool = True

    def reason(self, *, begun: bool = False) -> NoStoreReason:
        """Return why nothing is stored. begun: whether the body was under way."""
        if self.kind is FailureKind.DAMAGED:
            return NoStoreReason.INTEGRITY
        return NoStoreReason.TRUNCATED if begun else NoStoreReason.ORIGIN_ERROR

    @property
    def gateway_status(self) -> int:
        """What the client is told when nothing stale may stand in: 502, 503 or 504."""
        if self.kind is FailureKind.STATUS and self.status in (503, 504):
            return self.status
        return 504 if self.kind is FailureKind.TIMEOUT else 502
