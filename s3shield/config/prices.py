"""The options `price_*`: what S3 takes, for the page that says what a cache has saved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from .errors import BadValueError
from .spec import Spec

__all__ = ["PRICES", "Prices", "price_pairs"]

_PRICE: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def _price(value: str) -> float:
    if not _PRICE.fullmatch(value):
        raise BadValueError("a price is a number, 0.09, without a currency", value)
    return float(value)


PRICES: Final[Mapping[str, Spec]] = {
    "price_per_gb": Spec(_price, 0.0),
    "price_per_10k_requests": Spec(_price, 0.0),
}


@attrs.frozen
class Prices:
    """What S3 takes, in any currency: for 10^9 bytes sent, and for 10 000 requests of GET."""

    per_gb: float = 0.0
    per_10k_requests: float = 0.0

    @classmethod
    def take(cls, values: dict[str, Any]) -> Prices:
        """Make it of the options' values by name; they are taken out."""
        return cls(*(values.pop(name, 0.0) for name in PRICES))


def price_pairs(prices: Prices) -> Iterator[tuple[str, str]]:
    """Yield the options, as they are written."""
    for name, price in zip(PRICES, (prices.per_gb, prices.per_10k_requests), strict=True):
        yield name, f"{price:.9f}".rstrip("0").rstrip(".")
