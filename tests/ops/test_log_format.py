"""Access log formats: values, escaping, refusals."""

import base64
import json
import os
import re
import socket
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.ops.log_format import COMBINED, compile_format, variables_of, without
from s3shield.ops.log_noted import ORIGIN_TIMES, SENT, TLS
from s3shield.ops.log_variables import VARIABLES, LogRecord
from s3shield.policy import (
    CacheStatus,
    Consumed,
    InnerRequest,
    NoStoreReason,
    OriginStatus,
    Request,
    RequestNotes,
)
from s3shield.wire import TlsFacts, TlsPeer

WALL = 1795500000.25  # 2026-11-24T06:00:00.25Z


def record(
    request: Request | None = None,
    *,
    status: int = 200,
    fate: CacheStatus = CacheStatus.HIT,
    reason: NoStoreReason | None = None,
    origin: tuple[float | None, int] = (None, 0),
    peer: bytes = b"192.0.2.7",
    location: str = "/",
    key: bytes = b"main|media|/a",
) -> LogRecord:
    """Return a hit's record, but for what a test says."""
    return (
        peer,
        WALL,
        request or Request(b"GET", b"/a?b=c", {b"user-agent": b"curl/8"}, host=b"assets.example"),
        status,
        1024,
        fate,
        reason,
        0.0125,
        *origin,
        location,
        key,
        512,
    )


def basic(credentials: bytes) -> dict[bytes, bytes]:
    """Return headers with HTTP basic authentication."""
    return {b"authorization": b"Basic " + base64.b64encode(credentials)}


def zone(test: SynchronousTestCase, name: str) -> None:
    """Run the rest of `test` in a time zone."""
    before = os.environ.get("TZ")

    def restore() -> None:
        os.environ.pop("TZ", None)
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()

    test.addCleanup(restore)
    os.environ["TZ"] = name
    time.tzset()


class Replicas(SynchronousTestCase):
    """Which of several buckets answered."""

    def test_bucket(self) -> None:
        """It is named where there are several; the status is what it always was."""
        line = compile_format("$upstream_status $upstream_bucket")
        for status, wanted in (
            (OriginStatus(206, "media-us"), b"206 media-us\n"),
            (206, b"206 -\n"),
            (0, b"- -\n"),
        ):
            self.assertEqual(wanted, line(record(origin=(0.1, status))))


class Noted(SynchronousTestCase):
    """What is there only where somebody noted it."""

    def test_values(self) -> None:
        """A table of variables: with notes, and without."""
        request = Request(b"GET", b"/a", version=(2, 0))
        request.notes = notes = RequestNotes()
        notes.head = b"HTTP/1.1 200 OK\r\nX-A:  b\t\r\nX-Ab: c\r\nx-a: \xe9\r\nX-B:\r\n"
        notes.sent = 1234
        peer = TlsPeer(b"192.0.2.7")
        peer.tls = TlsFacts("TLSv1.3", "TLS_AES", "a.test", True, "CN=é,O=b")
        plain = TlsPeer(b"192.0.2.7")
        plain.tls = TlsFacts("TLSv1.2", "X", None, None, None)
        status = OriginStatus(200)
        status.connect, status.header = 0.0, 0.25
        noted = record(request, peer=peer, origin=(0.5, OriginStatus(status, "us")))
        other = record(peer=plain, origin=(0.5, 200))
        for name, wanted, bare in (
            ("bytes_sent", b"1234", b"-"),
            ("sent_http_x_a", b"b, \\xE9", b"-"),
            ("sent_http_X_B", b"", b"-"),
            ("sent_http_x", b"-", b"-"),
            ("http2", b"h2", b""),
            ("ssl_protocol", b"TLSv1.3", b"TLSv1.2"),
            ("ssl_cipher", b"TLS_AES", b"X"),
            ("ssl_server_name", b"a.test", b"-"),
            ("ssl_session_reused", b"r", b"-"),
            ("ssl_client_verify", b"SUCCESS", b"NONE"),
            ("ssl_client_s_dn", b"CN=\\xC3\\xA9,O=b", b"-"),
            ("upstream_connect_time", b"0.000", b"-"),
            ("upstream_header_time", b"0.250", b"-"),
            ("upstream_bucket", b"us", b"-"),
        ):
            line = compile_format(f"${name}")
            self.assertEqual((wanted + b"\n", bare + b"\n"), (line(noted), line(other)), name)

    def test_of_a_hidden_request(self) -> None:
        """What is masked of a request takes its notes along."""
        request = Request(b"GET", b"/a?token=secret")
        request.notes = notes = RequestNotes()
        notes.sent = 7
        hidden = Consumed(arguments=frozenset({b"token"}))
        for asked in (request, InnerRequest(request)):
            line = without(hidden, compile_format("$request_uri $bytes_sent"))
            self.assertEqual(b"/a?token=*** 7\n", line(record(asked)))

    def test_wanted(self) -> None:
        """What is named is known beforehand; the named formats want nothing."""
        found = variables_of("$status ${bytes_sent}x $sent_http_x_a $sent_http_b $ssl_cipher")
        self.assertEqual({"status", "bytes_sent", "sent_http", "ssl_cipher"}, found)
        for text in ("combined", "json"):
            self.assertEqual(frozenset(), variables_of(text))
        noted = {*ORIGIN_TIMES, *SENT, *TLS}
        self.assertTrue(noted.isdisjoint(variables_of(COMBINED)))

    def test_secrets(self) -> None:
        """Fields that let their readers in are not to be had."""
        for name in ("sent_http_set_cookie", "sent_http_Set_Cookie", "sent_http_"):
            with self.assertRaises(ValueError):
                compile_format(f"${name}")


