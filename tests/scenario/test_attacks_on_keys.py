"""Paths, queries and hosts that mean something else to somebody else; secrets."""

from __future__ import annotations

from typing import Any

from .attack import SECRET, TOKEN, Attack, BucketAttack
from .harness import answer, raw


class TargetTests(Attack):
    """Paths that mean something else to somebody else."""

    async def test_dot_segments_at_a_plain_origin(self) -> None:
        """What an origin would make of them is not known: 400, nothing forwarded."""
        self.echoing()
        await self.shield()
        for target in (
            "/../secret",
            "/a/../../secret",
            "/a/..",
            "/.",
            "/a/./b",
            "/%2e%2e/secret",
            "/a/%2E%2E/b",
            "/a/.%2e/b",
            "/a%2f..%2fb",
            "/%2e%2e%2fsecret",
            "http://h/../secret",
            "http://h/%2e%2e/secret",
        ):
            self.assertEqual(400, (await self.get(target)).status, target)
        self.assertEqual([], self.origin.asked)

    async def test_broken_targets(self) -> None:
        """NUL, bad escapes, controls and fragments: 400, nothing forwarded, not stored."""
        self.echoing()
        await self.shield("proxy_cache_valid = any 1m")
        for target in (
            "/%00",
            "/a%00b",
            "/%",
            "/%4",
            "/%zz",
            "/%u0041",
            "/a#b",
            "/a\x7fb",
            "/a\x01b",
            "/a?b\x01c",
            "//host@h\x00/",
            "http://user@h/a",
            "http://",
            "ftp://h/a",
            "h:80",
            "a/b",
        ):
            for _ in range(2):
                got = await self.get(target)
                self.assertEqual((400, None), (got.status, got.cache), target)
        self.assertEqual([], self.origin.asked)

    async def test_what_a_plain_origin_may_tell_apart_is_apart(self) -> None:
        """Every target is sent as it came and has an entry of its own."""
        self.echoing()
        await self.shield()
        targets = [
            "/a/b", "//a/b", "/a//b", "/a/b/", "/a%2Fb", "/a%2fb", "/%61/b",
            "/a?b", "/a%3Fb", "/a%3fb", "/a??b", "/a?", "/a", "/a.", "/a%2E", "/A",
            "/a+b", "/a%20b", "/a%2Bb", "/a?x+y", "/a?x%20y",
            "/a|b", "/a%7Cb", "/a%7cb", "/a?|b", "/a|?b", "/a|b|", "/a|b?",
            "/a%252e", "/a%25252e", "/%252e%252e/x", "/a;b", "/a%3Bb", "/a\\b", "/..%5Cb",
            "/a?b&c", "/a?c&b", "/a?b=1&b=2", "/a?b=2&b=1", "/a?b&", "/a?&b",
        ]  # fmt: skip
        for status in ("MISS", "HIT"):
            for target in targets:
                got = await self.get(target)
                self.assertEqual((target.encode(), status), (got.body, got.cache))
        self.assertEqual(targets, self.origin.targets())

    async def test_absolute_targets(self) -> None:
        """The host of an absolute-form target decides, never the Host field beside it."""
        self.echoing()
        more = f"""
[server:one]
server_name = one.test
[server:two]
server_name = two.test
[location:/two]
server = two
origin = http://localhost:{self.origin.number}
proxy_cache = main
rewrite = ^/(.*)$ /of-two/$1
"""
        await self.shield("server = one", more=more)
        for target, host, body in (
            ("/two", "one.test", b"/two"),
            ("/two", "two.test", b"/of-two/two"),
            ("http://two.test/two", "one.test", b"/of-two/two"),
            ("http://one.test/two", "two.test", b"/two"),
            ("HTTP://ONE.test:80/two", "two.test", b"/two"),
            ("/two", "two.test:8080", b"/of-two/two"),
            ("/two", "TWO.test.", b"/of-two/two"),
        ):
            for _ in range(2):
                got = await self.get(target, host=host)
                self.assertEqual((200, body), (got.status, got.body), (target, host))
        self.assertEqual(["/two", "/of-two/two"], self.origin.targets())
        self.assertEqual({"127.0.0.1", "localhost"}, self.origin_hosts())
        for host in ("one.test\x01", "one.test/x", "one test", "a@b", "one.test:x", "[::1"):
            self.assertEqual(400, (await self.get("/two", host=host)).status, host)

    def origin_hosts(self) -> set[str]:
        """Return the names in the Host fields that the origin was sent."""
        return {asked.headers["host"].partition(":")[0] for asked in self.origin.asked}

    async def test_line_breaks_through_a_rewrite(self) -> None:
        """A decoded CR LF goes back out encoded: into paths and queries, not into heads."""
        self.echoing()
        await self.shield("rewrite = ^/r/(.*)$ /$1?v=$1")
        got = await self.get("/r/a%0d%0aX-Evil:%201%0d%0a%0d%0aGET%20/b")
        self.assertEqual(200, got.status)
        (asked,) = self.origin.asked
        self.assertTrue(asked.target.startswith("/a%0D%0AX-Evil%3A%201%0D%0A%0D%0AGET%20/b?v=a%0D"))
        self.assertNotIn("x-evil", asked.headers)
        self.assertNotIn("x-evil", got.headers)
        (line,) = self.logged()
        self.assertEqual(200, line["status"])

    async def test_long_targets_all_have_their_own_entry(self) -> None:
        """Targets that differ in their last byte only, as long as they may be."""
        self.echoing()
        await self.shield()
        base = "/" + "a" * 8000
        for _ in range(2):
            for last in "bc":
                self.assertEqual((base + last).encode(), (await self.get(base + last)).body)
        self.assertEqual(414, (await self.get("/" + "a" * 9000)).status)


