"""What is measured: every metric's name, kind, labels and help. Pure.

The names follow Prometheus' conventions (https://prometheus.io/docs/practices/naming/). The
values of labels come from the configuration, or of lists that are given here: clients cannot
make new ones. docs/metrics.rst has the same table, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import attrs

__all__ = ["CONNECT", "DURATION", "FAMILIES", "LAG", "Family", "Key", "code_label", "method_label"]

Key = tuple[str, ...]
"""One series: its family's name, then the values of its labels, in the family's order."""

DURATION: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Upper bounds of the buckets, seconds; one more above them has the rest."""
CONNECT: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LAG: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE", "CONNECT", "TRACE"}
)
_CODES: Final = frozenset(
    {"AccessDenied", "AccessKeyDoesNotExist", "AccountProblem", "AllAccessDisabled"}
    | {"AuthorizationHeaderMalformed", "AuthorizationQueryParametersError", "BadDigest"}
    | {"EntityTooLarge", "EntityTooSmall", "ExpiredToken", "IncompleteBody", "IncorrectEndpoint"}
    | {"InternalError", "InvalidAccessKeyId", "InvalidArgument", "InvalidBucketName"}
    | {"InvalidDigest", "InvalidObjectState", "InvalidPayer", "InvalidRange", "InvalidRequest"}
    | {"InvalidSecurity", "InvalidToken", "InvalidURI", "KMS.DisabledException"}
    | {"KeyTooLongError", "MetadataTooLarge", "MethodNotAllowed", "MissingContentLength"}
    | {"MissingSecurityHeader", "NoSuchBucket", "NoSuchKey", "NoSuchUpload", "NoSuchVersion"}
    | {"NotImplemented", "NotSignedUp", "OperationAborted", "PermanentRedirect"}
    | {"PreconditionFailed", "RequestExpired", "RequestTimeTooSkewed", "RequestTimeout"}
    | {"ServiceUnavailable", "SignatureDoesNotMatch", "SlowDown", "TemporaryRedirect"}
    | {"TokenRefreshRequired", "TooManyRequests", "UnauthorizedAccess", "UserSuspended"}
    | {"XAmzContentSHA256Mismatch"}
)


def method_label(method: bytes) -> str:
    """Return the method; OTHER for one that is none of HTTP's, empty for none at all."""
    text = method.decode("latin-1")
    return text if text in _METHODS or not text else "OTHER"


def code_label(status: int, code: str) -> str:
    """Return the code of an S3 error; http_404 for an answer without one, else Other."""
    if not code:
        return f"http_{status}" if 300 <= status <= 599 else "Other"
    return code if code in _CODES else "Other"


