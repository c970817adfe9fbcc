"""`access.links`: nginx's MD5 links and our own."""

from __future__ import annotations

import base64
import hashlib
from typing import Final
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import (
    GRANTED,
    HashedLink,
    LinkTerms,
    Refused,
    Verdict,
    sign_link,
    signed_link_verdict,
)
from s3shield.policy import Request
from s3shield.routing import Template

FORBIDDEN, OVER = Refused(403), Refused(410)
PEER: Final = b"192.0.2.7"
NOW: Final = 1_800_000_000.5
KEY: Final = b"0123456789abcdef"


def md5(text: str) -> str:
    """As `openssl md5 -binary | openssl base64 | tr +/ -_ | tr -d =`."""
    return base64.urlsafe_b64encode(hashlib.md5(text.encode()).digest()).decode().rstrip("=")


class HashedTests(SynchronousTestCase):
    """`secure_link`, `secure_link_md5`: the example of nginx's documentation, and its limits."""

    def link(
        self,
        link: str = "$arg_md5,$arg_expires",
        text: str = "$secure_link_expires$uri$remote_addr secret",
    ) -> HashedLink:
        """As configured."""
        return HashedLink.parse(Template.parse(link), text)

    def verdict(self, target: str, link: HashedLink | None = None) -> Verdict:
        """Judge a request for `target`."""
        request = Request(target=target.encode(), peer=PEER, host=b"h")
        return (link or self.link()).verdict(request, NOW)

    def test_documented(self) -> None:
        """The documentation of nginx has this very link."""
        link = self.link()
        request = Request(
            target=b"/s/link?md5=_e4Nc3iduzkWRm01TBBNYw&expires=2147483647", peer=b"127.0.0.1"
        )
        self.assertEqual(GRANTED, link.verdict(request, 2147483647.9))
        self.assertEqual(OVER, link.verdict(request, 2147483648.0))
        request.peer = PEER
        self.assertEqual(FORBIDDEN, link.verdict(request, NOW))

    def test_table(self) -> None:
        """Wrong is 403, right and over 410; whatever is no hash or no end is wrong."""
        end = 1_800_000_000
        right = md5(f"{end}/a/b{PEER.decode()} secret")
        old = md5(f"{end - 1}/a/b{PEER.decode()} secret")
        none = md5(f"/a/b{PEER.decode()} secret")
        for target, wanted in (
            (f"/a/b?md5={right}&expires={end}", GRANTED),
            (f"/a/b?expires={end}&MD5={right}", GRANTED),
            (f"/a/b?md5={right}==&expires={end}", GRANTED),
            (f"/a/%62?md5={right}&expires={end}", GRANTED),
            (f"http://h/a/b?md5={right}&expires={end}", GRANTED),
            (f"/a/b?md5={old}&expires={end - 1}", OVER),
            (f"/a/b?md5={right}&expires={end - 1}", FORBIDDEN),
            (f"/a/b?md5={old}&expires={end}", FORBIDDEN),
            (f"/a/c?md5={right}&expires={end}", FORBIDDEN),
            (f"/a/%2562?md5={right}&expires={end}", FORBIDDEN),
            (f"/A/b?md5={right}&expires={end}", FORBIDDEN),
            (f"/a/b/?md5={right}&expires={end}", FORBIDDEN),
            (f"/a/b?md5={right}===&expires={end}", FORBIDDEN),
            (f"/a/b?md5={right[:-1]}&expires={end}", FORBIDDEN),
            (f"/a/b?md5={right[:-2]}+/&expires={end}", FORBIDDEN),
            (f"/a/b?md5={right}&expires=", FORBIDDEN),
            (f"/a/b?md5={none}&expires=", FORBIDDEN),
            (f"/a/b?md5={none}&expires=0", FORBIDDEN),
            (f"/a/b?md5={none}&expires=x", FORBIDDEN),
            (f"/a/b?md5={none}&expires=-1", FORBIDDEN),
            (f"/a/b?md5={right}&expires=%31800000000", FORBIDDEN),
            (f"/a/b?md5={right},{end}&expires={end}", FORBIDDEN),
            (f"/a/b?md5=x&md5={right}&expires={end}", FORBIDDEN),
            ("/a/b?md5=&expires=", FORBIDDEN),
            ("/a/b?", FORBIDDEN),
            ("/a/b", FORBIDDEN),
        ):
            self.assertEqual(wanted, self.verdict(target), target)

    def test_without_an_end(self) -> None:
        """An end is not needed where `secure_link` names none."""
        link = self.link("$arg_h", "$uri secret")
        self.assertEqual(GRANTED, self.verdict(f"/a?h={md5('/a secret')}", link))
        self.assertEqual(FORBIDDEN, self.verdict(f"/b?h={md5('/a secret')}", link))

    def test_names(self) -> None:
        """What the link's parameters are called, to be taken out of what is asked for."""
        self.assertEqual({b"md5", b"expires"}, self.link().names)
        self.assertEqual({b"h"}, self.link("${arg_H}", "x").names)
        self.assertEqual(set(), self.link("$cookie_h,$http_x_end", "x").names)

    def test_bad_text(self) -> None:
        """A variable that does not exist is refused, and nothing of the secret shown."""
        with self.assertRaises(ValueError) as caught:
            self.link(text="$uri hunter2$ecret")
        self.assertNotIn("ecret", str(caught.exception))
        self.assertNotIn("secret", repr(self.link()))


