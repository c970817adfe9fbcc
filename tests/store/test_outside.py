"""A cache seen from outside: what is in it, and who has it."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from s3shield.store import Browsing, Selector, StoreError, Tenant, TenantError, tenant_of

from .support import StoreTests


class BrowsingTests(StoreTests, SynchronousTestCase):
    """`Browsing`."""

    def keys(self, kind, text=b""):
        """Return the keys that are found."""
        browsing = Browsing(self.path)
        self.addCleanup(browsing.close)
        found = [entry.key for entry in browsing.entries(Selector(kind, text))]
        browsing.close()
        return found

    def test_entries(self):
        """Entries are found by key, prefix and tag, in the order of their keys."""
        self.patch(__import__("s3shield.store.browsing", fromlist=["_"]), "_BATCH", 2)
        store = self.make_store()
        for key in (b"b|/2|", b"b|/1|", b"b|/1|\0gzip", b"a|/1|", b"c|/1|"):
            self.put(store, key, tags=[b"red"] if key.startswith(b"b") else [])
        store.close()
        every = [b"a|/1|", b"b|/1|\0gzip", b"b|/1|", b"b|/2|", b"c|/1|"]
        self.assertEqual(every, sorted(self.keys("all"), key=every.index))
        self.assertEqual({*every[1:3]}, set(self.keys("key", b"b|/1|")))
        self.assertEqual([b"b|/2|"], self.keys("prefix", b"b|/2"))
        self.assertEqual({*every[1:4]}, set(self.keys("tag", b"red")))

    def test_uncommitted(self):
        """What processes that were killed have not committed is seen as they left it."""
        store = self.make_store(shared=True)
        self.put(store, b"a")
        self.put(store, b"b")
        store.flush()
        self.patch(store._committing, "commit", lambda *_: None)
        self.put(store, b"c")
        store.remove(self.get(store, b"a").digest)
        records = dict(store._place.recent.records())
        self.assertEqual(2, len(records))
        store.close()
        self.assertEqual({b"b", b"c"}, set(self.keys("all")))

    def test_none(self):
        """Where there is no cache nothing is made."""
        path = Path(self.mktemp())
        self.assertRaises(StoreError, Browsing, path)
        self.assertFalse(path.exists())


class TenantTests(SynchronousTestCase):
    """`Tenant`."""

    def setUp(self):
        """Make a directory."""
        self.path = Path(self.mktemp())
        self.path.mkdir()

    def test_one(self):
        """The second is told whose it is; when the first has left it can have it."""
        self.assertIsNone(tenant_of(self.path))
        first = Tenant(self.path, "/etc/a.ini", (os.getuid(), -1))
        self.assertEqual("/etc/a.ini", tenant_of(self.path))
        with self.assertRaises(TenantError) as refused:
            Tenant(self.path, "/etc/b.ini")
        self.assertIn("another daemon (that of /etc/a.ini): stop that one", str(refused.exception))
        first.leave()
        self.assertIsNone(tenant_of(self.path))
        second = Tenant(self.path, "/b")
        self.assertEqual("/b", tenant_of(self.path))
        second.leave()

    def test_no_directory(self):
        """A directory that is not there cannot be had."""
        self.assertRaises(StoreError, Tenant, self.path / "none", "")
