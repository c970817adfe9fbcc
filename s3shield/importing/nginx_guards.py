"""What of nginx's access rules a location of ours says too, to the letter.

Kept are `allow` and `deny`, `auth_basic` with its file, `satisfy`, and `secure_link` with its
two usual `if`s, where nothing else keeps anybody out beside them. What is only nearly the
same is not kept: then the location is closed, as for all that cannot be said here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from s3shield.access import HashedLink
from s3shield.routing import Template

from .source import Chain, Directive, nearest, own

__all__ = ["Guard", "kept"]

_ELSEWHERE: Final = ("set_real_ip_from", "real_ip_header")
_STATUSES: Final = {"": "403", "0": "410"}


@attrs.frozen
class Guard:
    """One option that keeps somebody out."""

    option: str
    value: str = attrs.field(repr=False)
    source: Directive

    @property
    def words(self) -> tuple[str, str]:
        """What it says."""
        return self.option, self.value


def kept(chain: Chain, found: Sequence[Directive]) -> list[Guard] | None:
    """Return the options that say what `found`, all that keeps somebody out, says; or None."""
    guards: list[Guard] = []
    links: list[Directive] = []
    basic: list[Directive] = []
    for each in found:
        if each.name in ("allow", "deny"):
            whom = _whom(each)
            if whom is None or _told_elsewhere(chain):
                return None
            guards.append(Guard(each.name, whom, each))
        elif each.name in ("auth_basic", "auth_basic_user_file"):
            basic.append(each)
        elif each.name == "if" and _asks(each) is not None:
            links.append(each)
        else:
            return None
    if basic:
        password = _password(basic)
        if password is None:
            return None
        guards += password
    satisfy = nearest(chain, "satisfy")[-1:]
    either = [each for each in satisfy if each.first == "any"]
    if links:
        link = _link(chain, links)
        # The ifs come before what `satisfy` is about.
        if link is None or (either and guards):
            return None
        guards += link
    elif either:
        guards += [Guard("satisfy", "any", each) for each in either]
    return guards


def _whom(directive: Directive) -> str | None:
    """Return an address or network; of a network the bits that count, as nginx takes it."""
    text = directive.first
    if len(directive.args) != 1:
        return None
    if text in ("all", "unix:"):
        return text
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return None


def _told_elsewhere(chain: Chain) -> bool:
    """Tell whether the address that counts is not the connection's."""
    listens = [each for block in chain for each in own(block, "listen")]
    return any(nearest(chain, name) for name in _ELSEWHERE) or any(
        "proxy_protocol" in each.args for each in listens
    )


def _password(found: Iterable[Directive]) -> list[Guard] | None:
    named = {each.name: each for each in found}
    realm, file = named.get("auth_basic"), named.get("auth_basic_user_file")
    if realm is None or file is None or "$" in realm.first + file.first:
        return None
    if not realm.first or not file.first.startswith("/"):
        return None  # nginx looks where it was built to
    return [
        Guard("auth_basic", f'"{realm.first}"', realm),
        Guard("auth_basic_user_file", file.first, file),
    ]


def _asks(directive: Directive) -> str | None:
    """Return what `if ($secure_link = ...)` compares with: nothing, or 0; None for others."""
    words = " ".join(directive.args).strip("() ").split()
    if words[:2] != ["$secure_link", "="] or len(words) > 3:
        return None
    value = words[2].strip("\"'") if len(words) > 2 else ""
    inside = directive.block or ()
    if value not in _STATUSES or [each.name for each in inside] != ["return"]:
        return None
    return value


def _link(chain: Chain, links: Sequence[Directive]) -> list[Guard] | None:
    asked = {_asks(each): each for each in links}
    link, text = nearest(chain, "secure_link")[-1:], nearest(chain, "secure_link_md5")[-1:]
    # After a rewrite $uri is another one.
    rewritten = any(own(block, name) for block in chain for name in ("rewrite", "set"))
    if "" not in asked or not link or not text or rewritten:
        return None
    if any((each.block or ())[0].args != (_STATUSES[said or ""],) for said, each in asked.items()):
        return None
    try:
        HashedLink.parse(Template.parse(link[0].first), text[0].first)
    except ValueError:
        return None
    first, *more = links
    return [
        Guard("secure_link", link[0].first, link[0]),
        Guard("secure_link_md5", f'"{text[0].first}"', text[0]),
        *[Guard("", "", each) for each in (first, *more)],
    ]
