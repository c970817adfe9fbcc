"""What the daemon counts and measures, in all its processes together."""

from .board import Board, VersionError
from .exposition import exposition
from .families import CONNECT, DURATION, FAMILIES, Family, Key, code_label, method_label
from .meter import Meter, Source
from .snapshot import VERSION, Snapshot, snapshot
from .summary import summary

__all__ = [
    "CONNECT",
    "DURATION",
    "FAMILIES",
    "VERSION",
    "Board",
    "Family",
    "Key",
    "Meter",
    "Snapshot",
    "Source",
    "VersionError",
    "code_label",
    "exposition",
    "method_label",
    "snapshot",
    "summary",
]
