"""The cache on disk: an LMDB index that holds short bodies, and files for long ones."""

from __future__ import annotations

from .blocks import Blocks
from .bodies import BodyWriter
from .browsing import Browsing
from .claims import Claim, Claims, Outcome, Span, span_key, span_stop
from .errors import StoreError, StoreVersionError, is_no_room
from .eviction import Limits
from .evictor import Evictor
from .files import BodyFile
from .gap_writer import GapWriter
from .record import Entry
from .selector import Selector, is_response
from .sparse import SparseBody
from .stats import Stats
from .store import Store
from .tenant import Tenant, TenantError, tenant_of
from .verifying import Damage, Report, Verifying

__all__ = [
    "Blocks",
    "BodyFile",
    "BodyWriter",
    "Browsing",
    "Claim",
    "Claims",
    "Damage",
    "Entry",
    "Evictor",
    "GapWriter",
    "Limits",
    "Outcome",
    "Report",
    "Selector",
    "Span",
    "SparseBody",
    "Stats",
    "Store",
    "StoreError",
    "StoreVersionError",
    "Tenant",
    "TenantError",
    "Verifying",
    "is_no_room",
    "is_response",
    "span_key",
    "span_stop",
    "tenant_of",
]
