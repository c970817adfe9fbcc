"""`front.telling`: a flood of refusals is a line a second."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from s3shield.front.telling import Seldom


class SeldomTests(SynchronousTestCase):
    """See the module's text."""

    def test_once_a_second(self) -> None:
        """The first at once; what came meanwhile is counted in the next."""
        clock, said = Clock(), []
        clock.advance(1000)
        seldom = Seldom(said.append, clock.seconds)
        for _ in range(1000):
            seldom.tell("a")
        clock.advance(1)
        seldom.tell("b")
        clock.advance(2)
        seldom.tell("c")
        self.assertEqual(["a", "b (and 999 more since the last line)", "c"], said)
