"""The coded forms of what is stored: where they are, whether they are still right.

Theory of operation. A coded form is an entry of its own, beside its identity form: its
key is that one's, a NUL and the coding, so a purge by URL, prefix or tag takes both. It
is no response: it has no freshness, no validators and no head that anybody is sent. All of
these are the identity form's, which is looked up first, as if there were no coded forms; so
they are fresh, stale, revalidated and invalid together, and a 304 of the origin's goes for
all. What a coded form does have is a *stamp* of the body that it was made of: a form whose
stamp is not that of the body stored now is none, and is overwritten by the next one.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from s3shield.policy import (
    NEVER,
    CachePolicy,
    Compression,
    EntryFlag,
    EntryMeta,
    Request,
    StoredResponse,
    chosen_coding,
    coded_etag,
    coded_head,
    is_codable,
    is_strong,
    varied_head,
)
from s3shield.store import BodyWriter, Entry

from .answer import SELECTIVE, Answer, Refused, Representation, choose
from .encoders import memory_of, new_encoder
from .making import InThread, Making
from .stored import Opener, read_now
from .zone import coded_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3shield.wire import Octets

    from .transaction import Surroundings
    from .zone import Zone

__all__ = ["Compressing", "Forms", "coded_answer", "home_of", "stamp"]

_CODED: Final = int(EntryFlag.CODED)
_HEAD: Final = b"HTTP/1.1 200 OK\r\n"
_ROOM: Final = 256 << 20
"""Bytes of memory that one process takes for encoders; beyond it objects are sent as they are."""
_MOST_STAMPS: Final = 256
"""Bodies without a strong ETag whose hash is remembered; they are held for it."""


class Compressing:
    """What the locations of one process have in common: threads, and what they are making.

    in_thread: Callable that calls its arguments in one of a few threads.
    """

    def __init__(self, in_thread: InThread) -> None:
        self.in_thread = in_thread
        self.running: set[Making] = set()
        self._memory = 0

    def has_room(self, memory: int) -> bool:
        """Tell whether one more encoder may be made; the first always may."""
        return not self.running or self._memory + memory <= _ROOM

    def begin(self, making: Making, memory: int) -> None:
        """Remember it while it lasts."""

        def over(_: None) -> None:
            self.running.discard(making)
            self._memory -= memory

        self.running.add(making)
        self._memory += memory
        making.done.addCallback(over)

    def stop(self) -> None:
        """Make none of them to the end."""
        for making in tuple(self.running):
            making.stop()


def stamp(entry: Entry) -> bytes:
    """Return what tells an entry's body from any other that its key has had or will have."""
    if entry.blob is not None:
        return b"f" + entry.blob  # a body file's name is never given twice
    tagged = _tagged(entry.etag, entry.size, entry.last_modified)
    return tagged or b"h" + hashlib.blake2b(entry.body or b"", digest_size=16).digest()


@lru_cache(4096)
def _tagged(etag: bytes, size: int, last_modified: int) -> bytes | None:
    return b"t%d %d %b" % (size, last_modified, etag) if is_strong(etag) else None


def coded_answer(
    request: Request,
    meta: StoredResponse,
    head: bytes,
    coding: bytes,
    size: int | None,
    policy: CachePolicy,
) -> Answer | Refused:
    """Return what `request` gets of a coded form. meta, head: the identity form's.

    size: bytes in the coded form, None while it is not known. Never a part of it.
    """
    coded = coded_head(head, coding, size)
    end = 0 if request.method == b"HEAD" else size
    if SELECTIVE.isdisjoint(request.headers):
        return Answer(200, coded, 0, end)
    own = EntryMeta(
        status=meta.status,
        born=meta.born,
        response_time=meta.response_time,
        fresh_until=meta.fresh_until,
        etag=coded_etag(meta.etag, coding),
        last_modified=meta.last_modified,
    )
    plan = choose(request, own, coded, None, policy)
    if isinstance(plan, Answer) and plan.end is None:
        return Answer(plan.status, plan.head, 0, end)
    return plan


