"""`front.TokenCheck`: what it remembers, and what it tells."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import GRANTED, Refused, parse_keys
from s3shield.config import JwtConfig
from s3shield.front import Process, token_check
from s3shield.front.token_check import TokenCheck
from s3shield.policy import Request
from tests.access.issuer import NOW, jwk_set, signer

ISSUER = signer("HS256")


class Keys:
    """A source that never has more."""

    def __init__(self) -> None:
        self.keys: Any = parse_keys(jwk_set(ISSUER), local=True).keys
        self.changed: list[Any] = []

    def more(self) -> None:
        """There has just been a look."""


class TokenCheckTests(SynchronousTestCase):
    """By a clock of its own."""

    def setUp(self) -> None:
        """Count what is really checked."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.source = Keys()
        seconds = self.clock.seconds
        process = Process(reactor=self.clock, clock=seconds, monotonic=seconds)
        config = JwtConfig(realm="x", where="s3.ini:7")
        self.check = TokenCheck(config, [self.source], process)  # type: ignore[list-item]
        self.checked = 0
        real = token_check.check_token

        def count(*words: Any) -> Any:
            self.checked += 1
            return real(*words)

        self.patch(token_check, "check_token", count)
        self.events: list[str] = []

        def observe(event: Any) -> None:
            if "why" in event:
                self.events.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def bring(self, token: bytes, peer: bytes = b"192.0.2.7") -> Any:
        """Return what is said of a request with it."""
        headers = {b"authorization": b"Bearer " + token}
        return self.check(Request(b"GET", b"/a", headers, peer=peer))

    def token(self, **claims: Any) -> bytes:
        """Return a good one."""
        return ISSUER.token({"exp": int(NOW) + 60, **claims})

    def test_remembered_until_it_ends(self) -> None:
        """Checked once; at its end it is refused all the same."""
        token = self.token()
        for _ in range(5):
            self.assertIs(GRANTED, self.bring(token))
        self.assertEqual(1, self.checked)
        self.clock.advance(59.5)
        self.assertIs(GRANTED, self.bring(token))
        self.assertEqual(1, self.checked)
        self.clock.advance(0.5)
        self.assertEqual(401, self.bring(token).status)

    def test_refused_ones_are_not(self) -> None:
        """What was too early, or wrong, is looked at anew each time."""
        token = self.token(nbf=int(NOW) + 5)
        self.assertEqual(401, self.bring(token).status)
        self.clock.advance(5)
        self.assertIs(GRANTED, self.bring(token))

    def test_new_keys(self) -> None:
        """With other keys nothing is remembered, of either generation."""
        self.patch(token_check, "_REMEMBERED", 1)
        first, second = self.token(sub="1"), self.token(sub="2")
        for token in (first, second):
            self.assertIs(GRANTED, self.bring(token))
        self.source.keys = parse_keys(jwk_set(signer("ES256", "two")), local=True).keys
        for tell in self.source.changed:
            tell()
        for token in (first, second):
            self.assertIsInstance(self.bring(token), Refused)

    def test_bounded(self) -> None:
        """A flood of good tokens is not kept; those in use are."""
        self.patch(token_check, "_REMEMBERED", 10)
        used = self.token(sub="used")
        for number in range(100):
            self.assertIs(GRANTED, self.bring(self.token(sub=str(number))))
            self.assertIs(GRANTED, self.bring(used))
        self.assertLessEqual(len(self.check._good) + len(self.check._before), 20)
        self.assertEqual(101, self.checked)

    def test_told(self) -> None:
        """One line a minute for each reason; the next one has the count; a name is cut short."""
        late = self.token(exp=1)
        for _ in range(42):
            self.bring(late)
        self.bring(signer("HS256", "n" * 100 + "\n").token({}))
        begin = "auth_jwt (s3.ini:7): a token from 192.0.2.7 is refused: "
        unknown = f"{begin}there is no key for it: '{'n' * 40}'"
        self.assertEqual([f"{begin}it has expired", unknown], self.events)
        self.clock.advance(60)
        self.bring(late, b"")
        line = "auth_jwt (s3.ini:7): a token from unix: is refused: it has expired (and 41 more like it before)"
        self.assertEqual(line, self.events[2])
        self.clock.advance(60)
        self.bring(late)
        self.assertEqual(f"{begin}it has expired", self.events[3])

    def test_no_keys_but_no_token_either(self) -> None:
        """Without keys what is no token at all is refused as such, all else is not decided."""
        self.source.keys = None
        self.assertEqual(401, self.bring(b"rubbish").status)
        self.assertEqual(503, self.bring(self.token()).status)
