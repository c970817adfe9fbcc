"""One cache directory, opened: its parts, and how it is found, left and set up anew."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import lmdb

from .claims import ClaimTable
from .errors import StoreError, plain
from .files import Bodies
from .index import Index, IndexClosedError
from .owners import Owner, boot_id, living, locked
from .recent import Recent, wipe
from .record import Entry, RecordError
from .room import Ballast
from .selector import PurgeLog

__all__ = ["Left", "Place"]

Left = tuple[bytes, bytes, bytes]
"""What a dead process has left uncommitted: digest, ident, record."""
_YES: Final = b"1"
_NO: Final = b"0"


class Place:
    """The cache in `path`. Opening and closing block; neither takes longer for more entries.

    index, recent and claims (None when not shared), bodies, ballast, purges: its parts.
    era: int, how many unclean stops of the operating system it has seen. left: what dead
    processes stored or removed and did not commit; the caller has to.

    Raises StoreError, StoreVersionError.
    """

    def __init__(self, path: Path, *, map_size: int, shared: bool) -> None:
        self.path = path
        self.era = 0
        self.left: list[Left] = []
        self.recent: Recent | None = None
        self.claims: ClaimTable | None = None
        self.emptied: list[bytes] = []
        self._shared = shared
        self._boot = boot_id()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(path):
                self.index = Index(path / "index", map_size)
                try:
                    self._settle_in(None)
                except BaseException:
                    self.index.close()
                    raise
        except OSError as error:
            raise StoreError(f"cannot use {path} for a cache: {plain(error)}") from error

    def close(self) -> None:
        """Leave: the last process to do so marks the store clean."""
        try:
            with locked(self.path):
                self._owner.release()
                if self.emptied:
                    self.index.apply(list, (), self.emptied)
                if not living(self.path):
                    self.index.set_meta({b"clean": _YES})
        finally:
            self.purges.close()
            recent, self.recent = self.recent, None
            if recent is not None:
                recent.close()
            claims, self.claims = self.claims, None
            if claims is not None:
                claims.close()
            self.index.close()

    def share(self) -> None:
        """Be shared from now on, where it was not. Raises StoreError."""
        mark = self._owner.mark
        try:
            with locked(self.path):
                recent = Recent(self.path / "recent", mark)
                try:
                    claims = ClaimTable(self.path / "claims", mark)
                except BaseException:
                    recent.close()
                    raise
        except (OSError, lmdb.Error) as error:
            raise StoreError(f"cannot share {self.path}: {plain(error)}") from error
        self.recent, self.claims, self._shared = recent, claims, True

    def recover(self) -> None:
        """Set up anew what somebody has deleted under us. Raises StoreError, OSError."""
        self.index.close()  # from here on nothing is found
        self.recent = None  # not closed: another thread may be reading it
        self.claims = None
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.path):
            self.index.reopen()
            self._owner.release()
            self._settle_in(self._owner.mark)
        self.left.clear()

    def is_broken(self) -> bool:
        """Tell whether something of it was deleted under us."""
        return self.index.is_lost() or (self._shared and self.recent is None)

    def named(self, digest: bytes, blob: bytes) -> bool:
        """Tell whether the entry, committed or not, has this body file."""
        return self._names(self.index.get(digest), blob) or (
            self.recent is not None and self._names(self.recent.get(digest), blob, 16)
        )

    def _names(self, raw: bytes | None, blob: bytes, start: int = 0) -> bool:
        if raw is None:
            return False
        with contextlib.suppress(RecordError):
            return Entry(raw[start:]).blob == blob
        return False

    def _settle_in(self, mark: bytes | None) -> None:
        """With the directory locked: see who is here, clear up after the dead."""
        alive = living(self.path)
        self._look_back(alive)
        for folder in ("filling", "blobs"):
            (self.path / folder).mkdir(mode=0o700, exist_ok=True)
        self.purges = PurgeLog(self.path / "purges", anew=not alive)
        self._owner = Owner(self.path, mark)
        self.bodies = Bodies(self.path, self._owner.mark)
        self.ballast = Ballast(self.path)
        with contextlib.suppress(OSError):
            self.ballast.load()
        if not alive:
            wipe(self.path / "claims")
        alive |= {self._owner.mark}
        self._open_recent(alive.__contains__)
        if self._shared:
            self._open_claims(alive.__contains__)
        self._clear_up(alive.__contains__)

    def _look_back(self, alive: frozenset[bytes]) -> None:
        """Find out whether the system has crashed since the store was used."""
        index = self.index
        stored = index.meta(b"boot")
        clean = index.meta(b"clean") == _YES
        self.era = int(index.meta(b"era") or 0)
        if alive:
            return
        if not self._boot or stored != self._boot:
            # Written without sync, by a system that is no longer up: not to be trusted.
            wipe(self.path / "recent")
            if stored is not None and not clean:
                self.era += 1
        index.set_meta({b"boot": self._boot, b"clean": _NO, b"era": b"%d" % self.era})

    def _open_recent(self, alive: Callable[[bytes], bool]) -> None:
        folder = self.path / "recent"
        if not self._shared and not folder.exists():
            return
        try:
            recent = Recent(folder, self._owner.mark)
            self.left = recent.adopt(alive)
        except lmdb.Error as error:
            raise StoreError(f"cannot open {folder}: {plain(error)}") from error
        if self._shared:
            self.recent = recent
        else:
            recent.close()
            wipe(folder)

    def _open_claims(self, alive: Callable[[bytes], bool]) -> None:
        folder = self.path / "claims"
        try:
            claims = ClaimTable(folder, self._owner.mark)
            claims.sweep(alive)
        except lmdb.Error as error:
            raise StoreError(f"cannot open {folder}: {plain(error)}") from error
        self.claims = claims

    def _clear_up(self, alive: Callable[[bytes], bool]) -> None:
        with contextlib.suppress(IndexClosedError):
            for digest, blob in self.bodies.left_behind(alive):
                adopted = any(row[0] == digest and self._names(row[2], blob) for row in self.left)
                if adopted:
                    continue  # moved when it is committed
                if self.named(digest, blob):
                    self.bodies.settle(digest, blob)
                else:
                    self.bodies.delete(digest, blob)
            for digest, blob in self.index.trash():
                self.bodies.delete(digest, blob)
                self.emptied.append(blob)
