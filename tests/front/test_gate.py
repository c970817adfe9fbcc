"""`front.Gate`: what the checks say together, at once or later (nginx: satisfy)."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import GRANTED, Refused
from s3shield.front.gate import Gate
from s3shield.policy import Request

BASIC = Refused(401, ((b"WWW-Authenticate", b"Basic"),))
BEARER = Refused(401, ((b"WWW-Authenticate", b"Bearer"),))
BOTH = Refused(401, BASIC.fields + BEARER.fields)
FORBIDDEN, GONE, BUSY = Refused(403), Refused(410), Refused(503)


@attrs.define
class Door:
    """What stands in for the location, its listener and the client; notes what happens."""

    served: int = 0
    refused: list[Refused] = attrs.field(factory=list)
    logged: list[int] = attrs.field(factory=list)
    aborted: int = 0
    gone: Any = None

    @property
    def location(self) -> Any:
        """It makes transactions too."""
        return self

    def transaction(self, request: Any, route: Any, downstream: Any) -> Any:
        """And is one."""
        return self

    def serve(self, request: Any, route: Any, downstream: Any) -> None:
        """Let in."""
        self.served += 1

    def refuse(self, *told: Any) -> None:
        """As a Ground, or as a Transaction."""
        status, fields = told[-2:] if len(told) > 1 else (told[0], ())
        self.refused.append(Refused(status, fields))

    def abort(self) -> None:
        """The connection is cut."""
        self.aborted += 1

    def watch(self, gone: Any) -> None:
        """As a Transaction."""
        self.gone = gone

    def leave(self) -> None:
        """The client leaves."""
        if self.gone():
            self.logged.append(499)


def gate(door: Any, *answers: Any, some: bool = False) -> Any:
    """A gate whose checks give `answers`."""
    return Gate(door, door.serve, [lambda _, x=x: x for x in answers], some=some)


class SatisfyTests(SynchronousTestCase):
    """All or any of the checks."""

    def check(self, answers: tuple[Any, ...], wanted: Any, *, some: bool) -> None:
        """Each way to answer, at once and later, in each place, comes to the same."""
        for later in range(1 << len(answers)):
            door: Any = Door()
            waiting: list[tuple[Deferred[Any], Any]] = []
            given: list[Any] = []
            for at, answer in enumerate(answers):
                given.append(answer)
                if later >> at & 1:
                    given[at] = Deferred()
                    waiting.append((given[at], answer))
            gate(door, *given, some=some)(Request(), None, door)
            for deferred, told in waiting:
                deferred.callback(told)
            self.assertEqual(int(wanted is GRANTED), door.served)
            self.assertEqual([] if wanted is GRANTED else [wanted], door.refused)

    def test_all(self) -> None:
        """The first refusal decides; who has nothing to say does not hinder."""
        for answers, wanted in (
            ((GRANTED,), GRANTED),
            ((None,), GRANTED),
            ((GRANTED, GRANTED), GRANTED),
            ((GRANTED, FORBIDDEN), FORBIDDEN),
            ((FORBIDDEN, BASIC), FORBIDDEN),
            ((BASIC, FORBIDDEN), BASIC),
            ((None, BASIC, GRANTED), BASIC),
            ((GRANTED, BUSY), BUSY),
        ):
            self.check(answers, wanted, some=False)

    def test_any(self) -> None:
        """One grant is enough; 401 wins over 403, with all challenges; a failure ends it."""
        for answers, wanted in (
            ((GRANTED,), GRANTED),
            ((None,), GRANTED),
            ((None, None), GRANTED),
            ((FORBIDDEN, GRANTED), GRANTED),
            ((GRANTED, FORBIDDEN), GRANTED),
            ((BASIC, FORBIDDEN, GRANTED), GRANTED),
            ((None, BASIC), BASIC),
            ((BASIC, None), BASIC),
            ((FORBIDDEN, BASIC), BASIC),
            ((BASIC, FORBIDDEN), BASIC),
            ((BASIC, BEARER), BOTH),
            ((BASIC, FORBIDDEN, BEARER, GONE), BOTH),
            ((FORBIDDEN, GONE), GONE),
            ((BUSY, GRANTED), BUSY),
            ((FORBIDDEN, BUSY), BUSY),
            ((GRANTED, BUSY), GRANTED),
        ):
            self.check(answers, wanted, some=True)


class LaterTests(SynchronousTestCase):
    """Checks that take their time."""

    def test_not_asked_before(self) -> None:
        """A check after one that waits is asked when that has granted, not before."""
        door: Any = Door()
        first: Deferred[Any] = Deferred()
        asked = []

        def second(_: Any) -> Any:
            asked.append(1)
            return GRANTED

        Gate(door, door.serve, [lambda _: first, second], some=False)(Request(), Any, door)
        self.assertEqual([], asked)
        first.callback(GRANTED)
        self.assertEqual(([1], 1), (asked, door.served))

    def test_client_leaves(self) -> None:
        """A client that leaves while a check runs is logged as 499, once, and the check ended."""
        door: Any = Door()
        ended = []
        gate(door, Deferred(lambda _: ended.append(1)))(Request(), None, door)
        door.leave()
        self.assertEqual(([499], [1], 0, []), (door.logged, ended, door.served, door.refused))
        door.leave()
        self.assertEqual([499], door.logged)

    def test_grant_for_nobody(self) -> None:
        """A check that says yes when it is told to stop lets nobody in."""
        door: Any = Door()
        gate(door, Deferred(lambda waiting: waiting.callback(GRANTED)))(Request(), None, door)
        door.leave()
        self.assertEqual((0, []), (door.served, door.refused))

    def test_leaves_after(self) -> None:
        """A client that leaves when it has been let in is not the gate's any more."""
        door: Any = Door()
        waiting: Deferred[Any] = Deferred()
        gate(door, waiting)(Request(), None, door)
        waiting.callback(GRANTED)
        door.leave()
        self.assertEqual((1, []), (door.served, door.logged))

    def test_failure(self) -> None:
        """A check that fails lets nobody in, also where another would: 500, and it is logged."""
        for some in (False, True):
            door: Any = Door()
            waiting: Deferred[Any] = Deferred()
            gate(door, waiting, GRANTED, some=some)(Request(), None, door)
            waiting.errback(ValueError("broken"))
            self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))
            self.assertEqual((0, [Refused(500)]), (door.served, door.refused))
