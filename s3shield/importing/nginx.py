"""An nginx configuration made an ini: the daemon, caches, servers and their locations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from s3shield.ops import compile_format

from .draft import Draft
from .listens import Listens
from .nginx_access import methods_of, restricted
from .nginx_limits import with_zones
from .nginx_location import Flat, Locations, flatten
from .nginx_options import OPTIONS, add_caches, add_options
from .nginx_origin import Origins
from .nginx_words import LOST, NEEDLESS
from .source import Block, Chain, Directive, nearest, own, walk

__all__ = ["import_nginx"]

_DAEMON: Final = {
    "client_header_timeout": "client_header_timeout",
    "keepalive_timeout": "keepalive_timeout",
    "send_timeout": "send_timeout",
}
_INSIDE: Final = ("http", "server", "location", "events", "upstream", "if")
_NAME: Final = re.compile(r"[^A-Za-z0-9_.+-]")
_STANDARD: Final = {"/dev/stdout": "stdout", "/dev/stderr": "stderr"}
_LEVELS: Final = ("debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")


def import_nginx(tree: Block, draft: Draft) -> None:
    """Put what an nginx configuration says into `draft`; its ledger gets the rest."""
    _Nginx(with_zones(tree), draft).run()


class _Nginx:
    def __init__(self, tree: Block, draft: Draft) -> None:
        self.tree = tree
        self.draft = draft
        self.ledger = draft.ledger
        self.top = draft.section("s3shield")
        https = [each.block or () for each in own(tree, "http")]
        # A piece of a configuration begins further in.
        self.contexts: list[Chain] = [(tree, block) for block in https] or [(tree,)]
        if https and (own(tree, "server") or own(tree, "location")):
            self.contexts.insert(0, (tree,))
        upstreams = {
            each.first.lower(): each
            for chain in self.contexts
            for each in own(chain[-1], "upstream")
        }
        self.origins = Origins(self.ledger, upstreams)
        self.listens = Listens(draft)
        self.formats = {
            each.first: each
            for chain in self.contexts
            for each in own(chain[-1], "log_format")
            if len(each.args) > 1
        }

    def run(self) -> None:
        self.daemon()
        for chain in self.contexts:
            add_caches(self.draft, chain[-1])
        for chain in self.contexts:
            add_options(self.draft, self.top, [e for e in chain[-1] if e.name in OPTIONS])
        servers = [(chain, each) for chain in self.contexts for each in own(chain[-1], "server")]
        sections = [(self.server(chain, each), chain, each) for chain, each in servers]
        self.listens.settle_names()
        for name, chain, each in sections:
            inner = (*chain, each.block or ())
            self.locations(name, inner)
        for chain in self.contexts:
            flats = list(flatten(self.draft, chain[-1], chain))
            Locations(self.draft, self.origins, "").add(flats)
        self.blanks()
        self.sweep(self.tree)

    # The daemon

    def daemon(self) -> None:
        for each in own(self.tree, "user"):
            self.draft.put(self.top, "user", each.first, each)
            if len(each.args) > 1:
                self.draft.put(self.top, "group", each.args[1], each)
        for each in own(self.tree, "worker_processes"):
            self.draft.put(self.top, "workers", each.first, each)
        for chain in self.contexts:
            for each in chain[-1]:
                if each.name in _DAEMON:
                    self.draft.put(self.top, _DAEMON[each.name], each.first, each)
        blocks = [self.tree, *[chain[-1] for chain in self.contexts]]
        servers = [each.block or () for block in blocks for each in own(block, "server")]
        self.error_log([*blocks, *servers])
        self.access_log([*blocks, *servers])

    def error_log(self, blocks: list[Block]) -> None:
        logs = [each for block in blocks for each in own(block, "error_log")]
        taken = None
        for each in dict.fromkeys(logs):
            level = each.args[1] if len(each.args) > 1 else "error"
            if taken is None and level in _LEVELS and not each.first.startswith("syslog:"):
                taken = each
                path = _STANDARD.get(each.first, each.first)
                self.draft.put(self.top, "error_log", f"{path} {level}", each)
            elif each.first == "/dev/null":
                self.ledger.needless(each, "there is one error log for all")
            else:
                self.ledger.lost(each, "there is one error log for all, a file or `syslog`")

    def access_log(self, blocks: list[Block]) -> None:
        logs = [each for block in blocks for each in own(block, "access_log")]
        taken = None
        for each in dict.fromkeys(logs):
            if each.first == "off" and len(logs) > 1:
                self.ledger.needless(each, "there is one access log for all")
                continue
            name = each.args[1] if len(each.args) > 1 and "=" not in each.args[1] else "combined"
            if taken is not None or "$" in each.first or each.first.startswith("syslog:"):
                self.ledger.lost(each, "there is one access log for all, a file or `syslog`")
                continue
            taken = each
            form = self.log_form(name)
            path = _STANDARD.get(each.first, each.first)
            value = path if path == "off" else f"{path} {form}"
            self.draft.put(self.top, "access_log", value, each)

    def log_form(self, name: str) -> str:
        """Return the format of that name as s3shield writes it, or `combined`."""
        made = self.formats.get(name)
        if made is None:
            return "combined"
        parts = [word for word in made.args[1:] if not word.startswith("escape=")]
        form = "".join(parts).strip()
        try:
            if "$" not in form or re.search(r"[\x00-\x1f]", form):
                raise ValueError("a format has variables, on one line")
            compile_format(form)
        except ValueError as why:
            self.ledger.lost(made, f"it is `combined` here: {self.ledger.masking.text(str(why))}")
            return "combined"
        self.ledger.used(made)
        return form

    # Servers

    def server(self, chain: Chain, server: Directive) -> str:
        """Make a `[server:...]`; return its name."""
        block = server.block or ()
        self.ledger.used(server)
        inner: Chain = (*chain, block)
        names = [name for each in own(block, "server_name") for name in each.args]
        self.ledger.used(*own(block, "server_name"))
        section = self.listens.section(next((n for n in names if _named(n)), "default"))
        certificates = nearest(inner, "ssl_certificate")
        keys = nearest(inner, "ssl_certificate_key")
        self.listens.nginx(section, server, block, certificates, keys)
        self.listens.names(section, names, (own(block, "server_name") or [server])[0])
        add_options(self.draft, section, [each for each in block if each.name in OPTIONS])
        return section.name

    def locations(self, name: str, inner: Chain) -> None:
        block = inner[-1]
        flats = list(flatten(self.draft, block, inner))
        made = Locations(self.draft, self.origins, name)
        made.add(flats)
        stops = [each for each in block if each.name == "return"]
        for each in stops:
            why = "answers of the configuration's own are not made here"
            if flats:
                self.ledger.access(each, f"{why}; nothing else of this server was reached", "")
            else:
                self.ledger.lost(each, f"{why}; these names are answered 404", _redirect(each))
        for flat, section in made.made:
            if stops:
                section.close()
            if flat.source in own(block, "location") and flat.mark == "^~":
                self.nested(flat, section)
        self.rewrites(block, made)
        if not flats:
            restricted(inner, self.ledger)

    def nested(self, flat: Flat, section: object) -> None:
        """Close a `^~` location with a regex inside, which could not be kept."""
        inside = own(flat.block, "location")
        if any(" ".join(each.args).startswith("~") for each in inside):
            for each in self.draft.sections:
                if each is section:
                    each.close()

    def rewrites(self, block: Block, made: Locations) -> None:
        """Take a server's own rewrites where one location takes all of its paths."""
        lines = own(block, "rewrite")
        only = made.made[0] if len(made.made) == 1 and not made.unserved else None
        for each in lines:
            flag = each.args[2] if len(each.args) > 2 else ""
            if flag in ("redirect", "permanent") or any("://" in word for word in each.args):
                self.ledger.lost(
                    each, "redirects are not made here", "redirect in front of s3shield"
                )
                continue
            why = "a server's rewrites come before the location is chosen; here they come after"
            if only is None or only[0].pattern != "/" or len(each.args) not in (2, 3):
                self.ledger.access(
                    each, why, "write them into the locations, then take `methods` out of them"
                )
                for _, section in made.made:
                    section.close()
                continue
            section = only[1]
            before = [entry for entry in section.entries if entry.option == "rewrite"]
            section.remove("rewrite")
            self.draft.put(section, "rewrite", " ".join(each.args), each, guard=True)
            section.entries += before

    # What is left

    def blanks(self) -> None:
        """Take out `add_header = NAME ""` where there is nothing to be held back."""
        outer = {
            each.name: any(
                e.option == "add_header" and not e.value.endswith('""') for e in each.entries
            )
            for each in self.draft.sections
            if each.kind in ("server", "s3shield")
        }
        for section in self.draft.sections:
            blank = [
                each
                for each in section.entries
                if each.option == "add_header" and each.value.endswith(' ""')
            ]
            if blank and not outer.get("") and not outer.get(section.server):
                section.entries = [each for each in section.entries if each not in blank]

    def sweep(self, block: Block) -> None:
        """Say something of each directive of which nothing has been said."""
        for each in _unsaid(block, self.ledger.knows):
            if each.name == "location" and each.first.startswith("@"):
                self.ledger.lost(each, "nothing that is passed on leads to it")
            elif each.name in _INSIDE and each.name not in ("upstream", "if"):
                self.ledger.used(each)
            elif each.name in _DAEMON:
                self.ledger.lost(each, f"{each.name} is one for all: give it in [s3shield]")
            elif each.name in NEEDLESS:
                self.ledger.needless(each, NEEDLESS[each.name])
            elif each.name == "if" and methods_of(each) is not None:
                self.ledger.needless(each, "a bucket is read only, unless `methods` says more")
            elif each.name == "if":
                self.ledger.lost(each, "conditions are not looked at here")
            else:
                why, instead = LOST.get(
                    each.name, ("the import does not know this directive", "see what it is for")
                )
                self.ledger.lost(each, why, instead)


def _named(name: str) -> bool:
    return bool(re.fullmatch(r"(\*\.|\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", name)) and name != "_"


def _redirect(each: Directive) -> str:
    return "redirect in front of s3shield" if each.first.startswith("3") else ""


def _unsaid(block: Block, knows: object) -> Iterator[Directive]:
    assert callable(knows)
    for each in walk(block):
        if not knows(each):
            yield each
