"""What Unified Streaming's Origin asks for by itself, to package it.

IsmProxyPass, and <Proxy> sections that nothing passes requests on to: manifests name what
is there. Clients get what the Origin makes of the files, never the files. So their locations
get an address of this machine only, not the virtual host's, which stays with Apache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .apache_access import restricted
from .apache_buckets import Proxies, Proxy
from .apache_options import add_cache
from .apache_passes import Pass
from .buckets import Url
from .draft import Draft, Entry, Section
from .listens import Listens
from .regexes import prefix_rewrite
from .source import Block

__all__ = ["Ask", "OfOrigin"]

Ask = tuple[Pass, tuple[Block, ...]]
Make = Callable[[str, Pass, tuple[Block, ...]], Section | None]


class OfOrigin:
    """Makes the locations that the Origin asks."""

    def __init__(self, draft: Draft, proxies: Proxies, listens: Listens) -> None:
        self.draft = draft
        self.ledger = draft.ledger
        self.proxies = proxies
        self.listens = listens

    def add(self, whole: Block, asks: Sequence[Ask], make: Make) -> None:
        """Make them. whole: the global block. asks: the passes, with the blocks around them.

        make: makes the location of a pass in a server, None after a note.
        """
        served = self.only_served()
        unused = any(each.signs for each in self.proxies.all)
        server, root = "", "http://127.0.0.1:8080"
        if (asks or unused) and any(each.kind == "server" for each in self.draft.sections):
            port = next(
                port
                for port in range(8080, 9080)
                if not any(address.endswith(f":{port}") for address in self.listens.places)
            )
            home = self.listens.section("origin")
            server, root = home.name, f"http://127.0.0.1:{port}"
            self.draft.put(home, "listen", f"127.0.0.1:{port}")
        made = []
        for each, scopes in asks:
            section = make(server, each, scopes)
            if section is not None:
                made.append(section)
                self.ledger.note(
                    each.source,
                    "it is for the Origin, which packages: clients do not get the files themselves",
                    f"keep the Origin, and let it ask s3shield: {each.source.name} "
                    f"{root}{section.name}",
                )
        alone = not made and (bool(server) or not served)
        made += self.left(whole, server, root, alone=alone)
        if served and not server:
            for section in made:
                section.close()  # it would be for all who reach the others
        if server and not made:
            self.draft.sections = [e for e in self.draft.sections if e.title != f"server:{server}"]

    def left(self, whole: Block, server: str, root: str, *, alone: bool) -> list[Section]:
        """Make the locations of sections that nothing asks. alone: one may have all paths."""
        found = [
            each
            for each in self.proxies.all
            if each.signs and id(each.source) not in self.proxies.asked
        ]
        made = []
        for each in found:
            if each.url is None:
                self.ledger.lost(
                    each.source,
                    "it names no address: which bucket it is for is not said",
                    'write <Proxy "https://BUCKET.s3.REGION.amazonaws.com/">',
                )
                continue
            path = "/" if alone and len(found) == 1 else f"/{each.url.host}/"
            made.append(self.alone(whole, each, each.url, path, server, root))
        return made

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
                for named, _, source in self.listens.given:
                    if named is section:
                        self.ledger.needless(
                            source, "nothing of it is passed on: it stays Apache's"
                        )
        if not served:
            top = self.draft.section("s3shield")
            top.remove("listen")
        return bool(served)

    def alone(
        self, whole: Block, each: Proxy, url: Url, path: str, server: str, root: str
    ) -> Section:
        """Make the location of one of these."""
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
            f"let the Origin ask s3shield at {root}{path}, in IsmProxyPass or in the manifests",
        )
        if restricted([each.block], self.ledger):
            section.close()
        return section
