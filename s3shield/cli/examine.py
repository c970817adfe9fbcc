"""The examinations of `s3shield doctor`: from the name of an endpoint to the rights of a key."""

from __future__ import annotations

import enum
import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Final

import attrs

from s3shield.config import BucketConfig, CredentialSource, OriginConfig
from s3shield.exchange import MAX_ERROR_BODY, advice, compare, error_code, moved
from s3shield.ops import UnavailableError, describe, fetch
from s3shield.policy import ResponseHead, parse_date
from s3shield.signing import Endpoint, Signer, SignMode

__all__ = ["Finding", "State", "examine_bucket", "examine_origin"]

_DAY: Final = 86_400
_SOON: Final = 2.0
"""Days before the end of a key at which it is time to make another."""
_CLOCK_OK: Final = 60
_CLOCK_WRONG: Final = 15 * 60
_SHOWN: Final = 4
_OURS: Final = ((b"Range", b"bytes=0-0"), (b"Connection", b"close"))


class State(enum.Enum):
    """What came of one examination, as it is printed."""

    OK = "ok"
    NOTE = "note"
    WRONG = "WRONG"


@attrs.frozen
class Finding:
    """One line of the checklist, or several. what: one word. text: what was found, what to do."""

    state: State
    what: str
    text: str


@attrs.frozen
class _Answer:
    """What the bucket said.

    at: epoch seconds of this machine when it came. signed: those that it was signed for.
    """

    head: ResponseHead
    body: bytes
    at: float
    signed: float

    @property
    def code(self) -> str:
        """S3's code, or nothing."""
        return error_code(self.body)

    @property
    def shown(self) -> str:
        """Status and code."""
        return f"{self.head.status} {self.code}".rstrip()


class _Stop(Exception):  # noqa: N818 - the end of an examination, and its last finding
    """There is no use in going on."""

    def __init__(self, what: str, text: str) -> None:
        super().__init__(text)
        self.finding = Finding(State.WRONG, what, text)


def examine_origin(endpoint: Endpoint, connection: OriginConfig) -> Iterator[Finding]:
    """Look at a plain origin: name, connection, certificate."""
    try:
        yield from _Line(endpoint, connection).examine()
    except _Stop as end:
        yield end.finding


def examine_bucket(bucket: BucketConfig, now: float, key: bytes | None) -> Iterator[Finding]:
    """Look at a bucket. now: epoch seconds. key: of an object that exists, or None."""
    line = _Line(bucket.endpoint, bucket.connection)
    try:
        if bucket.source is not None:
            bucket, finding = _fetched(bucket, bucket.source, now)
            yield finding
        yield from line.examine()
        yield from _Bucket(bucket, line, now - time.monotonic()).examine(key)
    except _Stop as end:
        yield end.finding
    if bucket.source is None:
        yield from _key_life(bucket, now)


def _fetched(
    bucket: BucketConfig, source: CredentialSource, now: float
) -> tuple[BucketConfig, Finding]:
    """Return the bucket with credentials of its source, and what there is to say of them."""
    who = describe(source)
    try:
        got = fetch(source, bucket.region)
        filled = attrs.evolve(bucket, credentials=got.credentials)
        filled.signer()  # raises when they cannot sign for it
    except UnavailableError as why:
        raise _Stop("key", f"{who}: {why.problem}; {why.advice}") from None
    except ValueError as why:
        raise _Stop("key", f"{who}: {why}") from None
    text = f"{got.credentials.access_key} from {who}"
    if got.expires is None:
        return filled, Finding(State.OK, "key", f"{text}, no end is known")
    minutes = (got.expires - now) / 60
    if minutes <= 0:
        text += ", and over already; check this machine's clock (timedatectl)"
        raise _Stop("key", text)
    return filled, Finding(State.OK, "key", f"{text}, good for {minutes:.0f} minutes")


def _text(error: BaseException) -> str:
    return str(error.args[1] if len(error.args) > 1 else error) or type(error).__name__


