"""Who of the worker processes is fetching what, so that no two fetch the same.

Theory of operation. A small LMDB environment without sync, like `recent`. A row is a claim:
its key says what is fetched; its ident, 16 bytes and unlike any other's, begins with the
mark of the process (`owners`) that does it. Who finds a claim of another's waits for it,
and looks at it every few milliseconds: it goes, or says how the fetch ended. The claims
of a process that has died are nobody's: whoever waits sees that its mark is not locked
any more, and takes them away.

When the table cannot be used each process fetches for itself.
"""

from __future__ import annotations

import contextlib
import enum
import itertools
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import lmdb

from .errors import plain
from .owners import is_living

if TYPE_CHECKING:
    from .place import Place

__all__ = ["Claim", "ClaimTable", "Claims", "Outcome", "Span", "span_key", "span_stop"]

_MAP: Final = 64 << 20
_ROW: Final = struct.Struct("<16sBdQ")
_BEFORE: Final = 16 * 16
_count: Final = itertools.count(1)


class Outcome(enum.IntEnum):
    """What a row says about the fetch."""

    HELD = 0
    """It is going on."""
    UNSTORED = 1
    """What it brought is not stored, nor will be what others bring: do not wait."""
    ALONE = 2
    """What it brought was for whoever asked: those who waited each ask for themselves."""
    FAILED = 3
    """The origin failed; `Claim.note` says how."""
    VOID = 4
    """It goes on, but what it fetches has changed meanwhile."""


@attrs.frozen(kw_only=True)
class Claim:
    """One row.

    ident: bytes, 16. time: epoch seconds: since when it is held, else until when the
    outcome is worth knowing. fence: the store's when it was made. note: bytes; of one that
    is held, the idents that it has replaced and that are not void.
    """

    ident: bytes
    outcome: Outcome = Outcome.HELD
    time: float
    fence: int = 0
    note: bytes = b""

    def pack(self) -> bytes:
        """Return the row."""
        return _ROW.pack(self.ident, self.outcome, self.time, self.fence) + self.note

    @classmethod
    def unpack(cls, row: bytes) -> Claim:
        """Return what a row says."""
        ident, outcome, time, fence = _ROW.unpack_from(row)
        note = bytes(row[_ROW.size :])
        return cls(ident=ident, outcome=Outcome(outcome), time=time, fence=fence, note=note)


@attrs.frozen
class Span:
    """A claim on a part of a body file. start, stop: half-open, in bytes."""

    ident: bytes
    start: int
    stop: int


def span_key(blob: bytes, start: int) -> bytes:
    """Return the key of the claim on what begins at `start` of a body file."""
    return blob + start.to_bytes(8, "big")


def span_stop(claim: Claim) -> int:
    """Return where the part ends that such a claim is on."""
    return int.from_bytes(claim.note, "big")


def _span_row(ident: bytes, now: float, stop: int) -> bytes:
    return Claim(ident=ident, time=now, note=stop.to_bytes(8, "big")).pack()


def _spans(txn: lmdb.Transaction[bytes], blob: bytes) -> list[Span]:
    found = []
    with txn.cursor() as cursor:
        if cursor.set_range(blob):
            for key, row in cursor:
                if len(key) != len(blob) + 8 or not key.startswith(blob):
                    break
                claim = Claim.unpack(row)
                start = int.from_bytes(key[len(blob) :], "big")
                found.append(Span(claim.ident, start, span_stop(claim)))
    return found


