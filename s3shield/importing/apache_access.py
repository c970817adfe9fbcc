"""Who Apache lets in: what the import cannot keep closes a location rather than opens it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from .ledger import Ledger
from .source import Block, Directive, walk

__all__ = ["ACCESS", "lowered", "methods_left", "refusals", "restricted", "wants"]

_WHY: Final = "the import does not keep this: nobody is let in here"
_INSTEAD: Final = (
    "see what docs/access.rst has for it, or guard it in front, "
    "then take `methods` out of the location"
)
_AUTH: Final = (
    *("authtype", "authname", "authuserfile", "authgroupfile", "authbasicprovider"),
    *("sslverifyclient", "authldapurl", "order", "satisfy"),
    *("authldapbinddn", "authldapbindpassword", "authdigestprovider"),
)

_KEEPERS: Final = frozenset(
    {"require", "allow", "deny", "sslverifyclient", "sslrequire", "sslrequiressl", "<requirenone>"}
)
ACCESS: Final = (
    *("require", "allow", "deny", "order", "sslverifyclient", "<requireall>"),
    *("<requireany>", "<requirenone>", "<limitexcept>", "<limit>"),
)
"""Of these the last section that says any counts."""
_EVERYBODY: Final = (["all", "granted"], ["from", "all"])


def lowered(block: Iterable[Directive], *names: str) -> list[Directive]:
    """Return the directives of those names, given in lower case; Apache minds no case."""
    return [each for each in block if each.name.lower() in names]


def restricted(blocks: Iterable[Block], ledger: Ledger, *, tls: bool = False) -> bool:
    """Tell whether somebody is kept out by any of the sections; note by what.

    tls: clients speak it anyway, as SSLRequireSSL wants.
    """
    found: list[Directive] = []
    for block in blocks:
        for each in walk(block):
            name, words = each.name.lower(), [word.lower() for word in each.args]
            if name == "rewriterule" and each in refusals(block):
                found.append(each)
            if name not in _KEEPERS or (name == "sslrequiressl" and tls):
                continue
            if name != "deny" and (words == ["none"] or words in _EVERYBODY):
                ledger.needless(each, "everybody is let in")
            elif not _of_methods(each, block):
                found.append(each)
    if not found:
        return False
    names = {each.name.lower() for each in found}
    for block in blocks:
        found += [each for each in lowered(block, *_AUTH) if each.name.lower() not in names]
    for each in found:
        ledger.access(each, _WHY, _INSTEAD)
    return True


def refusals(block: Iterable[Directive]) -> list[Directive]:
    """Return the rules of mod_rewrite that answer 403, 410 or another error."""
    found = []
    for each in lowered(block, "rewriterule"):
        flags = each.args[2].strip("[]").upper().split(",") if len(each.args) > 2 else []
        if any(re.fullmatch(r"\s*(F|FORBIDDEN|G|GONE|R=[45]\d\d)\s*", flag) for flag in flags):
            found.append(each)
    return found


def wants(block: Block) -> list[Directive]:
    """Return what keeps somebody out whatever later sections say."""
    return [*lowered(block, "sslrequire", "sslrequiressl"), *refusals(block)]


def _of_methods(directive: Directive, block: Block) -> bool:
    """Tell whether it stands in a <LimitExcept> that just leaves some methods."""
    return any(
        directive in (each.block or ()) and methods_left(each) is not None
        for each in lowered(block, "<limitexcept>")
    )


def methods_left(section: Directive) -> str | None:
    """Return the methods that a <LimitExcept> leaves, None when it does more than that."""
    inside = [
        [each.name.lower(), *[word.lower() for word in each.args]] for each in section.block or ()
    ]
    refusals = (["require", "all", "denied"], ["deny", "from", "all"])
    if (
        not inside
        or not section.args
        or any(line not in refusals and line[0] != "order" for line in inside)
    ):
        return None
    names = [name.upper() for name in section.args]
    if "GET" in names and "HEAD" not in names:
        names.append("HEAD")
    return " ".join(dict.fromkeys(names))
