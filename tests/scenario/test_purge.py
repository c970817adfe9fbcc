"""Purging through the front door and the admin site, with fetches under way."""

import json

from s3shield.exchange.purging import purge_tags
from s3shield.policy import ResponseHead
from s3shield.store import Selector

from .admin import AdminScenario
from .harness import Scenario, answer, raw, until

USUAL = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
CACHED = {"Cache-Control": "max-age=600", "ETag": '"v1"'}


def cached(body=b"hello", **more):
    """An answer that is stored."""
    return answer(body=body, headers={**CACHED, **more})


class PurgeCase(Scenario):
    """A scenario that purges as the admin site does."""

    def purger(self):
        """What the admin site asks."""
        return self.serving._purger()


class UrlTests(PurgeCase):
    """Which entries a URL, a prefix, a tag mean."""

    async def test_url(self):
        """One URL goes, its neighbours stay; a query is part of it; the count is told."""
        await self.shield()
        for target in ("/a", "/a?x=1", "/b"):
            self.origin.answers[target] = cached()
            await self.get(target)
        self.assertEqual(await self.purger().url("http://shield.test:8080/a"), 1)
        self.assertEqual(await self.purger().url("/none"), 0)
        found = [(await self.get(t)).cache for t in ("/a", "/a?x=1", "/b")]
        self.assertEqual(found, ["MISS", "HIT", "HIT"])
        self.assertEqual(await self.purger().url("/a?x=1#part"), 1)

    async def test_variants(self):
        """All variants of a URL go with it."""
        await self.shield()
        self.origin.answers["/v"] = cached(Vary="Accept")
        for kind in ("text/html", "text/plain"):
            await self.get("/v", accept=kind)
        self.assertEqual(await self.purger().url("/v"), 2)
        self.assertEqual((await self.get("/v", accept="text/html")).cache, "MISS")

    async def test_soft(self):
        """A soft purge lets the entry be validated: its body is not fetched again."""
        await self.shield()
        self.origin.answers["/s"] = [cached(), answer(304, b"", CACHED)]
        await self.get("/s")
        self.assertEqual(await self.purger().url("/s", soft=True), 1)
        got = await self.get("/s")
        self.assertEqual((got.status, got.body, got.cache), (200, b"hello", "REVALIDATED"))
        self.assertEqual(self.origin.asked[-1].headers["if-none-match"], '"v1"')
        self.assertEqual((await self.get("/s")).cache, "HIT")

    async def test_soft_and_origin_down(self):
        """What was purged softly still stands in when the origin fails."""
        await self.shield()
        self.origin.answers["/s"] = [cached(), answer(503, b"")]
        await self.get("/s")
        await self.purger().url("/s", soft=True)
        got = await self.get("/s")
        self.assertEqual((got.status, got.body, got.cache), (200, b"hello", "STALE"))

    async def test_prefix(self):
        """A prefix reaches locations further down, with their rewrites."""
        more = f"""
[location:/media/films/]
origin = http://127.0.0.1:{self.origin.number}
rewrite = ^/media/films/(.*)$ /f/$1
proxy_cache = main
"""
        await self.shield(more=more)
        for target in ("/media/x", "/f/y", "/other"):
            self.origin.answers[target] = cached()
        for target in ("/media/x", "/media/films/y", "/other"):
            await self.get(target)
        self.assertEqual(await self.purger().prefix("http://shield.test/media/"), 2)
        found = [(await self.get(t)).cache for t in ("/media/x", "/media/films/y", "/other")]
        self.assertEqual(found, ["MISS", "MISS", "HIT"])
        self.assertRaises(ValueError, self.purger().prefix, "/media/?x")
        self.assertRaises(ValueError, self.purger().url, "shield.test/media")

    async def test_tags(self):
        """Each kind of tag field counts, for short and for long bodies."""
        await self.shield()
        long = b"x" * 100_000
        self.origin.answers["/1"] = cached(**{"Surrogate-Key": "red  blue"})
        self.origin.answers["/2"] = cached(long, **{"x-amz-meta-surrogate-key": "blue"})
        self.origin.answers["/3"] = cached(**{"Cache-Tag": "blue, light green"})
        for target in ("/1", "/2", "/3"):
            await self.get(target)
        self.assertEqual(await self.purger().tags([b"blu"]), 0)
        self.assertEqual(await self.purger().tags([b"light green"]), 1)
        self.assertEqual(await self.purger().tags([b"blue", b"red"]), 2)
        self.assertEqual([(await self.get(t)).cache for t in ("/1", "/2", "/3")], ["MISS"] * 3)
        self.assertEqual(await self.purger().everything(), 3)

    def test_tag_fields(self):
        """Empty tags do not count, repeated ones once, and there are at most a thousand."""
        for fields, tags in (
            (((b"Surrogate-Key", b" a b  a "),), (b"a", b"b")),
            (((b"Cache-Tag", b"a, ,b c,"),), (b"a", b"b c")),
            (((b"cache-tag", b"a"), (b"X-Amz-Meta-Surrogate-Key", b"b")), (b"a", b"b")),
            (((b"Tag", b"a"),), ()),
        ):
            self.assertEqual(purge_tags(ResponseHead(200, b"OK", fields)), tags)
        many = ((b"Surrogate-Key", b" ".join(b"%d" % n for n in range(5000))),)
        self.assertEqual(len(purge_tags(ResponseHead(200, b"OK", many))), 1000)


