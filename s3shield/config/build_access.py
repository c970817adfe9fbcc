"""What the options about who may come in make together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from s3shield.access import AddressRule, HashedLink

from .access import AccessConfig, BasicConfig
from .given import Given, Sources, find
from .reading_access import ACCESS

__all__ = ["read_access"]


def _get(chain: Sequence[Given], name: str) -> Any:
    found = find(chain, name)
    return ACCESS[name].default if found is None or found.broken else found.value


def _lines(chain: Sequence[Given], sources: Sources) -> tuple[AddressRule, ...]:
    """Return the lines of the innermost section that has any, of both options in order."""
    for given in chain:
        here = [given.values[name] for name in ("allow", "deny") if name in given.values]
        if not here:
            continue
        lines = [pair for each in here for pair in zip(each.lines, each.value or (), strict=False)]
        rules = [rule for _, line in sorted(lines, key=lambda pair: pair[0]) for rule in line]
        if all(rule.allow for rule in rules) and not any(each.broken for each in here):
            sources.complaints.warn(
                f"{sources.where(here[0])}: allow without deny keeps nobody out; "
                "end the list with deny = all"
            )
        return tuple(rules)
    return ()


def _basic(chain: Sequence[Given], sources: Sources) -> BasicConfig | None:
    realm = _get(chain, "auth_basic")
    at = find(chain, "auth_basic")
    if not realm or at is None:
        return None
    file = _get(chain, "auth_basic_user_file")
    if file is None:
        if find(chain, "auth_basic_user_file") is None:
            sources.complain(at, "it goes with auth_basic_user_file: who is there to come in?")
        return None
    for module, name in (("bcrypt", "bcrypt"), ("passlib", "libpass")):
        if not sources.installed(module):
            sources.complain(at, f"this needs {name}: pip install 's3shield[passwords]'")
            return None
    path = sources.path(file)
    sources.warn_if_open(path)
    return BasicConfig(realm, path)


def _link(chain: Sequence[Given], sources: Sources) -> HashedLink | None:
    link, at = _get(chain, "secure_link"), find(chain, "secure_link")
    if link is None or at is None:
        return None
    text = _get(chain, "secure_link_md5")
    if text is None:
        if find(chain, "secure_link_md5") is None:
            sources.complain(at, "it goes with secure_link_md5: what is hashed, with a secret")
        return None
    return HashedLink.parse(link, text)


def read_access(chain: Sequence[Given], sources: Sources) -> AccessConfig:
    """Return what the sections say, the innermost first; complain about what is wrong."""
    return AccessConfig(
        satisfy=_get(chain, "satisfy"),
        rules=_lines(chain, sources),
        basic=_basic(chain, sources),
        link=_link(chain, sources),
        link_keys=_get(chain, "signed_link_key"),
    )