class Combined(SynchronousTestCase):
    """The format `combined`."""

    def setUp(self) -> None:
        """Fix the zone."""
        zone(self, "UTC")
        self.line = compile_format("combined")

    def test_lines(self) -> None:
        """A table of records makes nginx's combined lines, byte for byte."""
        agent = {b"user-agent": b"curl/8", b"referer": b"https://example.com/"}
        rows = [
            (
                Request(b"GET", b"/a", agent),
                b'"GET /a HTTP/1.1" 200 1024 "https://example.com/" "curl/8"',
            ),
            (Request(b"GET", b"/a?b=c"), b'"GET /a?b=c HTTP/1.1" 200 1024 "-" "-"'),
            (
                Request(b"HEAD", b"/", version=(1, 0)),
                b'"HEAD / HTTP/1.0" 200 1024 "-" "-"',
            ),
            (
                Request(b"GET", b"/a", {b"user-agent": b'q" \\ \x01\t\xc3\xa9\x7f'}),
                b'"GET /a HTTP/1.1" 200 1024 "-" "q\\x22 \\x5C \\x01\\x09\\xC3\\xA9\\x7F"',
            ),
            (Request(b"GET", b"/a\r\nb"), b'"GET /a\\x0D\\x0Ab HTTP/1.1" 200 1024 "-" "-"'),
            (Request(b"", b"\x16\x03\x01", version=(0, 0)), b'"\\x16\\x03\\x01" 200 1024 "-" "-"'),
        ]
        for request, tail in rows:
            expected = b"192.0.2.7 - - [24/Nov/2026:06:00:00 +0000] " + tail + b"\n"
            self.assertEqual(self.line(record(request)), expected)

    def test_user(self) -> None:
        """The user of basic authentication is shown, a password or token never."""
        rows = [
            (basic(b"ann:secret"), b"ann"),
            (basic(b'a" b:secret'), b"a\\x22 b"),
            (basic(b":secret"), b"-"),
            (basic(b"secret"), b"-"),
            ({b"authorization": b"Basic %%%"}, b"-"),
            ({b"authorization": b"Basic"}, b"-"),
            ({b"authorization": b"Bearer secret"}, b"-"),
        ]
        for headers, user in rows:
            for text in ("combined", "json", "$remote_addr - $remote_user ["):
                line = compile_format(text)(record(Request(headers=headers)))
                self.assertNotIn(b"secret", line)
                if text == "json":
                    shown = json.loads(line)["remote_user"] or "-"
                    self.assertEqual(shown.encode().replace(b'"', b"\\x22"), user)
                else:
                    self.assertTrue(line.startswith(b"192.0.2.7 - " + user + b" ["), line)

    def test_string_is_the_same(self) -> None:
        """The format string of combined, written out, gives combined's lines."""
        generic = compile_format(COMBINED + " ")
        spelled = compile_format(COMBINED.replace("$status", "${status}"))
        for request in (Request(b"GET", b"/x?y", {b"user-agent": b'"'}), Request()):
            self.assertEqual(generic(record(request)), self.line(record(request)))
            self.assertEqual(spelled(record(request)), self.line(record(request)))

    def test_seconds(self) -> None:
        """The time's text follows the record's second, forward and back."""
        for wall, shown in ((1.0, b":01 "), (1.9, b":01 "), (2.0, b":02 "), (1.5, b":01 ")):
            made = (b"", wall, *record()[2:])
            self.assertIn(shown, self.line(made))

    def test_unix_peer(self) -> None:
        """A client without an address is shown as nginx shows it."""
        self.assertTrue(self.line(record(peer=b"")).startswith(b"unix: - "))


