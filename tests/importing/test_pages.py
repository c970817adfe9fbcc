"""docs/from-nginx.rst and docs/from-apache.rst: the guides' examples beside ours, all of them run.

That each of our examples loads is tested with all the others, in tests/test_docs.py.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import Config, dump, loads

from .fixture import DATA, imported, loaded, need_crossplane

DOCS = Path(__file__).resolve().parents[2] / "docs"
KEY = "jcUxLpCwJR0mSxAnb6gcJ8dBw1+x+2TNMwABi0eLyLc=\n20260226/us-east-1/s3/aws4_request\n"
_BLOCK = re.compile(
    r"^\.\. code-block:: (nginx|apacheconf|ini)\n\n((?:[ ]{4}.*\n|\n)+)", re.MULTILINE
)


@attrs.frozen
class Pair:
    """One of theirs and the first of ours after it. kind: nginx or apache."""

    kind: str
    theirs: str
    ours: str | None


def pairs(page: str) -> list[Pair]:
    """Return the examples of a page."""
    blocks = [
        (found[1], textwrap.dedent(found[2]).strip() + "\n")
        for found in _BLOCK.finditer((DOCS / page).read_text())
    ]
    found = []
    for (kind, text), (next_kind, ours) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind != "ini":
            name = "nginx" if kind == "nginx" else "apache"
            found.append(Pair(name, text, ours if next_kind == "ini" else None))
    return found


def ours(text: str) -> Config:
    """Load one of ours."""
    return loads(text, "x.ini", environ={}, read_file=lambda _: KEY, mode_of=lambda _: None)


def facts(config: Config) -> object:
    """Return what a client and an origin see, but for certificates and keys."""
    return (
        [
            (
                str(each.pattern),
                each.origin_name,
                each.rewrites,
                each.cache,
                each.policy,
                each.connection,
                None if each.bucket is None else config.buckets[each.bucket].endpoint,
            )
            for each in config.locations
        ],
        [(each.text, each.tls) for each in config.listens],
        config.servers and [each.server_name for each in config.servers],
    )


class PageTests(SynchronousTestCase):
    """Both pages."""

    def check(self, page: str, prefix: str, whole: set[str]) -> None:
        """Compare a page with the examples in the files. whole: those that lack nothing."""
        found = {pair.theirs: pair for pair in pairs(page)}
        names = {
            path.name: path.read_text().strip() + "\n"
            for path in sorted((DATA / "guides").glob(f"{prefix}-*.conf"))
            if "as-printed" not in path.name
        }
        self.assertEqual(set(names.values()), set(found))
        compared = 0
        for name, text in names.items():
            pair = found[text]
            if pair.ours is None:
                continue
            compared += 1
            made, written = loaded(imported(text, pair.kind)), ours(pair.ours)
            self.assertEqual(facts(written), facts(made), name)
            if name in whole:
                self.assertEqual(dump(written), dump(made), name)
        self.assertGreaterEqual(compared, 3)

    def test_nginx(self):
        """Each of the guide is there word for word, and its import is what stands beside it."""
        need_crossplane()
        self.check("from-nginx.rst", "nginx", {"nginx-basic.conf"})

    def test_apache(self):
        """Each of the guide is there word for word, and its import is what stands beside it."""
        self.check(
            "from-apache.rst",
            "apache",
            {"apache-proxy.conf", "apache-virtual-host.conf", "apache-legacy.conf"},
        )
