"""The gate of a location: its checks are asked for every request, before cache and origin.

Theory of operation. A check says at once what it thinks of a request, or, where it has to
compute or to ask somebody, later: it returns a Deferred. While all of them answer at once
the request goes through in one synchronous run, which is what hits are made of. Cancelling
the Deferred lets the check drop its work, because the client has gone.

`satisfy = all`: the first that refuses has decided. `any`: the first that grants has; else
the refusal is what `access.together` makes of them, and a check with nothing to say leaves
the door as it is (nginx: ngx_http_core_access_phase).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from s3shield.access import GRANTED, Granted, Refused, Verdict, together
from s3shield.policy import Request
from s3shield.wire import StreamedRequest

from .admitted import serve_upload
from .phase import Ground, Serve

if TYPE_CHECKING:
    from s3shield.routing import Route
    from s3shield.wire import Downstream

__all__ = ["Check", "Gate"]

Check = Callable[[Request], "Verdict | Deferred[Verdict]"]
"""Judges a request. GRANTED itself, no other Granted, says that it may come in."""


class Gate:
    """A location with its checks before it; a `Serve`.

    checks: in the order in which they are asked. some: `satisfy = any`.
    """

    log = Logger()

    def __init__(
        self, ground: Ground, serve: Serve, checks: Sequence[Check], *, some: bool
    ) -> None:
        self._ground = ground
        self._serve = serve
        self._checks = tuple(checks)
        self._some = some

    def __call__(self, request: Request, route: Route, downstream: Downstream) -> None:
        """Let `request` pass, or refuse it; at once or later."""
        judged = self.judge(request)
        if judged is GRANTED:
            if request.__class__ is StreamedRequest:
                serve_upload(self._ground, self._serve, request, route, downstream)
            else:
                self._serve(request, route, downstream)
        elif isinstance(judged, Refused):
            self._ground.refuse(request, route, downstream, judged.status, judged.fields)
        elif isinstance(judged, Deferred):
            self._wait(judged, request, route, downstream)

    def judge(self, request: Request) -> Granted | Refused | Deferred[Granted | Refused]:
        """Ask the checks. GRANTED is the only Granted."""
        some, refused = self._some, None
        for at, check in enumerate(self._checks, 1):
            verdict = check(request)
            if verdict is GRANTED:
                if some:
                    return GRANTED
            elif isinstance(verdict, Refused):
                if not some or verdict.final:
                    return verdict
                refused = together(refused, verdict)
            elif verdict is not None:
                assert isinstance(verdict, Deferred)
                return Deferred.fromCoroutine(self._judge_on(request, verdict, at, refused))
        return refused or GRANTED

    async def _judge_on(
        self,
        request: Request,
        waiting: Deferred[Verdict],
        at: int,
        refused: Refused | None,
    ) -> Granted | Refused:
        """Ask on, from the check that has been asked and has not answered."""
        verdict = await waiting
        while True:
            if isinstance(verdict, Refused):
                if not self._some or verdict.final:
                    return verdict
                refused = together(refused, verdict)
            elif verdict is not None and self._some:
                return GRANTED
            if at == len(self._checks):
                return refused or GRANTED
            asked = self._checks[at](request)
            at += 1
            verdict = await asked if isinstance(asked, Deferred) else asked

    def _wait(
        self,
        judging: Deferred[Granted | Refused],
        request: Request,
        route: Route,
        downstream: Downstream,
    ) -> None:
        """Answer when it is known; a client that leaves before is noted as gone."""
        transaction = self._ground.location.transaction(request, route, downstream)
        waits = True

        def judged(verdict: Granted | Refused) -> None:
            nonlocal waits
            if not waits:
                return  # the client has gone
            waits = False
            if isinstance(verdict, Refused):
                transaction.refuse(verdict.status, verdict.fields)
            elif isinstance(request, StreamedRequest):
                serve_upload(self._ground, self._serve, request, route, downstream)
            else:
                self._serve(request, route, downstream)

        def failed(failure: Failure) -> None:
            nonlocal waits
            cancelled = isinstance(failure.value, CancelledError)
            if not cancelled:
                self.log.failure("a check of access failed", failure)
            if waits:
                waits = False
                transaction.refuse(500)
            elif not cancelled:
                downstream.abort()  # it failed after the gate

        def left() -> bool:
            nonlocal waits
            waiting, waits = waits, False
            if waiting:
                judging.cancel()
            return waiting

        judging.addCallback(judged)
        judging.addErrback(failed)
        if waits:
            transaction.watch(left)
