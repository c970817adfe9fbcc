"""Every reader gets exactly its bytes or is cut, whatever comes in between; memory is bounded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange import fill as fill_module
from s3shield.exchange import reading
from s3shield.exchange.fill import Fill
from s3shield.exchange.reading import Reader, SourceState, StoredSource

from .body import BODY, Client, Tap, Writer

WINDOW, BACKLOG, CHUNK, INLINE = 2000, 5000, 700, 1500
MOST = 900
"""Bytes of the largest piece that the origin sends."""


class Story:
    """One fill, its readers, and what happens to them."""

    def __init__(self, *, kept: bool, keep_filling: bool, length: int | None) -> None:
        self.tap = Tap()
        self.writer: Writer | None = None
        self.keep_filling = keep_filling
        self.kept = kept
        self.length = length
        self.over = False
        self.crowded = False
        self.soon: list[Callable[[], None]] = []
        self.readers: list[tuple[Reader, Client, int, int | None]] = []
        self.fill = Fill(
            self.tap,
            length=length,
            inline_limit=INLINE,
            new_body=self.new_body if kept else None,
            abandoned=self.abandoned,
        )

    def new_body(self) -> Any:
        assert self.writer is None
        self.writer = Writer()
        return self.writer

    def abandoned(self) -> None:
        """As a flight: go on for the store's sake, or stop."""
        if self.over or (self.fill.keeps and self.keep_filling):
            return
        self.stop()

    def stop(self) -> None:
        self.over = True
        self.fill.keep_no_longer()
        self.fill.fail()

    # What may happen

    def data(self, size: int) -> None:
        if self.over or self.tap.paused:
            return
        start = self.fill.arrived
        limit = len(BODY) if self.length is None else self.length
        piece = BODY[start : min(start + size, limit)]
        if piece:
            self.fill.data(piece)

    def join(self, start: int, size: int | None, full_after: int | None) -> None:
        if self.over or (self.readers and not self.fill.keeps):
            return
        if self.length is None:
            start, end = 0, None
        else:
            start = min(start, self.length - 1)
            end = self.length if size is None else min(start + size, self.length)
        client = Client()
        client.full_after = full_after
        reader = Reader(
            self.fill,
            client,
            start,
            end,
            self.soon.append,
            client.done,
            over=lambda: self.crowded,
        )
        client.producer = reader
        if full_after == 0:
            reader.pauseProducing()  # it was full before this answer
        self.readers.append((reader, client, start, end))
        self.fill.join(reader)

    def one(self, number: int) -> tuple[Reader, Client] | None:
        if not self.readers:
            return None
        reader, client, _, _ = self.readers[number % len(self.readers)]
        return None if client.ended or reader.finished else (reader, client)

    def pause(self, number: int) -> None:
        if (one := self.one(number)) is not None:
            one[0].pauseProducing()

    def resume(self, number: int) -> None:
        if (one := self.one(number)) is not None:
            one[0].resumeProducing()

    def leave(self, number: int) -> None:
        if (one := self.one(number)) is not None:
            one[1].ended = "left"
            one[0].stopProducing()

    def crowd(self) -> None:
        """Readers have had the loop for long enough, until the next turn."""
        self.crowded = True

    def turn(self) -> None:
        self.crowded = False
        soon, self.soon[:] = list(self.soon), []
        for each in soon:
            each()

    def progress(self) -> None:
        if self.writer is not None:
            self.writer.progress()

    def refuse(self) -> None:
        if self.writer is not None:
            self.writer.fail()

    def cool(self, cold: bool) -> None:  # one event of many
        if self.writer is not None:
            self.writer.file.cold = cold

    def disk(self) -> None:
        if self.writer is not None and self.writer.file.reads:
            reading_, data = self.writer.file.reads.pop(0)
            reading_.callback(data)

    def too_large(self) -> None:
        self.fill.keep_no_longer()

    # What must hold

    def check(self) -> None:
        for reader, client, start, end in self.readers:
            assert client.got == BODY[start : start + len(client.got)], "other bytes"
            assert end is None or start + len(client.got) <= end, "too many bytes"
            assert len(client.logged) <= 1
            assert bool(client.ended) == reader.finished
        held = sum(len(chunk) for _, chunk in self.fill._window)
        assert held == self.fill._kept or not self.readers
        if not self.kept:
            assert held <= WINDOW + MOST, held
        else:
            assert held <= max(INLINE, BACKLOG) + MOST, held

    def quiet(self) -> None:
        """Let everybody do what they can, until nothing moves."""
        for _ in range(2000):
            before = self.state()
            for number in range(len(self.readers)):
                self.resume(number)
            self.turn()
            self.progress()
            self.disk()
            self.check()
            reads = self.writer is not None and self.writer.file.reads
            if self.state() == before and not self.soon and not reads:
                return
        raise AssertionError("it never comes to rest")

    def state(self) -> Any:
        return (
            [(len(c.got), c.ended) for _, c, _, _ in self.readers],
            self.writer and (self.writer.written, self.writer.backlog, len(self.writer.file.reads)),
        )


