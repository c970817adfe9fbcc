"""`s3shield explain`: what would become of a request, without sending anything."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final, TextIO

import attrs

from s3shield.config import Config, LocationConfig
from s3shield.ops import describe
from s3shield.policy import ANY, CachePolicy, Request, TTLRow
from s3shield.routing import BadTargetError, Route, decode_path, parse_target
from s3shield.signing import Credentials, SignMode

from .command import Console, Subparsers, add_command, loaded
from .live import ask

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  s3shield explain s3shield.ini http://assets.example.com/films/intro.mp4
  s3shield explain s3shield.ini '/films/a%20b.mp4?versionId=1'
  s3shield explain --method HEAD s3shield.ini /films/intro.mp4
  s3shield explain --live http://127.0.0.1:8080/films/intro.mp4

URL is what a client asks for, percent-encoded; a path alone goes to the default server.
Nothing is sent without --live, which asks the daemon at URL. Signatures and session tokens are
shown as ***.

exit status: 0, 1 when the configuration has mistakes or the request would be refused,
2 for wrong usage
"""
_WIDTH = 11
_EXAMPLE: Final = Credentials("AKIAIOSFODNN7EXAMPLE", "secret", session_token="token")  # noqa: S106  # an example


def add_parser(subparsers: Subparsers) -> None:
    """Add `explain`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "explain",
        run,
        brief="show where a request would go and what would be signed",
        text="Show which location takes a request, its rewritten key and its cache key, how "
        "long a 200 would be kept, and what would be signed.",
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "--live", action="store_true", help="ask the running daemon at URL what it does"
    )
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="the configuration file; not with --live"
    )
    parser.add_argument("url", metavar="URL", help="what a client asks for")
    parser.add_argument(
        "--method", choices=["GET", "HEAD"], help="its method (default: GET; with --live HEAD)"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Explain the request. now: epoch seconds, of the signature. Return the exit status."""
    if args.live:
        return ask(args.url, args.method or "HEAD", stdout=console.stdout, stderr=console.stderr)
    if args.file is None:
        console.err("s3shield explain: give FILE and URL, or --live and URL")
        return 2
    method: str = args.method or "GET"
    config = loaded(args.file, console)
    if config is None:
        return 1
    table = config.routing()
    try:
        target = parse_target(args.url.encode("utf-8", "surrogateescape"))
        raw = target.path if target.query is None else target.path + b"?" + target.query
        asked = Request(method.encode("ascii"), raw, host=target.host or b"")
        route = table.route(asked)
        path = b"" if route is None else decode_path(target.path)
    except BadTargetError as why:
        console.err(f"s3shield explain: answered 400: {why}")
        return 1
    if route is None:
        console.err("s3shield explain: answered 404: no location takes it")
        return 1
    location = config.locations[route.number]
    for name, value in _facts(config, location, route, path):
        console.out(f"{name:<{_WIDTH}} {value}")
    if not location.policy.takes(method.encode("ascii")):
        console.out(f"{'answered':<{_WIDTH}} 405: methods = does not name {method}")
        return 1
    _print_request(config, location, route, method, console.stdout, console.now)
    return 0


def _text(value: bytes) -> str:
    shown = value.decode("utf-8", "backslashreplace")
    return shown if shown.isprintable() else ascii(shown)[1:-1]


def _facts(
    config: Config, location: LocationConfig, route: Route, path: bytes
) -> Iterator[tuple[str, str]]:
    if location.server is not None:
        where = next(each.where for each in config.servers if each.name == location.server)
        yield "server", f"{location.server} ({where})"
    yield "location", f"{location.pattern} ({location.where})"
    if location.bucket is not None:
        bucket = config.buckets[location.bucket]
        authority = _text(bucket.endpoint.authority)
        yield "bucket", f"{bucket.name}: {bucket.endpoint.bucket} at {authority} ({bucket.where})"
        for replica in config.replicas(bucket.name):
            authority = _text(replica.endpoint.authority)
            text = f"{replica.name}: {replica.endpoint.bucket} at {authority} ({replica.where})"
            yield "replica", text
    else:
        yield "origin", location.origin_name
    yield "path", _text(path)
    if route.key != path:
        yield "rewritten", _text(route.key)
    for name, value in route.query:
        yield "parameter", _text(name if value is None else name + b"=" + value)
    yield "cache", location.cache or "off: signed and streamed only"
    if location.cache is not None:
        yield "cache key", _text(route.key_text)
        yield "digest", route.digest.hex()
        yield "a 200", _lifetime(location.policy)


def _lifetime(policy: CachePolicy) -> str:
    row = next((each for each in policy.valid.rows if each.names(200)), None)
    if row is None:
        rule = "no proxy_cache_valid line names it"
        guess = "then guessed from Last-Modified" if policy.heuristic else "else not stored"
        return f"is kept as the origin's fields say, {guess} ({rule})"
    kept = "is not stored" if row.seconds == 0 else f"is kept for {row.seconds} s"
    said = f"proxy_cache_valid = {_row(row)}"
    if policy.valid_force:
        return f"{kept}, whatever the origin says ({said}, proxy_cache_valid_force = on)"
    return f"{kept}, unless the origin's fields say otherwise ({said})"


def _row(row: TTLRow) -> str:
    codes = "any" if row.codes is ANY else " ".join(str(code) for code in sorted(row.codes))
    return f"{codes} {row.seconds}s"


def _print_request(
    config: Config, location: LocationConfig, route: Route, method: str, out: TextIO, now: float
) -> None:
    if location.bucket is None:
        assert location.origin is not None  # one of the two is there
        print(f"\nsent to the origin, unsigned:\n  {method} {_text(route.target)}", file=out)
        print(f"  Host: {_text(location.origin.authority)}", file=out)
        return
    bucket = config.buckets[location.bucket]
    how = "unsigned" if bucket.sign is SignMode.OFF else f"aws_sign = {bucket.sign.value}"
    if bucket.source is not None:
        # Nothing is asked for here: `doctor` does that.
        how += f", with credentials from {describe(bucket.source)}; here with an example's"
        bucket = attrs.evolve(bucket, credentials=_EXAMPLE, source=None)
    explained = bucket.signer().explain(method.encode("ascii"), route.key[1:], route.query, now)
    print(f"\nsent to the bucket ({how}):", file=out)
    print(f"  {method} {_text(explained.signed.target)}", file=out)
    for name, value in explained.signed.fields:
        print(f"  {_text(name)}: {_text(value)}", file=out)
    for title, text in (
        ("canonical request", explained.canonical_request),
        ("string to sign", explained.string_to_sign),
    ):
        if text:
            print(f"\n{title}:", file=out)
            print(
                "".join(f"  {line}".rstrip() + "\n" for line in text.split("\n")), end="", file=out
            )
