"""Chooses where a request goes: server, location, rewritten path, query, cache key. Pure."""

from .match import LocationMatcher, MatchKind, Pattern, ServerMatcher
from .query import QueryPolicy, parse_query
from .rewrite import Rewrite, Rewritten, rewrite
from .table import Place, Route, RoutingTable
from .target import BadTargetError, Target, decode_path, has_dot_segments, parse_target

__all__ = [
    "BadTargetError",
    "LocationMatcher",
    "MatchKind",
    "Pattern",
    "Place",
    "QueryPolicy",
    "Rewrite",
    "Rewritten",
    "Route",
    "RoutingTable",
    "ServerMatcher",
    "Target",
    "decode_path",
    "has_dot_segments",
    "parse_query",
    "parse_target",
    "rewrite",
]
