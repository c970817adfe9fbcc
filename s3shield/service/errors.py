"""Why there is no service."""

from __future__ import annotations

__all__ = ["ServiceError"]


class ServiceError(Exception):
    """Serving is not possible here. Its text is one sentence for the operator."""
