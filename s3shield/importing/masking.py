"""Lines of a configuration shown to people, without the secrets in them.

A line that could not be taken over is shown so that it can be found, and such lists are
pasted into tickets. So rather too much is masked: the values of every directive that holds
a secret, wherever else they stand; what stands after a name like password or token; and
everything that looks like a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from .source import Block, Directive, walk

__all__ = ["MASK", "Masking"]

MASK: Final = "***"
_SECRET_NAME: Final = re.compile(
    r"secret|passw|passphrase|token|credential|signing_key|signature|private|apikey|api[-_]key"
    r"|authorization|cookie|secure_link|auth_basic_user|^env$|setenv|bindpass",
    re.IGNORECASE,
)
_PLAIN_NAME: Final = frozenset({"server_tokens", "servertokens", "ssl_session_tickets"})
_NAMING: Final = frozenset(
    {"set", "proxy_set_header", "add_header", "fastcgi_param", "uwsgi_param", "header"}
    | {"requestheader", "define", "proxy_cookie_path", "grpc_set_header"}
)
"""Directives whose first words name what the others are the value of."""
_ASSIGNED: Final = re.compile(
    r"(?i)([a-z0-9_-]*(?:secret|passw|token|signature|credential|api_?key|access_?key|auth)"
    r"[a-z0-9_-]*[=:])(?!//)[^&\s]+"
)
_USER: Final = re.compile(r"(://)[^/@\s]*@")
_BEARER: Final = re.compile(r"(?i)\b(basic|bearer|aws4?[-a-z0-9]*)\s+\S{6,}")
_RUN: Final = re.compile(r"[A-Za-z0-9+/_=.-]{20,}")


def _looks_like_a_key(run: str) -> bool:
    """Tell whether a run of characters is more like chance than like words or a path."""
    kinds = (r"[a-z]", r"[A-Z]", r"[0-9]")
    for part in re.split(r"[.]", run):
        mixed = sum(bool(re.search(kind, part)) for kind in kinds)
        if len(part) >= 20 and mixed == 3 and "://" not in part:
            return True
        if len(part) >= 32 and re.fullmatch(r"[0-9a-fA-F]+", part):
            return True
    return run.endswith("=")


class Masking:
    """Shows directives of one configuration. tree: all of it, for the secrets that are in it."""

    def __init__(self, tree: Block) -> None:
        values: set[str] = set()
        for each in walk(tree):
            if self._is_secret(each.name):
                values.update(arg for arg in each.args if len(arg) > 3 and "$" not in arg)
            else:
                shown = self._shown(each)
                values.update(arg for arg in each.args[shown:] if len(arg) > 3 and "$" not in arg)
        self._values = sorted(values, key=len, reverse=True)

    def _is_secret(self, name: str) -> bool:
        return bool(_SECRET_NAME.search(name)) and name.lower() not in _PLAIN_NAME

    def _shown(self, directive: Directive) -> int:
        """Return how many of its words can be shown: those up to the name of a secret."""
        if directive.name.lower() in _NAMING:
            for at, arg in enumerate(directive.args[:2]):
                if self._is_secret(arg):
                    return at + 1
        return len(directive.args)

    def text(self, text: str) -> str:
        """Return `text` with everything masked that is, or looks like, a secret."""
        for value in self._values:
            text = text.replace(value, MASK)
        text = _USER.sub(rf"\1{MASK}@", text)
        text = _BEARER.sub(rf"\1 {MASK}", text)
        text = _ASSIGNED.sub(rf"\1{MASK}", text)
        text = _RUN.sub(lambda run: MASK if _looks_like_a_key(run[0]) else run[0], text)
        return "".join(each if each.isprintable() else "?" for each in text)

    def line(self, directive: Directive) -> str:
        """Return a directive as it is written, without its block, at most 200 characters."""
        name = self.text(directive.name)
        words: Iterable[str]
        if self._is_secret(directive.name):
            words = [MASK] if directive.args else []
        else:
            end = self._shown(directive)
            words = [self._quoted(self.text(arg)) for arg in directive.args[:end]]
            words += [MASK] if end < len(directive.args) else []
        shown = " ".join([name, *words])
        if name.startswith("<"):
            shown = f"{name[:-1]} {' '.join(words)}".rstrip() + ">"
        elif directive.block is not None:
            shown += " { ... }"
        return shown if len(shown) <= 200 else f"{shown[:197]}..."

    @staticmethod
    def _quoted(word: str) -> str:
        return f'"{word}"' if not word or " " in word else word
