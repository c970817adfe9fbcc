"""The shape that all phases have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from s3shield.config import LocationConfig
from s3shield.exchange import Serve
from s3shield.policy import Fields, Request
from s3shield.wire import Downstream

if TYPE_CHECKING:
    from s3shield.exchange import Location
    from s3shield.routing import Route

__all__ = ["Ground", "Phase", "Serve"]


@attrs.frozen
class Ground:
    """What a phase stands on: one location, as one listener's requests come to it.

    config: the location's. again: leads a request to the location that its host and target
    are of, and there through all phases, as nginx's internal redirect; the caller counts how often.
    """

    location: Location
    config: LocationConfig
    again: Callable[[Request, Downstream], None]

    def refuse(
        self,
        request: Request,
        route: Route,
        downstream: Downstream,
        status: int,
        fields: Fields = (),
    ) -> None:
        """Answer with a status and a short text of ours; the access log has it."""
        self.location.transaction(request, route, downstream).refuse(status, fields)


Phase = Callable[[Ground, Serve], Serve]
"""Returns what serves instead of the given: the same where the location wants no such phase."""
