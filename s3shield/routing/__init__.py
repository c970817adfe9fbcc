"""Which location answers a request, and under which key: nginx's matching. Pure."""

from __future__ import annotations

from .match import LocationMatcher, MatchKind, Pattern, Rewrite, ServerMatcher
from .table import Place, Route, RoutingTable
from .target import BadTargetError, QueryPolicy, decode_path, parse_query

__all__ = [
    "BadTargetError",
    "LocationMatcher",
    "MatchKind",
    "Pattern",
    "Place",
    "QueryPolicy",
    "Rewrite",
    "Route",
    "RoutingTable",
    "ServerMatcher",
    "decode_path",
    "parse_query",
]