class Variables(SynchronousTestCase):
    """Format strings."""

    def test_values(self) -> None:
        """Each variable has nginx's spelling of its value, `-` where there is none."""
        zone(self, "Asia/Kolkata")
        request = Request(
            b"GET",
            b"/a%20b/%c3%a9?c=%20",
            {b"user-agent": b"curl/8", b"cookie": b"s=1", b"x-forwarded-for": b"192.0.2.1"},
            host=b"assets.example",
            scheme=b"https",
        )
        miss = record(
            request, fate=CacheStatus.MISS, reason=NoStoreReason.PRIVATE, origin=(0.25, 206)
        )
        bare = record(Request(b"GET", b"/"), fate=CacheStatus.NONE, location="", key=b"")
        rows = [
            ("$remote_addr", b"192.0.2.7", b"192.0.2.7"),
            ("$time_local", b"24/Nov/2026:11:30:00 +0530", None),
            ("$time_iso8601", b"2026-11-24T11:30:00+05:30", None),
            ("$msec", b"1795500000.250", None),
            ("$request", b"GET /a%20b/%c3%a9?c=%20 HTTP/1.1", b"GET / HTTP/1.1"),
            ("$request_method", b"GET", b"GET"),
            ("$request_uri", b"/a%20b/%c3%a9?c=%20", b"/"),
            ("$uri", b"/a b/\\xC3\\xA9", b"/"),
            ("$args", b"c=%20", b"-"),
            ("$server_protocol", b"HTTP/1.1", b"HTTP/1.1"),
            ("$status", b"200", b"200"),
            ("$body_bytes_sent", b"1024", b"1024"),
            ("$cached_bytes", b"512", b"512"),
            ("$request_time", b"0.013", None),
            ("$http_user_agent", b"curl/8", b"-"),
            ("$http_cookie", b"s=1", b"-"),
            ("$http_x_forwarded_for", b"192.0.2.1", b"-"),
            ("$host", b"assets.example", b"-"),
            ("$scheme", b"https", b"http"),
            ("$upstream_cache_status", b"MISS", b"-"),
            ("$upstream_status", b"206", b"-"),
            ("$upstream_response_time", b"0.250", b"-"),
            ("$cache_reason", b"private", b"-"),
            ("$cache_key", b"main|media|/a", b"-"),
            ("$location", b"/", b"-"),
            ("$pid", b"42", b"42"),
            ("$hostname", socket.gethostname().encode(), None),
            ("$document_uri", b"/a b/\\xC3\\xA9", b"/"),
            ("$is_args$https", b"?on", b""),
            ("$arg_c", b"%20", b"-"),
            ("$cookie_s", b"1", b"-"),
            ("$uncached_bytes", b"512", b"512"),
            ("<${status}>$status|", b"<200>200|", b"<200>200|"),
        ]
        for text, full, empty in rows:
            line = compile_format(text, pid=42)
            made = line(miss).rstrip(b"\n")
            self.assertIn(made, {full, full.replace(b"0.013", b"0.012")}, text)
            if empty is not None:
                self.assertEqual(line(bare).rstrip(b"\n"), empty, text)

    def test_refused(self) -> None:
        """A mistake in a format is one sentence with the nearest name; secrets are refused."""
        rows = [
            ("$upstream_cache_statsu", "did you mean $upstream_cache_status?"),
            ("$stauts", "did you mean $status?"),
            ("$http_authorization", "secret"),
            ("$http_Authorization", "secret"),
            ("$http_proxy_authorization", "secret"),
            ("$http_x_amz_security_token", "secret"),
            ("a $ b $status", "names no variable"),
            ("cobmined", "no variable"),
            ("$status\n$uri", "control character"),
            ("$http_", "header"),
        ]
        for text, expected in rows:
            error = self.assertRaises(ValueError, compile_format, text)
            self.assertIn(expected, str(error), text)

    def test_presigned(self) -> None:
        """A presigned URL's signature and token are masked in every format."""
        target = b"/a?X-Amz-Date=1&X-Amz-Signature=5ec&x-amz-security-token=5ec%2F&e=1"
        made = record(Request(b"GET", target), key=b"main|media|/a?Signature=5ec&e=1")
        rows = ["combined", "json", "$request", "$request_uri $cache_key", "$args", "$uri"]
        rows += ["$arg_X_Amz_Signature $arg_signature"]
        for text in rows:
            line = compile_format(text)(made)
            self.assertNotIn(b"5ec", line, text)
        self.assertIn(
            b"?X-Amz-Date=1&X-Amz-Signature=***&x-amz-security-token=***&e=1 HTTP",
            compile_format("combined")(made),
        )


