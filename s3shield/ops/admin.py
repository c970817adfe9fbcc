"""The site on `admin_listen`: for operators and programs of this machine.

Every worker serves it; which one answers makes no difference. Its address is a loopback one or
a file, unless `admin_token` or `admin_allow` say who may come in, see `admin_gate`. What a web
page makes a browser send comes with `Origin` or `Sec-Fetch-Site`, and is refused unless the page
is ours, see `status_page`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from s3shield.config import Prices
from s3shield.metrics import Snapshot, exposition, summary
from s3shield.ops.admin_gate import Gate, Refusal
from s3shield.ops.bucket_state import BucketState, health
from s3shield.ops.readiness import Readiness
from s3shield.ops.status_page import StatusPage, foreign

__all__ = ["Purges", "admin_site"]

_SELECTORS: Final = ("url", "prefix", "tag", "key", "all")
_OPEN: Final = (b"/live", b"/ready")
"""What probes ask, which cannot keep a secret as a rule."""
_LONGEST: Final = 1 << 20
"""Bytes of a request's body."""


class Purges(Protocol):
    """What can be purged. Deferreds fire with the number of responses."""

    def dry(self) -> Purges:
        """The same, that only counts."""

    def url(self, url: str, *, host: str = "", soft: bool = False) -> Deferred[int]:
        """A URL, or a path and a host. Raises ValueError."""

    def prefix(self, url: str, *, host: str = "", soft: bool = False) -> Deferred[int]:
        """All URLs that begin so. Raises ValueError."""

    def tags(self, tags: Iterable[bytes], *, soft: bool = False) -> Deferred[int]:
        """All that has one of the tags."""

    def key(self, key: str, *, soft: bool = False) -> Deferred[int]:
        """A cache key."""

    def everything(self, *, soft: bool = False) -> Deferred[int]:
        """All."""


def admin_site(
    purges: Purges,
    states: Callable[[], Iterable[BucketState]],
    clock: Callable[[], float],
    numbers: Callable[[], Snapshot] | None = None,
    prices: Prices | None = None,
    *,
    readiness: Readiness,
    gate: Gate,
) -> Site:
    """Return the site: the page, `POST /purge`, and what can be read: `/live`, `/ready` and so on.

    states: returns each bucket's. clock: epoch seconds. numbers: returns those of all processes;
    None: none are collected. prices: S3's. gate: who may come in.
    """
    root = Resource()  # type: ignore[no-untyped-call]  # Twisted's, and so below
    page = StatusPage()
    root.putChild(b"", page)
    root.putChild(b"status", page)
    root.putChild(b"live", _Live())
    root.putChild(b"ready", _Ready(readiness, gate))
    root.putChild(b"health", _Health(states, clock))
    root.putChild(b"metrics", _Metrics(numbers))
    root.putChild(b"status.json", _Status(numbers, prices))
    root.putChild(b"purge", _Purge(purges))
    return _Site(root, gate)


class _Site(Site):
    """Writes no access log: it would go among the errors. Purges are noted by themselves."""

    def __init__(self, root: Resource, gate: Gate) -> None:
        super().__init__(root)  # type: ignore[no-untyped-call]
        self._gate = gate
        self.secret = gate.token is not None

    def getResourceFor(self, request: Any) -> Any:
        """Return what answers: who may not come in gets no further than to be told so."""
        refusal = self._gate.address(getattr(request.getClientAddress(), "host", None))
        if refusal is None and request.path not in _OPEN:
            refusal = self._gate.credentials(request.getHeader(b"authorization"))
        if refusal is not None:
            return _Refused(refusal)
        return super().getResourceFor(request)  # type: ignore[no-untyped-call]

    def log(self, request: object) -> None:
        """Say nothing."""


def _reply(request: Any, status: int, answer: Mapping[str, object]) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"server", b"s3shield")
    return json.dumps(answer).encode("ascii") + b"\n"


class _Refused(Resource):
    """For who may not come in."""

    isLeaf = True

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._refusal = refusal

    def render(self, request: Any) -> bytes:
        """Say why."""
        if self._refusal.challenge is not None:
            request.setHeader(b"www-authenticate", self._refusal.challenge)
        return _reply(request, self._refusal.status, {"error": self._refusal.reason})


class _Json(Resource):
    """A resource that speaks JSON, also about mistakes. allowed: methods."""

    isLeaf = True
    log = Logger()
    allowed: tuple[bytes, ...] = ()

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def render(self, request: Any) -> Any:
        if request.method not in self.allowed:
            request.setHeader(b"allow", b", ".join(self.allowed))
            return _reply(request, 405, {"error": "this method is not allowed here"})
        refusal = foreign(request, secret=request.site.secret)
        if refusal is not None:
            return _reply(request, 403, {"error": refusal})
        return self.serve(request)

    def serve(self, request: Any) -> Any:
        """Answer."""
        return _reply(request, 200, {})


class _Live(_Json):
    """Whether this process serves: it answers, so it does."""

    allowed = (b"GET", b"HEAD")

    def serve(self, request: Any) -> Any:
        return _reply(request, 200, {"live": True})


