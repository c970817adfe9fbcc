"""<Proxy> sections that nothing passes requests on to: the Origin itself asks them.

Unified Streaming's Origin asks such an address for what its manifests name; clients never
do. So the location gets an address of this machine only, not the virtual host's, which
stays with Apache.
"""

from __future__ import annotations

from .apache_access import restricted
from .apache_buckets import Proxies, Proxy
from .apache_options import add_cache
from .draft import Draft, Entry, Section
from .listens import Listens
from .regexes import prefix_rewrite
from .source import Block

__all__ = ["Unasked"]


class Unasked:
    """Makes locations of the <Proxy> sections with keys that nothing passes on to."""

    def __init__(self, draft: Draft, proxies: Proxies, listens: Listens) -> None:
        self.draft = draft
        self.ledger = draft.ledger
        self.proxies = proxies
        self.listens = listens

    def add(self, whole: Block) -> None:
        """Make them. whole: the global block."""
        left = [
            each
            for each in self.proxies.all
            if each.signs and id(each.source) not in self.proxies.asked
        ]
        for each in left:
            if each.url is None:
                self.ledger.lost(
                    each.source,
                    "it names no address: which bucket it is for is not said",
                    'write <Proxy "https://BUCKET.s3.REGION.amazonaws.com/">',
                )
        served = self.only_served()
        named = [each for each in left if each.url is not None]
        server = ""
        if named and any(section.kind == "server" for section in self.draft.sections):
            port = next(
                port
                for port in range(8080, 9080)
                if not any(address.endswith(f":{port}") for address in self.listens.places)
            )
            home = self.listens.section("origin")
            server = home.name
            self.draft.put(home, "listen", f"127.0.0.1:{port}")
        for each in named:
            assert each.url is not None  # just tested
            alone = len(named) == 1 and (server or not served)
            section = self.alone(whole, each, "/" if alone else f"/{each.url.host}/", server)
            if served and not server:
                section.close()  # it would be for all who reach the others

    def only_served(self) -> bool:
        """Leave out hosts of which nothing is passed on, where no other has their address.

        Tells whether there is anything that is passed on.
        """
        served = {each.server for each in self.draft.sections if each.kind == "location"}
        taken = {address for name in served for address in self.listens.at.get(name, [])}
        for section in [each for each in self.draft.sections if each.kind == "server"]:
            mine = self.listens.at.get(section.name, [])
            if section.name not in served and not taken.intersection(mine):
                self.draft.sections.remove(section)
        if not served:
            top = self.draft.section("s3shield")
            top.remove("listen")
        return bool(served)

    def alone(self, whole: Block, each: Proxy, path: str, server: str) -> Section:
        """Make the location of one of these."""
        url = each.url
        assert url is not None  # tested by the caller
        section = self.draft.section("location", path)
        section.server = server
        if server:
            section.entries.append(Entry("server", server, each.source))
        place = self.proxies.source(section, url, [], each.source)
        rewrite = prefix_rewrite(path, (url.path if place is None else place.prefix) or "/")
        if rewrite is not None:
            self.draft.put(section, "rewrite", rewrite, each.source, guard=True)
        add_cache(self.draft, section, path, [whole])
        self.ledger.note(
            each.source,
            "nothing passes requests on to it: the Origin asks it for what manifests name",
            f"let the Origin ask s3shield at {path}, in IsmProxyPass or in the manifests",
        )
        if restricted([each.block], self.ledger):
            section.close()
        return section