class FlightTests(PurgeCase):
    """A purge while the origin is being asked."""

    async def begin(self, target, pieces):
        """Ask for `target`; the origin sends `pieces` when each Deferred is fired."""
        client = await self.connect()
        client.send(f"GET {target} HTTP/1.1\r\nHost: shield.test\r\n\r\n".encode())
        await until(lambda: self.origin.asked, "the origin to be asked")
        return client

    async def test_not_stored(self):
        """What is under way reaches its client, is not stored, and nobody joins it any more."""
        for size, chunk in ((10, b"x" * 5), (200_000, b"x" * 100_000)):
            if self.serving is None:
                await self.shield()
            target = f"/{size}"
            connections = []
            head = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: %d\r\n\r\n"

            def half(connection, _asked, size=size, chunk=chunk, head=head, to=connections):
                connection.send(head % size + chunk)
                to.append(connection)

            self.origin.answers[target] = [half, cached(b"new")]
            client = await self.begin(target, [])
            await until(lambda to=connections: to, "the first half")
            self.assertEqual(await self.purger().url(target), 0)
            got = await self.get(target)
            self.assertEqual((got.body, got.cache), (b"new", "MISS"))
            connections[0].send(chunk)
            self.assertEqual((await client.take()).body, chunk * 2)
            got = await self.get(target)
            self.assertEqual((got.body, got.cache), (b"new", "HIT"))

    async def test_other_flights_go_on(self):
        """A flight that the purge does not mean is joined and stored."""
        await self.shield()
        connections = []
        self.origin.answers["/a"] = lambda connection, _asked: connections.append(connection)
        client = await self.begin("/a", [])
        await until(lambda: connections, "the request")
        await self.purger().url("/b")
        raw(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx")(
            connections[0], None
        )
        self.assertEqual((await client.take()).body, b"x")
        self.assertEqual((await self.get("/a")).cache, "HIT")

    async def test_validation_under_way(self):
        """A 304 to a question that was asked before the purge brings nothing back."""
        await self.shield()
        connections = []
        self.origin.answers["/a"] = [
            answer(body=b"old", headers={"ETag": '"v1"', "Cache-Control": "max-age=0"}),
            lambda connection, _asked: connections.append(connection),
            cached(b"new"),
        ]
        await self.get("/a")
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: shield.test\r\n\r\n")
        await until(lambda: connections, "the validation")
        self.assertEqual(await self.purger().url("/a"), 1)
        answer(304, b"", CACHED)(connections[0], self.origin.asked[-1])
        self.assertEqual((await client.take()).body, b"old")
        self.assertEqual((await self.get("/a")).body, b"new")


