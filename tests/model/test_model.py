"""The same few hundred steps each time."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from .machine import CacheMachine
from .world import World


class ModelTests(SynchronousTestCase):
    """`machine.CacheMachine`."""

    timeout = 240

    def test_walks(self) -> None:
        """No answer that the model does not allow, whatever happens to origin and daemon."""
        CacheMachine.world = World(Path(self.mktemp()))
        self.addCleanup(CacheMachine.world.close)
        try:
            run_state_machine_as_test(  # type: ignore[no-untyped-call]
                CacheMachine,
                settings=settings(
                    max_examples=6,
                    stateful_step_count=40,
                    deadline=None,
                    derandomize=True,
                    database=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except FlakyFailure as flaky:
            # What it tells of itself is only that it did not happen twice.
            raise flaky.exceptions[0] from flaky
