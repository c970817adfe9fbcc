"""Body files: where they are, and reading them without stalling the event loop.

`filling/<digest>-<blob id>` until the index names the file, `blobs/ab/cd/<blob id>` from
then on. A blob id is 8 bytes of count (little-endian, so that it spreads over the
directories) and the 8-byte mark of the process that made it.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from twisted.internet.defer import Deferred

from .cached_open import opener

__all__ = [
    "Bodies",
    "BodyFile",
    "BodyFileGoneError",
    "OpenFiles",
    "Threads",
    "has_checksums",
    "no_descriptor",
]

_NO_NOWAIT: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
_NOWAIT: Final[int] = getattr(os, "RWF_NOWAIT", 0)
_preadv: Final = getattr(os, "preadv", None)
_SLOW_TO_CLOSE: Final = 16 << 20
_CHECK: Final = 1 << 20
_count: Final = itertools.count(1)
_T = TypeVar("_T")


class Threads(Protocol):
    """Runs a function in a thread of a pool."""

    def __call__(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Return its result, or fail with what it raised, on the event loop's thread."""


class BodyFileGoneError(Exception):
    """The body file is not there, or is not what the index says."""


class BodyFile:
    """An open body file. Counted: each `hold` needs a `close`, as does each one given out.

    size: int, bytes that can be read; it grows while the body arrives. doubtful: reading
    has failed, or found the end too early.
    """

    __slots__ = ("_fd", "_nowait", "_references", "_threads", "doubtful", "size")

    def __init__(self, fd: int, size: int, threads: Threads) -> None:
        self._fd = fd
        self._nowait = bool(_NOWAIT and _preadv)
        self._references = 1
        self._threads = threads
        self.size = size
        self.doubtful = False

    def hold(self) -> BodyFile:
        """Count one more user; return self."""
        self._references += 1
        return self

    def close(self) -> None:
        """Count one user less; the last one closes the file."""
        self._references -= 1
        if self._references == 0:
            fd, self._fd = self._fd, -1
            if self.size < _SLOW_TO_CLOSE:
                os.close(fd)
            else:  # if it was deleted its blocks are freed now, and that takes a while
                self._threads(os.close, fd).addErrback(lambda _: None)

    def __del__(self) -> None:
        # A writer that failed keeps its file for readers that lag, and is then forgotten.
        if self._fd >= 0:
            os.close(self._fd)

    def read_now(self, offset: int, size: int) -> bytes | bytearray | memoryview | None:
        """Return 1 to `size` bytes when that takes no disk access, else None.

        Empty at and after the end. Where the system cannot tell (no RWF_NOWAIT: macOS,
        some file systems) it reads, and may take as long as the disk does.
        """
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        if not self._nowait:
            return os.pread(self._fd, size, offset) or None
        buffer = bytearray(size)
        try:
            got = os.preadv(self._fd, (buffer,), offset, _NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno not in _NO_NOWAIT:
                return None  # `read` will meet it again and say so
            self._nowait = False
            return os.pread(self._fd, size, offset) or None
        if got == size:
            return buffer
        return memoryview(buffer)[:got] if got else None

    def read(self, offset: int, size: int) -> Deferred[bytes]:
        """Read `size` bytes in a thread; fewer only at the end. Fails with OSError."""
        size = max(0, min(size, self.size - offset))
        reading: Deferred[bytes] = self._threads(_read, self._fd, offset, size)
        self._references += 1  # until the thread is done with the descriptor
        return reading.addBoth(self._have_read, size)

    def _have_read(self, result: _T, size: int) -> _T:
        self.close()
        self.doubtful |= not isinstance(result, bytes) or len(result) < size
        return result

    def fileno(self) -> int:
        """Return the descriptor; good for as long as the caller holds the file."""
        return self._fd

    def linked(self) -> bool:
        """Tell whether the file still has a name."""
        return os.fstat(self._fd).st_nlink > 0


class OpenFiles:
    """The body files a process keeps open, least recently used out first. Loop's thread only.

    limit: how many.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._files: OrderedDict[bytes, BodyFile] = OrderedDict()

    def __len__(self) -> int:
        return len(self._files)

    def get(self, blob: bytes) -> BodyFile | None:
        """Return the file, held for the caller; None as well when it is doubtful."""
        file = self._files.get(blob)
        if file is None or file.doubtful:
            return None
        self._files.move_to_end(blob)
        return file.hold()

    def add(self, blob: bytes, file: BodyFile) -> None:
        """Take over the caller's reference to `file`."""
        old = self._files.pop(blob, None)
        if old is not None:
            old.close()
        self._files[blob] = file
        self.shrink(self._limit)

    def doubtful(self, blob: bytes) -> bool:
        """Tell whether the file has to be looked at before it is used."""
        file = self._files.get(blob)
        return file is not None and file.doubtful

    def halve(self) -> None:
        """Give descriptors back where there are not enough."""
        self.shrink(len(self._files) // 2)

    def shrink(self, limit: int) -> None:
        """Let go of the least recently used ones beyond `limit`."""
        while len(self._files) > limit:
            self._files.popitem(last=False)[1].close()

    def drop(self, blob: bytes) -> None:
        """Let go of one."""
        file = self._files.pop(blob, None)
        if file is not None:
            file.close()

    def sweep(self) -> None:
        """Let go of deleted ones: their room on the disk is free only when they are closed."""
        for blob in [blob for blob, file in list(self._files.items()) if not file.linked()]:
            self.drop(blob)


class Bodies:
    """Names and deeds on the file system, for any thread but the event loop's (see `open_now`).

    path: the store's. mark: bytes, 8, of this process.
    """

    def __init__(self, path: Path, mark: bytes) -> None:
        self._filling = path / "filling"
        self._blobs = path / "blobs"
        self._mark = mark
        self._blobs_prefix = os.fsencode(self._blobs) + b"/"
        self._open_cached = opener()

    def new_id(self) -> bytes:
        """Return a blob id that no other process or time gives."""
        return next(_count).to_bytes(8, "little") + self._mark

    def create(self, digest: bytes, blob: bytes) -> int:
        """Create the file of a body that arrives; return its descriptor. Raises OSError."""
        name = self._filling_name(digest, blob)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        try:
            return os.open(name, flags, 0o600)
        except FileNotFoundError:  # the cache's directory was deleted under us
            self._filling.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(name, flags, 0o600)

    def open(self, digest: bytes, blob: bytes, size: int, mode: int = os.O_RDONLY) -> int:
        """Open a body file of `size` bytes, gaps included; return its descriptor.

        Raises BodyFileGoneError when it is not there or has another size, else OSError.
        """
        blobs = self._blob_name(blob)
        # Twice: it may have been renamed between the first and the second look.
        for name in (blobs, self._filling_name(digest, blob), blobs):
            try:
                fd = os.open(name, mode)
            except FileNotFoundError:
                continue
            if os.fstat(fd).st_size == size:
                return fd
            os.close(fd)
        raise BodyFileGoneError

    def open_now(self, blob: bytes, size: int) -> int | None:
        """Open a settled body file of `size` bytes if that takes no disk access.

        For the event loop's thread too. None: not there, another size, or not without waiting.
        """
        name = blob.hex().encode()
        fd = self._open_cached(b"%b%b/%b/%b" % (self._blobs_prefix, name[:2], name[2:4], name))
        if fd is not None and os.fstat(fd).st_size != size:
            os.close(fd)
            return None
        return fd

    def settle(self, digest: bytes, blob: bytes) -> None:
        """Move a file that the index names to its place. Raises OSError."""
        target = self._blob_name(blob)
        source = self._filling_name(digest, blob)
        try:
            source.rename(target)
        except FileNotFoundError:
            if source.exists():
                for folder in (self._blobs, target.parent.parent, target.parent):
                    folder.mkdir(mode=0o700, exist_ok=True)
                source.rename(target)

    def delete(self, digest: bytes, blob: bytes) -> None:
        """Delete a body file wherever it is. Raises OSError."""
        self._filling_name(digest, blob).unlink(missing_ok=True)
        self._blob_name(blob).unlink(missing_ok=True)

    def left_behind(self, alive: Callable[[bytes], bool]) -> Iterator[tuple[bytes, bytes]]:
        """Yield (digest, blob id) of what dead processes were filling.

        alive: tells whether the process with that mark runs.
        """
        for file in list(self._filling.iterdir()):
            with contextlib.suppress(ValueError):  # not a name of ours
                digest, blob = map(bytes.fromhex, file.name.split("-"))
                if len(blob) == 16 and not alive(blob[8:]):
                    yield digest, blob

    def _filling_name(self, digest: bytes, blob: bytes) -> Path:
        return self._filling / f"{digest.hex()}-{blob.hex()}"

    def _blob_name(self, blob: bytes) -> Path:
        name = blob.hex()
        return self._blobs / name[:2] / name[2:4] / name


def has_checksums(fd: int, size: int, block_shift: int, checksums: Sequence[int]) -> bool:
    """Read the whole file and tell whether each block has its CRC-32."""
    block = 1 << block_shift
    if len(checksums) != (size + block - 1) // block:
        return False
    for number, wanted in enumerate(checksums):
        start, end = number * block, min(size, (number + 1) * block)
        found = 0
        while start < end:
            piece = os.pread(fd, min(_CHECK, end - start), start)
            if not piece:
                return False
            found = zlib.crc32(piece, found)
            start += len(piece)
        if found != wanted:
            return False
    return True


def no_descriptor() -> OSError | None:
    """Return what the system says when no descriptor is left; None when there is one."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error
    return None


def _read(fd: int, offset: int, size: int) -> bytes:
    data = os.pread(fd, size, offset)
    if len(data) < size and data:
        pieces = [data]
        got = len(data)
        while got < size and (data := os.pread(fd, size - got, offset + got)):
            pieces.append(data)
            got += len(data)
        return b"".join(pieces)
    return data