class _Ready(_Json):
    """Whether requests had better come here. Who does not know the token gets no reasons."""

    allowed = (b"GET", b"HEAD")

    def __init__(self, readiness: Readiness, gate: Gate) -> None:
        super().__init__()
        self._readiness = readiness
        self._gate = gate

    def serve(self, request: Any) -> Any:
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        known = self._gate.credentials(request.getHeader(b"authorization")) is None

        def told(reasons: list[str]) -> None:
            if not gone:
                said: dict[str, object] = {"ready": not reasons}
                if known:
                    said["reasons"] = reasons
                request.write(_reply(request, 503 if reasons else 200, said))
                request.finish()

        def failed(failure: Failure) -> None:
            self.log.failure("/ready", failure)
            told([f"{type(failure.value).__name__} in s3shield"])

        self._readiness.check().addCallbacks(told, failed)
        return NOT_DONE_YET


class _Health(_Json):
    """Whether all buckets can be asked."""

    allowed = (b"GET", b"HEAD")

    def __init__(
        self, states: Callable[[], Iterable[BucketState]], clock: Callable[[], float]
    ) -> None:
        super().__init__()
        self.states = states
        self.clock = clock

    def serve(self, request: Any) -> Any:
        return _reply(request, *health(self.states(), self.clock()))


class _Status(_Json):
    """The numbers, as JSON."""

    allowed = (b"GET", b"HEAD")

    def __init__(
        self, numbers: Callable[[], Snapshot] | None, prices: Prices | None = None
    ) -> None:
        super().__init__()
        self._numbers = numbers
        self._prices = prices or Prices()

    def serve(self, request: Any) -> Any:
        if self._numbers is None:
            return _reply(request, 404, {"error": "metrics = off: none are collected"})
        return self.tell(request, self._numbers())

    def tell(self, request: Any, numbers: Snapshot) -> bytes:
        """Answer with them."""
        return _reply(request, 200, {**numbers.json(), "summary": summary(numbers, self._prices)})


class _Metrics(_Status):
    """The same for Prometheus."""

    def tell(self, request: Any, numbers: Snapshot) -> bytes:
        request.setHeader(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"server", b"s3shield")
        return exposition(numbers)


class _Purge(_Json):
    """Purges what the form or the JSON object names."""

    allowed = (b"POST",)

    def __init__(self, purges: Purges) -> None:
        super().__init__()
        self._purges = purges

    def serve(self, request: Any) -> Any:
        try:
            wanted = _fields(request)
            dry = _flag(wanted, "count")
            purge = self._begin(wanted, self._purges.dry() if dry else self._purges)
        except ValueError as error:
            return _reply(request, 400, {"error": str(error)})
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)

        def answer(status: int, said: Mapping[str, object]) -> None:
            if not gone:
                request.write(_reply(request, status, said))
                request.finish()

        def done(count: int) -> None:
            if dry:
                answer(200, {"count": count})
                return
            self.log.info("purged {count} entries: {wanted}", count=count, wanted=wanted)
            answer(200, {"purged": count})

        def failed(failure: Failure) -> None:
            why = failure.getErrorMessage()
            self.log.error("not purged: {why}: {wanted}", why=why, wanted=wanted)
            answer(503, {"error": why})

        purge.addCallbacks(done, failed)
        return NOT_DONE_YET

    def _begin(self, wanted: Mapping[str, Any], purges: Purges) -> Deferred[int]:
        named = [name for name in _SELECTORS if wanted.get(name) not in (None, False)]
        if len(named) != 1:
            raise ValueError("name one of url, prefix, tag, key and all")
        unknown = sorted(set(wanted) - {*_SELECTORS, "soft", "host", "count"})
        if unknown:
            raise ValueError(f"there is no such field: {unknown[0]}")
        soft = _flag(wanted, "soft")
        value = wanted[named[0]]
        if named == ["all"]:
            if not _flag(wanted, "all"):
                raise ValueError("name one of url, prefix, tag, key and all")
            return purges.everything(soft=soft)
        if named == ["tag"]:
            tags = value if isinstance(value, list) else [value]
            if not tags or not all(isinstance(tag, str) and tag for tag in tags):
                raise ValueError("a tag is a word, several are a list")
            return purges.tags([tag.encode("utf-8") for tag in tags], soft=soft)
        host = wanted.get("host", "")
        if not isinstance(value, str) or not isinstance(host, str):
            raise ValueError(f"{named[0]} and host are text")  # noqa: TRY004  # told to clients
        if named == ["key"]:
            return purges.key(value, soft=soft)
        purge = purges.url if named == ["url"] else purges.prefix
        return purge(value, host=host, soft=soft)


def _fields(request: Any) -> dict[str, Any]:
    """Return what the body says. Raises ValueError."""
    kind = (request.getHeader(b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        return {
            name.decode("utf-8"): (
                [value.decode("utf-8") for value in values]
                if name == b"tag"
                else values[-1].decode("utf-8")
            )
            for name, values in request.args.items()
        }
    body = request.content.read(_LONGEST + 1)
    if len(body) > _LONGEST:
        raise ValueError("that is too long")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  # told to clients
    return found


def _flag(wanted: Mapping[str, Any], name: str) -> bool:
    value = wanted.get(name, False)
    if value in (True, "1", "on", "true", "yes"):
        return True
    if value in (False, "0", "off", "false", "no", ""):
        return False
    raise ValueError(f"{name} is true or false")
