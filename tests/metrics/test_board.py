"""The memory of all processes' numbers."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from s3shield.metrics import Board, VersionError
from s3shield.ops.surroundings import shared_memory

KEY = ("s3shield_worker_restarts_total",)
OTHER = ("s3shield_reloads_total", 'do"ne\n<b>')
LOCKED = """
import fcntl, sys
fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX, 1)
print("held", flush=True)
sys.stdin.read()
"""


class BoardTests(SynchronousTestCase):
    """`Board`."""

    def setUp(self) -> None:
        """The parent's memory."""
        self.file = shared_memory()
        self.addCleanup(self.file.close)

    def board(self) -> Board:
        """Return it as one more process has it."""
        return Board(self.file.fileno())

    def test_totals(self) -> None:
        """What each adds is one sum, also to series that another one has begun."""
        one, other = self.board(), self.board()
        self.assertTrue(one.add({KEY: [1], OTHER: [0.5, 2]}))
        self.assertTrue(other.add({KEY: [2], OTHER: [0.25, 1]}))
        self.assertTrue(one.add({KEY: [4], OTHER: [1]}))  # another number of numbers
        for board in (one, other, self.board()):
            self.assertEqual({KEY: (7.0,), OTHER: (0.75, 3.0)}, board.totals())

    def test_full(self) -> None:
        """Series for which there is no room are counted; those that are there go on."""
        board = self.board()
        board.add({KEY: [1]})
        board.add({("a", str(number), "x" * 4000): [1] for number in range(3000)})
        self.assertGreater(board.lost, 0)
        board.add({KEY: [1]})
        self.assertEqual((2.0,), board.totals()[KEY])

    def test_seats(self) -> None:
        """What a process tells is there while it lives; its seat is the next one's."""
        board = self.board()
        self.assertEqual(0, board.sit())
        self.assertEqual([], board.seats())
        self.assertTrue(board.tell(b"{}", 5.0))
        (seat,) = self.board().seats()
        self.assertEqual(
            (0, os.getpid(), 5.0, b"{}"), (seat.number, seat.pid, seat.written, seat.text)
        )
        self.assertFalse(board.tell(b"x" * 300_000, 6.0))
        self.assertEqual([seat], board.seats())
        board.rise()
        self.assertEqual([], board.seats())

    def test_locked(self) -> None:
        """A process that holds the lock and stops does not hold up others."""
        board, fd = self.board(), self.file.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", LOCKED, str(fd)],
            pass_fds=[fd],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.assertEqual(b"held\n", process.stdout.readline())
        self.assertFalse(board.add({KEY: [1]}))
        self.assertEqual({}, board.totals())
        process.communicate()
        self.assertTrue(board.add({KEY: [1]}))

    def test_other_version(self) -> None:
        """What another version has laid out is left alone."""
        self.board().add({KEY: [1]})
        self.file.seek(0)
        self.file.write(b"s3shld99")
        self.assertRaises(VersionError, self.board)