class Json(SynchronousTestCase):
    """The format `json`."""

    def test_object(self) -> None:
        """The object has each field by its variable's name; null where there is none."""
        zone(self, "UTC")
        request = Request(b"GET", "/é".encode(), {b"range": b"bytes=0-1"}, host=b"h")
        made = compile_format("json", pid=7)(record(request))
        self.assertEqual(
            json.loads(made),
            {
                "time_iso8601": "2026-11-24T06:00:00+00:00",
                "msec": 1795500000.25,
                "remote_addr": "192.0.2.7",
                "remote_user": None,
                "scheme": "http",
                "host": "h",
                "request_method": "GET",
                "request_uri": "/é",
                "server_protocol": "HTTP/1.1",
                "status": 200,
                "body_bytes_sent": 1024,
                "cached_bytes": 512,
                "request_time": 0.0125,
                "http_referer": None,
                "http_user_agent": None,
                "http_range": "bytes=0-1",
                "upstream_cache_status": "HIT",
                "cache_reason": None,
                "upstream_status": None,
                "upstream_bucket": None,
                "upstream_response_time": None,
                "location": "/",
                "cache_key": "main|media|/a",
                "pid": 7,
            },
        )


BYTES = st.one_of(st.binary(max_size=40), st.text(max_size=20).map(lambda t: t.encode("utf-8")))
NAMES = st.sampled_from(
    [b"user-agent", b"referer", b"authorization", b"cookie", b"range", b"x-a"],
)


class Documented(SynchronousTestCase):
    """The page on logs."""

    def test_table(self) -> None:
        """Its table has each variable, and no other."""
        page = Path(__file__).resolve().parents[2] / "docs" / "logs.rst"
        named = re.findall(r"(?m)^   \* - ``\$(\w+)``$", page.read_text())
        more = {"time_local", "time_iso8601", "pid", "hostname"}
        more |= {"http_NAME", "sent_http_NAME", "arg_NAME", "cookie_NAME"}
        self.assertEqual(sorted({*VARIABLES, *more}), sorted(named))
        for name in named:
            compile_format(f"${name}")


class Forgery(SynchronousTestCase):
    """Whatever the client sends, a record is one clean line."""

    @settings(deadline=None, max_examples=150)
    @given(
        BYTES,
        BYTES,
        st.dictionaries(NAMES, BYTES),
        BYTES,
        st.sampled_from(CacheStatus),
        st.one_of(st.none(), st.sampled_from(NoStoreReason)),
    )
    def test_any_bytes(self, method, target, headers, other, fate, reason) -> None:
        """No raw control, quote or non-ASCII byte from a client; each JSON line parses."""
        request = Request(method, target, headers, host=other)
        made = record(request, fate=fate, reason=reason, key=other)
        loud = (
            '"$request" $uri $args $host $http_cookie $http_x_a $cache_key $remote_user$http_range'
        )
        for text in ("combined", loud):
            line = compile_format(text)(made)
            self.assertTrue(line.endswith(b"\n"))
            self.assertTrue(all(0x20 <= byte < 0x7F for byte in line[:-1]), line)
            self.assertEqual(line.count(b'"'), 6 if text == "combined" else 2)
        line = compile_format("json")(made)
        self.assertTrue(all(0x20 <= byte < 0x7F for byte in line[:-1]), line)
        self.assertEqual(json.loads(line)["upstream_cache_status"] or "", fate.value.decode())

    @settings(deadline=None, max_examples=50)
    @given(st.text(max_size=30))
    def test_any_format(self, text) -> None:
        """A format string compiles or is refused with ValueError, nothing else."""
        try:
            line = compile_format(text)(record())
        except ValueError:
            return
        self.assertEqual(line.count(b"\n"), 1)
