"""What there is to know of an option, for modules that add some to `options`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

__all__ = ["Spec"]


@attrs.frozen
class Spec:
    """One option.

    read: str -> value, raises ValueError. default: the value without it. many: one value
    a line, may be repeated; the value is the tuple of all. empty: may be given without a
    value (then the reader gets "", or the tuple is empty). secret: never shown.
    """

    read: Callable[[str], Any]
    default: Any = None
    many: bool = False
    empty: bool = False
    secret: bool = False
