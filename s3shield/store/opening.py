"""Opening body files: at once where the kernel has the names in its cache, else in a thread."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from .errors import out_of_descriptors, plain
from .files import BodyFile, BodyFileGoneError, OpenFiles, Threads, has_checksums
from .place import Place
from .record import Entry

__all__ = ["Opening"]


class Sparse(Protocol):
    """What there is to tell of a file that was looked at."""

    def trust(self, entry: Entry) -> None:
        """The file of an earlier era is what was written."""

    def gone(self, entry: Entry) -> None:
        """The file is not there, or is damaged: the entry goes, too."""


class Opening:
    """Opens the body files of one store. Event loop's thread only.

    trouble: called with one reason for the log.
    """

    def __init__(
        self,
        place: Place,
        files: OpenFiles,
        threads: Threads,
        sparse: Sparse,
        trouble: Callable[[str], None],
    ) -> None:
        self._place = place
        self._files = files
        self._threads = threads
        self._sparse = sparse
        self._trouble = trouble

    def now(self, entry: Entry) -> BodyFile | None:
        """Return the entry's body file, held for the caller, when that takes no disk access."""
        blob = entry.blob
        if blob is None:
            return None
        file = self._files.get(blob)
        if file is None and entry.era == self._place.era and not self._files.doubtful(blob):
            fd = self._place.bodies.open_now(blob, entry.size)
            if fd is not None:
                file = BodyFile(fd, entry.size, self._threads)
                self._files.add(blob, file.hold())
        return file

    def later(self, entry: Entry) -> Deferred[BodyFile | None]:
        """Open the entry's body file in a thread.

        None: it is not there, or damaged (the entry has been removed then), or cannot be
        opened now. Whoever gets None looks the entry up anew: it may have been replaced.
        """
        blob = entry.blob
        if blob is None:
            return succeed(None)
        place = self._place
        doubtful = entry.era != place.era or self._files.doubtful(blob)

        def open_it() -> int:
            fd = place.bodies.open(entry.digest, blob, entry.size)
            if doubtful and not has_checksums(fd, entry.size, entry.block_shift, entry.checksums):
                os.close(fd)
                raise BodyFileGoneError
            return fd

        def opened(fd: int) -> BodyFile:
            file = self._files.get(blob)
            if file is not None:
                os.close(fd)  # somebody else was faster
                return file
            file = BodyFile(fd, entry.size, self._threads)
            self._files.add(blob, file.hold())
            if entry.era != place.era:
                self._sparse.trust(entry)
            return file

        def failed(failure: Failure) -> None:
            error = failure.value
            if isinstance(error, BodyFileGoneError):
                self._sparse.gone(entry)
                return
            if error is not None:
                self._trouble(f"a body could not be opened: {plain(error)}")
            if out_of_descriptors(error):
                self._files.halve()

        opening: Deferred[int] = self._threads(open_it)
        return opening.addCallbacks(opened, failed)
