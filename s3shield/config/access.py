"""Who may come in, as the configuration has it."""

from __future__ import annotations

import attrs

from s3shield.access import AddressRule

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
    basic: `auth_basic`, None for off.
    """

    satisfy: str = "all"
    rules: tuple[AddressRule, ...] = ()
    basic: BasicConfig | None = None

    @property
    def withheld(self) -> frozenset[bytes]:
        """Return the client's fields that are for these checks alone, lower-case."""
        return frozenset() if self.basic is None else frozenset({b"authorization"})


def access_pairs(access: AccessConfig) -> list[tuple[str, str | None]]:
    """Return the options that say the same."""
    return [
        ("satisfy", access.satisfy),
        *[("allow" if rule.allow else "deny", str(rule)) for rule in access.rules],
        ("auth_basic", "off" if access.basic is None else f'"{access.basic.realm}"'),
        ("auth_basic_user_file", None if access.basic is None else access.basic.file),
    ]
