"""`front.counts`: bounded, exact, and one for all processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import REFUSED, Leak
from s3shield.front import counts as module
from s3shield.front.counts import COLUMNS, Counts, digests
from s3shield.ops.surroundings import shared_memory

ONE = Leak(1)
"""One request, and the next in a thousand seconds."""


def key(number: int) -> bytes:
    """The digest of a key."""
    return digests(b"what")(b"%d" % number)


class BucketTests(SynchronousTestCase):
    """`limit_req`'s part."""

    def test_keys_are_apart(self) -> None:
        """Each key has its own bucket, and the same key of another line too."""
        counts = Counts()
        for number in range(500):
            self.assertEqual(0, counts.pour([(key(number), ONE)], 0)[0])
        for number in range(500):
            self.assertEqual(REFUSED, counts.pour([(key(number), ONE)], 1)[0])
        self.assertEqual(0, counts.pour([(digests(b"other")(b"1"), ONE)], 2)[0])

    def test_several_at_once(self) -> None:
        """One that refuses leaves the others as they were; which one it was is told."""
        counts = Counts()
        once, often = (key(1), ONE), (key(2), Leak(1000, 2000, None))
        self.assertEqual((0, 0), counts.pour([often, once], 0))
        for _ in range(5):
            self.assertEqual((REFUSED, 1), counts.pour([often, once], 1))
        self.assertEqual([0, 0, REFUSED], [counts.pour([often], 1)[0] for _ in range(3)])

    def test_flood_of_keys(self) -> None:
        """Ever new keys take no more room, and those that are over their limit stay."""
        counts = Counts()
        size = len(counts._memory)
        counts.pour([(key(-1), Leak(1, 1000))], 0)
        counts.pour([(key(-1), Leak(1, 1000))], 0)
        quick = Leak(1_000_000)
        first = key(-1)[:4]
        for number in range(3000):
            # All into the one set: its bucket is the last to be empty, and gives way last.
            counts.pour([(first + b"%012d" % number, quick)], 10 + number)
        self.assertEqual(REFUSED, counts.pour([(key(-1), Leak(1, 1000))], 4000)[0])
        for number in range(3000):
            counts.pour([(first + b"%012d" % number, ONE)], 5000)
        self.assertEqual(size, len(counts._memory))


class UnderWayTests(SynchronousTestCase):
    """`limit_conn`'s part."""

    def test_enter_and_leave(self) -> None:
        """As many as may be, and one more when one leaves; never below none."""
        counts = Counts()
        first, second, third = [counts.enter(key(1), 2) for _ in range(3)]
        self.assertEqual((True, 0), (0 < first == second, third))
        other = counts.enter(key(2), 2)
        self.assertNotIn(other, (0, first))
        counts.leave(first)
        self.assertEqual([first, 0], [counts.enter(key(1), 2) for _ in range(2)])
        for _ in range(4):
            counts.leave(first)
        self.assertEqual((0, 1), (counts.under_way(key(1)), counts.under_way(key(2))))

    def test_no_room(self) -> None:
        """Nobody who is counted is forgotten: a key without a place is refused, until there is."""
        counts = Counts()
        keys = [b"same" + b"%012d" % number for number in range(9)]
        places = [counts.enter(each, 5) for each in keys]
        self.assertEqual((9, 0), (len(set(places)), places[8]))
        self.assertEqual(places, [counts.enter(each, 5) for each in keys])
        counts.leave(places[3])
        self.assertFalse(counts.enter(keys[8], 5))
        counts.leave(places[3])
        self.assertEqual(places[3], counts.enter(keys[8], 5))
        self.assertEqual([2] * 3 + [0] + [2] * 4 + [1], [counts.under_way(each) for each in keys])


CHILD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("counts", sys.argv[2])  # and not all of the front
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from s3shield.access import Leak
Counts = module.Counts
counts = Counts(int(sys.argv[1]))
key = module.digests(b"what")(b"1")
allowed, entered = 0, []
print("ready", flush=True)
for line in sys.stdin:
    if line == "run\\n":
        for _ in range(2000):
            allowed += counts.pour([(key, Leak(1, 700_000, None))], 0)[0] == 0
            entered.append(counts.enter(key, 900))
        entered = [each for each in entered if each]
        print(allowed, len(entered), flush=True)
    elif line == "leave\\n":
        for place in entered:
            counts.leave(place)
        print("left", flush=True)
"""


class ProcessTests(SynchronousTestCase):
    """Several processes and one memory."""

    def setUp(self) -> None:
        """The parent's memory."""
        self.memory = shared_memory()
        self.addCleanup(self.memory.close)
        self.children: list[Any] = []

    def child(self) -> Any:
        """Start a process that counts."""
        environment = dict(os.environ, PYTHONPATH=str(Path(module.__file__).parents[2]))
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(self.memory.fileno()), module.__file__],
            env=environment,
            pass_fds=[self.memory.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(self.end, child)
        return child

    def end(self, child: Any) -> None:
        """Kill it, and leave no pipe."""
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()

    def say(self, child: Any, word: str) -> None:
        """Tell it what to do."""
        child.stdin.write(f"{word}\n")
        child.stdin.flush()

    def hear(self, child: Any) -> list[str]:
        """Return what it has to say."""
        return child.stdout.readline().split()

    def test_exact(self) -> None:
        """At the same time, and yet together no more and no less than is let in.

        What a process that was killed had counted goes when the next takes its place.
        """
        first, second = self.child(), self.child()
        self.assertEqual([["ready"]] * 2, [self.hear(each) for each in (first, second)])
        for each in (first, second):
            self.say(each, "run")
        found = [[int(word) for word in self.hear(each)] for each in (first, second)]
        self.assertEqual(701, sum(allowed for allowed, _ in found))
        self.assertEqual(900, sum(entered for _, entered in found))
        ours = Counts(self.memory.fileno())
        self.assertEqual(900, ours.under_way(key(1)))
        self.assertFalse(ours.enter(key(1), 900))
        # One of them may have been too quick for the other to get any.
        stays, leaves = sorted(zip([entered for _, entered in found], (0, 1), strict=True))
        second, first = ((first, second)[number] for _, number in (stays, leaves))
        self.say(first, "leave")
        self.assertEqual(["left"], self.hear(first))
        self.assertEqual(stays[0], ours.under_way(key(1)))
        self.assertTrue(ours.enter(key(1), 900))
        self.end(second)
        third = self.child()
        self.assertEqual(["ready"], self.hear(third))
        self.assertEqual(1, ours.under_way(key(1)))

    def test_two_configurations_of_one_process(self) -> None:
        """A reload does not take away what the old one's requests count."""
        old = Counts(self.memory.fileno())
        place = old.enter(key(1), 2)
        new = Counts(self.memory.fileno())
        self.assertEqual([place, 0], [new.enter(key(1), 2) for _ in range(2)])
        old.leave(place)
        self.assertEqual(1, new.under_way(key(1)))

    def test_too_many(self) -> None:
        """More processes than columns are told so."""
        Counts(self.memory.fileno())
        pids = os.getppid().to_bytes(8, "little") * COLUMNS
        os.pwrite(self.memory.fileno(), pids, 0)
        with self.assertRaises(OSError) as caught:
            Counts(self.memory.fileno())
        self.assertIn("128 processes", str(caught.exception))
