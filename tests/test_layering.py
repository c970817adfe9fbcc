"""The house's plan, kept by a test: which room may know of which.

A cache is only believable when its rules can be tested without a socket, a disk or a
clock. So policy, signing, routing and the configuration's values are pure: time comes in
as an argument, nothing is read. And it stays changeable only while each package has one
door and imports point one way,

    policy <- signing, routing, access, config <- store, wire, metrics, ops <- exchange <- front
        <- service, tap, cli

because the day `store` imports `exchange` neither can be replaced or tested alone. Such a
line is crossed by one convenient import at a time; this test makes that import fail.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
from twisted.trial.unittest import SynchronousTestCase

ROOT: Final = Path(__file__).resolve().parents[1]
PRODUCT: Final = "s3shield"

LEVELS: Final = (
    {"policy"},
    {"signing", "routing", "access", "config"},
    {"store", "wire", "ops", "importing", "metrics"},
    {"exchange"},
    {"front"},
    {"service", "tap", "cli"},
)
"""Rooms from the inside out: a room may import its own level and those before it."""

PURE: Final = {"policy", "signing", "routing", "access", "config", "importing"}
READERS: Final = {"s3shield.config.load", "s3shield.importing.reading"}
"""Modules of pure packages whose very job is to read a file or the environment."""
IMPURE: Final = {
    "asyncio",
    "httptools",
    "lmdb",
    "logging",
    "os",
    "random",
    "secrets",
    "select",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "treq",
    "twisted.application",
    "twisted.internet",
    "twisted.logger",
    "twisted.web",
    "uvloop",
}
CLOCKS: Final = {"now", "utcnow", "today"}
"""Methods of datetime's classes that read the clock."""

LONGEST: Final = 400
VAGUE: Final = {"handler", "manager", "engine", "processor", "util", "utils", "helper"}


@attrs.frozen
class Import:
    """One import: `from module import names`, or `import module` with no names."""

    line: int
    module: str
    names: tuple[str, ...] = ()


