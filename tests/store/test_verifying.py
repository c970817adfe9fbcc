"""All that is stored, read and compared: damage is named and removed, nothing else is."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from s3shield.store import StoreError, Verifying
from s3shield.store.owners import Owner, locked

from .support import HEAD, StoreTests, digest_of, meta

LATER = 4_000_000_000.0


class VerifyingTests(StoreTests, SynchronousTestCase):
    """A store with an inline body, a body file of five blocks, and one with gaps."""

    def fill(self):
        """Store the three, and leave."""
        store = self.make_store(block_shift=10)
        self.put(store, b"inline")
        self.body = os.urandom(5000)
        self.file = self.put_file(store, b"file", self.body)
        sparse = store.sparse.create(digest_of(b"gaps"), b"gaps", meta(), HEAD, 5000)
        writer = sparse.writer(1024)
        writer.write(self.body[1024:3072])
        self.successResultOf(writer.finish())
        self.gaps = sparse.entry
        sparse.close()
        store.flush()
        store.close()

    def path_of(self, entry) -> Path:
        """The entry's body file."""
        name = entry.blob.hex()
        (found,) = [each for each in self.path.rglob("*") if each.name.endswith(name)]
        return found

    def damage(self, entry, at):
        """Make one byte of a body file another."""
        with self.path_of(entry).open("r+b") as file:
            file.seek(at)
            byte = file.read(1)
            file.seek(at)
            file.write(bytes((byte[0] ^ 1,)))

    def verify(self, wall=0.0):
        """What there is to say."""
        verifying = Verifying(self.path, wall=lambda: wall)
        report = verifying.run()
        return verifying, {each.key: each.reason for each in report.damaged}

    def test_all_is_well(self):
        """Everything is read, gaps apart; the progress ends where it should."""
        self.fill()
        seen = []
        report = Verifying(self.path, progress=lambda *part: seen.append(part)).run()
        self.assertEqual((3, 2, 7048), (report.entries, report.files, report.size))
        self.assertEqual(([], []), (report.damaged, report.orphans))
        self.assertEqual(seen[-1][0], seen[-1][1])

    def test_damage(self):
        """A changed byte, also among present blocks; not one in a gap; a lost or cut file."""
        self.fill()
        self.damage(self.gaps, 500)
        self.assertEqual({}, self.verify()[1])
        self.damage(self.gaps, 2000)
        self.damage(self.file, 4999)
        self.assertEqual({b"file": "block 4 differs", b"gaps": "block 1 differs"}, self.verify()[1])
        self.damage(self.file, 0)
        self.assertEqual("2 blocks differ", self.verify()[1][b"file"])
        os.truncate(self.path_of(self.file), 4000)
        self.assertIn("another size", self.verify()[1][b"file"])
        self.path_of(self.file).unlink()
        self.assertIn("gone", self.verify()[1][b"file"])

    def test_repair(self):
        """What is damaged goes, entry and file; the rest is found as before."""
        self.fill()
        self.damage(self.file, 1)
        verifying, _ = self.verify()
        path = self.path_of(self.file)
        verifying.repair()
        self.assertFalse(path.exists())
        self.assertEqual({}, self.verify()[1])
        store = self.make_store(self.path, block_shift=10)
        self.assertIsNone(self.get(store, b"file"))
        self.assertEqual(b"hello", self.body_of(store, self.get(store, b"inline")))
        self.assertEqual(self.gaps.blob, self.get(store, b"gaps").blob)
        self.assertEqual([], self.troubles)

    def test_replaced_meanwhile(self):
        """What a daemon has stored anew since is not removed."""
        self.fill()
        self.damage(self.file, 1)
        verifying, _ = self.verify()
        store = self.make_store(self.path, block_shift=10)
        again = self.put_file(store, b"file", self.body)
        store.close()
        verifying.repair()
        store = self.make_store(self.path, block_shift=10)
        self.assertEqual(again.blob, self.get(store, b"file").blob)
        self.assertEqual(self.body, self.body_of(store, self.get(store, b"file")))

    def test_orphans(self):
        """Old files that nothing names are found and removed; new ones may be a daemon's."""
        self.fill()
        orphan = self.path / "blobs" / "ab" / "cd" / ("ab" * 16)
        orphan.parent.mkdir(parents=True, exist_ok=True)
        orphan.write_bytes(b"left")
        other = self.path / "blobs" / "README"
        other.write_bytes(b"not ours")
        self.assertEqual([], self.verify()[0].report.orphans)
        verifying, damaged = self.verify(LATER)
        self.assertEqual(([orphan], {}), (verifying.report.orphans, damaged))
        verifying.repair()
        self.assertFalse(orphan.exists())
        self.assertTrue(other.exists())

    def test_a_living_process_fills(self):
        """A fill that stands still for long is a running daemon's: no orphan while that runs."""
        self.fill()
        with locked(self.path):
            owner = Owner(self.path)
        file = self.path / "filling" / f"{'ab' * 16}-{(b'12345678' + owner.mark).hex()}"
        file.write_bytes(b"half")
        self.assertEqual([], self.verify(LATER)[0].report.orphans)
        owner.release()
        self.assertEqual([file], self.verify(LATER)[0].report.orphans)

    def test_no_cache(self):
        """A directory without a cache is said to be one, and none is made in it."""
        path = Path(self.mktemp()).absolute()
        with self.assertRaisesRegex(StoreError, "there is no cache in"):
            Verifying(path)
        self.assertFalse(path.exists())