class MethodTests(PurgeCase):
    """The method PURGE."""

    async def test_not_allowed(self):
        """Without `purge_allow` it is a method like any other that is not served."""
        await self.shield()
        got = await self.get("/a", "PURGE")
        self.assertEqual((got.status, got.headers["allow"]), (405, USUAL))

    async def test_from_elsewhere(self):
        """Others than those allowed get 403, and nothing is purged."""
        await self.shield("purge_allow = 10.0.0.0/8")
        self.origin.answers["/a"] = cached()
        await self.get("/a")
        self.assertEqual((await self.get("/a", "PURGE")).status, 403)
        self.assertEqual((await self.get("/a")).cache, "HIT")

    async def test_allowed(self):
        """The URL goes; the count is told, 0 as well."""
        await self.shield("purge_allow = 127.0.0.1 10.0.0.0/8")
        self.origin.answers["/a"] = cached()
        await self.get("/a")
        for count in (1, 0):
            got = await self.get("/a", "PURGE")
            self.assertEqual((got.status, json.loads(got.body)), (200, {"purged": count}))
        self.assertEqual((await self.get("/a")).cache, "MISS")
        self.assertEqual([line["status"] for line in self.logged()], [200] * 4)

    async def test_soft_and_tags(self):
        """`Fastly-Soft-Purge` makes stale; `Surrogate-Key` names tags instead of the URL."""
        await self.shield("purge_allow = 127.0.0.1")
        stored = cached(**{"Surrogate-Key": "red"})
        self.origin.answers["/a"] = [stored, answer(304, b"", CACHED), stored]
        await self.get("/a")
        await self.get("/a", "PURGE", fastly_soft_purge="1")
        self.assertEqual((await self.get("/a")).cache, "REVALIDATED")
        got = await self.get("/zzz", "PURGE", surrogate_key="blue red")
        self.assertEqual(json.loads(got.body), {"purged": 1})
        self.assertEqual((await self.get("/a")).cache, "MISS")

    async def test_no_cache(self):
        """In a location without a cache there is nothing to purge."""
        await self.shield("purge_allow = 127.0.0.1\nproxy_cache = off")
        self.assertEqual(json.loads((await self.get("/a", "PURGE")).body), {"purged": 0})


class RestartTests(PurgeCase):
    """A purge outlives the process."""

    async def test_restart(self):
        """What was purged is not there after a restart."""
        await self.shield()
        self.origin.answers["/a"] = [cached(b"old"), cached(b"new")]
        await self.get("/a")
        self.assertEqual(await self.purger().everything(), 1)
        await self.stop()
        await self.shield()
        self.assertEqual((await self.get("/a")).body, b"new")


class AdminTests(AdminScenario):
    """The admin site."""

    async def test_live(self):
        """It is alive; other paths and methods are not there."""
        await self.shield()
        self.assertEqual(await self.ask("GET", "/live"), (200, {"live": True}))
        self.assertEqual((await self.ask("POST", "/live"))[0], 405)
        self.assertEqual((await self.ask("GET", "/purge"))[0], 405)
        self.assertEqual((await self.ask("GET", "/nothing"))[0], 404)

    async def test_purge(self):
        """JSON and a form; each selector; soft; the count."""
        await self.shield()
        self.origin.answers["/a"] = cached(**{"Surrogate-Key": "red"})
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        for body, fields in (
            ({"url": "http://shield.test/a"}, {}),
            ({"url": "/a", "host": "shield.test", "soft": True}, {}),
            ({"prefix": "http://shield.test/"}, {}),
            ({"tag": "red"}, {}),
            ({"tag": ["blue", "red"]}, {}),
            ({"all": True}, {}),
            ("url=/a&soft=1", form),
            ("tag=blue&tag=red", form),
            ("all=1", form),
        ):
            await self.get("/a")
            self.assertEqual(
                await self.ask("POST", "/purge", body, **fields), (200, {"purged": 1}), body
            )
            self.assertNotEqual((await self.get("/a")).cache, "HIT", body)

    async def test_refused(self):
        """What cannot be understood, or comes from a web page, purges nothing."""
        await self.shield()
        self.origin.answers["/a"] = cached()
        await self.get("/a")
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        for body, fields, status in (
            ({}, {}, 400),
            ({"url": "/a", "tag": "x"}, {}, 400),
            ({"url": 5}, {}, 400),
            ({"url": "a"}, {}, 400),
            ({"url": "/a", "soft": "maybe"}, {}, 400),
            ({"url": "/a", "sfot": True}, {}, 400),
            ({"all": False}, {}, 400),
            ({"tag": []}, {}, 400),
            ("[]", {"Content_Type": "application/json"}, 400),
            ("{", {"Content_Type": "application/json"}, 400),
            ("all=no", form, 400),
            ("all=1", {**form, "Origin": "http://evil.example"}, 403),
            ("all=1", {**form, "Sec_Fetch_Site": "cross-site"}, 403),
        ):
            found, said = await self.ask("POST", "/purge", body, **fields)
            self.assertEqual(found, status, body)
            self.assertTrue(said["error"])
        self.assertEqual((await self.get("/a")).cache, "HIT")


class SelectorTests(Scenario):
    """What the store is asked for does not depend on the way it was named."""

    async def test_stale_entry(self):
        """A soft purge of what was purged softly already counts it again."""
        await self.shield()
        self.origin.answers["/a"] = cached()
        await self.get("/a")
        store = next(iter(self.serving._zones.values())).store
        for _ in range(2):
            self.assertEqual(await store.purge(Selector("all"), soft=True), 1)
