"""Any sequence of operations: the store is a dictionary that survives restarts."""

import shutil
import tempfile
import threading
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from s3shield.store import Limits, Store

from .support import HEAD, Loop, Threads, digest_of, meta

keys = st.sampled_from([b"a", b"ab", b"b" * 600, b"b" * 599 + b"c", b"\0\xff", b""])
bodies = st.binary(max_size=300)
tags = st.lists(st.sampled_from([b"t", b"u", b"v" * 500]), max_size=3)
times = st.floats(0, 1e9)


class Model(RuleBasedStateMachine):
    """`wanted`: key -> (body, fresh_until, tags, whether it has a file)."""

    def __init__(self):
        super().__init__()
        self.path = Path(tempfile.mkdtemp())
        self.wanted = {}
        self.used = {}
        self.now = 6_000_000.0
        self.troubles = []
        self.store = None

    @initialize(shared=st.booleans())
    def open(self, shared):
        self.store = Store(
            self.path / "cache",
            reactor=Loop(),
            pool=Threads(),
            clock=lambda: self.now,
            shared=shared,
            on_trouble=self.troubles.append,
            map_size=1 << 20,
        )

    def teardown(self):
        if self.store is not None:
            self.store.close()
        shutil.rmtree(self.path)

    @rule(key=keys, body=bodies, fresh=times, tags=tags)
    def put(self, key, body, fresh, tags):
        found = self.store.put(digest_of(key), key, meta(fresh_until=fresh), HEAD, body, tags)
        assert found.body == body
        self.wanted[key] = (body, fresh, tags, False)
        self.used[key] = self.now

    @rule(key=keys, body=bodies, fresh=times, tags=tags, finished=st.booleans())
    def put_file(self, key, body, fresh, tags, finished):
        writer = self.store.create_body(digest_of(key), len(body))
        writer.write(body)
        if not finished:
            writer.abort()
            return
        writer.commit(key, meta(fresh_until=fresh), HEAD, tags=tags)
        self.wanted[key] = (body, fresh, tags, True)
        self.used[key] = self.now

    @rule(key=keys)
    def remove(self, key):
        self.store.remove(digest_of(key))
        self.wanted.pop(key, None)

    @rule(key=keys, fresh=times)
    def freshen(self, key, fresh):
        entry = self.store.get(digest_of(key), key)
        if entry is not None:
            assert self.store.freshen(entry, meta(fresh_until=fresh), HEAD + b"X: y\r\n")
            body, _, tags, in_file = self.wanted[key]
            self.wanted[key] = (body, fresh, tags, in_file)
            self.used[key] = self.now

    @rule(key=keys, minutes=st.integers(0, 100))
    def use(self, key, minutes):
        self.now += 60 * minutes
        self.store.touch(digest_of(key))
        if key in self.used:
            self.used[key] = self.now

    @rule()
    def flush(self):
        self.store.flush()
        assert self.store.stats().pending == 0
        assert self.store.stats().entries == len(self.wanted)

    @rule(shared=st.booleans())
    def reopen(self, shared):
        self.store.close()
        self.open(shared)

    @rule(minutes=st.integers(1, 100))
    def expire(self, minutes):
        """Touches are committed with the next group, so one is made."""
        self.sweep(Limits(inactive=60 * minutes))
        before = int(self.now - 60 * minutes) // 60
        self.wanted = {
            key: value for key, value in self.wanted.items() if self.used[key] // 60 >= before
        }

    @precondition(lambda self: self.wanted)
    @rule(part=st.floats(0.1, 0.9))
    def evict(self, part):
        self.store.flush()
        limit = int(self.store.stats().size * part)
        self.sweep(Limits(max_size=limit))
        assert self.store.stats().size <= limit
        left = {key for key in self.wanted if self.store.get(digest_of(key), key)}
        gone = set(self.wanted) - left
        assert gone
        if left:
            assert max(self.used[key] // 60 for key in gone) <= min(
                self.used[key] // 60 for key in left
            )
        self.wanted = {key: self.wanted[key] for key in left}

    def sweep(self, limits):
        self.store.put(digest_of(b"flusher"), b"flusher", meta(), HEAD, b"")
        self.store.remove(digest_of(b"flusher"))
        self.store.flush()
        over = threading.Event()
        self.store.keep_within(limits).addCallback(lambda _: over.set())
        assert over.wait(30)

    @invariant()
    def same(self):
        if self.store is None:
            return
        assert self.troubles == []
        for key in (b"a", b"ab", b"b" * 600, b"b" * 599 + b"c", b"\0\xff", b""):
            entry = self.store.get(digest_of(key), key)
            wanted = self.wanted.get(key)
            if wanted is None:
                assert entry is None
                continue
            body, fresh, tags, in_file = wanted
            assert (entry.fresh_until, entry.tags) == (fresh, tuple(tags))
            assert (entry.blob is not None) == in_file
            assert self.body_of(entry) == body

    def body_of(self, entry):
        if entry.body is not None:
            return entry.body
        found = []
        self.store.open_body_later(entry).addCallback(found.append)
        file = found[0]
        try:
            return bytes(file.read_now(0, entry.size) or b"")
        finally:
            file.close()


class ModelTests(SynchronousTestCase):
    def test_any_sequence(self):
        """Whatever is done in whatever order, the store holds what a dictionary would."""
        run_state_machine_as_test(
            Model,
            settings=settings(
                max_examples=40,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
