"""Keys put into a key file ahead of their days: the file is replaced as a whole, or stays."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from s3shield.signing import (
    KeyRing,
    Scope,
    ScopedKey,
    derive_signing_key,
    format_key_file,
    parse_key_file,
)

__all__ = ["MOST_DAYS", "Ahead", "KeysWanted", "keys_in", "put_ahead"]

MOST_DAYS: Final = 400
"""Days ahead: who has the file has the bucket for so long."""


@attrs.frozen
class KeysWanted:
    """The keys of `days` days from `first` on, derived from `secret`. Raises ValueError."""

    secret: str = attrs.field(repr=False)
    first: str
    days: int
    region: str
    service: str

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.days <= MOST_DAYS:
            raise ValueError(f"the days are a number from 1 to {MOST_DAYS}, not {self.days}")

    def keys(self) -> list[ScopedKey]:
        """Return them in order. Raises ValueError."""
        first = Scope(self.first, self.region, self.service)
        day = dt.datetime.fromtimestamp(first.begins, dt.UTC).date()
        try:
            days = [day + dt.timedelta(number) for number in range(self.days)]
        except OverflowError:
            raise ValueError(f"the calendar ends before that: {self.first}") from None
        scopes = [attrs.evolve(first, date=f"{each.year:04d}{each:%m%d}") for each in days]
        return [ScopedKey(derive_signing_key(self.secret, scope), scope) for scope in scopes]


@attrs.frozen
class Ahead:
    """What was done to a key file.

    wanted: what it has now for sure. made: how many of them are new. replaced: how many
    stood there, made with another secret. kept: others that are not over. dropped: those
    that were. closed: others could read it. expires: until when those of the region and
    service are good, from now on; 0 when none has begun.
    """

    path: str
    wanted: KeysWanted
    made: int
    replaced: int
    kept: int
    dropped: int
    closed: bool
    expires: int

    @property
    def changed(self) -> bool:
        """Whether the file was written."""
        return bool(self.made or self.replaced or self.dropped or self.closed)

    def __str__(self) -> str:
        """One line for people."""
        keys = self.wanted.keys()
        first, last = keys[0].scope.date, keys[-1].scope.date
        days = first if first == last else f"{first} to {last}"
        said = [
            text
            for there, text in (
                (self.made, f"{self.made} made"),
                (self.replaced, f"{self.replaced} replaced that another secret made"),
                (self.changed and self.kept, f"{self.kept} others kept"),
                (self.dropped, f"{self.dropped} dropped that were over"),
                (self.closed, "closed to others (mode 0600)"),
                (not self.changed, "there already, nothing to do"),
            )
            if there
        ]
        end = f"{dt.datetime.fromtimestamp(self.expires, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
        until = f"good until {end}" if self.expires else "none of them has begun"
        where = f"{self.wanted.region}/{self.wanted.service}"
        return f"{self.path}: keys of {days} for {where}: {', '.join(said)}; {until}"


def keys_in(path: str) -> tuple[ScopedKey, ...]:
    """Return the keys in a file; none where there is no file, or nothing but comments.

    Raises ValueError with what is wrong, never quoting a key.
    """
    return _parsed(path, _text(Path(path)))


def put_ahead(path: str, wanted: KeysWanted, now: float) -> Ahead:
    """See to it that the file at `path` has the keys wanted, and none that is over.

    Those that are there and not over stay, in their order by day, and so do comments, which
    come first. The file is replaced by one with mode 0600 and the same owner, or made; where
    there is nothing to change it is not touched. Raises ValueError, with the file as it was.
    """
    keys = wanted.keys()
    if keys[-1].scope.ends <= now:
        raise ValueError(f"the key of {keys[-1].scope.date} is over: seven days have passed")
    # What a link names is replaced, not the link.
    file = Path(path).resolve()
    with _alone(file.parent):
        text = _text(file)
        there = {key.scope: key for key in _parsed(path, text)}
        fresh = {key.scope: key for key in keys if key.scope.ends > now}
        left = {scope: key for scope, key in there.items() if scope.ends > now}
        after = sorted({**left, **fresh}.values(), key=_order)
        done = Ahead(
            path=path,
            wanted=wanted,
            made=len(fresh.keys() - there.keys()),
            replaced=sum(scope in there and there[scope] != key for scope, key in fresh.items()),
            kept=len(left.keys() - fresh.keys()),
            dropped=len(there) - len(left),
            closed=bool(text) and bool(file.stat().st_mode & 0o077),
            expires=KeyRing.pick(after, wanted.region, wanted.service).expires(now),
        )
        if done.changed:
            notes = [line.strip() for line in text.splitlines() if line.lstrip().startswith("#")]
            _replace(file, "".join(f"{note}\n" for note in notes) + format_key_file(after))
    return done


def _order(key: ScopedKey) -> tuple[str, str, str]:
    return key.scope.date, key.scope.region, key.scope.service


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except OSError as why:
        raise ValueError(f"cannot read {file}: {why.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file}: it is no key file: it is not text") from None


def _parsed(path: str, text: str) -> tuple[ScopedKey, ...]:
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return ()
    try:
        return parse_key_file(text)
    except ValueError as why:
        # It may be anything, also a file that was named by mistake.
        raise ValueError(
            f"{path}: it is no key file, or a broken one "
            f"(then remove it, and it is made anew): {why}"
        ) from None


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold off others that do the same: what one adds, the other must not lose."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as why:
        raise ValueError(f"cannot write in {directory}: {why.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _replace(file: Path, text: str) -> None:
    """Write a new file beside the old one and rename it, so that a reader sees one or the other."""
    try:
        fd, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    except OSError as why:
        raise ValueError(f"cannot write in {file.parent}: {why.strerror}") from None
    new = Path(name)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as out:
            os.fchmod(fd, 0o600)
            _same_owner(fd, file)
            out.write(text)
            out.flush()
            os.fsync(fd)
        new.replace(file)
        _sync(file.parent)
    except OSError as why:
        raise ValueError(f"cannot write {file}: {why.strerror}") from None
    finally:
        new.unlink(missing_ok=True)


def _owner(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_uid, found.st_gid


def _same_owner(fd: int, file: Path) -> None:
    """Give the new file to who has the old one: the daemon must go on reading it."""
    owner, ours = _owner(file), os.fstat(fd)
    if owner is None or owner == (ours.st_uid, ours.st_gid):
        return
    uid, gid = owner
    try:
        os.fchown(fd, uid, gid)
    except PermissionError:
        if uid != ours.st_uid:
            raise ValueError(
                f"{file} belongs to the user {uid}: run this as that user, or as root"
            ) from None


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
