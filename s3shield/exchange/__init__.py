"""Drives one request: look up, decide, then deliver or fetch. One core, two doors."""

from __future__ import annotations

from .bodies import Bodies, must_hash
from .breaker import Breaker, Leave
from .bucket import Bucket
from .careful import CarefulLocation
from .change import Invalidation
from .claiming import Claiming
from .coded import CodedCarefulLocation, CodedLocation
from .forms import Compressing, Forms
from .health import Health
from .location import Location
from .members import Member, new_breaker
from .mismatch import Mismatch, compare
from .moving import Move, moved
from .origin import BucketOrigin, Origin, PlainOrigin
from .origin_request import BucketRequests, PlainRequests
from .patience import ALONE, REPLACED
from .purging import PurgeMethod, Purger, prefix_selectors, url_selector
from .refusal import reason_phrase
from .replicas import ReplicatedOrigin
from .rules import Rules
from .s3_errors import MAX_ERROR_BODY, advice, error_code
from .site import Serve, Site, Tree
from .transaction import Surroundings
from .turns import Turns
from .zone import Zone

__all__ = [
    "ALONE",
    "MAX_ERROR_BODY",
    "REPLACED",
    "Bodies",
    "Breaker",
    "Bucket",
    "BucketOrigin",
    "BucketRequests",
    "CarefulLocation",
    "Claiming",
    "CodedCarefulLocation",
    "CodedLocation",
    "Compressing",
    "Forms",
    "Health",
    "Invalidation",
    "Leave",
    "Location",
    "Member",
    "Mismatch",
    "Move",
    "Origin",
    "PlainOrigin",
    "PlainRequests",
    "PurgeMethod",
    "Purger",
    "ReplicatedOrigin",
    "Rules",
    "Serve",
    "Site",
    "Surroundings",
    "Tree",
    "Turns",
    "Zone",
    "advice",
    "compare",
    "error_code",
    "moved",
    "must_hash",
    "new_breaker",
    "prefix_selectors",
    "reason_phrase",
    "url_selector",
]
