"""The record's bytes: what goes in comes out, and nothing else is taken for a record."""

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import EntryMeta
from s3shield.store.record import (
    Entry,
    RecordError,
    encode,
    pack_checksums,
    refreshed,
    restamped,
)

from .support import HEAD, meta

instants = st.floats(allow_nan=False, width=64)
metas = st.builds(
    EntryMeta,
    status=st.integers(100, 999),
    born=instants,
    response_time=instants,
    fresh_until=instants,
    swr_until=instants,
    sie_until=instants,
    flags=st.integers(0, 127),
    etag=st.binary(max_size=40),
    last_modified=st.integers(-1, 2**62),
)
tags = st.lists(st.binary(min_size=1, max_size=20).filter(lambda tag: b"\0" not in tag))
quick = settings(max_examples=150, deadline=None)


class RecordTests(SynchronousTestCase):
    @quick
    @given(metas, st.binary(max_size=300), st.binary(max_size=200), st.binary(max_size=2000), tags)
    def test_inline_round_trip(self, meta, head, key, body, tags):
        """Every field and section of an inline entry is read back as written."""
        entry = Entry(encode(meta, head, key, body=body, tags=tags), b"d" * 16)
        self.assertEqual(attrs.asdict(entry.meta), attrs.asdict(meta))
        self.assertEqual((entry.head, entry.key, entry.body), (head, key, body))
        self.assertEqual(entry.tags, tuple(tags))
        self.assertEqual(entry.size, len(body))
        self.assertIsNone(entry.blob)
        self.assertTrue(entry.complete)
        self.assertEqual(entry.digest, b"d" * 16)

    @quick
    @given(
        metas,
        st.binary(max_size=300),
        st.binary(min_size=16, max_size=16).filter(any),
        st.integers(0, 2**63),
        st.lists(st.integers(0, 2**32 - 1)),
        st.integers(0, 2**32 - 1),
    )
    def test_file_round_trip(self, meta, head, blob, size, checksums, era):
        """An entry with a body file keeps the file's id, size, checksums and era."""
        raw = encode(
            meta,
            head,
            b"key",
            blob=blob,
            size=size,
            blocks=pack_checksums(checksums),
            block_shift=20,
            era=era,
        )
        entry = Entry(raw)
        self.assertIsNone(entry.body)
        self.assertEqual((entry.blob, entry.size, entry.era), (blob, size, era))
        self.assertEqual(entry.checksums, tuple(checksums))
        self.assertEqual(entry.meta, meta)

    @quick
    @given(st.binary(max_size=400))
    def test_any_bytes(self, data):
        """Arbitrary bytes are an entry or a RecordError, never another exception."""
        for raw in (data, b"\x01" + data):
            try:
                entry = Entry(raw)
            except RecordError:
                continue
            self.assertIsInstance(entry.etag + entry.head + entry.key, bytes)
            self.assertIsInstance(entry.tags, tuple)

    @quick
    @given(metas, st.binary(max_size=100), st.integers(0, 400))
    def test_cut(self, meta, body, length):
        """A record without its end is refused unless only the inline body is cut."""
        raw = encode(meta, HEAD, b"key", body=body)
        if length < len(raw) - len(body):
            self.assertRaises(RecordError, Entry, raw[:length])

    def test_etag_from_head(self):
        """An ETag that stands in the head takes no room of its own."""
        plain = encode(meta(etag=b""), HEAD, b"key")
        self.assertEqual(len(encode(meta(), HEAD, b"key")), len(plain))
        self.assertEqual(Entry(encode(meta(etag=b'"other"'), HEAD, b"key")).etag, b'"other"')

    def test_refreshed_keeps_body(self):
        """Freshening changes meta and head, and keeps key, body, tags and blocks."""
        raw = encode(
            meta(), HEAD, b"key", blob=b"b" * 16, size=9, tags=[b"t"], blocks=pack_checksums([7])
        )
        entry = Entry(refreshed(Entry(raw), meta(fresh_until=5.0), b"new head"))
        self.assertEqual((entry.fresh_until, entry.head), (5.0, b"new head"))
        self.assertEqual((entry.key, entry.blob, entry.size), (b"key", b"b" * 16, 9))
        self.assertEqual((entry.tags, entry.checksums), ((b"t",), (7,)))

    def test_restamped(self):
        """Only the era differs in a restamped record."""
        raw = encode(meta(), HEAD, b"key", body=b"body", era=1)
        self.assertEqual(restamped(raw, 2), encode(meta(), HEAD, b"key", body=b"body", era=2))

    def test_incomplete(self):
        """A sparse body's checksums follow its bitmap of blocks."""
        raw = encode(
            meta(),
            HEAD,
            b"key",
            blob=b"b" * 16,
            size=3 << 20,
            blocks=b"\x05" + pack_checksums([1, 0, 3]),
            block_shift=20,
            complete=False,
        )
        entry = Entry(raw)
        self.assertFalse(entry.complete)
        self.assertEqual(entry.checksums, (1, 0, 3))

    def test_unusable_tags(self):
        """Empty tags and tags with a NUL, which separates them, are left out."""
        entry = Entry(encode(meta(), HEAD, b"key", tags=[b"", b"a\0b", b"c"]))
        self.assertEqual(entry.tags, (b"c",))

    def test_other_format(self):
        """A record of another format version is refused."""
        raw = encode(meta(), HEAD, b"key")
        self.assertRaises(RecordError, Entry, b"\x02" + raw[1:])