class BucketTests(BucketAttack):
    async def test_no_path_leads_to_another_bucket(self) -> None:
        """Dots are 400 where they climb; else they stay a part of the key, encoded once."""
        self.echoing()
        await self.shield()
        for target in (
            "/../other/a",
            "/%2e%2e/other/a",
            "/%2E%2E%2Fother/a",
            "/x/../../other/a",
            "/x/%2e%2e/%2e%2e/other/a",
            "/./../other/a",
            "//../other/a",
            "//..//other/a",
            "/x//../../other/a",
            "/other/../../public/a",
            "/other/../a",
            "/other/%2e%2e/a",
            "http://h/../other/a",
        ):
            got = await self.get(target)
            self.assertEqual(400, got.status, target)
        self.assertEqual([], self.origin.asked)
        for target in (
            "/%252e%252e/other/a",
            "/..%5cother/a",
            "/..;/other/a",
            "//other/a",
            "/x/../other/a",
            "/.../other/a",
            "/?/../other/a",
            "/%3f/../other/a",
        ):
            got = await self.get(target)
            self.assertEqual(200, got.status, target)
        for path in self.paths():
            self.assertTrue(path.startswith("/public/"), path)

    async def test_keys_are_decoded_once_and_encoded_once(self) -> None:
        """One object has one entry however it is spelt; two objects have two."""
        self.echoing()
        await self.shield("query = pass\nproxy_cache_valid = 200 1m")
        groups: tuple[tuple[str, ...], ...] = (
            ("/a%2Fb", "/a%2fb", "/a/b", "/%61/b"),
            ("//a/b", "/%2Fa/b"),
            ("/a//b",),
            ("/a/b/",),
            ("/a+b", "/a%2Bb", "/a%2bb"),
            ("/a%20b",),
            ("/a%3Fb", "/a%3fb"),
            ("/a?b", "/a?b=", "/a?%62"),
            ("/a", "/a?", "/a?X-Amz-Signature=x", "/a?AWSAccessKeyId=k&Signature=s&Expires=1"),
            ("/a.", "/a%2E", "/a%2e"),
            ("/a|b", "/a%7Cb", "/a%7cb"),
            ("/a?|b", "/a?%7Cb"),
            ("/a|?b", "/a%7C?b="),
            ("/a%252e", "/a%25%32%65"),
            ("/A",),
            ("/a%C3%A9", "/%61%c3%a9"),
            ("/a?x=1&y=2", "/a?y=2&x=1", "/a?y=%32&x=1"),
            ("/a?x=+", "/a?x=%20"),
            ("/a?x=%2B",),
            ("/a?x%3D=1",),
            ("/a?x=%3D1",),
            ("/a?x=1%26y=2", "/a?x=1%26y%3D2"),
        )
        first: dict[bytes, int] = {}
        for number, group in enumerate(groups):
            for target in group:
                got = await self.get(target)
                self.assertEqual(200, got.status)
                self.assertEqual(number, first.setdefault(got.body, number), target)
        asked = self.origin.targets()
        self.assertEqual(len(asked), len(set(asked)))
        self.assertEqual(len(first), len(set(first.values())), first)

    async def test_two_buckets_share_nothing(self) -> None:
        """The same key in two buckets: two objects, two entries, in every order."""
        self.echoing()
        await self.shield("proxy_cache_valid = 200 1m")
        for _ in range(2):
            self.assertEqual(b"/public/a", (await self.get("/a")).body)
            self.assertEqual(b"/other/a", (await self.get("/other/a")).body)
        self.assertEqual(["/public/a", "/other/a"], self.paths())
        seen = await self.together(*[self.get(t) for t in ("/b", "/other/b") * 5])
        self.assertEqual([b"/public/b", b"/other/b"] * 5, [got.body for got in seen])

    async def test_line_breaks_in_a_key(self) -> None:
        """A key with CR LF is signed and sent encoded; no head anywhere is split."""
        self.echoing()
        await self.shield("proxy_cache_valid = 200 1m")
        for _ in range(2):
            got = await self.get("/a%0d%0aSet-Cookie:%20evil=1%0d%0a%0d%0a<script>")
            self.assertEqual(200, got.status)
            self.assertNotIn("set-cookie", got.headers)
        (asked,) = self.origin.asked
        self.assertEqual(
            "/public/a%0D%0ASet-Cookie%3A%20evil%3D1%0D%0A%0D%0A%3Cscript%3E", asked.target
        )
        self.assertEqual(2, len(self.logged()))

    async def test_nothing_of_the_client_reaches_a_bucket(self) -> None:
        """Neither its keys nor its wishes; also not on HEAD, and not by way of Connection."""
        self.echoing()
        await self.shield("query = pass")
        fields = {
            "authorization": "AWS4-HMAC-SHA256 evil",
            "x_amz_security_token": "evil",
            "x_amz_date": "evil",
            "x_amz_copy_source": "evil",
            "x_amz_content_sha256": "evil",
            "x_forwarded_host": "evil",
            "x_original_url": "/evil",
            "content_type": "evil",
            "cookie": "evil",
            "te": "evil",
            "upgrade": "evil",
            "expect": "evil",
        }
        query = (
            "X-Amz-Signature=evil&X-Amz-Credential=evil&x-amz-date=evil&X-Amz-Evil=1&%58-Amz-Y=evil"
        )
        for connection in ("close", "close, Host", "close, Authorization", "close, X-Amz-Date"):
            for method in ("GET", "HEAD"):
                got = await self.get(
                    f"/{len(connection)}?{query}", method, connection=connection, **fields
                )
                self.assertEqual(200, got.status)
        for asked in self.origin.asked:
            self.assertNotIn(b"evil", asked.head.lower())
            self.assertNotIn("?", asked.target)
            self.assertTrue(
                asked.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential")
            )
            self.assertEqual(f"127.0.0.1:{self.origin.number}", asked.headers["host"])

    async def test_an_overlong_key_is_the_clients_mistake(self) -> None:
        """S3 says KeyTooLongError: no trouble of ours, no stale body, no alarm in the log."""
        body = b"<Error><Code>KeyTooLongError</Code><Message>Your key is too long</Message></Error>"
        self.origin.reply = lambda asked: answer(400, body)  # type: ignore[method-assign]
        seen = self.watch_log()
        await self.shield()
        got = await self.get("/" + "k" * 1100)
        self.assertEqual(400, got.status)
        self.assertNotIn(b"KeyTooLong", got.body)
        self.assertEqual([], [text for text in seen if "aws_" in text])

    async def test_secrets_are_nowhere(self) -> None:
        """Whatever S3 answers: no log line, no page and no repr has a key or a signature."""
        for sign in ("v4", "v4-query", "v2", "v2-query"):
            self.sign = sign
            seen = self.watch_log()
            pages = []
            await self.shield("proxy_cache_valid = 200 1m\nerror_pass = off")
            statuses = {
                "SignatureDoesNotMatch": 403,
                "InvalidAccessKeyId": 403,
                "RequestTimeTooSkewed": 403,
                "AccessDenied": 403,
                "ExpiredToken": 400,
                "AuthorizationQueryParametersError": 400,
                "NoSuchKey": 404,
                "NoSuchBucket": 404,
                "PermanentRedirect": 301,
                "InternalError": 500,
                "SlowDown": 503,
                "Strange": 418,
            }
            for code, status in statuses.items():

                def reflect(connection: Any, asked: Any, code=code, status=status) -> None:
                    # S3 echoes the string to sign, the signature and the token.
                    page = f"<Error><Code>{code}</Code><Echo>{asked.head.decode()}</Echo></Error>"
                    answer(status, page.encode(), {"X-Echo": asked.target})(connection, asked)

                self.origin.reply = lambda asked, reflect=reflect: reflect
                for method in ("GET", "HEAD"):
                    got = await self.get(f"/{code}", method)
                    pages.append(
                        repr((code, got.status, [v for k, v in got.lines if k != "x-echo"]))
                    )
                    pages.append(got.body.decode("latin-1"))
            self.origin.reply = lambda asked: raw(b"nonsense " + asked.head, close=True)
            pages.append((await self.get("/nonsense")).body.decode("latin-1"))
            self.origin.reply = lambda asked: raw(
                b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + asked.head, close=True
            )
            await self.get("/cut")
            serving = self.serving
            assert serving is not None
            for location in serving._locations:
                origin = location._origin
                pages += [repr(origin), repr(origin.requests), repr(origin.requests.signer)]
                pages += [repr(location.policy), repr(vars(location))]
            pages.append(repr(serving._config))
            with open(self.log_path, encoding="utf-8") as file:
                self.access_log.flush()
                pages.append(file.read())
            everything = "\n".join(pages + seen)
            signatures = [
                part
                for asked in self.origin.asked
                for part in self.signatures(
                    asked.target + " " + asked.headers.get("authorization", "")
                )
            ]
            self.assertTrue(signatures)
            for secret in (SECRET, TOKEN, TOKEN.replace("/", "%2F"), *signatures):
                self.assertNotIn(secret, everything, sign)
            self.origin.asked.clear()
            await self.stop()

    @staticmethod
    def signatures(text: str) -> list[str]:
        """Return the signatures in a target or an Authorization field."""
        found: list[str] = []
        for mark in ("Signature=", "AWS AKIAIOSFODNN7EXAMPLE:"):
            pieces = text.split(mark)[1:]
            found += [piece.partition("&")[0].partition(" ")[0] for piece in pieces]
        return [each for each in found if each]
