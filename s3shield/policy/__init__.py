"""The caching law, pure: RFC 9110 and 9111 with nginx's directives; no I/O, no clock."""

from __future__ import annotations

from .admit import (
    UNDERSTOOD_STATUSES,
    Admission,
    NoStore,
    Store,
    admit,
    admit_partial,
    describe,
)
from .cache_status import (
    cache_status_member,
)
from .conditional import (
    Precondition,
    conditional,
    if_range,
    not_modified_head,
)
from .credentials import (
    credential_failure,
)
from .dates import (
    format_date,
    parse_date,
)
from .decide import (
    FETCH,
    GATEWAY_TIMEOUT,
    HIT,
    REVALIDATE,
    Decision,
    ErrorDecision,
    Fetch,
    GatewayTimeout,
    GiveUp,
    Hit,
    Revalidate,
    ServeStale,
    decide,
    on_origin_error,
    stale_while_updating,
)
from .digests import BodyDigest, RunningDigest, body_digest
from .entry import (
    NEVER,
    EntryFlag,
    EntryMeta,
    StoredResponse,
)
from .etags import (
    listed_tags,
    strong_match,
    weak_match,
)
from .failure import (
    FailureKind,
    OriginFailure,
)
from .fields import (
    MAX_DELTA,
    RequestDirectives,
    request_directives,
)
from .freshen import (
    freshen,
    identify,
    revalidation_fields,
    selection_fields,
    update_from_head,
)
from .freshness import (
    Freshness,
    LifetimeSource,
    assess,
    current_age,
)
from .headers import (
    HOP_BY_HOP,
    content_length,
    forwarded_fields,
    interim_head,
    parse_stored_head,
    reduced_accept_encoding,
    serialize_head,
    stored_head,
)
from .invalidation import (
    SAFE_METHODS,
    invalidation_targets,
    is_unsafe,
)
from .message import (
    Fields,
    Request,
    RequestWithBody,
    ResponseHead,
)
from .options import (
    ANY,
    ANY_METHOD,
    DEFAULT_TTL_CODES,
    USE_STALE_TOKENS,
    AnyStatus,
    CachePolicy,
    TTLRow,
    TTLTable,
)
from .ranges import (
    UNSATISFIABLE,
    ContentRange,
    Multipart,
    RangeOutcome,
    Ranges,
    multipart,
    parse_content_range,
    parse_range,
    partial_head,
    select_ranges,
    unsatisfiable_head,
    whole_head,
)
from .status import (
    CacheStatus,
    NoStoreReason,
    OriginStatus,
)
from .vary import (
    VARY_STAR,
    selecting_names,
    variant_key,
)

__all__ = [
    "ANY",
    "ANY_METHOD",
    "DEFAULT_TTL_CODES",
    "FETCH",
    "GATEWAY_TIMEOUT",
    "HIT",
    "HOP_BY_HOP",
    "MAX_DELTA",
    "NEVER",
    "REVALIDATE",
    "SAFE_METHODS",
    "UNDERSTOOD_STATUSES",
    "UNSATISFIABLE",
    "USE_STALE_TOKENS",
    "VARY_STAR",
    "Admission",
    "AnyStatus",
    "BodyDigest",
    "CachePolicy",
    "CacheStatus",
    "ContentRange",
    "Decision",
    "EntryFlag",
    "EntryMeta",
    "ErrorDecision",
    "FailureKind",
    "Fetch",
    "Fields",
    "Freshness",
    "GatewayTimeout",
    "GiveUp",
    "Hit",
    "LifetimeSource",
    "Multipart",
    "NoStore",
    "NoStoreReason",
    "OriginFailure",
    "OriginStatus",
    "Precondition",
    "RangeOutcome",
    "Ranges",
    "Request",
    "RequestDirectives",
    "RequestWithBody",
    "ResponseHead",
    "Revalidate",
    "RunningDigest",
    "ServeStale",
    "Store",
    "StoredResponse",
    "TTLRow",
    "TTLTable",
    "admit",
    "admit_partial",
    "assess",
    "body_digest",
    "cache_status_member",
    "conditional",
    "content_length",
    "credential_failure",
    "current_age",
    "decide",
    "describe",
    "format_date",
    "forwarded_fields",
    "freshen",
    "identify",
    "if_range",
    "interim_head",
    "invalidation_targets",
    "is_unsafe",
    "listed_tags",
    "multipart",
    "not_modified_head",
    "on_origin_error",
    "parse_content_range",
    "parse_date",
    "parse_range",
    "parse_stored_head",
    "partial_head",
    "reduced_accept_encoding",
    "request_directives",
    "revalidation_fields",
    "select_ranges",
    "selecting_names",
    "selection_fields",
    "serialize_head",
    "stale_while_updating",
    "stored_head",
    "strong_match",
    "unsatisfiable_head",
    "update_from_head",
    "variant_key",
    "weak_match",
    "whole_head",
]
