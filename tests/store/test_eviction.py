"""The plan of what to evict."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.store.eviction import Budget, Limits, budget, plan
from s3shield.store.rows import LruRow, Weight, text_row, weigh

rows = st.lists(
    st.builds(
        lambda minute, size, disk: LruRow(minute, b"d", Weight(size + disk, disk)),
        st.integers(0, 50),
        st.integers(1, 1000),
        st.sampled_from([0, 4096, 8192]),
    ),
    max_size=60,
).map(lambda found: sorted(found, key=lambda row: row.minute))
budgets = st.builds(
    Budget, size=st.integers(0, 50_000), disk=st.integers(0, 50_000), before=st.integers(0, 60)
)


class PlanTests(SynchronousTestCase):
    @settings(max_examples=200, deadline=None)
    @given(rows, budgets, st.integers(1, 80))
    def test_enough_and_no_more(self, rows, wanted, limit):
        """Oldest first; the budget is met when it can be; nothing goes without a reason."""
        chosen = plan(rows, wanted, limit)
        self.assertLessEqual(len(chosen), limit)
        self.assertEqual(chosen, sorted(chosen, key=lambda row: row.minute))
        size = disk = 0
        for row in chosen:
            self.assertTrue(
                row.minute < wanted.before
                or size < wanted.size
                or (disk < wanted.disk and row.weight.disk)
            )
            size += row.weight.size
            disk += row.weight.disk
        if len(chosen) < limit:
            left = [row for row in rows if not any(row is other for other in chosen)]
            self.assertFalse([row for row in left if row.minute < wanted.before])
            self.assertTrue(size >= wanted.size or not left)
            self.assertTrue(disk >= wanted.disk or not [row for row in left if row.weight.disk])

    def test_budget(self):
        """A store over its size is brought to 98 % of it; the disk and the clock have a say."""
        limits = Limits(max_size=1000, min_free=500, inactive=600)
        cases = [
            ((1000, 500, 36_000), Budget(before=590)),
            ((1001, 500, 36_000), Budget(size=21, before=590)),
            ((10, 400, 36_000), Budget(disk=100, before=590)),
        ]
        for (total, free, now), wanted in cases:
            self.assertEqual(budget(total, free, now, limits), wanted)
        self.assertEqual(budget(10**15, 0, 0, Limits()), Budget())

    def test_disk_spares_inline_entries(self):
        """When only the disk is short, entries without a file stay: the index never shrinks."""
        inline = LruRow(1, b"a", Weight(100, 0))
        file = LruRow(2, b"b", Weight(5000, 4096))
        self.assertEqual(plan([inline, file], Budget(disk=1)), [file])

    def test_weigh(self):
        """Body files count in whole blocks of the file system."""
        self.assertEqual(weigh(100, 0), (100, 0))
        self.assertEqual(weigh(100, 1), (4196, 4096))
        self.assertEqual(weigh(100, 8192), (8292, 8192))

    def test_text_row_fits(self):
        """The row of any key text is within LMDB's limit and is the entry's own."""
        long = b"k" * 5000
        self.assertLessEqual(len(text_row(long, b"d" * 16)), 511)
        self.assertNotEqual(text_row(long, b"d" * 16), text_row(long, b"e" * 16))
        self.assertLess(text_row(b"a", b"\xff" * 16), text_row(b"ab", b"\0" * 16))