class _Line:
    """The way to an endpoint."""

    def __init__(self, endpoint: Endpoint, connection: OriginConfig) -> None:
        self._endpoint = endpoint
        self._connection = connection
        self._address: tuple[int, tuple[object, ...]] = (0, ())

    def examine(self) -> Iterator[Finding]:
        """Look up, connect, shake hands."""
        host, port = self._endpoint.connect_host, self._endpoint.port
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as why:
            text = f"{host}: {_text(why)}; check aws_endpoint, and this machine's resolver"
            raise _Stop("name", text) from None
        places = list(dict.fromkeys((family, where) for family, _, _, _, where in found))
        names = [str(where[0]) for _, where in places]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield Finding(State.OK, "name", f"{host} is {', '.join(names[:_SHOWN])}{more}")
        failed = []
        for place in places:
            began = time.monotonic()
            try:
                self._connect(place).close()
            except OSError as why:
                failed.append(f"{place[1][0]}: {_text(why)}")
                continue
            spent = (time.monotonic() - began) * 1000
            self._address = place
            yield Finding(State.OK, "connection", f"{place[1][0]}:{port} in {spent:.0f} ms")
            break
        else:
            text = f"port {port}: {'; '.join(failed)}; is the port right, is a firewall between?"
            raise _Stop("connection", text)
        if failed:
            yield Finding(State.NOTE, "connection", f"not reached: {'; '.join(failed)}")
        if self._endpoint.scheme == "https":
            yield from self._certificate()

    def _connect(self, place: tuple[int, tuple[object, ...]]) -> socket.socket:
        made = socket.socket(place[0], socket.SOCK_STREAM)
        try:
            made.settimeout(self._connection.origin_connect_timeout)
            made.connect(place[1])
        except BaseException:
            made.close()
            raise
        return made

    def _context(self) -> ssl.SSLContext:
        connection = self._connection
        context = ssl.create_default_context(cafile=connection.origin_ca)
        if not connection.origin_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def open(self) -> socket.socket:
        """Return a socket to the endpoint, through TLS where it is https. Raises OSError."""
        made = self._connect(self._address)
        try:
            if self._endpoint.scheme == "https":
                name = self._endpoint.connect_host
                made = self._context().wrap_socket(made, server_hostname=name)
            made.settimeout(self._connection.origin_read_timeout)
        except BaseException:
            made.close()
            raise
        return made

    def _certificate(self) -> Iterator[Finding]:
        try:
            with self.open() as secure:
                assert isinstance(secure, ssl.SSLSocket)
                version, certificate = secure.version(), secure.getpeercert()
        except ssl.SSLCertVerificationError as why:
            text = f"the certificate is refused: {why.verify_message}; check aws_endpoint, or give "
            raise _Stop("tls", f"{text}the authority's certificate in origin_ca") from None
        except (OSError, ValueError) as why:
            raise _Stop("tls", f"{_text(why)}; does it speak TLS on this port?") from None
        if not self._connection.origin_verify:
            yield Finding(State.NOTE, "tls", f"{version}; origin_verify = off: anybody can answer")
            return
        until = str((certificate or {}).get("notAfter", ""))
        days = (ssl.cert_time_to_seconds(until) - time.time()) / _DAY if until else 0.0
        text = f"{version}; the certificate is good for {days:.0f} more days"
        yield Finding(State.NOTE if days < 7 else State.OK, "tls", text)


