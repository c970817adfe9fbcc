"""From requests to locations, keys and cache keys."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import Request
from s3shield.routing import (
    BadTargetError,
    Pattern,
    Place,
    QueryPolicy,
    Rewrite,
    RoutingTable,
    Template,
)


def place(pattern="/", *, bucket=True, server=None, rewrites=(), query=None, origin=None):
    """A place with less to write."""
    return Place(
        pattern=Pattern.parse(pattern),
        server=server,
        origin=origin or ("media" if bucket else "http://o:1"),
        bucket=bucket,
        rewrites=tuple(Rewrite.parse(line) for line in rewrites),
        query=QueryPolicy(query or ("drop" if bucket else "pass")),
    )


def route(target, *places, host=b"x", servers=()):
    """Route a request."""
    request = Request(b"GET", target, host=host)
    return RoutingTable(servers, places or (place(),)).route(request)


class Buckets(SynchronousTestCase):
    def test_keys(self):
        """The key is the decoded path; the cache key has it in S3's one encoding."""
        for target, key, text in (
            (b"/a%20b", b"/a b", b"media|/a%20b|"),
            (b"/a'b!*~", b"/a'b!*~", b"media|/a%27b%21%2A~|"),
            (b"//a//b", b"//a//b", b"media|//a//b|"),
            (b"/a%2Fb", b"/a/b", b"media|/a/b|"),
            (b"/a/../b?x=1", b"/a/../b", b"media|/a/../b|"),
            (b"/a|b", b"/a|b", b"media|/a%7Cb|"),
        ):
            found = route(target)
            self.assertEqual((found.key, found.key_text, found.query), (key, text, ()))
            self.assertEqual(found.digest, hashlib.blake2b(text, digest_size=16).digest())

    def test_spellings_share(self):
        """Two spellings of one key or query have one cache entry."""
        both = place(query="pass")
        for one, other in (
            (b"/%61", b"/a"),
            (b"/a?x=%31&b=2", b"/a?b=2&x=1"),
            (b"/a?", b"/a"),
            (b"/a?b", b"/a?b="),
        ):
            self.assertEqual(route(one, both).digest, route(other, both).digest)

    def test_query(self):
        """What is passed is in the key, canonical, and goes on decoded."""
        found = route(b"/a?versionId=a%2Bb&X-Amz-Signature=s", place(query="pass"))
        self.assertEqual(found.query, ((b"versionId", b"a+b"),))
        self.assertEqual(found.key_text, b"media|/a|versionId=a%2Bb")

    def test_rewrite(self):
        """A rewrite's own parameters go on though the client's are dropped."""
        mine = place(rewrites=[r"^/v/(\w+)(/.*)$ $2?versionId=$1"])
        found = route(b"/v/7/a%20b?x=1", mine)
        self.assertEqual((found.key, found.query), (b"/a b", ((b"versionId", b"7"),)))
        self.assertEqual(found.key_text, b"media|/a%20b|versionId=7")

    def test_climbing(self):
        """No path climbs above the root, not even once a rewrite took its prefix."""
        mine = place(rewrites=["^/p/(.*)$ /$1"])
        self.assertEqual(route(b"/p/a/../b", mine).key, b"/a/../b")
        for target in (b"/../a", b"/p/../a", b"/p/%2e%2e/a"):
            with self.assertRaises(BadTargetError, msg=target):
                route(target, mine)


