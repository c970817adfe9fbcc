"""What waits for the index is committed in groups, to the last of it."""

from twisted.trial.unittest import SynchronousTestCase

from s3shield.store.commits import Commits


class Noting:
    """A committer that notes what it is given."""

    def __init__(self):
        self.groups = []

    def commit(self, rows, touched):
        """One commit."""
        self.groups.append((len(rows), dict(touched)))

    def idle(self):
        """Nothing to look after."""


class TouchTests(SynchronousTestCase):
    def test_small_groups(self):
        """However many entries were used, one transaction changes the pages of a thousand."""
        noting = Noting()
        commits = Commits(noting)
        wanted = {b"%016d" % number: number % 7 for number in range(3456)}
        for digest, minute in wanted.items():
            commits.touch(digest, minute)
        commits.start()
        commits.close()
        self.assertEqual(max(len(touched) for _, touched in noting.groups), 1000)
        found = {}
        for _, touched in noting.groups:
            self.assertFalse(found.keys() & touched.keys())
            found.update(touched)
        self.assertEqual(found, wanted)
