"""An Apache configuration made an ini: virtual hosts, what they pass on, and to whom."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import attrs

from .apache_access import ACCESS, lowered, methods_left, refusals, restricted, wants
from .apache_buckets import Proxies, parameters
from .apache_options import add_cache, add_daemon, add_options
from .apache_origin import Ask, OfOrigin
from .apache_passes import PATHS, TREES, Pass, find_passes, read_address, takes
from .apache_words import CONDITIONS, LOST, NEEDLESS, SECTIONS_LOST
from .draft import Draft, Entry, Section
from .listens import Listens
from .regexes import one_word, prefix_rewrite, python_regex
from .source import Block, Directive, walk

__all__ = ["import_apache"]


def import_apache(tree: Block, draft: Draft) -> None:
    """Put what an Apache configuration says into `draft`; its ledger gets the rest."""
    _Apache(tree, draft).run()


class _Apache:
    def __init__(self, tree: Block, draft: Draft) -> None:
        self.tree = tree
        self.draft = draft
        self.ledger = draft.ledger
        self.whole = tuple(self.inlined(tree))
        self.hosts = lowered(self.whole, "<virtualhost>")
        sections = [
            each for each in walk(self.whole) if each.name.lower() in ("<proxy>", "<proxymatch>")
        ]
        self.proxies = Proxies(draft, sections)
        self.listens = Listens(draft)
        self.made: set[tuple[str, str]] = set()
        self.asks: list[Ask] = []

    def inlined(self, block: Block) -> Iterator[Directive]:
        """Yield the directives of a block, those of <IfModule> in its place."""
        for each in block:
            name = each.name.lower()
            inside = tuple(self.inlined(each.block)) if each.block is not None else None
            if name == "<ifmodule>" and not each.first.startswith("!"):
                self.ledger.used(each)
                yield from inside or ()
            elif name == "<ifmodule>":
                self.ledger.needless(each, "it is for when a module is absent")
            else:
                yield each if inside == each.block else attrs.evolve(each, block=inside)

    def run(self) -> None:
        top = self.draft.section("s3shield")
        add_daemon(self.draft, top, [self.whole, *[each.block or () for each in self.hosts]])
        add_options(self.draft, top, self.whole)
        listens = lowered(self.whole, "listen")
        names = [self.host(host) for host in self.hosts]
        if not self.hosts:
            self.plain_listens(top, listens)
        for each in listens:
            if not self.ledger.knows(each):
                self.ledger.needless(each, "the servers say where they listen")
        self.listens.settle_names()
        inherited = self.locations("", (self.whole,), [])
        for name, host in zip(names, self.hosts, strict=True):
            self.locations(name, (self.whole, host.block or ()), inherited)
        of_origin = OfOrigin(self.draft, self.proxies, self.listens)
        of_origin.add(self.whole, self.asks, self.unguarded)
        self.closed_first()
        self.sweep(self.whole)

    # Where clients connect

    def plain_listens(self, top: Section, listens: Sequence[Directive]) -> None:
        for each in listens:
            address = each.first if ":" in each.first else f"0.0.0.0:{each.first}"
            if len(each.args) > 1 and each.args[1].lower() == "https":
                self.ledger.lost(each, "it has TLS and no virtual host with a certificate")
            elif address.endswith(":443"):
                self.ledger.lost(each, "no virtual host with a certificate is at this port")
            else:
                self.draft.put(top, "listen", address, each)

    def host(self, host: Directive) -> str:
        block = host.block or ()
        self.ledger.used(host)
        names = [each.first for each in lowered(block, "servername")]
        names += [word for each in lowered(block, "serveralias") for word in each.args]
        plain = [re.sub(r"^https?://|:[0-9]+$", "", name) for name in names]
        section = self.listens.section(plain[0] if plain else "default")
        pair = self.certificate(host, block)
        for address in host.args or ("*:80",):
            found = re.fullmatch(
                r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9_.*-]+)(?::([0-9]{1,5}|\*))?", address
            )
            port = "" if found is None else found[2] or "80"
            if found is None or not port.isdigit():
                self.ledger.lost(host, "one of its addresses cannot be listened on here")
                continue
            name = found[1].lower()
            name = "0.0.0.0" if name in ("*", "_default_") else name
            self.listens.add(section, f"{name}:{port}", host, None if pair is None else [pair])
        lines = lowered(block, "servername", "serveralias")
        self.ledger.used(*lines)
        self.listens.names(section, plain, lines[0] if lines else host)
        add_options(self.draft, section, block)
        return section.name

    def certificate(self, host: Directive, block: Block) -> tuple[str, str] | None:
        switches = lowered(block, "sslengine")
        self.ledger.used(*switches)
        if not any(each.first.lower() == "on" for each in switches):
            return None
        files = lowered(block, "sslcertificatefile")
        keys = lowered(block, "sslcertificatekeyfile")
        self.ledger.used(*files, *keys)
        if not files or "$" in files[0].first:
            self.ledger.lost(
                (files or [host])[0],
                "it listens with TLS, and no certificate of it can be used here",
                "give tls_certificate and tls_certificate_key",
            )
            return "/path/to/certificate.pem", "/path/to/certificate.key"
        # Apache takes a key from the certificate's file too.
        return files[0].first, (keys or files)[0].first

    # What is passed on

    def locations(
        self, server: str, scopes: tuple[Block, ...], inherited: list[tuple[Pass, Section]]
    ) -> list[tuple[Pass, Section]]:
        """Make the locations of a host, or of all of them; return them.

        inherited: of all hosts, which this one may keep somebody out of.
        """
        block = scopes[-1]
        made: list[tuple[Pass, Section]] = []
        excluded: list[Pass] = []
        for each in find_passes(block, self.whole, self.ledger):
            if each.address == "!":
                excluded.append(each)
                continue
            if each.source.name.lower() == "ismproxypass":
                self.asks.append((each, scopes))
                continue
            section = self.location(server, each, scopes, made)
            if section is not None:
                made.append((each, section))
        both = [*made, *inherited]
        for each in excluded:
            self.closed(server, each.path, each.source, both, "what it leaves out is closed here")
        for around in lowered(block, *PATHS):
            self.path_section(server, around, made, both)
        conditions = [each for each in block if each.name.lower() in CONDITIONS]
        sides = [each.block or () for each in conditions]
        host = lowered(block, "sslverifyclient") if server else []
        if restricted([*sides, host], self.ledger):
            self.close_all(server, made, inherited)
        for rule in refusals(block):
            self.ledger.access(
                rule,
                "who is refused by it cannot be kept: everybody is",
                "guard it in front of s3shield, then take the closed location out",
            )
            if rule.first.startswith("!"):
                self.close_all(server, made, inherited)
            else:
                self.closed(server, f"~ {python_regex(rule.first)}", rule, both, "")
        return made

    def close_all(
        self,
        server: str,
        made: Sequence[tuple[Pass, Section]],
        inherited: Sequence[tuple[Pass, Section]],
    ) -> None:
        """Close what a host has, and what it has of all hosts, for itself."""
        for _, section in made:
            section.close()
        for each, section in inherited:
            self.closed(server, section.name, each.source, [(each, section)], "")

    def location(
        self,
        server: str,
        each: Pass,
        scopes: tuple[Block, ...],
        made: Sequence[tuple[Pass, Section]],
        *,
        guarded: bool = True,
    ) -> Section | None:
        """Make the section of one pass, or None after a note.

        guarded: who may come is as in Apache; else everybody at the server's address.
        """
        members = self.proxies.members(each.address)
        path = python_regex(each.path)
        found = read_address(members[0][0], regex=each.is_regex) if members else None
        if found is None:
            self.ledger.lost(each.source, "this is no address of an HTTP origin or a bucket")
            return None
        url, tail = found
        if not each.is_regex:
            if not path.startswith("/"):
                self.ledger.lost(each.source, "no path begins so")
                return None
            if not path.endswith("/"):
                # Apache matches whole segments.
                path += "/"
                tail = tail.rstrip("/") + "/"
                url = attrs.evolve(url, path=tail)
        pattern = f"~ {path}" if each.is_regex else path
        if (server, pattern) in self.made:
            self.ledger.lost(each.source, "something before it takes this path already")
            return None
        shadow = [other for other, _ in made if _shadows(other, each)]
        if shadow:
            self.ledger.lost(
                each.source,
                f"line {shadow[0].source.line} takes these paths before it, so nothing came here",
            )
            return None
        self.made.add((server, pattern))
        section = self.draft.section("location", pattern)
        section.server = server
        if server:
            section.entries.append(Entry("server", server, each.source))
        covering = [] if each.is_regex else self.covering(path, scopes)
        blocks = [*each.blocks, *[e.block or () for e in reversed(covering)], *reversed(scopes)]
        place = self.proxies.source(section, url, blocks, each.source, members[1:])
        self.proxies.connection(section, parameters(each.words), each.source)
        for around in scopes:
            self.proxies.verification(section, around)
        prefix = tail if place is None else place.prefix
        rewrite = (
            f"{one_word(path)} {prefix} break"
            if each.is_regex
            else prefix_rewrite(path, prefix or "/")
        )
        if rewrite is not None:
            self.draft.put(section, "rewrite", rewrite, each.source, guard=True)
        for e in covering:
            add_options(self.draft, section, e.block or ())
            self.ledger.used(e)
        inner = [*scopes, *[e.block or () for e in covering], *each.blocks]
        add_cache(self.draft, section, path, inner)
        if guarded:
            hosts = [lowered(block, "sslverifyclient") for block in scopes]
            self.access(section, [*hosts, *each.blocks], covering, f"{url.root}{url.path}")
        return section

    def unguarded(self, server: str, each: Pass, scopes: tuple[Block, ...]) -> Section | None:
        """Make the section of a pass that the Origin alone asks, on this machine."""
        return self.location(server, each, scopes, (), guarded=False)

    def covering(self, path: str, scopes: Sequence[Block]) -> list[Directive]:
        """Return the sections whose path takes `path` too, in the order of Apache."""
        return [
            each
            for block in scopes
            for each in block
            if each.name.lower() in PATHS and each.args and takes(each, path)
        ]

    def access(
        self, section: Section, around: list[Block], covering: list[Directive], address: str
    ) -> None:
        """Close a location whose last section that says who may come keeps somebody out."""
        proxies = [proxy.block for proxy in self.proxies.of(address)]
        # What a <ProxyMatch> matches is not looked into: it may be this.
        proxies += [
            proxy.block
            for proxy in self.proxies.all
            if proxy.address in ("*", ".*") or proxy.source.name.lower() == "<proxymatch>"
        ]
        saying = [e.block or () for e in covering if lowered(e.block or (), *ACCESS)]
        wanting = [wants(e.block or ()) for e in covering]
        blocks = [*saying[-1:], *wanting, *proxies, *around]
        if restricted(blocks, self.ledger, tls=self.listens.is_tls(section.server)):
            section.close()
        for block in blocks:
            for limit in lowered(block, "<limitexcept>"):
                names = methods_left(limit)
                if names is not None:
                    self.draft.put(section, "methods", names, limit, guard=True)
                    self.ledger.whole(limit)

    def path_section(
        self,
        server: str,
        each: Directive,
        made: Sequence[tuple[Pass, Section]],
        both: Sequence[tuple[Pass, Section]],
    ) -> None:
        """Close the part of a location that a section of its own keeps somebody out of."""
        inside = each.block or ()
        if not each.args or not (lowered(inside, *ACCESS) or wants(inside)):
            return
        path = each.args[-1]
        regex = each.name.lower() == "<locationmatch>" or each.first == "~"
        pattern = f"~ {python_regex(path)}" if regex else path
        if any(other.path.rstrip("/") == path.rstrip("/") for other, _ in made):
            return
        if restricted([inside], self.ledger, tls=self.listens.is_tls(server)):
            self.ledger.used(each)
            self.closed(server, pattern, each, both, "")

    def closed(
        self,
        server: str,
        pattern: str,
        source: Directive,
        made: Sequence[tuple[Pass, Section]],
        why: str,
    ) -> None:
        """Add a closed location where one that is made would take these paths."""
        regex = pattern.startswith("~")
        over = [
            section
            for other, section in made
            if regex or other.is_regex or pattern.startswith(other.path)
        ]
        if not over or (server, pattern) in self.made:
            self.ledger.needless(source, "nothing here takes these paths")
            return
        self.made.add((server, pattern))
        if not self.ledger.knows(source):
            self.ledger.lost(source, why)
        section = self.draft.section("location", pattern)
        section.server = server
        if server:
            section.entries.append(Entry("server", server, source))
        for option in ("bucket", "origin"):
            value = over[0].get(option)
            if value is not None:
                section.entries.append(Entry(option, value, source))
        section.close()

    def closed_first(self) -> None:
        """Let no regex open what is closed: in Apache every section that takes a path counts."""
        first = []
        for section in self.draft.sections:
            if section.kind == "location" and section.closed:
                if section.name.startswith("/"):
                    section.name = f"^~ {section.name}"
                else:
                    first.append(section)
        others = [each for each in self.draft.sections if each not in first]
        self.draft.sections = [*first, *others]

    def sweep(self, block: Block) -> None:
        """Say something of each directive of which nothing has been said."""
        for each in walk(block):
            if self.ledger.knows(each):
                continue
            name = each.name.lower()
            if name in SECTIONS_LOST:
                self.ledger.lost(each, SECTIONS_LOST[name])
            elif name in TREES:
                self.ledger.needless(each, "no files of this machine are served")
            elif each.block is not None and name in (*PATHS, "<proxy>", "<virtualhost>"):
                self.ledger.used(each)
            elif name in ACCESS:
                self.ledger.needless(each, "nothing here takes these paths")
            elif name in NEEDLESS:
                self.ledger.needless(each, NEEDLESS[name])
            else:
                why, instead = LOST.get(
                    name, ("the import does not know this directive", "see what it is for")
                )
                self.ledger.lost(each, why, instead)


def _shadows(other: Pass, each: Pass) -> bool:
    """Tell whether a ProxyPass before this one takes all of its paths: the first one counts."""
    plain = not (other.is_regex or each.is_regex or other.blocks or each.blocks)
    return plain and each.path.startswith(other.path.rstrip("/") + "/")