class PlainOrigins(SynchronousTestCase):
    def test_as_received(self):
        """Without a rewrite the target is sent as it came, and is the key."""
        plain = place(bucket=False)
        for target in (b"/a%20b", b"/%61?b=%zz", b"/a'?x=+&x", b"/a?", b"/a??", b"//x"):
            self.assertEqual(route(target, plain).target, target)
        self.assertEqual(route(b"/%61?b=%7a", plain).key_text, b"http://o:1|/%61|b=%7a")

    def test_keys_differ(self):
        """Targets that an origin may answer differently never share an entry."""
        plain = place(bucket=False)
        targets = [b"/a", b"/a?", b"/a??", b"/a?b", b"/a?b|", b"/a|b", b"/a|b|", b"/a|?b", b"/a|?"]
        self.assertEqual(len({route(target, plain).key_text for target in targets}), len(targets))

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.text(alphabet="/a|?%&=", max_size=6), min_size=2, max_size=2))
    def test_keys_differ_always(self, texts):
        """Different targets, different keys."""
        plain = place(bucket=False)
        targets = [b"/" + text.replace("%", "%7C").encode() for text in texts]
        keys = [route(target, plain).key_text for target in targets]
        self.assertEqual(keys[0] == keys[1], targets[0] == targets[1])

    def test_presign_removed(self):
        """A signature meant for S3 does not go to another server."""
        found = route(b"/a?X-Amz-Signature=s&b=1", place(bucket=False))
        self.assertEqual((found.target, found.key_text), (b"/a?b=1", b"http://o:1|/a|b=1"))

    def test_rewrite(self):
        """A rewritten path is encoded anew; the client's query follows the rewrite's."""
        plain = place(bucket=False, rewrites=["^/p/(.*)$ /$1?v=$1"])
        self.assertEqual(route(b"/p/a%20b?x=%zz", plain).target, b"/a%20b?v=a%20b&x=%zz")

    def test_dots(self):
        """What a plain origin would make of dot segments is not known: 400."""
        for target in (b"/a/../b", b"/./a", b"/a/%2e%2E/b"):
            with self.assertRaises(BadTargetError, msg=target):
                route(target, place(bucket=False))


class Choice(SynchronousTestCase):
    def test_location(self):
        """Matched on the decoded path; the number is the place's; nobody's is None."""
        places = (place("/a/"), place("~ ^/b c$"))
        self.assertEqual(route(b"/a/x", *places).number, 0)
        self.assertEqual(route(b"/b%20c", *places).number, 1)
        self.assertIsNone(route(b"/x", *places))
        self.assertIsNone(route(b"*", *places))

    def test_server(self):
        """A location of one server goes before an equal one of all; others fall back."""
        servers = (("a", ("a.test",)), ("b", ("b.test",)))
        places = (place("/"), place("/", server="a"), place("/only", server="b"))
        for host, target, number in (
            (b"a.test", b"/", 1),
            (b"A.test", b"/", 1),
            (b"b.test", b"/", 0),
            (b"b.test", b"/only", 2),
            (b"a.test", b"/only", 1),
            (b"other", b"/", 1),
        ):
            self.assertEqual(route(target, *places, host=host, servers=servers).number, number)

    def test_absolute_form(self):
        """RFC 9112 3.2.2: the host of an absolute target stands above Host."""
        servers = (("a", ("a.test",)), ("b", ("b.test",)))
        places = (place(server="a"), place(server="b"))
        found = route(b"http://B.test:80/x?y", *places, host=b"a.test", servers=servers)
        self.assertEqual((found.number, found.key), (1, b"/x"))

    def test_refused(self):
        """Refused whatever location it would have been."""
        for target in (b"/%", b"/%00", b"nonsense", b"/a\x7f"):
            with self.assertRaises(BadTargetError, msg=target):
                route(target)


class OwnKeys(SynchronousTestCase):
    def test_never_another_locations(self):
        """Whatever a `proxy_cache_key` makes of a request is no key of another location."""
        mine = Place(
            pattern=Pattern.parse("/own"),
            server=None,
            origin="media",
            bucket=True,
            cache_key=Template.parse("$arg_x"),
        )
        own = route(b"/own?x=/secret|", place(), mine)
        self.assertEqual(own.key_text, b"media|=/secret|")
        self.assertNotEqual(own.digest, route(b"/secret", place(), mine).digest)
