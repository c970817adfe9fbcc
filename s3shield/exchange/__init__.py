"""Drives one request: look up, decide, then deliver or fetch. One core, two doors."""

from __future__ import annotations

from .bucket import Bucket
from .careful import CarefulLocation
from .change import Invalidation
from .claiming import Claiming
from .location import Location
from .origin import BucketOrigin, Origin, PlainOrigin
from .origin_request import BucketRequests, PlainRequests
from .purging import PurgeMethod, Purger
from .rules import Rules
from .site import Site, Tree
from .transaction import Surroundings
from .zone import Zone

__all__ = [
    "Bucket",
    "BucketOrigin",
    "BucketRequests",
    "CarefulLocation",
    "Claiming",
    "Invalidation",
    "Location",
    "Origin",
    "PlainOrigin",
    "PlainRequests",
    "PurgeMethod",
    "Purger",
    "Rules",
    "Site",
    "Surroundings",
    "Tree",
    "Zone",
]
