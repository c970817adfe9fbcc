"""The access log: records in, lines out, in batches off the hit path.

A hit appends one tuple. Lines are made and written when 256 records have come together,
and at the latest 0.2 s after the first: one append for all of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from s3shield.ops.log_format import Format, compile_format, variables_of, with_fields, without
from s3shield.ops.log_journal import JournalTarget
from s3shield.ops.log_target import Target, open_target
from s3shield.ops.log_variables import REQUEST, STATUS, LogRecord
from s3shield.policy import NOTHING_CONSUMED, CacheStatus, Consumed, InnerRequest, Request

__all__ = ["AccessLog"]

_BATCH = 256
"""Records formatted in one run: under a millisecond of `combined`."""
_BATCH_BYTES = 128 * 1024
"""A batch also ends here: a client's 32 KiB of escaped header must not hold the loop."""
_RUN = 4
"""Records formatted before it is looked how long the lines are."""
_FLUSH_SECONDS = 0.2
_REPORT_SECONDS = 60.0
_LINE_LIMIT = 8192
_ALWAYS = 400
"""Statuses from here on are written, whatever the sample."""
_WHOLE = 1.0 - 1e-9
"""Ten times 0.1 is less than 1."""


NOTHING: frozenset[str] = frozenset()


def _discard(_record: LogRecord) -> None:
    return None


def _outward(record: LogRecord) -> LogRecord | None:
    """Return the record as it is of the client's own request; None for what it never saw."""
    request = record[REQUEST]
    assert isinstance(request, InnerRequest)
    peer, wall, _, _, *rest = record
    each: InnerRequest | None = request
    while each is not None:
        if each.quiet:
            # With the client's request: it would hold itself otherwise.
            each.record = (peer, wall, request.outer, *record[STATUS:])
            return None
        each = each.parent
    status = record[STATUS]
    if request.status and status == 200:
        status = request.status  # a page with another status; its client may have left, too
    return (peer, wall, request.outer, status, *rest)  # type: ignore[return-value]  # as it was


