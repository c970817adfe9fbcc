"""What a server's configuration says: directives in blocks, whichever server it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

__all__ = ["Block", "Chain", "Directive", "ImportFailed", "nearest", "own", "walk"]


class ImportFailed(Exception):  # noqa: N818 - the operator's file failed, not the program
    """A file cannot be taken over at all.

    file: its name. line: 1-based, 0 for the file as a whole. Its text is one sentence for
    people, without anything of the file in it: that may be a secret.
    """

    def __init__(self, file: str, line: int, message: str) -> None:
        self.file = file
        self.line = line
        at = f"{file}:{line}" if line else file
        super().__init__(f"{at}: {message}")


@attrs.frozen(eq=False)
class Directive:
    """One directive, with its block where it has one.

    name: as written; of an Apache section in brackets, `<Proxy>`. args: without quotes.
    block: None when there is none. Two of the same words are not the same directive.
    """

    name: str = attrs.field(repr=False)
    args: tuple[str, ...] = attrs.field(repr=False)
    file: str
    line: int
    block: tuple[Directive, ...] | None = None

    @property
    def first(self) -> str:
        """The first argument, or nothing."""
        return self.args[0] if self.args else ""


Block = Sequence[Directive]
Chain = tuple[Block, ...]
"""Blocks around a place, the outermost first."""


def own(block: Block, name: str) -> list[Directive]:
    """Return the directives of that name in the block itself."""
    return [each for each in block if each.name == name]


def nearest(chain: Chain, name: str) -> list[Directive]:
    """Return those of the innermost block that has any: how nginx inherits."""
    for block in reversed(chain):
        found = own(block, name)
        if found:
            return found
    return []


def walk(block: Block) -> Iterator[Directive]:
    """Yield every directive, those of blocks within too, in the order of the text."""
    stack = [iter(block)]
    while stack:
        each = next(stack[-1], None)
        if each is None:
            stack.pop()
            continue
        yield each
        if each.block is not None:
            stack.append(iter(each.block))
