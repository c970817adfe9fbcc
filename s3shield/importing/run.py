"""One file imported, from its path to the ini and the notes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

import attrs

from .apache import import_apache
from .apache_syntax import read_apache
from .draft import Draft
from .ledger import Ledger, Note
from .masking import Masking
from .nginx import import_nginx
from .nginx_syntax import read_nginx
from .reading import Library
from .source import ImportFailed

__all__ = ["Imported", "Kind", "import_file", "kind_of"]

Kind = Literal["nginx", "apache"]

_APACHE: Final = re.compile(
    r"(?m)^\s*(?:</?[A-Za-z]\w*[^\n]*>|(?:S3\w+|ProxyPass\w*|ServerRoot|LoadModule|IsmProxyPass"
    r"|DocumentRoot|SSLEngine|ServerName|Listen|Include(?:Optional)?)[ \t]+[^\n;]*[^\s;])[ \t]*$"
)
_NGINX: Final = re.compile(r"(?m)(?:[;{}][ \t]*(?:#[^\n]*)?$)")


@attrs.frozen
class Imported:
    """What became of a file.

    ini: passes `s3shield check`; the configuration's secrets are in it. notes: by weight.
    """

    kind: Kind
    ini: str = attrs.field(repr=False)
    notes: tuple[Note, ...] = ()


def kind_of(text: str) -> Kind | None:
    """Tell whose configuration a text is, by its lines; None when it is neither's."""
    apache, nginx = len(_APACHE.findall(text)), len(_NGINX.findall(text))
    if apache == nginx:
        return None
    return "apache" if apache > nginx else "nginx"


def import_file(
    path: str, kind: Kind | None = None, defined: Mapping[str, str] | None = None
) -> Imported:
    """Import the file at `path` and those that it includes. kind: left out: by its content.

    defined: names that Apache is started with, and what they stand for.
    Raises ImportFailed, without anything of the file in its text.
    """
    if kind is None:
        kind = kind_of(Library().read(path))
    if kind is None:
        raise ImportFailed(path, 0, "it looks like neither nginx's nor Apache's: give --from")
    library = Library()
    tree = read_nginx(path, library) if kind == "nginx" else read_apache(path, library, defined)
    ledger = Ledger(Masking(tree))
    draft = Draft(ledger)
    if kind == "nginx":
        import_nginx(tree, draft)
    else:
        import_apache(tree, draft)
    for file, line, pattern in library.missing:
        ledger.missing(
            file,
            line,
            f"include {pattern}",
            "there is no such file",
            "if it matters, import where it is",
        )
    if not any(section.kind == "location" for section in draft.sections):
        raise ImportFailed(path, 0, "there is nothing in it that is passed on to an origin")
    draft.sections = [
        section for section in draft.sections if section.kind != "s3shield" or section.entries
    ]
    return Imported(kind, draft.settle(), ledger.notes)