@attrs.frozen
class Module:
    """One parsed module. name: dotted. is_package: whether it is an `__init__`."""

    name: str
    is_package: bool
    source: str

    @property
    def room(self) -> str:
        """The package below `s3shield`, or the top-level module; empty for `s3shield` itself."""
        return room_of(self.name)

    @property
    def tree(self) -> ast.Module:
        """The module parsed."""
        return ast.parse(self.source)

    def imports(self) -> Iterator[Import]:
        """Yield every import, wherever it stands, relative ones made absolute."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(node.lineno, alias.name)
            elif isinstance(node, ast.ImportFrom):
                names = tuple(alias.name for alias in node.names)
                yield Import(node.lineno, self._absolute(node), names)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        up = node.level - (1 if self.is_package else 0)
        parts = self.name.split(".")
        base = parts[: len(parts) - up]
        return ".".join([*base, node.module] if node.module else base)

    def door(self) -> set[str]:
        """Return what `__all__` lists."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
            ):
                return set(ast.literal_eval(node.value))
        return set()

    def defined(self) -> Iterator[tuple[int, str]]:
        """Yield (line, name) of every name this module gives to something."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield node.lineno, node.name
            elif isinstance(node, ast.arg):
                yield node.lineno, node.arg
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.lineno, node.id
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield node.lineno, node.attr


House = dict[str, Module]


def room_of(module: str) -> str:
    """Return the room a dotted name is in; empty for `s3shield` itself and what is not ours."""
    parts = module.split(".")
    return parts[1] if parts[0] == PRODUCT and len(parts) > 1 else ""


def read_house() -> House:
    """Return the product's modules by dotted name."""
    house = {}
    for path in sorted((ROOT / PRODUCT).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        house[name] = Module(name, is_package, path.read_text())
    return house


def level_of(room: str) -> int | None:
    """Return the room's level, or None when the plan does not have it."""
    return next((at for at, rooms in enumerate(LEVELS) if room in rooms), None)


def ours(house: House) -> Iterator[tuple[Module, Import, str]]:
    """Yield (importer, import, imported room) for imports between rooms."""
    for module in house.values():
        for each in module.imports():
            if each.module == PRODUCT:
                # `from s3shield import policy` is an import of the room.
                rooms = {name for name in each.names if f"{PRODUCT}.{name}" in house}
            else:
                rooms = {room_of(each.module)} - {""}
            for room in sorted(rooms - {module.room}):
                yield module, each, room


def unplanned(house: House) -> list[str]:
    """Return the rooms that have no level."""
    rooms = {module.room for module in house.values()} - {""}
    return [f"{room} has no level in LEVELS" for room in sorted(rooms) if level_of(room) is None]


def upward(house: House) -> list[str]:
    """Return the imports that point outwards."""
    found = []
    for module, each, room in ours(house):
        here, there = level_of(module.room), level_of(room)
        if module.room and here is not None and there is not None and there > here:
            found.append(f"{module.name}:{each.line} imports {room}, which is further out")
    return found


def around_the_door(house: House) -> list[str]:
    """Return the imports of another room's inside, or of what its door does not offer."""
    found = []
    for module, each, room in ours(house):
        door = f"{PRODUCT}.{room}"
        package = house.get(door)
        if each.module not in (door, PRODUCT):
            found.append(f"{module.name}:{each.line} imports {each.module}, not from {door}")
        elif each.module == door and package is not None and package.is_package:
            inside = {name for name in each.names if name not in package.door()}
            found += [f"{module.name}:{each.line} {door} does not offer {name}" for name in inside]
    return sorted(found)


def cycles(house: House) -> list[str]:
    """Return the circles of rooms."""
    edges: dict[str, set[str]] = {}
    for module, _each, room in ours(house):
        if module.room:
            edges.setdefault(module.room, set()).add(room)
    found = set()

    def follow(room: str, path: tuple[str, ...]) -> None:
        if room in path:
            circle = path[path.index(room) :]
            start = circle.index(min(circle))
            found.add(" -> ".join((*circle[start:], *circle[:start], circle[start])))
            return
        for further in sorted(edges.get(room, ())):
            follow(further, (*path, room))

    for room in sorted(edges):
        follow(room, ())
    return sorted(found)


def is_impure(module: str) -> bool:
    """Tell whether a module reaches outside, or is inside of one that does."""
    return any(module == bad or module.startswith(f"{bad}.") for bad in IMPURE)


def impure(house: House) -> list[str]:
    """Return what pure modules import or call that reaches outside."""
    found = []
    for module in house.values():
        if module.room not in PURE or module.name in READERS:
            continue
        for each in module.imports():
            reached = {each.module} | {f"{each.module}.{name}" for name in each.names}
            bad = [name for name in sorted(reached) if is_impure(name)]
            found += [f"{module.name}:{each.line} imports {name}" for name in bad[:1]]
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in CLOCKS
                and ast.unparse(node.func.value).split(".")[-1] in ("datetime", "date")
            ):
                found.append(f"{module.name}:{node.lineno} reads the clock")
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "open"
            ):
                found.append(f"{module.name}:{node.lineno} opens a file")
    return found


def too_long(house: House) -> list[str]:
    """Return the modules over the limit."""
    return [
        f"{module.name} has {lines} lines"
        for module in house.values()
        if (lines := len(module.source.splitlines())) > LONGEST
    ]


def words(name: str) -> set[str]:
    """Split `snake_case` and `camelCase` into lower-case words, plurals made singular."""
    split = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    lower = {word.lower() for word in split}
    return lower | {word.removesuffix("s") for word in lower}


def vague(house: House) -> list[str]:
    """Return the names that say nothing."""
    found = [f"module {module.name}" for module in house.values() if words(module.name) & VAGUE]
    for module in house.values():
        found += [
            f"{module.name}:{line} {name}" for line, name in module.defined() if words(name) & VAGUE
        ]
    return found


class HouseTests(SynchronousTestCase):
    """The product as it is."""

    def setUp(self) -> None:
        """Read it."""
        self.house = read_house()

    def check(self, violations: list[str]) -> None:
        """Fail with all of them."""
        if violations:
            self.fail("\n".join([f"{len(violations)} found:", *violations]))

    def test_every_room_has_a_level(self) -> None:
        """A new package is given its place before anything can lean on it."""
        self.check(unplanned(self.house))

    def test_imports_point_inwards(self) -> None:
        """An inner room knows nothing of an outer one."""
        self.check(upward(self.house))

    def test_one_door(self) -> None:
        """Other rooms are entered through what their `__init__` offers."""
        self.check(around_the_door(self.house))

    def test_no_circles(self) -> None:
        """Rooms of the same level do not lean on each other in a circle."""
        self.check(cycles(self.house))

    def test_pure(self) -> None:
        """The rules read no clock, no file, no socket."""
        self.check(impure(self.house))

    def test_module_length(self) -> None:
        """A module can be read in one sitting."""
        self.check(too_long(self.house))

    def test_names(self) -> None:
        """Names say what a thing is."""
        self.check(vague(self.house))