class ClaimTable:
    """LMDB at `path`. owner: bytes, 8, this process's mark. Raises lmdb.Error."""

    def __init__(self, path: Path, owner: bytes) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.owner = owner
        self._env = lmdb.open(
            str(path),
            map_size=_MAP,
            sync=False,
            metasync=False,
            meminit=False,
            max_readers=2048,
            max_spare_txns=4,
            mode=0o600,
        )
        self._env.reader_check()
        self._begin = self._env.begin

    def close(self) -> None:
        """Let go of the map. Everything else raises lmdb.Error from now on."""
        self._env.close()

    def take(
        self, key: bytes, now: float, fence: int, over: Callable[[Claim], bool]
    ) -> tuple[bytes, Claim | None]:
        """Claim `key`: return the ident, or another's claim that stands.

        A claim of our own is replaced; so is another's that is held if `over` says so.
        """
        before = b""
        with self._begin(write=True) as txn:
            row = txn.get(key)
            if row is not None:
                found = Claim.unpack(row)
                if found.outcome is Outcome.HELD:
                    stands = found.ident[:8] != self.owner and not over(found)
                else:
                    stands = found.outcome is Outcome.UNSTORED and found.time > now
                if stands:
                    return b"", found
                if found.outcome is Outcome.HELD:
                    before = (found.ident + found.note)[:_BEFORE]
            ident = self._new_ident()
            txn.put(key, Claim(ident=ident, time=now, fence=fence, note=before).pack())
        return ident, None

    def take_span(
        self,
        blob: bytes,
        span: tuple[int, int],
        now: float,
        near: Callable[[int, int], bool],
        worth: int,
    ) -> tuple[bytes, Span]:
        """Claim what of `span` no other process is fetching: see `Claims.take_span`."""
        start, stop = span
        with self._begin(write=True) as txn:
            others = [each for each in _spans(txn, blob) if each.ident[:8] != self.owner]
            for each in others:
                if each.start <= start < each.stop and near(each.start, each.stop):
                    return b"", each
            stop = min([stop, *[each.start for each in others if start < each.start]])
            for each in others:
                if each.start < start < each.stop and (stop >= each.stop or stop - start >= worth):
                    txn.put(span_key(blob, each.start), _span_row(each.ident, now, start))
            ident = self._new_ident()
            txn.put(span_key(blob, start), _span_row(ident, now, stop))
        return ident, Span(ident, start, stop)

    def end(self, ended: Iterable[tuple[bytes, bytes, Claim | None]]) -> None:
        """Replace (key, ident) claims by what became of them; None: take the row away.

        One that is not there any more, or has become another's, is let be.
        """
        with self._begin(write=True) as txn:
            for key, ident, left in ended:
                row = txn.get(key)
                if row is None or row[:16] != ident:
                    continue
                if left is None:
                    txn.delete(key)
                else:
                    txn.put(key, left.pack())

    def void(self, key: bytes) -> None:
        """What is held changes: nobody is to wait for it, nor to store it."""
        with self._begin(write=True) as txn:
            row = txn.get(key)
            if row is not None and Claim.unpack(row).outcome is Outcome.HELD:
                txn.put(key, attrs.evolve(Claim.unpack(row), outcome=Outcome.VOID).pack())

    def look(self, keys: Iterable[bytes]) -> dict[bytes, Claim]:
        """Return the claims there are, all as of one instant."""
        found = {}
        with self._begin() as txn:
            for key in keys:
                row = txn.get(key)
                if row is not None:
                    found[key] = Claim.unpack(row)
        return found

    def _new_ident(self) -> bytes:
        return self.owner + next(_count).to_bytes(8, "little")

    def hold(self) -> contextlib.AbstractContextManager[object]:
        """Enter it to keep every other process out, for as long as it takes."""
        return self._begin(write=True)

    def sweep(self, alive: Callable[[bytes], bool]) -> None:
        """Take the claims of dead processes away. alive: tells by a mark."""
        with self._begin(write=True) as txn:
            for key, row in list(txn.cursor()):
                if not alive(row[:8]):
                    txn.delete(key)


class Claims:
    """The table of a store that is open, whatever becomes of it. No method raises.

    place: the store's. trouble: told one reason for the log.
    """

    def __init__(self, place: Place, trouble: Callable[[str], None]) -> None:
        self._place = place
        self._trouble = trouble

    def take(
        self, key: bytes, now: float, fence: int, over: Callable[[Claim], bool]
    ) -> tuple[bytes, Claim | None]:
        """Claim `key`, bytes: return (ident, None), or (nothing, another's claim that stands).

        now: epoch seconds. fence: `Store.fence`. over: whether to take over another's that
        is held. Neither when there is no table: go on without.
        """
        table = self._place.claims
        if table is not None:
            try:
                return table.take(key, now, fence, over)
            except lmdb.Error as error:
                self._failed(error)
        return b"", None

    def take_span(
        self,
        blob: bytes,
        span: tuple[int, int],
        now: float,
        near: Callable[[int, int], bool],
        worth: int,
    ) -> tuple[bytes, Span]:
        """Claim a part of a body file that is not there.

        blob: bytes, 16. span: half-open, bytes. near: tells of another's span with the
        first byte of ours in it whether it is worth waiting for. worth: bytes from which on
        one that is not is cut short in our favour, or where ours goes to its end.

        Return (ident, what is ours: all of it, or up to where another's begins), or
        (nothing, the other's that is to be waited for). With no table (nothing, ours).
        """
        table = self._place.claims
        if table is not None:
            try:
                return table.take_span(blob, span, now, near, worth)
            except lmdb.Error as error:
                self._failed(error)
        return b"", Span(b"", *span)

    def end(self, ended: Iterable[tuple[bytes, bytes, Claim | None]]) -> None:
        """Say what became of (key, ident) claims; None: nothing to tell, the row goes."""
        table = self._place.claims
        if table is not None:
            try:
                table.end(ended)
            except lmdb.Error as error:
                self._failed(error)

    def void(self, key: bytes) -> None:
        """What is fetched under `key` has changed: nobody is to wait for it, nor to store it."""
        table = self._place.claims
        if table is not None:
            try:
                table.void(key)
            except lmdb.Error as error:
                self._failed(error)

    def is_void(self, key: bytes, ident: bytes) -> bool:
        """Tell whether what was fetched under that claim has changed, as far as is known."""
        found = self.look([key]).get(key)
        if found is None or found.outcome is Outcome.VOID:
            return True
        before = [found.note[at : at + 16] for at in range(0, len(found.note), 16)]
        return found.ident != ident and ident not in before

    def look(self, keys: Iterable[bytes]) -> dict[bytes, Claim]:
        """Return the claims there are for `keys`."""
        table = self._place.claims
        if table is not None:
            try:
                return table.look(keys)
            except lmdb.Error as error:
                self._failed(error)
        return {}

    def hold(self) -> contextlib.AbstractContextManager[object]:
        """Enter it, for microseconds, to be the only process in here. No claims meanwhile."""
        table = self._place.claims
        if table is not None:
            try:
                return table.hold()
            except lmdb.Error as error:
                self._failed(error)
        return contextlib.nullcontext()

    def is_living(self, claim: Claim) -> bool:
        """Tell whether the process that made the claim runs."""
        return is_living(self._place.path, claim.ident[:8])

    def _failed(self, error: lmdb.Error) -> None:
        self._trouble(f"workers fetch the same twice: {plain(error)}")
