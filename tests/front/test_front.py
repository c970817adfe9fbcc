"""`front.Front`: what stands before a location, and what does not."""

from __future__ import annotations

import time
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import load
from s3shield.front import Front, Process


@attrs.frozen
class Bare:
    """A location of which only `serve` counts."""

    def serve(self, request: Any, route: Any, downstream: Any) -> None:
        """Never called here."""


class BareTests(SynchronousTestCase):
    """Locations that ask for nothing."""

    def test_pays_nothing(self) -> None:
        """A location without phases is called itself, with nothing between."""
        file = self.mktemp()
        with open(file, "w") as text:
            text.write("[location:/]\norigin = http://127.0.0.1:1\n[s3shield]\nlisten = 8080\n")
        location: Any = Bare()
        front = Front(load(file).locations, [location], Process(None, time.time, time.monotonic))
        self.assertEqual([location.serve], front.lead(lambda request, downstream: None))
