"""`python -m tests.model`: a long walk, for finding what the suite does not know yet."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import CacheMachine
from .world import World

_WALK = 50


def main(arguments: list[str]) -> None:
    """Walk; leave with the shortest sequence of steps that diverges, if one does."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--steps", type=int, default=2000, help="about so many (%(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        CacheMachine.world = World(Path(folder) / "world")
        try:
            run_state_machine_as_test(  # type: ignore[no-untyped-call]
                seed(options.seed)(CacheMachine),
                settings=settings(
                    max_examples=max(1, options.steps // _WALK),
                    stateful_step_count=_WALK,
                    deadline=None,
                    database=None,
                    derandomize=False,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            CacheMachine.world.close()
            took = time.monotonic() - started
            print(f"seed {options.seed}: {CacheMachine.steps} steps, {took:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
