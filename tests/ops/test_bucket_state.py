"""The health page and the metrics say of each bucket what the log says."""

from twisted.trial.unittest import SynchronousTestCase

from s3shield.ops.bucket_state import BucketState, health

NOW = 1_800_000_000.0
HOUR = 3600.0


class HealthTests(SynchronousTestCase):
    def test_words(self):
        """A bucket is well until 48 h before its key's end; then warned about; then in error."""
        for state, word in (
            (BucketState("b"), "ok"),
            (BucketState("b", NOW + 48 * HOUR), "ok"),
            (BucketState("b", NOW + 48 * HOUR - 1), "warning"),
            (BucketState("b", NOW + 1), "warning"),
            (BucketState("b", NOW), "error"),
            (BucketState("b", NOW - HOUR), "error"),
            (BucketState("b", None, without_credentials=True), "error"),
            (BucketState("b", NOW + 100 * HOUR, without_credentials=True), "error"),
        ):
            self.assertEqual(state.word(NOW), word, state)

    def test_page(self):
        """The worst of them is the answer's status; each one's end is told."""
        good = BucketState("good")
        late = BucketState("late", NOW + HOUR)
        over = BucketState("over", 0.0)
        bare = BucketState("bare", None, without_credentials=True)
        self.assertEqual(health([], NOW), (200, {"status": "ok", "buckets": {}}))
        self.assertEqual(health([good], NOW)[0], 200)
        status, said = health([good, late], NOW)
        self.assertEqual((status, said["status"]), (200, "warning"))
        self.assertEqual(
            said["buckets"]["late"],
            {"status": "warning", "signing_key_expires": "2027-01-15T09:00:00Z"},
        )
        status, said = health([good, late, over, bare], NOW)
        self.assertEqual((status, said["status"]), (503, "error"))
        self.assertEqual(said["buckets"]["bare"], {"status": "error", "credentials": "none"})
        self.assertEqual(said["buckets"]["good"], {"status": "ok"})
