"""What the sections say about TLS and PROXY headers, and whether that goes together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from .given import Given, Sources, find
from .listen import Listen
from .real_ip import REAL_IP, RealIpConfig
from .tls import TlsConfig, hosts_at
from .values import ServerConfig

__all__ = ["build_real_ip", "build_tls", "check_places"]

_PAIR: Final = ("tls_certificate", "tls_certificate_key")


def build_tls(
    chain: Sequence[Given], listens: Iterable[Listen], sources: Sources, *, enough: bool = False
) -> TlsConfig:
    """Return what a section, the first of `chain`, says about TLS; complain about the rest.

    listens: its own. enough: there are certificates elsewhere, none is needed here.
    """
    given = chain[0]
    found = [find(chain, name) for name in _PAIR]
    need = next((listen for listen in listens if listen.tls), None)
    why = "it is missing: a certificate and its key go together"
    if need is not None:
        why = f"it is missing: `listen = {need}` needs it"
    if any(found) or (need is not None and not enough):
        for at, name in zip(found, _PAIR, strict=True):
            if at is None:
                sources.complain(given, why, option=name)
    pairs: tuple[tuple[str, str], ...] = ()
    certificates, keys = found
    if certificates is not None and keys is not None:
        if certificates.broken or keys.broken:
            pass
        elif len(certificates.value) != len(keys.value):
            sources.complain(
                keys, f"{len(keys.value)} keys for {len(certificates.value)} certificates"
            )
        else:
            pairs = tuple(zip(certificates.value, keys.value, strict=True))
            for _, key in pairs:
                # A group may read it: of Debian's ssl-cert it is meant to.
                if (sources.mode_of(key) or 0) & 0o004:
                    sources.complaints.warn(
                        f"{key}: there is a private key in it and others can read it"
                    )
    client_ca, verify = find(chain, "tls_client_ca"), find(chain, "tls_verify_client")
    mode: Literal["on", "optional", "off"] = "on"
    if verify is not None and not verify.broken:
        mode = verify.value
    if client_ca is None and verify is not None and mode != "off":
        sources.complain(given, "it is missing: what to verify with", option="tls_client_ca")
    asks = client_ca is not None and not client_ca.broken and mode != "off"
    return TlsConfig(
        pairs=pairs,
        client_ca=client_ca.value if asks and client_ca is not None else None,
        verify_client=mode if asks else "off",
        where=sources.where(given if certificates is None else certificates),
    )


def check_places(
    top: Given,
    given: Sequence[Given],
    servers: Sequence[ServerConfig],
    daemon_listens: Sequence[Listen],
    daemon_tls: TlsConfig,
    sources: Sources,
) -> None:
    """Complain about what cannot be at one address. given: the sections of `servers`."""
    trusts = "set_real_ip_from" in top.values
    listens: dict[str, Listen] = {each.text: each for each in daemon_listens}
    for section, server in zip(given, servers, strict=True):
        for listen in server.listen:
            other = listens.setdefault(listen.text, listen)
            if (other.tls, other.proxy_protocol) != (listen.tls, listen.proxy_protocol):
                sources.complain(
                    section.values["listen"],
                    f"{listen.text} has other words after it elsewhere (see {other.where})",
                )
    for listen in listens.values():
        if listen.proxy_protocol and not trusts:
            text = f"it is missing: who may send PROXY headers to {listen.text}"
            sources.complain(top, text, option="set_real_ip_from")
        hosts = hosts_at(listen, daemon_listens, daemon_tls, servers) if listen.tls else []
        for _, tls in hosts:
            if tls.client_ca != hosts[0][1].client_ca:
                # A client is asked before it has said which name it wants.
                at = next(
                    each for each, server in zip(given, servers, strict=True) if server.tls is tls
                )
                sources.complain(
                    at,
                    f"all servers at {listen.text} have the same, or none "
                    f"(see {hosts[0][1].where})",
                    option="tls_client_ca",
                )


def build_real_ip(top: Given, sources: Sources) -> RealIpConfig:
    """Return what `[s3shield]` says about clients' addresses."""
    given = {name: top.values[name] for name in REAL_IP if name in top.values}
    found = RealIpConfig.of({name: at.value for name, at in given.items() if not at.broken})
    for name in ("real_ip_header", "real_ip_recursive"):
        if name in given and "set_real_ip_from" not in given:
            sources.complain(given[name], "it goes with set_real_ip_from")
    return found
