"""What the store's tests share: entries to store, and threads that tests can hold back."""

import hashlib
import threading
from pathlib import Path

from twisted.python.failure import Failure

from s3shield.policy import EntryMeta
from s3shield.store import Store

HEAD = b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nETag: "abc"\r\nContent-Length: 5\r\n'


def meta(**changes):
    """An EntryMeta with an ETag that stands in HEAD."""
    fields = {
        "status": 200,
        "born": 1000.5,
        "response_time": 1001.0,
        "fresh_until": 2000.0,
        "etag": b'"abc"',
        "last_modified": 900,
    }
    return EntryMeta(**{**fields, **changes})


def digest_of(key):
    """16 bytes that stand for a key."""
    return hashlib.sha256(key).digest()[:16]


class Threads:
    """A pool whose work is done at once, or when the test says so.

    held: keep what comes in until `run`.
    """

    def __init__(self):
        self.held = False
        self.waiting = []

    def callInThreadWithCallback(self, on_result, function, *args, **kwargs):
        """As ThreadPool's."""

        def work():
            try:
                result = function(*args, **kwargs)
            except BaseException:
                on_result(False, Failure())
            else:
                on_result(True, result)

        if self.held:
            self.waiting.append(work)
        else:
            work()

    def run(self):
        """Do what waits, and what that asks for."""
        while self.waiting:
            self.waiting.pop(0)()


class Loop:
    """IReactorFromThreads for tests without a reactor: calls at once."""

    def __init__(self):
        self.later = []

    def callFromThread(self, function, *args, **kwargs):
        """Call now, in whichever thread."""
        function(*args, **kwargs)

    def callLater(self, _seconds, function):
        """Keep it in `later`: the test calls it, or not."""
        self.later.append(later := Later(function))
        return later


class Later:
    """A delayed call."""

    def __init__(self, function):
        self.function = function
        self.cancelled = False

    def cancel(self):
        """See that it is not called."""
        self.cancelled = True


class StoreTests:
    """Mixed into a TestCase: makes stores that are closed at the end."""

    now = 1_000_000.0

    def make_store(self, path=None, **options):
        """Open a store in a directory of its own, or at `path`."""
        self.threads = options.pop("pool", None) or Threads()
        self.troubles = []
        self.loop = Loop()
        self.path = Path(path or self.mktemp()).absolute()
        store = self.store = Store(
            self.path,
            reactor=self.loop,
            pool=self.threads,
            clock=lambda: self.now,
            on_trouble=self.troubles.append,
            **options,
        )
        self.addCleanup(store.close)
        self.watch_sweeps(store)
        return store

    def put(self, store, key, body=b"hello", tags=(), **changes):
        """Store an inline entry under `key`."""
        return store.put(digest_of(key), key, meta(**changes), HEAD, body, tags)

    def put_file(self, store, key, body=b"hello", tags=(), **changes):
        """Store an entry with a body file under `key`."""
        writer = store.create_body(digest_of(key))
        writer.write(body)
        return self.successResultOf(writer.commit(key, meta(**changes), HEAD, tags=tags))

    def get(self, store, key):
        """Look `key` up."""
        return store.get(digest_of(key), key)

    def watch_sweeps(self, store):
        """Take note of the sweeps that are begun."""
        self.sweeps = []
        keep_within = store.keep_within

        def watched(limits):
            over = threading.Event()
            self.sweeps.append(over)
            return keep_within(limits).addBoth(lambda result: (over.set(), result)[1])

        store.keep_within = watched

    def wait_for_sweeps(self, store):
        """Wait until the committing thread is done with every sweep, and with their ends."""
        for over in self.sweeps:
            self.assertTrue(over.wait(60))
        self.wait_for_jobs(store)

    def wait_for_jobs(self, store):
        """Wait until the committing thread has done what it was asked to: making room, too."""
        over = threading.Event()
        store._commits.run(over.set)
        self.assertTrue(over.wait(60))

    def body_of(self, store, entry):
        """The whole body, wherever it is; None when the file is gone."""
        if entry.body is not None:
            return entry.body
        file = store.open_body(entry) or self.successResultOf(store.open_body_later(entry))
        if file is None:
            return None
        try:
            return bytes(file.read_now(0, file.size) or self.successResultOf(file.read(0, 1 << 30)))
        finally:
            file.close()

    def files(self, folder):
        """Names of the files below `path`/folder."""
        return sorted(found.name for found in (self.path / folder).rglob("*") if found.is_file())