numbers = st.integers(0, 3)
events = st.one_of(
    st.tuples(st.just("data"), st.integers(1, MOST)),
    st.tuples(st.just("data"), st.just(MOST)),
    st.tuples(
        st.just("join"),
        st.integers(0, 9000),
        st.one_of(st.none(), st.integers(1, 6000)),
        st.one_of(st.none(), st.integers(0, 6000)),
    ),
    st.tuples(st.just("pause"), numbers),
    st.tuples(st.just("resume"), numbers),
    st.tuples(st.just("leave"), numbers),
    st.tuples(st.just("turn")),
    st.tuples(st.just("crowd")),
    st.tuples(st.just("progress")),
    st.tuples(st.just("disk")),
    st.tuples(st.just("cool"), st.booleans()),
)
rare = st.one_of(
    events, events, events, st.tuples(st.just("refuse")), st.tuples(st.just("too_large"))
)


class FillTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(fill_module, "WINDOW", WINDOW)
        self.patch(fill_module, "BACKLOG", BACKLOG)
        self.patch(reading, "CHUNK", CHUNK)
        self.patch(reading, "TURN", 3 * CHUNK)

    @settings(deadline=None, max_examples=200)
    @given(
        kept=st.booleans(),
        keep_filling=st.booleans(),
        length=st.one_of(st.none(), st.integers(1, 20_000)),
        first=st.one_of(st.none(), st.just(0), st.integers(1, 6000)),
        story=st.lists(rare, min_size=15, max_size=60),
        broken=st.booleans(),
    )
    def test_whatever_happens(self, kept, keep_filling, length, first, story, broken) -> None:
        """At the end each reader has its bytes and was told the end, or was cut or has left."""
        told = Story(kept=kept, keep_filling=keep_filling, length=length)
        told.join(0, None, first)
        told.check()
        for name, *arguments in story:
            getattr(told, name)(*arguments)
            told.check()
        cut_short = broken and not told.over
        if cut_short:
            told.stop()
        while not told.over:
            told.quiet()
            assert not told.tap.paused, "nobody waits and the origin stands still"
            limit = 20_000 if length is None else length
            if told.fill.arrived >= limit:
                break
            told.data(MOST)
            told.check()
        if not told.over:
            told.over = True
            told.quiet()
            told.fill.end()
        told.quiet()
        for reader, client, start, end in told.readers:
            self.assertTrue(reader.finished)
            self.assertEqual(1, len(client.logged))
            if client.ended == "finished":
                stop = told.fill.arrived if end is None else end
                self.assertEqual(BODY[start:stop], bytes(client.got))
                self.assertEqual((stop - start, True), client.logged[0])
            else:
                self.assertEqual((len(client.got), False), client.logged[0])
            if client.ended == "cut":
                self.assertTrue(cut_short)
                self.assertEqual(max(start, told.fill.received), start + len(client.got))
        self.assertEqual([], told.fill.readers)
        if told.writer is not None:
            self.assertEqual(0, told.writer.file.held)

    def fill(self, *, kept: bool, length: int | None = 50_000) -> Story:
        """Return a story with one reader that does not read."""
        told = Story(kept=kept, keep_filling=True, length=length)
        told.join(0, None, 1)
        return told

    def test_a_body_that_is_not_stored_waits_for_its_reader(self) -> None:
        """About WINDOW bytes are held, then the origin stands still."""
        told = self.fill(kept=False)
        for _ in range(30):
            told.data(MOST)
        self.assertTrue(told.tap.paused)
        self.assertLess(told.fill.arrived, WINDOW + 3 * MOST)
        told.quiet()
        self.assertFalse(told.tap.paused)
        self.assertEqual(told.fill.arrived, len(told.readers[0][1].got))

    def test_a_stored_body_waits_for_its_disk_alone(self) -> None:
        """A reader that takes nothing holds nothing back; a disk that does, does."""
        told = self.fill(kept=True)
        for _ in range(30):
            told.data(MOST)
        self.assertTrue(told.tap.paused)
        self.assertLessEqual(told.writer.backlog, BACKLOG + MOST)
        told.progress()
        told.progress()
        self.assertFalse(told.tap.paused)
        self.assertEqual(1, len(told.readers[0][0:1]))
        self.assertEqual(MOST, len(told.readers[0][1].got))

    def test_the_last_bytes_wait_for_the_index(self) -> None:
        """A body in a file is not whole for its readers before `end`."""
        told = Story(kept=True, keep_filling=True, length=3000)
        told.join(0, None, None)
        for _ in range(4):
            told.data(MOST)
        told.quiet()
        client = told.readers[0][1]
        self.assertEqual(("", 2700), (client.ended, len(client.got)))
        told.fill.end()
        self.assertEqual("finished", client.ended)

    def test_refused_in_the_middle_of_the_first_write(self) -> None:
        """What a lagging reader lacks is in memory while no file can be read."""
        told = Story(kept=True, keep_filling=True, length=50_000)
        told.join(0, None, 0)
        for _ in range(2):
            told.data(MOST)
        told.too_large()
        told.progress()  # the disk was at it, and is done only now
        told.data(MOST)
        told.quiet()
        client = told.readers[0][1]
        self.assertEqual(("", told.fill.arrived), (client.ended, len(client.got)))

    def test_refused_behind_a_reader(self) -> None:
        """What is in the file alone can be read on after its name has gone."""
        told = self.fill(kept=True)
        for _ in range(4):
            told.data(MOST)
        told.progress()
        told.progress()
        told.too_large()
        told.quiet()
        client = told.readers[0][1]
        self.assertEqual(("", told.fill.arrived), (client.ended, len(client.got)))

    def test_in_memory(self) -> None:
        """A short body never sees a file, and is there as a whole."""
        told = Story(kept=True, keep_filling=True, length=1000)
        told.data(600)
        told.data(600)
        self.assertEqual(BODY[:1000], told.fill.in_memory)
        self.assertIsNone(told.writer)

    def test_read_that_fails(self) -> None:
        """A file that cannot be read, or is shorter than it was: cut, once."""
        for outcome in (b"", OSError("bad sector")):
            told = self.fill(kept=True)
            for _ in range(5):
                told.data(MOST)
            told.progress()
            told.progress()
            told.cool(cold=True)
            told.resume(0)
            told.turn()
            waiting, _ = told.writer.file.reads.pop()
            if outcome:
                waiting.errback(outcome)
            else:
                waiting.callback(b"")
            client = told.readers[0][1]
            self.assertEqual(("cut", 1), (client.ended, len(client.logged)))


