"""Composition: a configuration becomes stores, origins, locations and listeners."""

from .errors import ServiceError
from .serving import Serving

__all__ = ["ServiceError", "Serving"]