class CheckTests(SynchronousTestCase):
    """The checks themselves: each finds what it is there to find, and only that."""

    def house(self, **sources: str) -> House:
        """Make a house from room="source" or room__module="source"."""
        house = {PRODUCT: Module(PRODUCT, is_package=True, source="")}
        for name, source in sources.items():
            dotted = f"{PRODUCT}." + name.replace("__", ".")
            house[dotted] = Module(dotted, "__" not in name, source)
        return house

    def test_upward(self) -> None:
        """Absolute, relative, lazy and whole-package imports outwards are all seen."""
        for line in (
            "from s3shield.exchange import X",
            "from ..exchange import X",
            "import s3shield.exchange",
            "from s3shield import exchange",
            "def f():\n    from s3shield.exchange import X",
        ):
            house = self.house(exchange="", store__a=line)
            self.assertEqual(1, len(upward(house)), line)
        self.assertEqual([], upward(self.house(store="", exchange="from s3shield.store import X")))

    def test_door(self) -> None:
        """A module behind a door, and a name the door does not offer, are both seen."""
        door = "__all__ = ['X']\nfrom .inside import X, Y"
        cases = [
            ("from s3shield.policy import X", 0),
            ("from s3shield import __version__", 0),
            ("from s3shield.policy import X, Y", 1),
            ("from s3shield.policy.inside import X", 1),
            ("import s3shield.policy.inside", 1),
        ]
        for line, count in cases:
            house = self.house(policy=door, policy__inside="", store=line)
            self.assertEqual(count, len(around_the_door(house)), line)
        inside = self.house(policy=door, policy__inside="from .other import Z")
        self.assertEqual([], around_the_door(inside))

    def test_cycles(self) -> None:
        """A circle between rooms of one level is seen once."""
        house = self.house(
            store="from s3shield.wire import X",
            wire="from s3shield.ops import X",
            ops="from s3shield.store import X",
        )
        self.assertEqual(["ops -> store -> wire -> ops"], cycles(house))
        self.assertEqual([], cycles(self.house(store="", wire="from s3shield.store import X")))

    def test_pure(self) -> None:
        """Each way to the clock or the outside is seen; arithmetic on dates is not one."""
        for line in (
            "import time",
            "from os import environ",
            "import os.path",
            "from twisted.internet import reactor",
            "from twisted import web",
            "def f():\n    import random",
            "datetime.datetime.now()",
            "date.today()",
            "open('x')",
        ):
            self.assertEqual(1, len(impure(self.house(policy=line))), line)
        for line in ("import datetime", "datetime.datetime.fromtimestamp(now)", "import timeit"):
            self.assertEqual([], impure(self.house(policy=line)), line)
        self.assertEqual([], impure(self.house(store="import time")))

    def test_rooms(self) -> None:
        """A package that the plan does not have is seen."""
        self.assertEqual(1, len(unplanned(self.house(attic=""))))
        self.assertEqual([], unplanned(self.house(store="", tap="")))

    def test_length(self) -> None:
        """400 lines are allowed, 401 are not."""
        self.assertEqual([], too_long(self.house(store="x\n" * 400)))
        self.assertEqual(1, len(too_long(self.house(store="x\n" * 401))))

    def test_names(self) -> None:
        """Vague words are seen in every kind of name, and only as words."""
        for source in (
            "def request_handler(): pass",
            "class CacheManager: pass",
            "def f(helpers): pass",
            "rewriteEngine = 1",
            "self.processor = 1",
        ):
            self.assertEqual(1, len(vague(self.house(store=source))), source)
        self.assertEqual(1, len(vague(self.house(store__util=""))))
        kept = "def handle(): pass\nutility = 1\nloop.set_exception_handler(f)"
        self.assertEqual([], vague(self.house(store=kept)))