class _Bucket:
    """A bucket at the end of a line. epoch: what makes wall time of the monotonic one."""

    def __init__(self, config: BucketConfig, line: _Line, epoch: float) -> None:
        self._config = config
        self._line = line
        self._epoch = epoch
        self._offset = 0.0
        self._signer = config.signer()

    def examine(self, key: bytes | None) -> Iterator[Finding]:
        """Ask for what is not there, then for what is."""
        absent = b"s3shield-doctor/%d" % (self._epoch + time.monotonic())
        answer = self._ask(absent)
        yield self._clock(answer)
        if answer.code in ("RequestTimeTooSkewed", "RequestExpired") and self._offset:
            answer = self._ask(absent)
        again = self._place(answer)
        if again is not None:
            finding, signer = again
            yield finding
            if signer is None:
                return
            self._signer = signer
            answer = self._ask(absent)
        readable = None if key is None else self._object(self._ask(key), key)
        reads = readable is not None and readable.state is State.OK
        yield from self._signature(answer, absent, reads=reads)
        if readable is not None:
            yield readable
        if self._config.health is not None:
            path = self._config.health.path.encode()[1:]
            found = self._object(self._ask(path), path)
            text = f"{found.text}; without it the bucket is asked last"
            wrong = found.state is State.WRONG
            yield attrs.evolve(found, what="health", text=text if wrong else found.text)

    def _now(self) -> float:
        return self._epoch + time.monotonic() + self._offset

    def _ask(self, key: bytes) -> _Answer:
        """Send a GET of one byte, as the daemon would sign it."""
        now = self._now()
        signed = self._signer.sign(b"GET", key, (), now)
        endpoint = self._config.endpoint
        client = http.client.HTTPConnection(endpoint.connect_host, endpoint.port)
        try:
            client.sock = self._line.open()
            target = signed.target.decode("ascii")
            client.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
            for name, value in (*signed.fields, *_OURS):
                client.putheader(name.decode("ascii"), value)
            client.endheaders()
            response = client.getresponse()
            body = response.read(MAX_ERROR_BODY)
            fields = tuple(
                [(name.encode(), value.encode("latin-1")) for name, value in response.getheaders()]
            )
        except (OSError, ValueError, http.client.HTTPException) as why:
            raise _Stop("answer", f"{_text(why)}; is it an S3 endpoint?") from None
        finally:
            client.close()
        head = ResponseHead(response.status, b"", fields)
        return _Answer(head, body, self._epoch + time.monotonic(), now)

    def _clock(self, answer: _Answer) -> Finding:
        date = answer.head.get(b"date")
        there = None if date is None else parse_date(date, answer.at)
        if there is None:
            return Finding(State.NOTE, "clock", "the answer has no Date to compare with")
        off = there - answer.at
        how = f"{abs(off):.0f} s {'behind' if off > 0 else 'ahead of'} S3's"
        if abs(off) <= _CLOCK_OK:
            return Finding(State.OK, "clock", "within a minute of S3's")
        self._offset = off
        mend = "start NTP: timedatectl set-ntp true"
        if abs(off) <= _CLOCK_WRONG:
            return Finding(State.NOTE, "clock", f"{how}; S3 allows 15 minutes; {mend}")
        return Finding(State.WRONG, "clock", f"{how}, and S3 allows 15 minutes; {mend}")

    def _place(self, answer: _Answer) -> tuple[Finding, Signer | None] | None:
        """Return what is wrong with region or endpoint, and what to sign with instead."""
        config = self._config
        move = moved(config.endpoint, config.endpoint, answer.head, answer.body)
        named = move.stranger or (move.endpoint.host if move.endpoint is not None else "")
        region = move.region if move.region != self._signer.region else ""
        if not named and (not region or config.sign not in (SignMode.V4, SignMode.V4_QUERY)):
            return None
        options = [f"aws_region = {region}"] if region else []
        if named:
            options.append(f"aws_endpoint = {config.endpoint.scheme}://{named}")
        text = f"{answer.shown}: the bucket is elsewhere; set {' and '.join(options)}"
        credentials = config.credentials
        if credentials is None or credentials.secret_key is None:
            text += f", and make a key with `s3shield signing-key --region {region}`" * bool(region)
            return Finding(State.WRONG, "place", text), None
        signer = None if named else attrs.evolve(self._signer, region=region)
        return Finding(State.WRONG, "place", text), signer

    def _signature(self, answer: _Answer, key: bytes, *, reads: bool) -> Iterator[Finding]:
        status, code = answer.head.status, answer.code
        how = f"aws_sign = {self._config.sign.value}"
        right = "none is sent" if self._config.sign is SignMode.OFF else f"taken ({how})"
        if status in (200, 206):
            yield Finding(State.OK, "signature", right)
            text = "an object that cannot exist was answered with 200; is it an S3 endpoint?"
            yield Finding(State.NOTE, "rights", text)
        elif status == 404 and code != "NoSuchBucket":
            yield Finding(State.OK, "signature", right)
            if code == "NoSuchKey":
                text = "the key may list the bucket: what is missing is told as 404"
                yield Finding(State.OK, "rights", text)
            else:
                text = f"{answer.shown} without S3's document; is it an S3 endpoint?"
                yield Finding(State.NOTE, "rights", text)
        elif status == 403 and code == "AccessDenied":
            yield Finding(State.OK, "signature", f"{right}, for it was not complained about")
            doubt = "" if reads else "\nor may not read it at all: try --key with what does exist"
            text = (
                "403 for what does not exist: the key may not list the bucket (s3:ListBucket)"
                f"{doubt}\nmissing_403 = 404 tells clients 404 for what is missing"
            )
            yield Finding(State.NOTE, "rights", text)
        else:
            text = f"{answer.shown}: {advice(status, code)}"
            if code == "SignatureDoesNotMatch":
                found = compare(self._signer.explain(b"GET", key, (), answer.signed), answer.body)
                texts = [] if found.same else [f"{title}: {line}" for title, line in found.texts]
                text = "\n".join((f"{answer.shown}: {found.verdict}", *texts))
            yield Finding(State.WRONG, "signature", text)

    def _object(self, answer: _Answer, key: bytes) -> Finding:
        name, status = ascii(key.decode("utf-8", "backslashreplace")), answer.head.status
        if status in (200, 206):
            return Finding(State.OK, "object", f"{name} is readable")
        text = f"{name}: {answer.shown}: "
        if status == 404 and answer.code == "NoSuchKey":
            return Finding(State.WRONG, "object", f"{text}there is no such object in the bucket")
        return Finding(State.WRONG, "object", text + advice(status, answer.code))


def _key_life(bucket: BucketConfig, now: float) -> Iterator[Finding]:
    """Say how long the key is good for."""
    credentials = bucket.credentials
    if credentials is None:
        return
    ring = credentials.ring
    if ring is not None:
        make = f"make one with `s3shield signing-key --region {ring.region}`"
        left = (ring.expires(now) - now) / _DAY
        if ring.valid(now):
            state = State.OK if left > _SOON else State.NOTE
            text = f"the scoped key is good for {left:.1f} more days"
            yield Finding(state, "key", text if state is State.OK else f"{text}; {make}")
        elif ring.at(now).scope.begins > now:
            text = f"the scoped key is for {ring.at(now).scope.date}, which is not here yet; {make}"
            yield Finding(State.WRONG, "key", text)
        else:
            text = f"the scoped key of {ring.at(now).scope.date} is older than seven days; {make}"
            yield Finding(State.WRONG, "key", text)
    elif credentials.session_token is not None:
        text = "temporary credentials, which end when whoever gave them said"
        yield Finding(State.NOTE, "key", text)
    else:
        yield Finding(State.OK, "key", "the secret itself: it has no end")
