"""`front.passing`: downstreams before downstreams."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from s3shield.front.passing import Ending, Passing
from s3shield.wire import Downstream

from .recording import Recording, Source


class Told(Ending):
    """An `Ending` that counts. ends: how often it was told."""

    __slots__ = ("ends",)

    def __init__(self, inner: Downstream) -> None:
        super().__init__(inner)
        self.ends = 0
        self.watch()

    def ended(self) -> None:
        """Count."""
        self.ends += 1


class PassingTests(SynchronousTestCase):
    """What is handed on."""

    def test_every_call(self) -> None:
        """Each call reaches the inner one, with what it was given, and nothing more does."""
        inner = Recording()
        outer: Downstream = Passing(inner)
        source = Source()
        outer.inform(b"100")
        outer.start(b"head", 5, source)
        outer.write(b"hello")
        outer.finish()
        outer.abort()
        outer.reply(b"head", b"x")
        self.assertEqual(
            [
                ("inform", b"100"),
                ("start", b"head", 5),
                ("write", b"hello"),
                ("finish",),
                ("abort",),
                ("reply", b"head", b"x"),
            ],
            inner.said,
        )
        self.assertIs(source, inner.producer)
        outer.on_gone(source.stopProducing)
        inner.leave()
        self.assertEqual(2, source.stopped)


class EndingTests(SynchronousTestCase):
    """Every ending is told, once."""

    def test_each_ending(self) -> None:
        """A reply, a finish, an abort and a client that leaves, before and in the answer."""

        def started(inner: Recording, outer: Told) -> None:
            outer.start(b"head", None, Source())

        def left(inner: Recording, outer: Told) -> None:
            inner.leave()

        ends: list[list[Callable[[Recording, Told], None]]] = [
            [lambda _, outer: outer.reply(b"head", b"")],
            [started, lambda _, outer: outer.finish()],
            [started, lambda _, outer: outer.abort()],
            [lambda _, outer: outer.abort()],
            [left],
            [started, left],
        ]
        for number, steps in enumerate(ends):
            inner = Recording()
            outer = Told(inner)
            for step in steps[:-1]:
                step(inner, outer)
            self.assertEqual(0, outer.ends, number)
            steps[-1](inner, outer)
            self.assertEqual(1, outer.ends, number)
            outer.finish()
            outer.abort()
            outer.reply(b"", b"")
            self.assertEqual(1, outer.ends, number)

    def test_client_that_had_gone(self) -> None:
        """Who comes too late to watch is told at once."""
        inner = Recording(lost=True)
        self.assertEqual(1, Told(inner).ends)

    def test_both_hear_of_the_leaving(self) -> None:
        """What is further in is told too, also when it asks afterwards; not after an end."""
        heard: list[str] = []
        inner = Recording()
        outer = Told(inner)
        outer.on_gone(lambda: heard.append("first"))
        outer.on_gone(lambda: heard.append("second"))  # a downstream tells but one
        inner.leave()
        outer.on_gone(lambda: heard.append("late"))
        self.assertEqual((["second", "late"], 1), (heard, outer.ends))
        ended = Told(other := Recording())
        ended.reply(b"head", b"")
        ended.on_gone(lambda: heard.append("never"))
        other.leave()
        self.assertEqual(["second", "late"], heard)
