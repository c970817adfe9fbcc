"""What the parent hands to a worker as it starts: one line, on a pipe that nobody else reads.

A worker reads no file for its configuration: it has what the parent has read and checked, also
when it is started in place of a dead one long after the file was changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["Handover"]


@attrs.frozen
class Handover:
    """files: path -> text, of all that a configuration is made of, secrets and keys too.

    shared: whether other processes have, or are about to have, the same caches open.
    """

    files: Mapping[str, str] = attrs.field(repr=False)
    shared: bool

    def pack(self) -> bytes:
        """Return the line."""
        return json.dumps({"files": dict(self.files), "shared": self.shared}).encode() + b"\n"

    @classmethod
    def unpack(cls, line: bytes) -> Handover:
        """Read a line of `pack`."""
        found: dict[str, Any] = json.loads(line)
        return cls(found["files"], found["shared"])
