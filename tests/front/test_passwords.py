"""`front.Passwords`: threads that do not drown, memories that do not lie, files that change."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import GRANTED, Refused
from s3shield.front.passwords import BUSY, OF_ONE, QUEUE, THREADS, Passwords
from s3shield.policy import Request

HORSE: Final = "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A="
"""Of "correct horse"."""
OTHER: Final = "{SHA}rgUPW3+404PWITknYIGFO0fnoD4="
"""Of something else."""


def request(
    name: str = "ann", password: str = "correct horse", peer: bytes = b"10.0.0.1"
) -> Request:
    """A request by `name`."""
    token = base64.b64encode(f"{name}:{password}".encode())
    return Request(headers={b"authorization": b"Basic " + token}, peer=peer)


class PasswordsTests(SynchronousTestCase):
    """One file, threads that the test lets run."""

    def setUp(self) -> None:
        """Two users; no thread runs before `work`."""
        self.path = self.mktemp()
        self.write(f"ann:{HORSE}\nbob:{OTHER}\n")
        self.now = 0.0
        self.jobs: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.worked = 0
        self.passwords = Passwords(
            in_thread=self.in_thread, monotonic=lambda: self.now, secret=b"s" * 32
        )
        self.check = self.passwords.check("members", self.path)

    def write(self, text: str) -> None:
        """Write the file as a whole and rename it there."""
        with open(f"{self.path}.new", "w") as file:
            file.write(text)
        os.replace(f"{self.path}.new", self.path)

    def in_thread(self, function: Callable[[], Any]) -> Deferred[Any]:
        """As a pool of threads."""
        done: Deferred[Any] = Deferred()
        self.jobs.append((function, done))
        return done

    def work(self) -> None:
        """Let the threads do all that there is to do."""
        while self.jobs:
            function, done = self.jobs.pop(0)
            self.worked += 1
            try:
                result = function()
            except Exception:
                done.errback(Failure())
            else:
                done.callback(result)

    def ask(self, of: Request) -> Any:
        """Return the verdict, after as much work as it takes."""
        verdict = self.check(of)
        if isinstance(verdict, Deferred):
            self.work()
            return self.successResultOf(verdict)
        return verdict

    def is_challenge(self, verdict: Any) -> bool:
        """Tell whether it is the 401."""
        return isinstance(verdict, Refused) and verdict.status == 401

    def test_right_is_remembered(self) -> None:
        """A right password costs one hash, and then none while it is used."""
        self.assertIs(GRANTED, self.ask(request()))
        for _ in range(10):
            self.now += 200.0
            self.assertIs(GRANTED, self.check(request()))
        self.assertEqual(1, self.worked)
        self.now += 301.0
        self.assertIs(GRANTED, self.ask(request()))
        self.assertEqual(2, self.worked)

    def test_wrong_is_remembered(self) -> None:
        """So does a wrong one, or a wrong name, for a minute, however it is repeated."""
        for name in ("ann", "bob", "nobody"):
            self.worked = 0
            for _ in range(3):
                self.assertTrue(self.is_challenge(self.ask(request(name, "guess"))))
            self.assertEqual(1, self.worked)
        self.now += 61.0
        self.assertIsInstance(self.check(request("ann", "guess")), Deferred)

    def test_nothing_in_the_clear(self) -> None:
        """What is remembered has neither passwords nor what they were sent in."""
        self.ask(request())
        self.ask(request("ann", "guess"))
        file = self.passwords._files[self.path]
        for memory in (file.right, file.wrong):
            (digest,) = memory
            self.assertEqual(16, len(digest))
        shown = repr(file)
        for text in ("horse", "guess", request().headers[b"authorization"].decode()[6:]):
            self.assertNotIn(text, shown)

    def test_no_credential(self) -> None:
        """Without one, or with one that makes no sense, nothing is computed."""
        for headers in ({}, {b"authorization": b"Basic x"}, {b"authorization": b"Bearer x"}):
            self.assertTrue(self.is_challenge(self.check(Request(headers=headers))))
        self.assertEqual([], self.jobs)

    def test_together(self) -> None:
        """Requests with the same credential wait for one hash."""
        waiting = [self.check(request()) for _ in range(6)]
        self.assertEqual(1, len(self.jobs))
        self.work()
        self.assertEqual([GRANTED] * 6, [self.successResultOf(each) for each in waiting])

    def test_changed_file(self) -> None:
        """Another password counts from the next look on; what was remembered is void."""
        self.assertIs(GRANTED, self.ask(request()))
        self.write(f"ann:{OTHER}\n")
        self.now += 1.0
        self.assertTrue(self.is_challenge(self.ask(request())))
        self.write(f"ann:{HORSE}\n")
        self.now += 1.0
        self.assertIs(GRANTED, self.ask(request()))

    def test_removed_user(self) -> None:
        """Who is not in the file any more is out, also with a password that is remembered."""
        self.assertIs(GRANTED, self.ask(request()))
        self.write(f"bob:{OTHER}\n")
        self.now += 1.0
        self.assertTrue(self.is_challenge(self.ask(request())))
        self.write(f"ann:{OTHER}\nbob:{OTHER}\n")
        self.now += 1.0
        self.ask(request("bob", "guess"))  # read by now
        self.assertTrue(self.is_challenge(self.ask(request())))

    def test_changed_under_way(self) -> None:
        """What was computed with an old file is not remembered for the new one, nor waited for."""
        before = self.check(request())
        function, done = self.jobs.pop()
        result = function()  # a thread has read the old file
        self.write(f"ann:{OTHER}\n")
        self.now += 1.0
        after = self.check(request())
        self.work()
        self.assertTrue(self.is_challenge(self.successResultOf(after)))
        done.callback(result)
        self.assertIs(GRANTED, self.successResultOf(before))  # it was right when it was asked
        self.now += 1.0
        self.assertTrue(self.is_challenge(self.ask(request())))
        self.assertTrue(self.is_challenge(self.ask(request())))

    def test_missing_file(self) -> None:
        """Without the file nobody comes in: 403 as nginx; it is told once, and seen when it is there."""
        os.remove(self.path)
        for _ in range(3):
            self.assertEqual(Refused(403), self.ask(request()))
        self.write(f"ann:{HORSE}\n")
        self.now += 1.0
        self.assertIs(GRANTED, self.ask(request()))

    def test_removed_file(self) -> None:
        """Nor with what is remembered of a file that has gone."""
        self.assertIs(GRANTED, self.ask(request()))
        os.remove(self.path)
        self.now += 1.0
        self.assertEqual(Refused(403), self.ask(request()))

    def test_unreadable_file(self) -> None:
        """A file that cannot be read is our failure: 500, and nobody comes in."""
        os.remove(self.path)
        os.mkdir(self.path)
        self.assertEqual(Refused(500), self.ask(request()))

    def test_flood(self) -> None:
        """What waits is bounded: beyond it 503, while those who are in stay in."""
        self.assertIs(GRANTED, self.ask(request()))
        peers = [b"10.1.0.%d" % at for at in range(20)]
        waiting = [
            self.check(request("ann", f"guess {at}", peers[at % 20]))
            for at in range(QUEUE + THREADS + 100)
        ]
        busy = [each for each in waiting if each is BUSY]
        self.assertEqual(100, len(busy))
        self.assertEqual(503, BUSY.status)
        self.assertEqual(THREADS, len(self.jobs))
        self.assertIs(GRANTED, self.check(request()))
        self.work()
        for each in waiting:
            if each is not BUSY:
                self.assertTrue(self.is_challenge(self.successResultOf(each)))
        self.assertTrue(self.is_challenge(self.ask(request("ann", "one more"))))

    def test_flood_of_one(self) -> None:
        """One address has a share of the queue, and others come by."""
        self.assertIs(GRANTED, self.ask(request()))
        waiting = [self.check(request("ann", f"guess {at}", b"10.1.0.1")) for at in range(99)]
        self.assertEqual(99 - OF_ONE, sum(each is BUSY for each in waiting))
        self.assertIsInstance(self.check(request("bob", "guess", b"10.1.0.2")), Deferred)
        self.work()

    def test_gone(self) -> None:
        """What nobody waits for any more is not computed, and makes room."""
        waiting: list[Any] = [
            self.check(request("ann", f"guess {at}", b"10.1.0.%d" % at))
            for at in range(QUEUE + THREADS)
        ]
        for each in waiting:
            each.cancel()
            self.failureResultOf(each)
        self.assertIsInstance(self.check(request()), Deferred)
        self.work()
        self.assertEqual(THREADS + 1, self.worked)
        self.assertEqual({}, dict(self.passwords._peers))

    def test_one_of_two_gone(self) -> None:
        """The other still gets its answer."""
        one, other = self.check(request()), self.check(request())
        assert isinstance(one, Deferred)
        one.cancel()
        self.failureResultOf(one)
        self.work()
        self.assertIs(GRANTED, self.successResultOf(other))

    def test_memory_is_bounded(self) -> None:
        """Ever new passwords leave no more behind than there is room for, and push nobody out."""
        self.ask(request())
        for at in range(1100):
            self.ask(request("ann", f"guess {at}"))
        file = self.passwords._files[self.path]
        self.assertEqual((1, 1024), (len(file.right), len(file.wrong)))
        self.assertIs(GRANTED, self.check(request()))