def home_of(what: Representation) -> tuple[bytes, bytes] | None:
    """Return digest and key text of where an identity form is, or is to be, stored."""
    if isinstance(what.meta, Entry):
        return what.meta.digest, what.meta.key
    return what.home


class Forms:
    """The coded forms of one location. See the module's text.

    largest: bytes; a form past it is not stored. keep_filling: go on making it when all
    clients have left. log: for trouble.
    """

    log = Logger()

    def __init__(
        self,
        compression: Compression,
        policy: CachePolicy,
        zone: Zone,
        around: Surroundings,
        compressing: Compressing,
        *,
        largest: int,
        keep_filling: bool,
    ) -> None:
        self.compression = compression
        self._policy = policy
        self._zone = zone
        self._around = around
        self._compressing = compressing
        self._largest = largest
        self._keep_filling = keep_filling
        for coding in compression.codings:
            new_encoder(coding, compression.level(coding))  # not while somebody waits for it
        self._running: dict[tuple[bytes, bytes], Making] = {}
        self._stamps: dict[bytes, tuple[Entry, bytes]] = {}
        # Remembered by head, which is the same bytes for every hit on an entry.
        self.has = lru_cache(2048)(partial(is_codable, compression=compression))
        self.has_part = partial(is_codable, compression=compression, part=True)
        self._get, self._touch = zone.store.get, zone.store.touch

    # The hit path

    def coding(self, request: Request, meta: StoredResponse | None) -> bytes | None:
        """Return the coding that `request` gets of a response that has coded forms."""
        return chosen_coding(request, meta, self.compression.codings)

    def address(self, entry: Entry, coding: bytes) -> tuple[bytes, bytes]:
        """Return digest and key text of a form."""
        return coded_address(entry.digest, entry.key, coding)

    def find(self, entry: Entry, coding: bytes, now: float | None = None) -> Entry | None:
        """Return the form of what is stored, if it has been made, and note its use."""
        form = self._get(*coded_address(entry.digest, entry.key, coding))
        if form is None or form.etag != self.stamp(entry) or not form.complete:
            return None
        self._touch(form.digest, now)
        return form

    def at_hand(
        self,
        request: Request,
        entry: Entry,
        now: float,
        open_body: Opener,
        over: Callable[[], bool],
    ) -> tuple[int, bytes, Octets] | None:
        """Return status, head and body of the answer from a fresh entry, in one piece.

        None: there is none now. No Transaction is made, see `Location.serve`.
        """
        head, policy = entry.head, self._policy
        coding, source = None, entry
        plan: Answer | Refused
        if self.has(head):
            coding = chosen_coding(request, entry, self.compression.codings)
            if coding is None:
                head = varied_head(head)
        if coding is None:
            plan = choose(request, entry, head, entry.size, policy)
        else:
            form = self.find(entry, coding, now)
            if form is not None:
                if form.body and request.method == b"GET" and SELECTIVE.isdisjoint(request.headers):
                    return 200, coded_head(head, coding, form.size), form.body
                source = form
            elif request.method != b"HEAD":
                return None
            size = None if form is None else form.size
            plan = coded_answer(request, entry, head, coding, size, policy)
        if not isinstance(plan, Answer) or plan.rest or plan.end is None:
            return None
        body: Octets | None = b""
        if plan.end > plan.start and source.body is not None:
            body = source.body[plan.start : plan.end]
        elif plan.end > plan.start:
            body = read_now(source, plan.start, plan.end, open_body, over)
        return None if body is None else (plan.status, plan.head, body)

    def stamp(self, entry: Entry) -> bytes:
        """Return `stamp` of an entry; a body is not hashed again each time."""
        if entry.blob is not None:
            return stamp(entry)
        tagged = _tagged(entry.etag, entry.size, entry.last_modified)
        if tagged is not None:
            return tagged
        stamps = self._stamps
        known = stamps.get(entry.digest)
        if known is not None and known[0] is entry:
            return known[1]
        found = stamp(entry)
        if len(stamps) >= _MOST_STAMPS:
            stamps.clear()
        stamps[entry.digest] = entry, found
        return found

    # Making them

    def has_room(self, what: Representation, coding: bytes) -> bool:
        """Tell whether a form can be made now."""
        return self._compressing.has_room(self._memory(what, coding))

    def _memory(self, what: Representation, coding: bytes) -> int:
        # By and by: sizes are many.
        size = None if what.size is None else 1 << what.size.bit_length()
        return memory_of(coding, self.compression.level(coding), size)

    def running(self, what: Representation, coding: bytes) -> Making | None:
        """Return the form of just this body that is being made, if a client can join."""
        home = home_of(what)
        making = None if home is None else self._running.get((home[0], coding))
        if making is None or not making.joinable or not self._alike(making, what.meta):
            return None
        return None if self._purged(making) else making

    def begin(self, what: Representation, coding: bytes) -> Making:
        """Begin to make a form; the caller sees to its reader."""
        home, store = home_of(what), self._zone.store
        entry = what.meta if isinstance(what.meta, Entry) else None
        since = store.fence()
        new_body = None
        if home is not None:
            digest = coded_address(*home, coding)[0]
            new_body = partial(store.create_body, digest, None, since)
        making = Making(
            coding,
            what,
            b"" if entry is None else self.stamp(entry),
            since,
            encoder=new_encoder(coding, self.compression.level(coding), what.size),
            in_thread=self._compressing.in_thread,
            call_soon=self._around.call_soon,
            inline_limit=self._zone.inline_limit,
            new_body=new_body,
            keep=self._keep,
            deserted=lambda each: self._keep_filling and each.fill.keeps,
            trouble=self._trouble,
        )
        self._compressing.begin(making, self._memory(what, coding))
        self._zone.settling(making.done)
        if home is not None:
            key = home[0], coding
            self._running[key] = making
            making.done.addCallback(lambda _: self._forget(key, making))
        return making

    def drop(self, form: Entry) -> None:
        """Forget a form whose body is gone."""
        self._zone.drop(form)

    def _forget(self, key: tuple[bytes, bytes], making: Making) -> None:
        if self._running.get(key) is making:
            del self._running[key]

    def _purged(self, making: Making) -> bool:
        home = home_of(making.what)
        return home is not None and self._zone.store.purged(making.since, home[1])

    def _alike(self, making: Making, meta: StoredResponse) -> bool:
        """Whether a form is made of just the body that `meta` is about."""
        if making.stamp and isinstance(meta, Entry):
            return making.stamp == self.stamp(meta)
        made = making.what.meta
        facts = [(x.response_time, x.last_modified, x.etag) for x in (made, meta)]
        return facts[0] == facts[1]

    def _keep(self, making: Making) -> None:
        """A form is whole: store it if its identity form is stored, and is what it was."""
        fill, home, store = making.fill, home_of(making.what), self._zone.store
        entry = None if home is None else store.get(*home)
        if (
            entry is None
            or entry.size != making.taken
            or not self._alike(making, entry)
            or not fill.keeps
            or fill.arrived > self._largest
        ):
            fill.keep_no_longer()
            making.landed()
            return
        meta = EntryMeta(
            status=entry.status,
            born=entry.born,
            response_time=entry.response_time,
            fresh_until=NEVER,
            flags=_CODED,
            etag=self.stamp(entry),
        )
        digest, key = coded_address(entry.digest, entry.key, making.coding)
        body = fill.in_memory
        if body is not None:
            store.put(digest, key, meta, _HEAD, body, entry.tags, making.since)
        elif isinstance(fill.writer, BodyWriter):
            stored = fill.writer.commit(key, meta, _HEAD, tags=entry.tags)
            stored.addCallback(lambda _entry: making.landed())
            return
        making.landed()

    def _trouble(self, problem: str) -> None:
        self.log.error("a body could not be compressed: {problem}", problem=problem)
