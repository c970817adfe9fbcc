"""What `perf script` prints, read, sorted into layers, and drawn.

A stack is a tuple of frames, the outermost first. What the interpreter does on behalf of a
Python function is that function's: of libpython only what is innermost is kept, and what takes
and gives up its lock.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

import attrs

__all__ = ["Frame", "Stack", "by_function", "by_layer", "draw", "fold", "read"]

_FRAME: Final = re.compile(r"^\s+([0-9a-f]+) (.*) \((.*)\)$")
_PYTHON: Final = "py::"
_KERNEL_WORK: Final = (
    ("kernel: TCP send", ("tcp_sendmsg", "sock_write_iter", "sock_sendmsg", "__sys_sendto")),
    ("kernel: TCP receive", ("tcp_recvmsg", "sock_read_iter", "sock_recvmsg", "__sys_recvfrom")),
    ("kernel: epoll", ("do_epoll_wait", "do_epoll_ctl", "ep_poll", "__x64_sys_epoll_wait")),
    ("kernel: files", ("vfs_write", "vfs_read", "vfs_writev", "filemap_fault", "do_sys_openat2")),
    ("kernel: threads", ("do_futex", "__x64_sys_futex")),
    ("kernel: memory", ("exc_page_fault", "asm_exc_page_fault", "do_mmap", "__vm_munmap")),
)
_GIL: Final = frozenset(("take_gil", "drop_gil", "drop_gil_impl"))


@attrs.frozen
class Frame:
    """A function. layer: kernel, libuv, uvloop, llhttp, httptools, LMDB, OpenSSL, Python, C."""

    name: str
    layer: str


Stack = tuple[Frame, ...]


def _frame(address: str, symbol: str, dso: str) -> Frame:
    """Return a line's frame."""
    if symbol.startswith(_PYTHON):
        name, _, path = symbol.removeprefix(_PYTHON).partition(":")
        short = path.rpartition("/")[2].removesuffix(".py")
        return Frame(f"{name} ({short})", "Python")
    if dso.startswith("[kernel") or (len(address) == 16 and address.startswith("ffff")):
        return Frame(symbol, "kernel")
    cython = symbol.startswith(("__pyx", "__Pyx"))
    if "uvloop" in dso:
        return Frame(symbol, "uvloop" if cython else "libuv")
    if "httptools" in dso:
        return Frame(symbol, "httptools" if cython else "llhttp")
    if "/lmdb/" in dso or "liblmdb" in dso:
        return Frame(symbol, "LMDB")
    if "libssl" in dso or "libcrypto" in dso or "/_ssl." in dso:
        return Frame(symbol, "OpenSSL")
    if "libpython" in dso or "/bin/python" in dso:
        return Frame(symbol, "interpreter")
    return Frame(symbol, "C")


def _tidy(frames: list[Frame]) -> Stack:
    """Return the stack without what stands between Python functions."""
    found: list[Frame] = []
    for index, frame in enumerate(frames):
        inner = frames[index + 1 :]
        within = frame.layer == "interpreter" and any(one.layer != "C" for one in inner)
        if frame.name in _GIL or (not within and frame.name != "[unknown]"):
            found.append(frame)
    return tuple(found)


def read(text: Iterable[str]) -> Iterator[Stack]:
    """Yield the stack of each sample of `perf script -F comm,tid,period,ip,sym,dso`."""
    frames: list[Frame] = []
    for line in text:
        if match := _FRAME.match(line.rstrip("\n")):
            frames.append(_frame(*match.groups()))
        elif not line.strip() and frames:
            yield _tidy(frames[::-1])
            frames = []
    if frames:
        yield _tidy(frames[::-1])


def fold(stacks: Iterable[Stack]) -> collections.Counter[Stack]:
    """Return how many samples each stack has."""
    return collections.Counter(stack for stack in stacks if stack)


def layer_of(stack: Stack) -> str:
    """Return the layer in which the processor was.

    The kernel by what it did; the interpreter and the C library for whoever called them; what
    the interpreter's lock costs, which other threads want too, in the kernel and outside.
    """
    if any(frame.name in _GIL for frame in stack):
        return "interpreter lock"
    if stack[-1].layer == "kernel":
        names = {frame.name for frame in stack if frame.layer == "kernel"}
        for layer, marks in _KERNEL_WORK:
            if names.intersection(marks):
                return layer
        return "kernel: other"
    for frame in reversed(stack):
        if frame.layer == "interpreter":
            return "Python"
        if frame.layer != "C":
            return frame.layer
    return "C"


