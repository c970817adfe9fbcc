"""Reloads: one at a time, and the last file wins.

Theory of operation. A reload reads the file, checks it as a start does, binds the addresses that
are new and starts a second generation of workers beside the first, on the same sockets. When all
of them serve, the first is told to retire: its workers accept no more, tell each client with the
next response to close, and end when what is under way has ended. Until then nothing has changed:
whatever goes wrong, the first generation goes on as if nobody had asked. Both use one cache, as
workers always do.

What is asked for while a reload goes on is one more reload after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from s3shield.ops.outcome import Outcome, OutcomeFile
from s3shield.ops.plan import StartError
from s3shield.ops.service_module import first_error
from s3shield.ops.workers import WorkerFailed

__all__ = ["Reloads"]


class Reloads:
    """reload: does it; says in a line what is so now. Raises StartError or WorkerFailed.

    outcome: returns where it is told besides the log. wall: epoch seconds. ended: is told, too:
    whether it was done, and the text.
    """

    log = Logger()

    def __init__(
        self,
        reload: Callable[[], Awaitable[str]],
        outcome: Callable[[], OutcomeFile],
        wall: Callable[[], float],
        ended: Callable[[bool, str], None],
    ) -> None:
        self._reload = reload
        self._outcome = outcome
        self._wall = wall
        self._ended = ended
        self._again = False
        self._allowed = False
        self.under_way = False
        self.stopped = False

    def ask(self) -> None:
        """Reload, now or when the one under way is done."""
        if self.stopped:
            return
        if self.under_way or not self._allowed:
            self._again = True
            return
        self.under_way = True
        Deferred.fromCoroutine(self._run()).addErrback(self._bug)

    def allow(self) -> None:
        """The first start is done: what has been asked for meanwhile can be done now."""
        self._allowed = True
        if self._again:
            self.ask()

    async def _run(self) -> None:
        try:
            self._again = True
            while self._again and not self.stopped:
                self._again = False
                began = self._wall()
                good, text = await self._once()
                if not self.stopped:
                    self._outcome().write(Outcome(began, good, text))
                    self._ended(good, text)
        finally:
            self.under_way = False

    async def _once(self) -> tuple[bool, str]:
        try:
            text = await self._reload()
        except Exception as why:
            failure = Failure()  # type: ignore[no-untyped-call]  # Twisted's
            error = first_error(failure)
            if self.stopped:
                return False, "the daemon is stopping"
            if isinstance(error, StartError | WorkerFailed):
                self._refused(str(error))
                return False, str(error)
            self.log.failure("reload: nothing has changed", failure)
            return False, f"{type(why).__name__}: {why} (see the error log)"
        self.log.info("{text}", text=text)
        return True, text

    def _refused(self, why: str) -> None:
        for line in why.splitlines():
            self.log.error("reload: {line}", line=line)
        self.log.error("reload: nothing has changed, the configuration before goes on")

    def _bug(self, failure: Failure) -> None:
        self.log.failure("reload", failure)
