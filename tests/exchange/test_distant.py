"""`DistantGap`: readers of what another worker is filling."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange import distant
from s3shield.exchange.distant import DistantGap
from s3shield.store import Span


class FirstLookTests(SynchronousTestCase):
    """Its reader began to wait by what was known before the gap was."""

    def test_what_had_come(self) -> None:
        """Blocks learned when the gap was made are given at the first look, and only then again."""
        blocks = SimpleNamespace(missing=3)
        sparse: Any = SimpleNamespace(
            blob=b"b" * 16, body=SimpleNamespace(blocks=blocks), alone=False, refresh=lambda: True
        )
        gone_on: list[int] = []
        view: Any = SimpleNamespace(go_on=lambda: gone_on.append(blocks.missing))
        span = Span(b"i" * 16, 0, 1 << 20)
        gap = DistantGap(sparse, span)
        gap.take(view)
        claim: Any = SimpleNamespace()
        self.patch(distant, "span_stop", lambda _: 1 << 20)
        gap.look(claim)
        self.assertEqual([3], gone_on)
        gap.look(claim)
        self.assertEqual([3], gone_on)
        blocks.missing = 2
        gap.look(claim)
        self.assertEqual([3, 2], gone_on)
