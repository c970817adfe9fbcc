"""Servers: names, addresses and certificates that go together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import attrs

from .draft import Draft, Section
from .source import Block, Directive, own

__all__ = ["Listens"]

_NAME: Final = re.compile(r"[^A-Za-z0-9_.+-]")
_HOST: Final = re.compile(
    r"(\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
    r"(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_NEEDLESS_FLAGS: Final = (
    *("default_server", "default", "ssl", "http2", "reuseport", "deferred", "bind"),
)
_OWN_CERTIFICATE: Final = "/path/to/certificate.pem"
_OWN_KEY: Final = "/path/to/certificate.key"


@attrs.define
class _Place:
    """What is known of one address. default: the section that takes unknown names.

    pairs: certificates and keys of the first, None for no TLS.
    """

    pairs: Sequence[tuple[str, str]] | None
    first: Section
    default: Section | None = None
    names: set[str] = attrs.field(factory=set)


class Listens:
    """Gives servers names and addresses that the loader takes beside one another."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.places: dict[str, _Place] = {}
        self.at: dict[str, list[str]] = {}
        self.given: list[tuple[Section, list[str], Directive]] = []

    def section(self, name: str) -> Section:
        """Return a new section with a name of its own."""
        base = _NAME.sub("-", name.removeprefix("*.").removeprefix(".")) or "default"
        taken = {each.name for each in self.draft.sections if each.kind == "server"}
        unique, number = base, 2
        while unique in taken:
            unique, number = f"{base}-{number}", number + 1
        return self.draft.section("server", unique)

    def add(
        self,
        section: Section,
        address: str,
        source: Directive,
        pairs: Sequence[tuple[str, str]] | None,
        *,
        default: bool = False,
    ) -> None:
        """Add an address. pairs: certificates and keys, None for no TLS.

        With TLS or without is what the first server of an address says.
        """
        place = self.places.get(address)
        if place is None:
            place = self.places[address] = _Place(pairs, section)
        elif (place.pairs is None) != (pairs is None):
            self.draft.ledger.lost(
                source,
                f"an address has TLS or none: as in [server:{place.first.name}] for {address}",
            )
        if default:
            place.default = section
        if address in self.at.setdefault(section.name, []):
            return
        self.at[section.name].append(address)
        tls = " tls" if place.pairs is not None else ""
        if not self.draft.put(section, "listen", f"{address}{tls}", source):
            return
        if place.pairs is not None and section.get("tls_certificate") is None:
            for certificate, key in pairs or place.pairs:
                self.draft.put(section, "tls_certificate", certificate)
                self.draft.put(section, "tls_certificate_key", key)

    def is_tls(self, server: str) -> bool:
        """Tell whether all clients of a server speak TLS."""
        addresses = self.at.get(server, [])
        return bool(addresses) and all(self.places[at].pairs for at in addresses)

    def nginx(
        self,
        section: Section,
        server: Directive,
        block: Block,
        certificates: Sequence[Directive],
        keys: Sequence[Directive],
    ) -> None:
        """Add nginx's `listen` lines."""
        ledger = self.draft.ledger
        lines = own(block, "listen")
        switched = any(each.first == "on" for each in own(block, "ssl"))
        ledger.used(*own(block, "ssl"), *certificates, *keys)
        pairs = (
            self._pairs(server, certificates, keys)
            if (switched or any("ssl" in each.args or "quic" in each.args for each in lines))
            else None
        )
        for each in lines:
            flags = each.args[1:]
            if "quic" in flags:
                ledger.lost(each, "HTTP/3 is not spoken here")
                continue
            address = _address(each.first)
            if address is None:
                ledger.lost(each, "this is no address that can be listened on here")
                continue
            default = "default_server" in flags or "default" in flags
            tls = switched or "ssl" in flags
            self.add(section, address, each, pairs if tls else None, default=default)
            self._flags(each, flags)
        if not self.at.get(section.name):
            self.add(section, "0.0.0.0:80", server, None)

    def _flags(self, each: Directive, flags: Sequence[str]) -> None:
        ledger = self.draft.ledger
        if "proxy_protocol" in flags:
            ledger.lost(
                each,
                "PROXY headers are not taken over: here only set_real_ip_from may send them",
                "give it in [s3shield], and put proxy_protocol behind the address",
            )
        elif any(not flag.startswith(_NEEDLESS_FLAGS) for flag in flags):
            ledger.lost(each, "of its words only the address and ssl mean something here")

    def _pairs(
        self, server: Directive, certificates: Sequence[Directive], keys: Sequence[Directive]
    ) -> list[tuple[str, str]]:
        ledger = self.draft.ledger
        pairs = list(zip([x.first for x in certificates], [x.first for x in keys], strict=False))
        odd = len(certificates) != len(keys)
        files = [path for pair in pairs for path in pair]
        if not pairs or odd or any("$" in path or path.startswith("data:") for path in files):
            for each in [*certificates, *keys] or [server]:
                ledger.lost(
                    each,
                    "it listens with TLS, and no certificate of it can be used here",
                    "give tls_certificate and tls_certificate_key",
                )
            return [(_OWN_CERTIFICATE, _OWN_KEY)]
        return pairs

    def names(self, section: Section, names: Sequence[str], source: Directive) -> None:
        """Note the names of a server, as nginx or Apache writes them."""
        found = []
        for name in names:
            lower = name.lower().removesuffix(".")
            if lower in ("", "_", '""', "-", "$hostname", "_default_"):
                continue
            every = [lower.removeprefix("."), f"*{lower}"] if lower.startswith(".") else [lower]
            for each in every:
                if not _HOST.fullmatch(each):
                    self.draft.ledger.lost(
                        source, "names are exact ones and *.example.com here: one is left out"
                    )
                elif each not in found:
                    found.append(each)
        self.given.append((section, found, source))

    def settle_names(self) -> None:
        """Give every server its names, when all are known: a name is one server's at a place."""
        for place in self.places.values():
            if place.default is None:
                place.default = place.first
        for section, names, source in self.given:
            places = [self.places[address] for address in self.at.get(section.name, [])]
            kept = [name for name in names if not any(name in place.names for place in places)]
            if len(kept) < len(names):
                self.draft.ledger.lost(
                    source, "another server has one of these names already, at the same address"
                )
            defaults = [place for place in places if place.default is section]
            elsewhere = [place for place in places if place.default is not section]
            moved = any(place.first is not section for place in defaults)
            if defaults and (moved or not kept) and not any("_" in p.names for p in places):
                kept.append("_")
                if elsewhere:
                    self.draft.ledger.lost(
                        source, "it takes unknown names at some of its addresses, here at all"
                    )
            for place in places:
                place.names.update(kept)
            if kept and kept != ["_"]:
                self.draft.put(section, "server_name", " ".join(kept), source)
            elif not kept:
                # It was never reached; without a name it would take every one.
                self.draft.put(section, "server_name", f"{section.name.lower()}.invalid", source)
                self.draft.ledger.lost(
                    source, "no request came here: another server takes all names of its addresses"
                )


def _address(text: str) -> str | None:
    """Return nginx's address with its port, as `listen` has it here."""
    if text.startswith("unix:"):
        return text
    if re.fullmatch(r"[0-9]{1,5}", text):
        return f"0.0.0.0:{text}"
    found = re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9_.*-]+)(?::([0-9]{1,5}))?", text)
    if found is None or int(found[2] or 80) > 65535:
        return None
    host = "0.0.0.0" if found[1] == "*" else found[1].lower()
    return f"{host}:{found[2] or 80}"
