"""Chooses where a request goes: server, location, rewritten path, query, cache key. Pure."""

from .match import LocationMatcher, MatchKind, Pattern, ServerMatcher
from .query import QueryPolicy, parse_query
from .rewrite import Rewrite, Rewritten, rewrite
from .table import Place, Route, RoutingTable
from .target import BadTargetError, Target, decode_path, has_dot_segments, parse_target
from .variables import VARIABLES, Template, any_true

__all__ = [
    "VARIABLES",
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
    "Template",
    "any_true",
    "decode_path",
    "has_dot_segments",
    "parse_query",
    "parse_target",
    "rewrite",
]
