"""What is stored whole, given to a client.

`read_now` and `selected` are part of the hit path: what a body file, or its part, has to say
in one piece, without an object for the request. `give_stored` is for the rest: long bodies, several
ranges, and whatever is not in the page cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from s3shield.policy import CachePolicy, Request

from .answer import Answer, Representation, choose
from .reading import CHUNK, StoredSource

if TYPE_CHECKING:
    from s3shield.store import BodyFile, Entry
    from s3shield.wire import Octets

    from .location import Location
    from .transaction import Transaction

__all__ = ["give_stored", "read_now", "selected"]

Opener = Callable[["Entry"], "BodyFile | None"]
"""Returns the entry's body file, held for the caller, or None: not without the disk."""

_NOT_NOW: Final = (0, b"", None)
_SMALL: Final = 64 * 1024


def read_now(
    entry: Entry, start: int, end: int, open_body: Opener, over: Callable[[], bool]
) -> Octets | None:
    """Return bytes `[start, end)` of an entry's body file; None: long, or not at hand.

    over: see `turns.Turns`; middling bodies take turns with the long ones.
    """
    size = end - start
    if size > CHUNK or not entry.complete or (size > _SMALL and over()):
        return None
    if not size:
        return b""
    file = open_body(entry)
    if file is None:
        return None
    piece = file.read_now(start, size)
    file.close()
    return piece if piece is not None and len(piece) == size else None


def selected(
    request: Request,
    entry: Entry,
    policy: CachePolicy,
    open_body: Opener,
    over: Callable[[], bool],
) -> tuple[int, bytes, Octets | None]:
    """Return status, head and body for a request that has conditions or a range.

    The body is None when it is not to be had in one piece now, or is none of the entry's.
    """
    plan = choose(request, entry, entry.head, entry.size, policy)
    if not isinstance(plan, Answer) or plan.rest or plan.end is None:
        return _NOT_NOW
    if entry.body is None:
        return plan.status, plan.head, read_now(entry, plan.start, plan.end, open_body, over)
    return plan.status, plan.head, entry.body[plan.start : plan.end]


def give_stored(location: Location, transaction: Transaction, entry: Entry) -> None:
    """Answer from an entry of which every byte is stored."""
    transaction.cached = True
    plan = transaction.settle(Representation(entry, entry.head, entry.size))
    if plan is None:
        return
    if entry.body is not None:
        transaction.reply(plan, entry.body)
        return

    def give_file(file: BodyFile | None) -> None:
        if file is None:  # gone, or it cannot be opened: fetch it again
            location.fetch_anew(transaction)
            return
        transaction.stream(plan, StoredSource(file, entry.size)).advance()

    store = location.zone.store
    file = store.open_body(entry)
    if file is not None:
        give_file(file)
    else:
        store.open_body_later(entry).addCallback(give_file)
