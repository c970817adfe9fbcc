"""Hit-for-miss marks: they end, they are forgotten, they never grow without bound."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange import zone as zone_module
from s3shield.exchange.zone import Zone

from .place import ROUTE


class MarkTests(SynchronousTestCase):
    def zone(self) -> Zone:
        return Zone(None, inline_limit=10, largest=100)  # type: ignore[arg-type]  # marks alone

    def test_a_mark_ends(self) -> None:
        """It holds until its time, for its key alone."""
        zone = self.zone()
        other = attrs.evolve(ROUTE, digest=b"e" * 16)
        zone.mark_unstored(ROUTE, 10.0)
        self.assertTrue(zone.is_unstored(ROUTE, 9.9))
        self.assertFalse(zone.is_unstored(other, 9.9))
        self.assertFalse(zone.is_unstored(ROUTE, 10.0))
        self.assertFalse(zone.is_unstored(ROUTE, 9.9))

    def test_marks_are_bounded(self) -> None:
        """Names are the client's to invent: past a number all are forgotten."""
        self.patch(zone_module, "_MOST_MARKS", 4)
        zone = self.zone()
        for number in range(100):
            zone.mark_unstored(attrs.evolve(ROUTE, digest=b"%016d" % number), 10.0)
            self.assertLessEqual(len(zone._unstored), 4)
        self.assertTrue(zone.is_unstored(attrs.evolve(ROUTE, digest=b"%016d" % 99), 9.0))