class AccessLog:
    """Takes finished requests' records and writes them to a target.

    target: see `open_target`, or `off`. format: see compile_format. sample: the part of the
    requests that are written; those with a status of 400 and more all are.
    append: the bound callable the exchange calls with each record; it never raises for a
    log's trouble. Lines that cannot be written are counted, and reported at most once a
    minute. wall: the clock of `refused`.

    Raises OSError when the target cannot be opened, ValueError for the format.
    """

    log = Logger()

    def __init__(
        self,
        target: str,
        format: str = "combined",  # noqa: A002  # the option's word
        *,
        reactor: IReactorTime,
        wall: Callable[[], float] = time.time,
        sample: float = 1.0,
    ) -> None:
        self.target = target
        self._reactor = reactor
        self._wall = wall
        self._records: list[LogRecord] = []
        self._tick: IDelayedCall | None = None
        self._report: IDelayedCall | None = None
        self._closed = False
        self._sample = sample
        self._due = 0.0
        self._count: Callable[[list[LogRecord]], None] | None = None
        self.lost = 0
        """Lines lost since the start."""
        self._unreported = 0
        self._shown: Format = compile_format(format, pid=os.getpid())
        self.wanted = NOTHING if target == "off" else variables_of(format)
        """Names of the variables that lines are made of."""
        self._hidden = NOTHING_CONSUMED
        self._to: Target | None = None if target == "off" else open_target(target)
        if isinstance(self._to, JournalTarget):
            self._shown = with_fields(self._shown)
        self._format = self._shown
        self.append: Callable[[LogRecord], None] = (
            _discard if self._to is None else self._appender()
        )

    def _appender(self) -> Callable[[LogRecord], None]:
        # Always the same list, so that this closure is all a hit pays for.
        records = self._records
        add = records.append
        count = records.__len__
        arm = self._arm
        write = self._write_batch

        def append(record: LogRecord) -> None:
            if record[REQUEST].__class__ is InnerRequest:
                outward = _outward(record)
                if outward is None:
                    return
                record = outward
            add(record)
            waiting = count()
            if waiting == 1:
                arm()
            elif waiting >= _BATCH:
                write()

        return append

    def measure(self, count: Callable[[list[LogRecord]], None]) -> None:
        """Have each batch counted from now on, also where nothing is written. May be called once.

        count: takes the records of a batch, before they are written; must not keep the list.
        """
        self._count = count
        if self._to is None and not self._closed:
            self.append = self._appender()

    def hide(self, consumed: Consumed) -> None:
        """Show no values of these arguments, and not these cookies, from now on."""
        self._hidden |= consumed
        self._format = without(self._hidden, self._shown)

    def refused(self, peer: bytes, status: int, line: bytes) -> None:
        """Log a request that the wire refused before it was one.

        peer: as a record's. status: of the answer. line: what came in place of the request
        line, any bytes; its first 8 KiB are shown.
        """
        request = Request(b"", line[:_LINE_LIMIT].rstrip(b"\r\n"), version=(0, 0), peer=peer)
        fate = CacheStatus.NONE
        wall = self._wall()
        self.append((peer, wall, request, status, 0, fate, None, 0.0, None, 0, "", b"", 0))

    # --- writing ------------------------------------------------------------------------

    def _arm(self, delay: float = _FLUSH_SECONDS) -> None:
        if self._tick is None and not self._closed:
            self._tick = self._reactor.callLater(delay, self._ticked)

    def _ticked(self) -> None:
        self._tick = None
        self._write_batch()
        if self._records:
            self._arm(0)
        elif self._to is not None and self._to.pending:
            self._arm(self._to.pending)

    def _write_batch(self) -> None:
        """Format up to 256 records and write their lines at once."""
        target = self._to
        records = self._records
        if target is None:
            batch, records[:] = records[:], ()
            self._tell_count(batch)
            return
        lines: list[bytes] = []
        size = taken = 0
        batch = records[:_BATCH]
        while taken < len(batch) and size <= _BATCH_BYTES:
            few = batch[taken : taken + _RUN]
            taken += len(few)
            made = self._lines(few if self._sample >= 1.0 else self._sampled(few))
            lines += made
            size += sum(map(len, made))
        del batch[taken:], records[:taken]
        self._tell_count(batch)
        target.write(lines)
        if target.lost:
            lost, target.lost = target.lost, 0
            self._lose(lost)

    def _sampled(self, records: list[LogRecord]) -> list[LogRecord]:
        """Return those of the records that are written."""
        chosen = []
        for record in records:
            if record[STATUS] < _ALWAYS:
                self._due += self._sample
                if self._due < _WHOLE:
                    continue
                self._due -= 1.0
            chosen.append(record)
        return chosen

    def _lines(self, records: list[LogRecord]) -> list[bytes]:
        """Return a line for each record of which one can be made."""
        try:
            return list(map(self._format, records))
        except Exception:
            if len(records) > 1:  # which of them?
                return [line for each in records for line in self._lines([each])]
            self._lose(1)
            self.log.failure("no access log line could be made of a record")
            return []

    def _tell_count(self, records: list[LogRecord]) -> None:
        if self._count is not None:
            try:
                self._count(records)
            except Exception:
                self.log.failure("records of requests could not be counted")

    def _lose(self, lines: int) -> None:
        self.lost += lines
        self._unreported += lines
        if self._report is None:
            self._tell()

    def _tell(self) -> None:
        """Report what was lost; then nothing for a minute."""
        self._report = None
        if not self._unreported:
            return
        self.log.error(
            "{lost} lines of the access log {target} are lost: {reason}",
            lost=self._unreported,
            target=self.target,
            reason=self._to.error if self._to is not None else "",
        )
        self._unreported = 0
        if not self._closed:
            self._report = self._reactor.callLater(_REPORT_SECONDS, self._tell)

    def flush(self) -> None:
        """Write all there is, now."""
        while self._records:
            self._write_batch()

    def reopen(self) -> None:
        """Flush, then go on with a file newly opened under the same name (SIGUSR1).

        A failure is logged; the old file is written on.
        """
        self.flush()
        if self._to is None:
            return
        reason = None
        try:
            self._to.reopen()
        except OSError as error:
            reason = error.strerror
        if reason:
            text = "cannot reopen the access log {target}: {reason}"
            self.log.error(text, target=self.target, reason=reason)

    def close(self) -> None:
        """Flush and close. Records that come later are dropped."""
        if self._closed:
            return
        self.flush()
        if self._to is not None and self._to.pending:
            self._to.write([])
        self._closed = True
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        if self._report is not None:
            self._report.cancel()
            self._report = None
        self._tell()
        self.append = _discard
        if self._to is not None:
            self._to.close()
            self._to = None
