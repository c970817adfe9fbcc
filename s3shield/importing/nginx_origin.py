"""Where an nginx location goes: proxy_pass, upstreams, and who signs for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import attrs

from .buckets import Keys, Place, Url, find_bucket
from .ledger import Ledger
from .regexes import by_number, python_regex
from .source import Chain, Directive, nearest, own, walk

__all__ = ["Origins", "Target"]

_ENDPOINT: Final = "s3.amazonaws.com"
_TAIL: Final = re.compile(r"(\$is_args\$args|\?\$(?:args|query_string))$")
_WHOLE: Final = re.compile(r"(.*?)\$(?:\{)?(request_uri|uri|document_uri)(?:\})?$", re.DOTALL)
_PARTS: Final = re.compile(r"(https?://)([^/?$]+)(.*)", re.DOTALL | re.IGNORECASE)
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_OTHERS: Final = (
    *("fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass", "stub_status"),
    *("empty_gif", "js_content", "content_by_lua_block", "content_by_lua_file"),
)
_NEEDLESS_FIELDS: Final = frozenset(
    {"host", "connection", "range", "upgrade", "x-amz-cf-id", "date", "x-amz-date"}
)


@attrs.frozen
class Target:
    """Where requests go.

    url: of proxy_pass. path: what proxy_pass puts in place of the location's part of the
    path, None for nothing. front: what it puts in front of every path, or "". unchanged:
    rewrites count for nothing. of_rewrite: path has the groups of the one rewrite, and
    stands for what it makes. source: proxy_pass. place: the bucket, None for a plain
    origin. missing_403: 403 is shown as 404.
    """

    url: Url
    path: str | None
    source: Directive
    front: str = ""
    unchanged: bool = False
    of_rewrite: bool = False
    place: Place | None = None
    keys: Keys = attrs.field(factory=Keys, repr=False)
    missing_403: bool = False


class Origins:
    """Finds targets. upstreams: blocks by name."""

    def __init__(self, ledger: Ledger, upstreams: Mapping[str, Directive]) -> None:
        self.ledger = ledger
        self.upstreams = upstreams

    def find(self, chain: Chain, text: str, *, is_regex: bool) -> Target | None:
        """Return where the innermost block of `chain` goes, or None after a note.

        text: of its location.
        """
        block = chain[-1]
        passes = own(block, "proxy_pass")
        if not passes:
            for each in block:
                if each.name in _OTHERS:
                    self.ledger.lost(each, "only HTTP origins and buckets are spoken to")
            return None
        target = self._address(passes[-1], chain, text, is_regex=is_regex)
        if target is None:
            return None
        upstream = self.upstreams.get(target.url.host)
        if upstream is not None:
            server = self._upstream(upstream)
            if server is None:
                return None
            host, port = server
            url = attrs.evolve(target.url, host=host, port=target.url.port or port)
            target = attrs.evolve(target, url=Url.parse(f"{url.root}{url.path}") or url)
        self.ledger.used(target.source)
        return self._signed(target, chain)

    def _address(
        self, source: Directive, chain: Chain, text: str, *, is_regex: bool
    ) -> Target | None:
        written = self._constant(source.first, chain)
        parts = _PARTS.fullmatch(written)
        url = None if parts is None else Url.parse(parts[1] + parts[2])
        if parts is None or url is None:
            self.ledger.lost(
                source,
                "an origin is http:// or https:// with a host that is the same for all requests",
                "write a location for each host",
            )
            return None
        tail = _TAIL.sub("", parts[3])
        if not tail:
            return Target(url, None, source)
        whole = _WHOLE.fullmatch(tail)
        if whole is not None and "$" not in whole[1] and "?" not in whole[1]:
            unchanged = whole[2] == "request_uri"
            at = attrs.evolve(url, path=whole[1])
            return Target(at, None, source, front=whole[1], unchanged=unchanged)
        if is_regex:
            tail = by_number(text, tail)
        variables = _VARIABLE.findall(tail)
        lines = own(chain[-1], "rewrite")
        if len(lines) == 1 and len(lines[0].args) > 1 and not is_regex and variables:
            # The groups are those of the rewrite before it.
            is_regex, of_rewrite = True, True
            tail = by_number(python_regex(lines[0].first), tail)
            variables = _VARIABLE.findall(tail)
        else:
            of_rewrite = False
        captures = all(re.fullmatch("[1-9]", one or other) for one, other in variables)
        if "?" in tail or "#" in tail or not captures or (variables and not is_regex):
            self.ledger.lost(
                source,
                "the path depends on variables that are not known here",
                "write it as a rewrite",
            )
            return None
        return Target(attrs.evolve(url, path=tail), tail, source, of_rewrite=of_rewrite)

    def _constant(self, text: str, chain: Chain) -> str:
        """Put values in the place of variables that are `set` to the same for all requests."""
        values: dict[str, Directive] = {}
        for block in chain:
            for each in own(block, "set"):
                if len(each.args) == 2:
                    values[each.first.removeprefix("$")] = each
        for _ in range(5):  # one may be set to another
            changed = False
            for found in reversed(list(_VARIABLE.finditer(text))):
                each_set = values.get(found[1] or found[2])
                if each_set is not None:
                    text = text[: found.start()] + each_set.args[1] + text[found.end() :]
                    self.ledger.used(each_set)
                    changed = True
            if not changed or len(text) > 4096:
                break
        return text

    def _upstream(self, upstream: Directive) -> tuple[str, int | None] | None:
        servers = own(upstream.block or (), "server")
        up = [each for each in servers if "down" not in each.args and "backup" not in each.args]
        found = Url.parse(f"http://{up[0].first}") if up else None
        self.ledger.used(upstream)
        if found is None:
            self.ledger.lost(upstream, "it names no server that can be an origin")
            return None
        for each in servers:
            if each is up[0]:
                self.ledger.used(each)
            elif not self.ledger.knows(each):
                self.ledger.lost(
                    each, "an origin is one server in this version", "balance by a name in DNS"
                )
        return found.host, found.port or (80 if up[0].first.endswith(":80") else None)

    def _signed(self, target: Target, chain: Chain) -> Target:
        """Add the bucket and the keys, where there is one."""
        fields = nearest(chain, "proxy_set_header")
        for signer in (self._scoped, self._version2, self._kaltura):
            found = signer(target, chain)
            if found is not None:
                self._fields(fields, bucket=True, signed=True)
                return self._at_bucket(found, chain)
        place = find_bucket(target.url)
        if place is not None:
            self._fields(fields, bucket=True, signed=False)
            return self._at_bucket(attrs.evolve(target, place=place), chain)
        self._fields(fields, bucket=False, signed=False)
        self._verification(target, chain)
        return target

    def _at_bucket(self, target: Target, chain: Chain) -> Target:
        place = target.place
        assert place is not None  # that is why we are here
        self._verification(target, chain)
        pages = nearest(chain, "error_page")
        shown = [each for each in pages if "403" in each.args and "=404" in each.args]
        self.ledger.used(*shown)
        for each in shown:
            self.ledger.lost(each, "its page is not shown; missing_403 = 404 gives the status")
        return attrs.evolve(
            target,
            path=None if target.path is None else place.prefix,
            front=place.prefix if target.front else "",
            missing_403=bool(shown),
        )

    def _verification(self, target: Target, chain: Chain) -> None:
        amazon = target.url.host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
        if target.url.scheme == "https" and not amazon and not nearest(chain, "proxy_ssl_verify"):
            self.ledger.lost(
                target.source,
                "nginx does not check an origin's certificate unless told to; it is checked here",
                "`origin_ca = FILE` for an authority of your own",
            )

    def _fields(self, fields: list[Directive], *, bucket: bool, signed: bool) -> None:
        """Account for proxy_set_header."""
        for each in fields:
            name = each.first.lower()
            if bucket and name == "authorization" and not signed and "".join(each.args[1:]):
                self.ledger.lost(
                    each,
                    "what signs here is not known to the import",
                    "give keys in [bucket:...] and take out `aws_sign = off`",
                )
            elif bucket or name in _NEEDLESS_FIELDS:
                self.ledger.needless(each, "s3shield writes the fields of its requests itself")
            else:
                self.ledger.lost(each, "fields of requests to a plain origin are not set here")

    def _keys(
        self,
        sign: str,
        options: Mapping[str, Directive | None],
        chain: Chain,
        region: str | None = None,
    ) -> Keys:
        """Return what signs. A key that is known for each request alone is left out."""
        values = []
        for option, each in options.items():
            if each is None:
                continue
            value = self._constant(each.first, chain)
            if _VARIABLE.search(value):
                self.ledger.lost(
                    each, "its value is known in nginx alone", f"give {option} in [bucket:...]"
                )
            else:
                values.append((option, value, each))
        return Keys(sign, region, tuple(values))

    def _scoped(self, target: Target, chain: Chain) -> Target | None:
        """ngx_aws_auth: aws_sign and aws_endpoint count in the location itself alone."""
        signs = own(chain[-1], "aws_sign")
        if not signs:
            return None
        self.ledger.used(*signs)
        ends = own(chain[-1], "aws_endpoint")
        endpoint = ends[-1].first.lower() if ends else _ENDPOINT
        buckets = nearest(chain, "aws_s3_bucket")
        bucket = buckets[-1].first if buckets else None
        self.ledger.used(*ends, *buckets)
        named = find_bucket(target.url)
        if bucket is not None and target.url.authority != f"{bucket}.{endpoint}":
            self.ledger.lost(
                target.source,
                "ngx_aws_auth signs for another host than this; here what is asked is signed",
                "see to the bucket and to aws_endpoint in its section",
            )
        # An address of Amazon's with a bucket in it leaves no doubt.
        place = named or find_bucket(target.url, bucket)
        if place is None:
            self.ledger.lost(signs[0], "there is no aws_s3_bucket, and the host names none")
            return None
        # What ngx_aws_auth signs is the path without that of proxy_pass.
        names = ("aws_access_key", "aws_signing_key", "aws_key_scope")
        found = {name: _last(nearest(chain, name)) for name in names}
        return attrs.evolve(target, place=place, keys=self._keys("v4", found, chain))

    def _version2(self, target: Target, chain: Chain) -> Target | None:
        """ngx_aws_auth's branch AuthV2: `$s3_auth_token`."""
        fields = nearest(chain, "proxy_set_header")
        if not any("$s3_auth_token" in each.args[1:] for each in fields):
            return None
        buckets = own(chain[-1], "s3_bucket")
        bucket = self._constant(buckets[-1].first, chain) if buckets else None
        self.ledger.used(*buckets)
        place = find_bucket(target.url, bucket) or find_bucket(target.url)
        if place is None:
            return None
        names = ("aws_access_key", "aws_secret_key")
        found = {name: _last(nearest(chain, name)) for name in names}
        return attrs.evolve(target, place=place, keys=self._keys("v2", found, chain))

    def _kaltura(self, target: Target, chain: Chain) -> Target | None:
        """nginx-aws-auth-module: `aws_auth $variable { ... }` and that in Authorization."""
        fields = nearest(chain, "proxy_set_header")
        words = {
            word
            for each in fields
            if each.first.lower() == "authorization"
            for word in each.args[1:]
        }
        blocks = [each for block in chain for each in own(block, "aws_auth") if each.first in words]
        place = find_bucket(target.url)
        if not blocks or place is None:
            return None
        inside = {each.name: each for each in walk(blocks[-1].block or ())}
        self.ledger.whole(blocks[-1])
        region = inside.get("region")
        found = {
            "aws_access_key": inside.get("access_key"),
            "aws_secret_key": inside.get("secret_key"),
        }
        return attrs.evolve(
            target,
            place=place,
            keys=self._keys("v4", found, chain, None if region is None else region.first),
        )


def _last(found: list[Directive]) -> Directive | None:
    return found[-1] if found else None
