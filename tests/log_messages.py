"""Every text of level warn and above that the product can write into its error log."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PRODUCT: Final = Path(__file__).resolve().parents[1] / "s3shield"

FIELD: Final = "\0"
"""What stands in a text for something that is filled in."""

_LOUD: Final = {"warn", "error", "critical", "failure"}
_VOICES: Final = {"trouble", "_trouble", "say", "_say", "tell", "_tell", "_mind"}
"""Methods that end in the log; what they are given is what it says, but for a kind before it."""
_QUIET: Final = {"debug", "info"}
_LEAST: Final = 4
"""Fewer letters than this say nothing: the text is in the fields."""


def loud(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text with `FIELD` for each field) of a module's texts."""
    for scope in _scopes(ast.parse(path.read_text())):
        named: dict[str, list[ast.expr]] = {}
        for node in _inside(scope):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        named.setdefault(target.id, []).append(node.value)
        for node in _inside(scope):
            if isinstance(node, ast.Call) and _is_loud(node):
                said = node.args[-1:] if _name(node) in {"say", "tell"} else node.args
                for given in said:
                    for text in _texts(given, named):
                        if text.startswith("STATUS="):
                            continue  # told to systemd
                        if " " in text and len(re.sub(r"[^A-Za-z]", "", text)) >= _LEAST:
                            yield node.lineno, text


def messages() -> Iterator[tuple[str, str]]:
    """Yield (module:line, text) of the whole product."""
    for path in sorted(PRODUCT.rglob("*.py")):
        for line, text in loud(path):
            yield f"{path.relative_to(PRODUCT)}:{line}", text


def _scopes(tree: ast.Module) -> Iterator[ast.AST]:
    yield tree
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _inside(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function, those of functions in it left out."""
    for node in ast.iter_child_nodes(scope):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _inside(node)


def _name(call: ast.Call) -> str:
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _is_loud(call: ast.Call) -> bool:
    name = _name(call)
    if name in _LOUD:
        return True
    if name == "append":
        return isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "warnings"
    first = call.args[0] if call.args else None
    level = first.attr if isinstance(first, ast.Attribute) else getattr(first, "value", None)
    return name in _VOICES and level not in _QUIET


def _texts(node: ast.expr, names: dict[str, list[ast.expr]], deep: int = 0) -> list[str]:
    """Return what an expression can be as a text, as far as it stands in the function."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [re.sub(r"\{\w*(?:[:!][^}]*)?\}", FIELD, node.value)]
    if isinstance(node, ast.JoinedStr):
        return [
            "".join(
                part.value if isinstance(part, ast.Constant) else FIELD  # type: ignore[misc]  # a str here
                for part in node.values
            )
        ]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = (_texts(side, names, deep) for side in (node.left, node.right))
        return [a + b for a in left or [FIELD] for b in right or [FIELD]]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body, names, deep), *_texts(node.orelse, names, deep)]
    if isinstance(node, ast.Name) and deep < 3:
        return [text for each in names.get(node.id, ()) for text in _texts(each, names, deep + 1)]
    return []
