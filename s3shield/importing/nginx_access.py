"""Who nginx lets in: what the import cannot keep closes a location rather than opens it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from .ledger import Ledger
from .source import Chain, Directive, nearest, own, walk

__all__ = ["keepers", "methods_of", "note_lost", "restricted"]

_WHY: Final = "the import does not keep this: nobody is let in here"
_INSTEAD: Final = (
    "see what docs/access.rst has for it, or guard it in front, "
    "then take `methods` out of the location"
)
_PER_REQUEST: Final = (
    *("access_by_lua", "access_by_lua_block", "access_by_lua_file"),
    *("rewrite_by_lua", "rewrite_by_lua_block", "rewrite_by_lua_file"),
    *("testcookie", "js_access", "perl"),
)
_ASKING: Final = ("auth_", "inbound_aws_")
_HELPING: Final = re.compile(r"auth_(delay|http.*|.*_(user_file|set|key.*|alg|leeway|url))")
"""Directives that say more about others, which alone keep nobody out."""
_ONLY: Final = re.compile(r"^\^?\(?([A-Z]+(?:\|[A-Z]+)*)\)?\$?$")
_REFUSALS: Final = re.compile(r"4\d\d|5\d\d")


def restricted(chain: Chain, ledger: Ledger) -> bool:
    """Tell whether somebody is kept out of the innermost block of `chain`; note by what."""
    found = keepers(chain, ledger)
    note_lost(chain, found, ledger)
    return bool(found)


def note_lost(chain: Chain, found: Sequence[Directive], ledger: Ledger) -> None:
    """Note what keeps somebody out in nginx and, but for closing the location, not here."""
    for each in found:
        ledger.access(each, _WHY, _INSTEAD)
    if found:
        for each in nearest(chain, "satisfy"):
            ledger.access(each, _WHY, _INSTEAD)


def keepers(chain: Chain, ledger: Ledger) -> list[Directive]:
    """Return all that keeps somebody out of the innermost block of `chain`; note the rest."""
    found: list[Directive] = []
    for block in reversed(chain):
        lists = [each for each in block if each.name in ("allow", "deny")]
        if lists:
            if any(each.name == "deny" for each in lists):
                found += lists
            else:
                for each in lists:
                    ledger.needless(each, "everybody is let in")
            break
    # Modules that ask who it is call their directives so, whichever they are.
    names = {each.name for block in chain for each in block if each.name.startswith(_ASKING)}
    for name in sorted(names):
        for each in nearest(chain, name)[-1:]:
            if _HELPING.fullmatch(name):
                continue
            if each.first == "off":
                ledger.needless(each, "everybody is let in")
            else:
                found.append(each)
                found += nearest(chain, f"{name}_user_file")
    for each in nearest(chain, "ssl_verify_client")[-1:]:
        if each.first != "off":
            found += [each, *nearest(chain, "ssl_client_certificate")]
    for name in _PER_REQUEST:
        found += nearest(chain, name)
    found += nearest(chain, "internal")
    for block in chain:
        found += [each for each in own(block, "if") if _refuses(each)]
    return found


def _refuses(directive: Directive) -> bool:
    """Tell whether an `if` keeps somebody out, other than by the method."""
    if methods_of(directive) is not None:
        return False
    return any(
        each.name == "deny" or (each.name == "return" and _REFUSALS.fullmatch(each.first))
        for each in walk(directive.block or ())
    )


def methods_of(directive: Directive) -> str | None:
    """Return the methods that are left: of `if ($request_method !~ ...)` and limit_except.

    None when it is about something else.
    """
    if directive.name == "limit_except":
        # Whoever it lets in with other methods is few; fewer is none.
        names = list(directive.args) or ["GET"]
    else:
        words = " ".join(directive.args).strip("() ").split()
        refusal = [each.name == "return" for each in directive.block or ()]
        if len(words) != 3 or words[0] != "$request_method" or refusal != [True]:
            return None
        one = words[1] == "!=" and words[2].isalpha()
        several = _ONLY.match(words[2]) if words[1] in ("!~", "!~*") else None
        if not one and several is None:
            return None
        names = [words[2]] if several is None else several[1].split("|")
    if "GET" in names and "HEAD" not in names:
        names.append("HEAD")  # who may GET may HEAD, in nginx
    return " ".join(dict.fromkeys(names))