class SignedTests(SynchronousTestCase):
    """Our links."""

    def verdict(
        self,
        target: bytes,
        *,
        method: bytes = b"GET",
        peer: bytes = PEER,
        keys: tuple[bytes, ...] = (KEY,),
    ) -> Verdict:
        """Judge a request for `target`."""
        return signed_link_verdict(keys, Request(method, target, peer=peer), NOW)

    def terms(self, **more: object) -> LinkTerms:
        """Good for a minute."""
        return LinkTerms(**{"expires": int(NOW) + 60, **more})  # type: ignore[arg-type]

    def test_exact(self) -> None:
        """A link is for its path and query, in any spelling of the path, and for nothing else."""
        link = sign_link(KEY, b"/a/b c/\xc3\xa4".replace(b" ", b"%20") + b"?v=1", self.terms())
        tail = link.partition(b"?v=1")[2]
        for target, wanted in (
            (link, GRANTED),
            (b"http://h" + link, GRANTED),
            (b"/a/b%20c/%C3%A4?v=1" + tail, GRANTED),
            (b"/%61/b%20c/%c3%a4?v=1" + tail, GRANTED),
            (b"/a/b%20c/%C3%A4?" + tail[1:] + b"&v=1", GRANTED),
            (b"/a/b%20c/%C3%A4?v=2" + tail, FORBIDDEN),
            (b"/a/b%20c/%C3%A4?" + tail[1:], FORBIDDEN),
            (b"/a/b%20c/%C3%A4?v=1&w=1" + tail, FORBIDDEN),
            (b"/a%2Fb%20c/%C3%A4?v=1" + tail, FORBIDDEN),
            (b"/a/b%2520c/%C3%A4?v=1" + tail, FORBIDDEN),
            (b"/a/b+c/%C3%A4?v=1" + tail, FORBIDDEN),
            (b"/a//b%20c/%C3%A4?v=1" + tail, FORBIDDEN),
            (b"/a/./b%20c/%C3%A4?v=1" + tail, FORBIDDEN),
            (b"/A/b%20c/%C3%A4?v=1" + tail, FORBIDDEN),
            (b"/a/b%20c/%C3%A4/?v=1" + tail, FORBIDDEN),
            (b"/a/b%20c?v=1" + tail, FORBIDDEN),
            (link + tail, FORBIDDEN),
            (link.replace(b"link_expires=", b"link_expires=1"), FORBIDDEN),
            (link.replace(b"link_expires=", b"link_expires=0"), FORBIDDEN),
            (link.replace(b"link_expires=", b"LINK_expires="), FORBIDDEN),
            (link + b"&link_ip=192.0.2.7", FORBIDDEN),
            (link + b"&link_ip=", FORBIDDEN),
            (link + b"&link_prefix=/", FORBIDDEN),
            (link + b"&link_prefix=", FORBIDDEN),
            (link[:-1], FORBIDDEN),
            (link + b"=", FORBIDDEN),
            (link.partition(b"&link_signature")[0], FORBIDDEN),
            (link.partition(b"&link_signature")[0] + b"&link_signature=", FORBIDDEN),
            (b"/a", FORBIDDEN),
            (b"/a?", FORBIDDEN),
            (b"*", FORBIDDEN),
        ):
            self.assertEqual(wanted, self.verdict(target), target)

    def test_end(self) -> None:
        """Until its second is over; then 410, which a wrong link never is."""
        for expires, wanted in ((int(NOW), GRANTED), (int(NOW) - 1, OVER), (0, OVER)):
            link = sign_link(KEY, b"/a", LinkTerms(expires=expires))
            self.assertEqual(wanted, self.verdict(link))
            self.assertEqual(FORBIDDEN, self.verdict(link.replace(b"/a", b"/b")))

    def test_methods(self) -> None:
        """A link reads."""
        link = sign_link(KEY, b"/a", self.terms())
        for method, wanted in (
            (b"GET", GRANTED),
            (b"HEAD", GRANTED),
            (b"PUT", FORBIDDEN),
            (b"DELETE", FORBIDDEN),
            (b"PURGE", FORBIDDEN),
            (b"OPTIONS", FORBIDDEN),
            (b"get", FORBIDDEN),
        ):
            self.assertEqual(wanted, self.verdict(link, method=method), method)

    def test_address(self) -> None:
        """A link for a client, or a network, is no other's."""
        for ip, peer, wanted in (
            ("192.0.2.7", PEER, GRANTED),
            ("192.0.2.0/24", PEER, GRANTED),
            ("192.0.2.8", PEER, FORBIDDEN),
            ("192.0.2.7", b"2001:db8::1", FORBIDDEN),
            ("2001:db8::/32", b"2001:db8::1", GRANTED),
            ("192.0.2.7", b"unix:", FORBIDDEN),
        ):
            link = sign_link(KEY, b"/a", self.terms(ip=ip))
            self.assertEqual(wanted, self.verdict(link, peer=peer), ip)
            without = link.replace(b"&link_ip=" + quote(ip, safe="/:").encode(), b"")
            self.assertEqual(FORBIDDEN, self.verdict(without, peer=peer))

    def test_prefix(self) -> None:
        """A link for what is below a path is for that, with any query, and no dots lead out of it."""
        link = sign_link(KEY, b"/films/a%20b/1.ts", self.terms(prefix=b"/films/a%20b/"))
        tail = link.partition(b"?")[2]
        for path, wanted in (
            (b"/films/a%20b/1.ts?", GRANTED),
            (b"/films/a%20b/2.ts?", GRANTED),
            (b"/films/a%20b/c/d?x=1&", GRANTED),
            (b"/films/a%20b/?", GRANTED),
            (b"/%66ilms/a%20b/2.ts?", GRANTED),
            (b"/films/a%20b?", FORBIDDEN),
            (b"/films/a%20bc/1.ts?", FORBIDDEN),
            (b"/films/a%2520b/1.ts?", FORBIDDEN),
            (b"/films%2Fa%20b/1.ts?", FORBIDDEN),
            (b"/films/a%20b/../c?", FORBIDDEN),
            (b"/films/a%20b/%2e%2e/c?", FORBIDDEN),
            (b"/films/a%20b/c%2F..%2F..%2Fd?", FORBIDDEN),
            (b"/films/a%20b/./c?", FORBIDDEN),
            (b"/FILMS/a%20b/1.ts?", FORBIDDEN),
            (b"/x/films/a%20b/1.ts?", FORBIDDEN),
            (b"//films/a%20b/1.ts?", FORBIDDEN),
        ):
            self.assertEqual(wanted, self.verdict(path + tail), path)
        shorter = tail.replace(b"link_prefix=/films/a%2520b/", b"link_prefix=/films/")
        self.assertNotEqual(tail, shorter)
        self.assertEqual(FORBIDDEN, self.verdict(b"/films/a%20b/1.ts?" + shorter))

    def test_rotation(self) -> None:
        """Links of the key before are good while it is there."""
        link = sign_link(b"old key, old key", b"/a", self.terms())
        self.assertEqual(GRANTED, self.verdict(link, keys=(KEY, b"old key, old key")))
        self.assertEqual(FORBIDDEN, self.verdict(link))
        self.assertEqual(FORBIDDEN, self.verdict(link, keys=()))

    def test_not_signed(self) -> None:
        """What no link can be made of."""
        for target, more in (
            (b"a", {}),
            (b"/a?link_signature=x", {}),
            (b"/a?link_ip=x&link_ip=y", {}),
            (b"/a", {"ip": "192.0.2.1/24"}),
            (b"/a", {"ip": "example.com"}),
            (b"/a", {"prefix": b"/b/"}),
            (b"/a/b", {"prefix": b"/a"}),
            (b"/a/../b", {"prefix": b"/a/"}),
            (b"/a/b", {"prefix": b""}),
        ):
            with self.assertRaises(ValueError, msg=(target, more)):
                sign_link(KEY, target, self.terms(**more))

    @given(st.binary(max_size=20), st.binary(max_size=20), st.booleans())
    @settings(deadline=None, max_examples=150)
    def test_any_path(self, one: bytes, other: bytes, below: bool) -> None:
        """Whatever the path: its own link is good, and no other's."""
        paths = [("/p/" + quote(each, safe="")).encode() for each in (one, other)]
        try:
            link = sign_link(KEY, paths[0], self.terms(prefix=b"/p/" if below else None))
        except ValueError:
            self.assertTrue(below and one in (b".", b".."))
            return
        self.assertEqual(GRANTED, self.verdict(link))
        got = self.verdict(paths[1] + link[len(paths[0]) :])
        good = one == other or (below and other not in (b".", b".."))
        dotted = below and any(x in (b".", b"..") for x in other.split(b"/"))
        self.assertEqual(GRANTED if good and not dotted else FORBIDDEN, got)
