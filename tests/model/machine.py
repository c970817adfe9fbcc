"""The model, and what is done to the real thing beside it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Final

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from .origin import KINDS, Kind, Thing, bytes_of
from .world import Got, World

__all__ = ["CacheMachine"]

_NAMES: Final = tuple(f"{folder}/{kind}" for folder in ("two", "one") for kind in KINDS)
_ERRORS: Final = frozenset({502, 503, 504})
_MULTIPART: Final = re.compile(rb"Content-Range: bytes (\d+)-(\d+)/(\d+)\r\n\r\n")

_FEW: Final = 3
"""Objects of one walk: few, so that much happens to each."""

numbers = st.integers(0, _FEW - 1)
offsets = st.integers(0, 1_000_000)


@attrs.define
class Known:
    """What the model knows of one object.

    version: the origin's. may: versions that may be stored. must: variants of which the
    current version is stored whole, for certain.
    """

    kind: Kind
    version: int = 1
    may: set[int] = attrs.field(factory=set)
    must: dict[str, int] = attrs.field(factory=dict)


class CacheMachine(RuleBasedStateMachine):
    """One walk. world: set before it is run; shared by walks, each in a folder of its own."""

    world: ClassVar[World]
    steps: ClassVar[int] = 0

    @initialize(chosen=st.lists(st.sampled_from(_NAMES), min_size=_FEW, max_size=_FEW, unique=True))
    def begin(self, chosen: list[str]) -> None:
        """Objects that nobody has asked for."""
        world = self.world
        world.examples += 1
        world.origin.fault = ""
        self.known: dict[str, Known] = {}
        self.chosen = chosen
        for name in chosen:
            kind = KINDS[name.partition("/")[2]]
            self.known[name] = Known(kind)
            world.origin.things[self.path(name)] = Thing(kind)

    def path(self, name: str) -> str:
        """Where an object of this walk is."""
        folder, _, kind = name.partition("/")
        return f"/{folder}/{self.world.examples}/{kind}"

    # What is expected

    def allowed(self, known: Known) -> set[int]:
        """Versions that may be answered now."""
        if self.world.origin.fault or (known.kind.fresh and known.kind.stored):
            return known.may | {known.version}
        return {known.version}

    def check(self, name: str, got: Got, start: int, end: int, variant: str, asked: str) -> None:
        """Bytes [start, end) of a version that is allowed; whole, unless the origin fails."""
        known, fault = self.known[name], self.world.origin.fault
        about = (
            f"{asked} of {name} at {known.version} {known.may} {fault}: {got.status} {got.cache}"
        )
        if fault and (got.status in _ERRORS or got.status == 0):
            return
        assert got.status in (200, 206), about
        path = self.path(name) + variant
        versions = [
            version
            for version in self.allowed(known)
            if bytes_of(path, version, start, end).startswith(got.body)
        ]
        assert versions, f"{about}: wrong bytes, {len(got.body)} of them: {got.body[:40]!r}"
        if not fault:
            # A version that has gone may cut those off who had begun with it.
            assert got.whole or len(known.may | {known.version}) > 1, f"{about}: cut"
        if got.whole:
            assert len(got.body) == end - start, f"{about}: {len(got.body)} bytes"
            assert got.fields.get("etag", "").strip('"') in (
                "",
                *[f"{version}{variant}" for version in versions],
            ), f"{about}: {got.fields}"

    def fetched(self, name: str, got: Got, variant: str = "") -> None:
        """What may be, or must be, stored after this."""
        known = self.known[name]
        if known.kind.stored:
            known.may.add(known.version)
            healthy = not self.world.origin.fault and known.kind.fresh
            if healthy and got.whole and got.status == 200:
                known.must.setdefault(variant, known.version)

    # Requests

    @rule(at=numbers, variant=st.sampled_from(["", "a", "b"]))
    def get(self, at: int, variant: str) -> None:
        """The whole; from the store, and without a word to the origin, where it must be there."""
        name = self.chosen[at]
        known = self.known[name]
        variant = variant if known.kind.vary else ""
        thing = self.world.origin.things[self.path(name)]
        before = thing.asked
        got = self.world.get(self.path(name), **({"x_kind": variant} if variant else {}))
        self.check(name, got, 0, known.kind.size, variant, "GET")
        if variant in known.must:
            assert got.cache == "HIT", f"{name} {variant!r} is stored, and is {got.cache}"
        if got.cache == "HIT":
            assert thing.asked == before, f"a HIT of {name} asked the origin"
        self.fetched(name, got, variant)

    @rule(at=numbers)
    def head(self, at: int) -> None:
        """Its length, without a body."""
        name = self.chosen[at]
        known = self.known[name]
        got = self.world.get(self.path(name), "HEAD")
        if self.world.origin.fault and got.status in (0, *_ERRORS):
            return
        assert (got.status, got.body) == (200, b""), (name, got)
        length = got.fields.get("content-length")
        assert length in (None, str(known.kind.size)), (name, got)

    @rule(at=numbers, first=offsets, length=st.integers(1, 300_000))
    def range(self, at: int, first: int, length: int) -> None:
        """A part."""
        name = self.chosen[at]
        self.part(name, first, length)

    def part(self, name: str, first: int, length: int, leave: int | None = None) -> None:
        """Ask for a part and compare."""
        known = self.known[name]
        size = known.kind.size
        if not size:
            return
        start = first % size
        end = min(size, start + length)
        got = self.world.get(self.path(name), leave=leave, range=f"bytes={start}-{end - 1}")
        if leave is not None:
            assert got.status in (0, 200, 206, *_ERRORS), (name, got)
            whole = (0, size) if got.status == 200 else (start, end)
            prefix = got.body
            if got.status in (200, 206) and not self.world.origin.fault:
                fits = [
                    bytes_of(self.path(name), version, *whole).startswith(prefix)
                    for version in self.allowed(known)
                ]
                assert any(fits), f"{name}: wrong bytes before it was left: {prefix[:40]!r}"
        elif got.status == 200:
            self.check(name, got, 0, size, "", "range")
        else:
            self.check(name, got, start, end, "", f"range {start}-{end}")
            if got.status == 206 and got.whole:
                wanted = f"bytes {start}-{end - 1}/{size}"
                assert got.fields["content-range"] == wanted, (name, got.fields)
        self.fetched(name, attrs.evolve(got, whole=False))

    @rule(at=numbers, length=st.integers(1, 200_000))
    def suffix(self, at: int, length: int) -> None:
        """The last bytes."""
        name = self.chosen[at]
        known = self.known[name]
        size = known.kind.size
        got = self.world.get(self.path(name), range=f"bytes=-{length}")
        if not size:
            return
        start = 0 if got.status == 200 else max(0, size - length)
        self.check(name, got, start, size, "", f"suffix {length}")
        self.fetched(name, attrs.evolve(got, whole=False))

    @rule(at=numbers, starts=st.lists(offsets, min_size=2, max_size=4))
    def several(self, at: int, starts: list[int]) -> None:
        """Several parts in one answer."""
        name = self.chosen[at]
        known = self.known[name]
        size = known.kind.size
        if size < 1000:
            return
        wanted = sorted({(start % size, min(size, start % size + 500)) for start in starts})
        value = ",".join(f"{start}-{end - 1}" for start, end in wanted)
        got = self.world.get(self.path(name), range=f"bytes={value}")
        kind = got.fields.get("content-type", "")
        if got.status == 206 and kind.startswith("multipart/") and got.whole:
            versions = [
                version
                for version in self.allowed(known)
                if all(
                    bytes_of(self.path(name), version, int(m[1]), int(m[2]) + 1)
                    == got.body[m.end() :][: int(m[2]) + 1 - int(m[1])]
                    for m in _MULTIPART.finditer(got.body)
                )
            ]
            assert versions and _MULTIPART.search(got.body), f"{name}: {value}: wrong bytes"
        elif got.status == 200:
            self.check(name, got, 0, size, "", "ranges")
        self.fetched(name, attrs.evolve(got, whole=False))

    @rule(at=numbers, version=st.integers(1, 3))
    def conditional(self, at: int, version: int) -> None:
        """If-None-Match of a version that the client may have."""
        name = self.chosen[at]
        known = self.known[name]
        got = self.world.get(self.path(name), if_none_match=f'"{version}"')
        if got.status == 304:
            assert version in self.allowed(known), f"{name}: 304 for {version}: {known}"
        else:
            self.check(name, got, 0, known.kind.size, "", f"unless {version}")
        self.fetched(name, attrs.evolve(got, whole=got.whole and got.status == 200))

    @rule(
        at=numbers,
        wishes=st.lists(
            st.tuples(offsets, st.integers(1, 400_000), st.none() | st.integers(0, 50_000)),
            min_size=2,
            max_size=8,
        ),
    )
    def crowd(self, at: int, wishes: list[tuple[int, int, int | None]]) -> None:
        """Many at once; some hang up."""
        name = self.chosen[at]
        with ThreadPoolExecutor(len(wishes)) as pool:
            for done in [pool.submit(self.part, name, *wish) for wish in wishes]:
                done.result()

    # What happens to them

    @rule(at=numbers, first=offsets, length=st.integers(1, 200_000))
    def part_then_change(self, at: int, first: int, length: int) -> None:
        """A part of one version; the next one asks for more of it."""
        self.part(self.chosen[at], first, length)
        self.change(at)

    @rule(at=numbers)
    def change(self, at: int) -> None:
        """The origin has another version from now on."""
        name = self.chosen[at]
        known = self.known[name]
        known.version += 1
        known.must = {k: v for k, v in known.must.items() if known.kind.fresh}
        self.world.origin.things[self.path(name)].version = known.version

    @rule(fault=st.sampled_from(["", "", "refuse", "error", "cut"]))
    def fault(self, fault: str) -> None:
        """The origin begins to fail, or stops to."""
        self.world.origin.fault = fault

    @rule(at=numbers, soft=st.booleans(), how=st.sampled_from(["url", "method", "prefix", "tag"]))
    def purge(self, at: int, soft: bool, how: str) -> None:
        """In force as soon as it is acknowledged, on every connection."""
        name = self.chosen[at]
        world, path = self.world, self.path(name)
        gone = [name]
        if how == "method":
            fields = {"fastly_soft_purge": "1"} if soft else {}
            got = world.get(path, "PURGE", **fields)
            assert got.status == 200, got
        elif how == "url":
            world.purge(url=world.url(path), soft=soft)
        elif how == "tag":
            world.purge(tag=["model"], soft=soft)
            gone = list(self.known)
        else:
            folder = path.rpartition("/")[0]
            world.purge(prefix=world.url(f"{folder}/"), soft=soft)
            gone = [each for each in self.known if each.partition("/")[0] == name.partition("/")[0]]
        for each in gone:
            known = self.known[each]
            known.must.clear()
            if not soft or not world.origin.fault:
                known.may.clear()

    # What happens to the daemon

    @rule(
        what=st.sampled_from(["", "", "", "restart", "worker", "all", "bodies"]),
        number=st.integers(0, 1),
    )
    def daemon(self, what: str, number: int) -> None:
        """SIGTERM, or SIGKILL to a worker, or to all: nothing that was answered is lost."""
        if what == "restart":
            self.world.restart()
        elif what == "worker":
            self.world.kill_worker(number)
        elif what == "all":
            self.world.kill_all()
        elif what == "bodies":  # these are, and are fetched again
            self.world.delete_bodies()
            for known in self.known.values():
                known.must.clear()

    @rule()
    def wait(self) -> None:
        """A moment."""
        self.world.wait_a_little()

    @invariant()
    def no_trouble(self) -> None:
        """The daemon has nothing to say about itself."""
        type(self).steps += 1
        trouble: list[Any] = self.world.trouble()
        assert not trouble, trouble
