"""A process that shares a store with a test: `python -m tests.store.worker PATH`.

Reads one command a line, answers with one line. `storm SEED` stores, replaces, freshens
and removes until it is killed.
"""

import random
import resource
import signal
import sys
import threading

from s3shield.store import Blocks, Selector, Store

from .support import HEAD, Loop, Threads, digest_of, meta

SIZES = (10, 3000, 20_000)
KEYS = 40
BLOB = b"b" * 16


def say(line, out=sys.stdout):
    """Write a line now."""
    out.write(line + "\n")
    out.flush()


def body_of(key, version, size):
    """The body that belongs to a key and a version: a wrong or mixed one is seen."""
    piece = b"%s/%d " % (key, version)
    return (piece * (size // len(piece) + 1))[:size]


def storm(store, seed):
    """Change the store without end."""
    rand = random.Random(seed)
    for version in range(1 << 30):
        key = b"key %d" % rand.randrange(KEYS)
        digest, size = digest_of(key), rand.choice(SIZES)
        what = rand.random()
        body, head = body_of(key, version, size), b"%d\r\n" % version
        entry = store.get(digest, key)
        if what < 0.35:
            store.put(digest, key, meta(last_modified=size), head, body, [b"tag"])
        elif what < 0.7:
            writer = store.create_body(digest, size)
            writer.write(body[: size // 2])
            writer.write(body[size // 2 :])
            if what < 0.65:
                writer.commit(key, meta(last_modified=size), head, tags=[b"tag"])
            # else it is never ended: a download that was going on
        elif what < 0.85 and entry is not None:
            store.freshen(entry, meta(last_modified=entry.last_modified), entry.head)
        else:
            store.remove(digest)
        store.touch(digest)
        if version == 20:
            say("going")


def answer(store, words):
    """Do one command; return its answer."""
    name, *rest = words
    key = b" ".join(rest[:1])
    if name == b"put":
        store.put(digest_of(key), key, meta(), HEAD, rest[1])
    elif name == b"put-file":
        writer = store.create_body(digest_of(key))
        writer.write(rest[1])
        writer.commit(key, meta(), HEAD)
    elif name == b"freshen":
        store.freshen(store.get(digest_of(key), key), meta(fresh_until=float(rest[1])), HEAD)
    elif name == b"remove":
        store.remove(digest_of(key))
    elif name == b"get":
        entry = store.get(digest_of(key), key)
        if entry is None:
            return b"none"
        if entry.body is not None:
            return entry.body
        found = []
        store.open_body_later(entry).addCallback(found.append)
        return bytes(found[0].read_now(0, entry.size)) if found[0] else b"gone"
    elif name == b"purge":
        done = threading.Event()
        counts = []
        purge = store.purge(Selector(rest[0].decode(), b"".join(rest[1:2])), soft=False)
        purge.addCallback(counts.append).addBoth(lambda _: done.set())
        done.wait(30)
        return b"%d" % counts[0]
    elif name == b"fence":
        return b"%d" % store.fence()
    elif name == b"put-since":
        store.put(digest_of(key), key, meta(), HEAD, rest[2], since=int(rest[1]))
    elif name == b"claim":
        ident, found = store.claims.take(key, float(rest[1]), 7, lambda _: b"over" in rest)
        return ident.hex().encode() if found is None else found.outcome.name.encode()
    elif name == b"span":
        start, stop = int(rest[0]), int(rest[1])
        near = b"far" not in rest
        ident, span = store.claims.take_span(BLOB, (start, stop), 1.0, lambda *_: near, 50)
        return b"%b %d-%d" % (b"ours" if ident else b"theirs", span.start, span.stop)
    elif name == b"note":
        entry = store.get(digest_of(key), key)
        blocks = Blocks(entry.size, entry.block_shift)
        blocks.add(int(rest[1]), 7)
        store.sparse.note_blocks(entry, blocks, first=False, since=None)
    elif name == b"void":
        store.claims.void(key)
    elif name == b"end":
        store.claims.end([(key, bytes.fromhex(rest[1].decode()), None)])
    elif name == b"flush":
        store.flush()
    elif name == b"limit-files":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(rest[0]), int(rest[0])))
    elif name == b"close":
        store.close()
    return b"ok"


def main():
    """Serve commands until the input ends."""
    store = Store(
        sys.argv[1],
        reactor=Loop(),
        pool=Threads(),
        on_trouble=lambda reason: say(reason, sys.stderr),
        block_shift=12,
    )
    say("ready")
    for line in sys.stdin.buffer:
        words = line.split()
        if words[0] == b"storm":
            storm(store, int(words[1]))
        sys.stdout.buffer.write(answer(store, words) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
