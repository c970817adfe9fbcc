"""The manners of a site: index documents, fallbacks, pages of errors.

The options' words are nginx's: ngx_http_index_module, `try_files` and `error_page` of
ngx_http_core_module, ngx_http_autoindex_module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import attrs

from s3shield.routing import Pattern, Rewrite
from s3shield.signing import encode_key

from .errors import BadValueError
from .spec import Spec
from .units import format_seconds, parse_choice, parse_flag, parse_seconds

__all__ = ["SITE", "ErrorPage", "SiteConfig", "dump_site", "read_site", "unlistable"]

_UNFIT: Final = re.compile(r"[\x00-\x20\x7f#]")
_MOVES: Final = re.compile(r"\^(/(?:[^.^$*+?{}\[\]\\|()\s]|\\[^\w\s])*)\(\.\*\)\$?")
_MOVED: Final = re.compile(r"/[^$?]*\$1")
_BODILESS: Final = frozenset({204, 205, 304})
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))?")
_KNOWN: Final = frozenset({"uri", "args", "is_args"})


@attrs.frozen
class ErrorPage:
    """One `error_page` line.

    statuses: of the answers that it replaces. answer: the status that is shown with the
    page; 0 for that of the answer, None for the page's own. uri: as in the configuration.
    """

    statuses: tuple[int, ...]
    answer: int | None
    uri: str

    @property
    def target(self) -> bytes:
        """What is asked for."""
        return _target(self.uri)

    def __str__(self) -> str:
        """As in the configuration."""
        equals = {0: "", None: "= "}.get(self.answer, f"={self.answer} ")
        return f"{' '.join(map(str, self.statuses))} {equals}{self.uri}"


@attrs.frozen(kw_only=True)
class SiteConfig:
    """What a location does besides giving what it is asked for.

    index: names that are tried in place of a path that ends in a slash. slash_redirect:
    whether `/docs` is led to `/docs/` where that has an index. try_files: texts with
    variables; the last one is what there is in the end, `=CODE` perhaps. autoindex: list what a
    path that ends in a slash holds. autoindex_valid: seconds that a listing is stored for.
    """

    index: tuple[str, ...] = ()
    slash_redirect: bool = False
    try_files: tuple[str, ...] = ()
    error_pages: tuple[ErrorPage, ...] = ()
    security_headers: str = "off"
    autoindex: bool = False
    autoindex_format: str = "html"
    autoindex_valid: int = 30


def _target(uri: str) -> bytes:
    path, mark, query = uri.partition("?")
    return encode_key(path.encode("utf-8")) + (mark + query).encode("utf-8")


def index(value: str) -> tuple[str, ...]:
    """Names in order; only the last may be a path."""
    names = tuple(value.split())
    for at, name in enumerate(names):
        if "$" in name:
            raise BadValueError("variables are not known here", name)
        if name.startswith("/") and at < len(names) - 1:
            raise BadValueError("only the last may begin with /", name)
        if name.endswith("/"):
            raise BadValueError("it is the name of an object", name)
    return names


def error_page(value: str) -> ErrorPage:
    """`CODE... [=[CODE]] URI`."""
    *codes, uri = value.split()
    answer: int | None = 0
    if codes and codes[-1].startswith("="):
        shown = codes.pop()[1:]
        answer = _code(shown, 200) if shown else None
    if not codes:
        raise BadValueError("it looks like 404 /404.html, or 403 404 =200 /index.html", value)
    statuses = tuple([_code(code, 300) for code in codes])
    if 499 in statuses:
        raise BadValueError("nobody is there to see a page for 499")
    if uri.startswith(("http://", "https://", "@")):
        raise BadValueError("it is a path of this site: there are no others here", uri)
    return ErrorPage(statuses, answer, _path(uri))


def _code(text: str, least: int) -> int:
    if not re.fullmatch(r"[2-5][0-9][0-9]", text) or int(text) < least:
        raise BadValueError(f"a status here is from {least} to 599", text)
    if int(text) in _BODILESS:
        raise BadValueError("an answer with this status has no body: no page can go with it", text)
    return int(text)


def _path(uri: str) -> str:
    if not uri.startswith("/"):
        raise BadValueError("it begins with /", uri)
    if "$" in uri:
        raise BadValueError("variables are not known here", uri)
    if _UNFIT.search(uri):
        raise BadValueError("a character that cannot stand in a path", uri)
    return uri


def try_files(value: str) -> tuple[str, ...]:
    """`FILE... URI`, or `FILE... =CODE`; `off` for none."""
    if value == "off":
        return ()
    files = tuple(value.split())
    if len(files) < 2:
        raise BadValueError("it looks like $uri $uri/ /index.html, or $uri =404", value)
    for at, file in enumerate(files):
        if file.startswith("="):
            if at < len(files) - 1:
                raise BadValueError("=CODE stands at the end", file)
            _code(file[1:], 200)
            continue
        if file.startswith("@"):
            raise BadValueError("there are no named locations here", file)
        if not file.startswith(("/", "$uri", "${uri}")):
            raise BadValueError("it begins with / or $uri", file)
        for found in _VARIABLE.finditer(file):
            if (found[1] or found[2]) not in _KNOWN:
                raise BadValueError("the variables here are $uri, $args and $is_args", file)
    return files


SITE: Final[Mapping[str, Spec]] = {
    "index": Spec(index, (), empty=True),
    "slash_redirect": Spec(parse_flag, False),
    "try_files": Spec(try_files, ()),
    "error_page": Spec(error_page, (), many=True, empty=True),
    "security_headers": Spec(partial(parse_choice, known=("off", "basic", "strict")), "off"),
    "autoindex": Spec(parse_flag, False),
    "autoindex_format": Spec(partial(parse_choice, known=("html", "json")), "html"),
    "autoindex_valid": Spec(parse_seconds, 30),
}


def read_site(get: Callable[[str], Any]) -> SiteConfig:
    """Return what the options say; get: name -> value."""
    return SiteConfig(
        index=get("index"),
        slash_redirect=get("slash_redirect"),
        try_files=get("try_files"),
        error_pages=get("error_page"),
        security_headers=get("security_headers"),
        autoindex=get("autoindex"),
        autoindex_format=get("autoindex_format"),
        autoindex_valid=get("autoindex_valid"),
    )


def unlistable(pattern: Pattern, rewrites: Sequence[Rewrite], *, is_bucket: bool) -> str | None:
    """Return why a location cannot be listed, None when it can.

    A name in a listing is a link below the path that was asked for: it has to lead to the key
    that was listed, so keys must follow from paths by another beginning and nothing else.
    """
    if not is_bucket:
        return "only a bucket can be listed: this location has an origin"
    if not rewrites:
        return None
    found = _MOVES.fullmatch(rewrites[0].regex)
    moves = found is not None and _MOVED.fullmatch(rewrites[0].replacement)
    start = re.sub(r"\\(.)", r"\1", found[1]) if found is not None else ""
    if len(rewrites) > 1 or not moves or pattern.is_regex or not pattern.text.startswith(start):
        return (
            f"with this rewrite no path follows from a key: only one line such as "
            f"`^{pattern.text if not pattern.is_regex else '/docs/'}(.*)$ /other/$1` can be listed"
        )
    return None


def dump_site(site: SiteConfig) -> Iterator[tuple[str, str | None]]:
    """Yield the options as they are written."""
    yield "index", " ".join(site.index)
    yield "slash_redirect", "on" if site.slash_redirect else "off"
    yield "try_files", " ".join(site.try_files) or "off"
    yield "security_headers", site.security_headers
    yield "autoindex", "on" if site.autoindex else "off"
    yield "autoindex_format", site.autoindex_format
    yield "autoindex_valid", format_seconds(site.autoindex_valid)
    if not site.error_pages:
        yield "error_page", ""
    for page in site.error_pages:
        yield "error_page", str(page)
