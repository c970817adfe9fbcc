"""Who may come in, as the configuration has it."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from s3shield.access import LINK_NAMES, AddressRule, HashedLink
from s3shield.policy import Consumed

__all__ = ["AccessConfig", "BasicConfig", "access_pairs"]


@attrs.frozen
class BasicConfig:
    """`auth_basic`. realm: its text. file: path of `auth_basic_user_file`."""

    realm: str
    file: str


@attrs.frozen(kw_only=True)
class AccessConfig:
    """Who may come in at a location.

    satisfy: `all` or `any` of its checks. rules: the lines of `allow` and `deny` in order.
    basic: `auth_basic`, None for off. link: nginx's links, None for none of them. link_keys:
    of our own, without any there are none.
    """

    satisfy: str = "all"
    rules: tuple[AddressRule, ...] = ()
    basic: BasicConfig | None = None
    link: HashedLink | None = None
    link_keys: tuple[bytes, ...] = attrs.field(default=(), repr=False)

    @property
    def asks(self) -> bool:
        """Whether there is any check."""
        return bool(self.rules or self.link_keys or self.link or self.basic)

    @property
    def consumed(self) -> Consumed:
        """What of a request is for these checks, and nobody else's business."""
        names = frozenset() if self.link is None else self.link.names
        return Consumed(
            schemes=frozenset() if self.basic is None else frozenset({b"basic"}),
            arguments=names | LINK_NAMES if self.link_keys else names,
        )


def access_pairs(access: AccessConfig, show: Callable[[str], str]) -> list[tuple[str, str | None]]:
    """Return the options that say the same. show: what is written for a secret."""
    link = access.link
    return [
        ("satisfy", access.satisfy),
        *[("allow" if rule.allow else "deny", str(rule)) for rule in access.rules],
        ("auth_basic", "off" if access.basic is None else f'"{access.basic.realm}"'),
        ("auth_basic_user_file", None if access.basic is None else access.basic.file),
        ("secure_link", "off" if link is None else str(link.link)),
        ("secure_link_md5", None if link is None else show(f'"{link.text}"')),
        *[("signed_link_key", show(key.decode("utf-8"))) for key in access.link_keys],
    ]