@attrs.frozen
class Family:
    """One metric.

    bounds: of a histogram's buckets; the series has the sum of what was seen, then how many
    fell into each bucket. merge: how the workers' gauges become one; `each` keeps them apart,
    with a label worker. age: the gauge is told as an instant (epoch seconds), and shown as the
    seconds until then.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    merge: Literal["sum", "max", "min", "each"] = "sum"
    age: bool = False


def _counters() -> list[Family]:
    return [
        Family(
            "s3shield_requests_total",
            "counter",
            "Requests that are over, by what the client got and what the cache did.",
            ("location", "method", "status", "cache_status"),
        ),
        Family(
            "s3shield_response_bytes_total",
            "counter",
            "Bytes of bodies sent to clients; source: cache, origin, or self (texts of ours).",
            ("location", "source"),
        ),
        Family(
            "s3shield_no_store_total",
            "counter",
            "Answers that were not stored, by reason.",
            ("location", "reason"),
        ),
        Family(
            "s3shield_origin_responses_total",
            "counter",
            "Heads of answers that came from an origin, by status.",
            ("origin", "status"),
        ),
        Family(
            "s3shield_origin_received_bytes_total",
            "counter",
            "Bytes of bodies that came from an origin.",
            ("origin",),
        ),
        Family(
            "s3shield_origin_failures_total",
            "counter",
            "Requests to an origin without a whole answer; kind: connect, timeout, cut, invalid.",
            ("origin", "kind"),
        ),
        Family(
            "s3shield_origin_connections_opened_total",
            "counter",
            "Connections opened to an origin.",
            ("origin",),
        ),
        Family(
            "s3shield_origin_retries_total",
            "counter",
            "Requests sent again because a kept connection was dead.",
            ("origin",),
        ),
        Family(
            "s3shield_s3_errors_total",
            "counter",
            "Errors that a bucket answered, by S3's code, those asked again included.",
            ("bucket", "code"),
        ),
        Family(
            "s3shield_evicted_entries_total",
            "counter",
            "Entries removed to make room; reason: inactive, size, disk (min_free), full.",
            ("cache", "reason"),
        ),
        Family(
            "s3shield_store_commits_total",
            "counter",
            "Groups of changes committed to the index.",
            ("cache",),
        ),
        Family(
            "s3shield_store_dropped_total",
            "counter",
            "Changes that could not be committed and were dropped.",
            ("cache",),
        ),
        Family(
            "s3shield_access_log_lost_lines_total",
            "counter",
            "Lines of the access log that could not be written.",
        ),
        Family(
            "s3shield_worker_restarts_total",
            "counter",
            "Workers started in place of dead ones.",
        ),
        Family(
            "s3shield_reloads_total",
            "counter",
            "Reloads; result: done, refused.",
            ("result",),
        ),
    ]


def _histograms() -> list[Family]:
    return [
        Family(
            "s3shield_request_duration_seconds",
            "histogram",
            "From a request's head to the end of its response.",
            ("location", "cache_status"),
            DURATION,
        ),
        Family(
            "s3shield_request_first_byte_seconds",
            "histogram",
            "From a request's head to the head of its response, as it is handed to the socket.",
            ("location", "cache_status"),
            DURATION,
        ),
        Family(
            "s3shield_request_origin_seconds",
            "histogram",
            "Of requests for which an origin was asked: from then to the end of the response.",
            ("location",),
            DURATION,
        ),
        Family(
            "s3shield_origin_connect_seconds",
            "histogram",
            "To open a connection to an origin: name lookup, TCP, TLS.",
            ("origin",),
            CONNECT,
        ),
        Family(
            "s3shield_origin_first_byte_seconds",
            "histogram",
            "From a question to the first byte of the origin's answer, a new connection included.",
            ("origin",),
            DURATION,
        ),
        Family(
            "s3shield_event_loop_lag_seconds",
            "histogram",
            "How late the event loop was, four samples a second in each worker.",
            (),
            LAG,
        ),
    ]


def _gauges() -> list[Family]:
    def of_cache(name: str, text: str, merge: Literal["sum", "max"] = "max") -> Family:
        return Family(f"s3shield_{name}", "gauge", text, ("cache",), merge=merge)

    return [
        of_cache("store_entries", "Responses stored."),
        of_cache("store_size_bytes", "Bytes stored, body files included."),
        of_cache("store_max_size_bytes", "The option max_size; not there without a limit."),
        of_cache("store_index_used_bytes", "Bytes of the index's map in use."),
        of_cache("store_index_size_bytes", "Bytes of the index's map."),
        of_cache("store_pending_bytes", "Bytes of changes not yet committed.", "sum"),
        of_cache("store_open_files", "Body files kept open.", "sum"),
        of_cache("disk_free_bytes", "Free bytes of the file system that has the cache."),
        of_cache("disk_size_bytes", "Size of the file system that has the cache."),
        of_cache("flights", "Requests to origins under way that others may join.", "sum"),
        of_cache("waiting_requests", "Clients' requests that wait for such a one.", "sum"),
        Family(
            "s3shield_origin_connections",
            "gauge",
            "Connections to an origin; state: idle, busy, connecting.",
            ("origin", "state"),
        ),
        Family(
            "s3shield_origin_queue",
            "gauge",
            "Requests to an origin that wait for a connection.",
            ("origin",),
        ),
        Family("s3shield_client_connections", "gauge", "Connections of clients."),
        Family(
            "s3shield_breaker_open",
            "gauge",
            "Workers that do not ask this bucket because it fails.",
            ("bucket",),
        ),
        Family(
            "s3shield_bucket_without_credentials",
            "gauge",
            "1: there is nothing good to sign with.",
            ("bucket",),
            merge="max",
        ),
        Family(
            "s3shield_signing_key_expires_seconds",
            "gauge",
            "Seconds until the last scoped signing key of a bucket ends; negative: it has ended.",
            ("bucket",),
            merge="min",
            age=True,
        ),
        Family(
            "s3shield_credentials_expire_seconds",
            "gauge",
            "Seconds until the credentials end that a source gave; they are renewed before.",
            ("bucket",),
            merge="min",
            age=True,
        ),
        Family("s3shield_workers", "gauge", "Processes that serve."),
        Family(
            "s3shield_worker_started_seconds",
            "gauge",
            "When the worker began, epoch seconds.",
            merge="each",
        ),
        Family(
            "s3shield_worker_silent_seconds",
            "gauge",
            "Since the worker last told its numbers: a second or two while its loop turns.",
            merge="each",
        ),
        Family(
            "s3shield_worker_lag_seconds",
            "gauge",
            "The latest that the worker's loop was within half a minute.",
            merge="each",
        ),
        Family(
            "s3shield_worker_resident_bytes",
            "gauge",
            "Memory of the worker, shared pages included.",
            merge="each",
        ),
        Family("s3shield_build_info", "gauge", "1; which version runs.", ("version",)),
    ]


FAMILIES: Final[Mapping[str, Family]] = {
    each.name: each for each in (*_counters(), *_histograms(), *_gauges())
}
"""All of them, by name."""