def by_layer(folded: collections.Counter[Stack]) -> collections.Counter[str]:
    """Return the samples of each layer."""
    found: collections.Counter[str] = collections.Counter()
    for stack, count in folded.items():
        found[layer_of(stack)] += count
    return found


def by_function(folded: collections.Counter[Stack]) -> dict[str, tuple[int, int]]:
    """Return for each Python function the samples in itself, and with all that it calls.

    In itself: in the interpreter and in the C code of it and the standard library, but not in
    the kernel or in libraries that are layers.
    """
    own: collections.Counter[str] = collections.Counter()
    whole: collections.Counter[str] = collections.Counter()
    for stack, count in folded.items():
        functions = [frame.name for frame in stack if frame.layer == "Python"]
        for name in set(functions):
            whole[name] += count
        if functions and layer_of(stack) == "Python":
            own[functions[-1]] += count
    return {name: (own[name], whole[name]) for name in whole}


COLOURS: Final = {
    "kernel": "#d9a066",
    "libuv": "#8fbf8f",
    "uvloop": "#6fae9f",
    "llhttp": "#9fb7df",
    "httptools": "#7f9fd0",
    "LMDB": "#c79fd9",
    "OpenSSL": "#d98fa8",
    "Python": "#f2d06b",
    "interpreter": "#e8e0b8",
    "C": "#cccccc",
}
WIDTH: Final = 1200
LINE: Final = 17
LETTER: Final = 6.6


@attrs.define
class _Node:
    """A place in the graph: samples, and who is called."""

    frame: Frame
    count: int = 0
    inner: dict[Frame, _Node] = attrs.field(factory=dict)


def _tree(folded: collections.Counter[Stack]) -> _Node:
    root = _Node(Frame("all", "C"))
    for stack, count in folded.items():
        node = root
        node.count += count
        for frame in stack:
            node = node.inner.setdefault(frame, _Node(frame))
            node.count += count
    return root


def _depth(node: _Node) -> int:
    return 1 + max((_depth(inner) for inner in node.inner.values()), default=0)


def draw(folded: collections.Counter[Stack], title: str, each_us: float) -> str:
    """Return the flame graph as SVG: width is time, callers are below, colours are layers.

    each_us: what all samples together stand for, in microseconds for each request. Names and
    figures are shown in full when the pointer rests on a box.
    """
    root = _tree(folded)
    height = (_depth(root) + 4) * LINE
    scale = WIDTH / max(1, root.count)
    boxes: list[str] = []

    def place(node: _Node, left: float, level: int) -> None:
        width = node.count * scale
        if width < 0.3:
            return
        share = node.count / root.count
        top = height - (level + 1) * LINE
        said = f"{node.frame.name}: {share * each_us:.2f} us each, {share:.1%}"
        letters = int((width - 4) / LETTER)
        name = node.frame.name
        shown = name if len(name) <= letters else name[: letters - 1] + "…" if letters > 3 else ""
        boxes.append(
            f'<g><title>{escape(said)}</title><rect x="{left:.1f}" y="{top}" width="{width:.1f}" '
            f'height="{LINE - 1}" fill="{COLOURS[node.frame.layer]}"/>'
            f'<text x="{left + 2:.1f}" y="{top + 12}">{escape(shown)}</text></g>'
        )
        for inner in sorted(node.inner.values(), key=lambda one: one.frame.name):
            place(inner, left, level + 1)
            left += inner.count * scale

    place(root, 0.0, 0)
    legend, left = [], 0
    for layer, colour in COLOURS.items():
        legend.append(
            f'<rect x="{left}" y="{LINE + 8}" width="10" height="10" fill="{colour}"/>'
            f'<text x="{left + 14}" y="{LINE + 17}">{layer}</text>'
        )
        left += 110
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="monospace" font-size="11"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="2" y="14" font-size="13">{escape(title)}</text>{"".join(legend)}'
        f"{''.join(boxes)}</svg>\n"
    )
