"""<Proxy> sections: the keys and the connection of an address, by its beginning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from .apache_access import lowered
from .buckets import Keys, Place, Url, add_bucket, find_bucket
from .draft import Draft, Entry, Section
from .source import Block, Directive

__all__ = ["Proxies", "Proxy", "parameters"]

_OPTIONS: Final = {
    "connectiontimeout": "origin_connect_timeout",
    "timeout": "origin_read_timeout",
    "ttl": "origin_idle_timeout",
    "max": "origin_connections",
}
_NEEDLESS: Final = frozenset(
    {
        "enablereuse",
        "keepalive",
        "retry",
        "min",
        "smax",
        "acquire",
        "iobuffersize",
        "flushpackets",
        "flushwait",
        "ping",
        "receivebuffersize",
        "nocanon",
        "upgrade",
        "disablereuse",
        "redirect",
        "route",
        "loadfactor",
        "status",
        "addressttl",
        "secret",
        "responsefieldsize",
        "stickysession",
    }
)
_S3: Final = (
    "s3accesskey",
    "s3secretkey",
    "s3region",
    "s3securitytoken",
    "s3useheaders",
    "s3rolearn",
    "s3rolesessionname",
)


def parameters(words: Sequence[str]) -> dict[str, str]:
    """Return the `key=value` of ProxySet or ProxyPass, names in lower case."""
    found = [word.partition("=")[::2] for word in words if "=" in word]
    return {name.lower(): value for name, value in found}


@attrs.frozen
class Proxy:
    """A section with an address. url: None for one that no bucket or origin can have."""

    source: Directive
    address: str
    url: Url | None

    @property
    def block(self) -> Block:
        """What is in it."""
        return self.source.block or ()

    @property
    def signs(self) -> bool:
        """Whether keys of S3 stand in it."""
        return bool(lowered(self.block, "s3secretkey", "s3accesskey", "s3rolearn"))


class Proxies:
    """The <Proxy> sections of one configuration; finds what holds for an address."""

    def __init__(self, draft: Draft, sections: Sequence[Directive]) -> None:
        self.draft = draft
        self.all = [
            Proxy(each, each.first, Url.parse(each.first.removesuffix("*"))) for each in sections
        ]
        self.asked: set[int] = set()

    def of(self, address: str) -> list[Proxy]:
        """Return those whose address is a beginning of this one, the longest first."""
        found = [
            each
            for each in self.all
            if each.address and address.rstrip("/").startswith(each.address.rstrip("/*"))
        ]
        return sorted(found, key=lambda each: len(each.address), reverse=True)

    def members(self, address: str) -> list[tuple[str, Directive | None]]:
        """Return the members of a balancer, with their directives; or the address itself."""
        if not address.lower().startswith("balancer://"):
            return [(address, None)]
        for proxy in self.of(address):
            lines = [each for each in lowered(proxy.block, "balancermember") if each.args]
            self.draft.ledger.used(*lines, proxy.source)
            rest = address[len(proxy.address.rstrip("/")) :]
            if lines:
                return [(each.first.rstrip("/") + rest, each) for each in lines]
        return []

    def replicas(self, home: Section, others: Sequence[tuple[str, Directive | None]]) -> None:
        """Give a bucket the others of a balancer. home: its section, or a plain origin's."""
        for at, (address, source) in enumerate(others):
            assert source is not None  # they are members
            url = Url.parse(address)
            place = None if url is None else find_bucket(url)
            proxies = self.of(address)
            self.asked.update(id(each.source) for each in proxies)
            if at or home.kind != "bucket" or place is None:
                self.draft.ledger.lost(source, "it is not asked: a bucket may have one replica")
                continue
            self.draft.ledger.used(*[each.source for each in proxies])
            keys = self.keys([each.block for each in proxies])
            bucket = add_bucket(self.draft, place, keys, source)
            # Whether that is taken the loader says.
            self.draft.put(home, "replica", bucket.name, source)

    def keys(self, blocks: Sequence[Block]) -> Keys:
        """Return what mod_unified_s3_auth signs with; the first block that says it counts."""
        found: dict[str, Directive] = {}
        for block in reversed(blocks):
            for each in lowered(block, *_S3):
                found[each.name.lower()] = each
        if "s3secretkey" not in found and "s3accesskey" not in found:
            return Keys()
        region = found.get("s3region")
        header = "s3useheaders" in found and found["s3useheaders"].first.lower() == "on"
        self.draft.ledger.used(
            *[each for name, each in found.items() if name in ("s3region", "s3useheaders")]
        )
        sign = ("v4" if region is not None else "v2") + ("" if header else "-query")
        values = tuple(
            (option, found[name].first, found[name])
            for option, name in (
                ("aws_access_key", "s3accesskey"),
                ("aws_secret_key", "s3secretkey"),
                ("aws_session_token", "s3securitytoken"),
                ("aws_role_arn", "s3rolearn"),
                ("aws_role_session_name", "s3rolesessionname"),
            )
            if name in found
        )
        return Keys(sign, None if region is None else region.first, values)

    def source(
        self,
        section: Section,
        url: Url,
        blocks: Sequence[Block],
        at: Directive,
        others: Sequence[tuple[str, Directive | None]] = (),
    ) -> Place | None:
        """Say in a location where it goes. blocks: those around it, the innermost first.

        others: further members of its balancer. Returns the bucket, None for a plain origin.
        """
        proxies = self.of(f"{url.root}{url.path}")
        self.asked.update(id(each.source) for each in proxies)
        self.draft.ledger.used(*[each.source for each in proxies])
        keys = self.keys([*[each.block for each in proxies], *blocks])
        place = find_bucket(url)
        if place is None and keys.values:
            # Keys of S3, at a store of one's own: the bucket is in the path or in the host.
            segment = url.path.removeprefix("/").partition("/")[0]
            first = url.host.partition(".")[0]
            place = find_bucket(url, segment or first)
        home = section
        if place is None:
            section.entries.append(Entry("origin", url.root, at))
        else:
            home = add_bucket(self.draft, place, keys, at)
            section.entries.append(Entry("bucket", home.name, at))
        self.replicas(home, others)
        for proxy in reversed(proxies):
            for each in lowered(proxy.block, "proxyset"):
                self.connection(home, parameters(each.args), each)
            self.verification(home, proxy.block)
        self.draft.ledger.used(at)
        return place

    def connection(self, section: Section, words: Mapping[str, str], at: Directive) -> None:
        """Add what ProxySet or ProxyPass says of the connection."""
        unknown = []
        for name, value in words.items():
            option = _OPTIONS.get(name)
            if option is not None:
                number = value if name == "max" or not value.isdigit() else f"{value}s"
                self.draft.put(section, option, number, at)
            elif name not in _NEEDLESS:
                unknown.append(name)
        if unknown:
            self.draft.ledger.lost(at, f"not known here: {', '.join(unknown)}")
        self.draft.ledger.used(at)

    def verification(self, section: Section, block: Block) -> None:
        """Add whether an origin's certificate is checked, and by what."""
        for each in lowered(block, "sslproxyverify"):
            self.draft.put(
                section, "origin_verify", "off" if each.first.lower() == "none" else "on", each
            )
        for each in lowered(block, "sslproxycacertificatefile"):
            self.draft.put(section, "origin_ca", each.first, each)