class StoredTests(SynchronousTestCase):
    def read(self, start: int, end: int, *, cold: bool) -> tuple[Client, Writer]:
        """Read a stored body; return client and file."""
        writer = Writer()
        writer.write(BODY)
        writer.progress()
        file = writer.reader()
        assert file is not None
        file.cold = cold
        soon: list[Callable[[], None]] = []
        client = Client()
        reader = Reader(StoredSource(file, len(BODY)), client, start, end, soon.append, client.done)
        client.producer = reader
        reader.advance()
        while soon or file.reads:
            if soon:
                soon.pop(0)()
            else:
                waiting, data = file.reads.pop()
                waiting.callback(data)
        return client, writer

    def test_ranges(self) -> None:
        """From the page cache and from the disk: exactly the range, then the file is closed."""
        self.patch(reading, "CHUNK", 7000)
        self.patch(reading, "TURN", 20_000)
        for cold in (False, True):
            for start, end in ((0, len(BODY)), (5, 6), (100, 90_000), (len(BODY) - 1, len(BODY))):
                client, writer = self.read(start, end, cold=cold)
                self.assertEqual(BODY[start:end], bytes(client.got))
                self.assertEqual(("finished", [(end - start, True)]), (client.ended, client.logged))
                self.assertEqual(0, writer.file.held)

    def test_a_reader_yields(self) -> None:
        """After TURN bytes other connections have their turn."""
        self.patch(reading, "CHUNK", 1000)
        self.patch(reading, "TURN", 3000)
        writer = Writer()
        writer.write(BODY)
        writer.progress()
        soon: list[Callable[[], None]] = []
        client = Client()
        Reader(
            StoredSource(writer.reader(), len(BODY)), client, 0, None, soon.append, client.done
        ).advance()
        self.assertEqual((3000, 1), (len(client.got), len(soon)))

    def test_a_turn_is_over(self) -> None:
        """A reader whose turn is over when it begins, or between two pieces, goes on later."""
        self.patch(reading, "CHUNK", 1000)
        for answers in ([True], [False, True]):
            writer = Writer()
            writer.write(BODY)
            writer.progress()
            soon: list[Callable[[], None]] = []
            client, left = Client(), iter(answers)
            source = StoredSource(writer.reader(), len(BODY))
            over = partial(next, left, False)
            reader = Reader(source, client, 0, None, soon.append, client.done, over=over)
            reader.advance()
            self.assertEqual(((len(answers) - 1) * 1000, 1), (len(client.got), len(soon)))
            while soon:
                soon.pop()()
            self.assertEqual(("finished", BODY), (client.ended, bytes(client.got)))

    def test_left_before_it_begins(self) -> None:
        """A client that was gone already: the file is closed, nothing is written."""
        writer = Writer()
        writer.write(BODY)
        writer.progress()
        client = Client()
        source = StoredSource(writer.reader(), len(BODY))
        reader = Reader(source, client, 0, None, lambda _: None, client.done)
        reader.stopProducing()
        reader.advance()
        reader.cut()
        self.assertEqual(([(0, False)], b"", 0), (client.logged, client.got, writer.file.held))
        self.assertIs(SourceState.COMPLETE, source.state)
