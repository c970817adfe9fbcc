"""PROXY headers, version 1 and 2, good and bad, in pieces (haproxy.org, proxy-protocol.txt)."""

import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.wire.proxy_header import BadProxyHeaderError, ProxyHeader, read_proxy_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def binary(command=0x21, kind=0x11, body=None, length=None):
    """Return a header of version 2."""
    if body is None:
        body = bytes([192, 0, 2, 1, 10, 0, 0, 1]) + b"\x30\x39\x00\x50"
    size = len(body) if length is None else length
    return SIGNATURE + bytes([command, kind]) + size.to_bytes(2, "big") + body


V6 = ipaddress.ip_address("2001:db8::1").packed + ipaddress.ip_address("::1").packed
GOOD = [
    (b"PROXY TCP4 192.0.2.1 10.0.0.1 12345 80\r\n", ("192.0.2.1", 12345)),
    (b"PROXY TCP6 2001:DB8::1 ::1 1 65535\r\n", ("2001:db8::1", 1)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 whatever it says\r\n", None),
    (binary(), ("192.0.2.1", 12345)),
    (binary(kind=0x21, body=V6 + b"\0\1\0\2"), ("2001:db8::1", 1)),
    (binary(kind=0x21, body=V6 + b"\0\1\0\2" + b"\x04\0\1\0"), ("2001:db8::1", 1)),
    (binary(command=0x20, kind=0, body=b""), None),
    (binary(command=0x20), None),
    (binary(kind=0, body=b"xyz"), None),
    (binary(kind=0x12), None),
    (binary(kind=0x31, body=bytes(216)), None),
]
BAD = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"proxy TCP4",
    b"\r\n\r\nGET",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 12345\r\n",
    b"PROXY TCP4  192.0.2.1 10.0.0.1 12345 80\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 12345 80 \r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 80\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 -1 80\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 123456 80\r\n",
    b"PROXY TCP4 192.0.2 10.0.0.1 1 80\r\n",
    b"PROXY TCP4 ::1 ::1 1 80\r\n",
    b"PROXY TCP6 192.0.2.1 10.0.0.1 1 80\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 80\r\n",
    b"PROXY TCP5 192.0.2.1 10.0.0.1 1 80\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY \r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 12345 80\n" + b"x" * 80,
    b"PROXY UNKNOWN " + b"x" * 93,
    SIGNATURE + b"\x11\x11\0\x0c" + bytes(12),
    binary(command=0x22),
    binary(body=bytes(11)),
    binary(kind=0x21),
    binary(body=b"", length=4081),
    binary(body=b"", length=65535),
]


class HeaderTests(SynchronousTestCase):
    def test_good(self):
        """Addresses of clients; None for the balancer's own connections and what is not TCP."""
        for data, source in GOOD:
            self.assertEqual(read_proxy_header(data), ProxyHeader(len(data), source), data)

    def test_bad(self):
        """One sentence, in which nothing of what was sent is repeated."""
        for data in BAD:
            error = self.assertRaises(BadProxyHeaderError, read_proxy_header, data)
            self.assertTrue(str(error).isprintable(), data)

    @settings(deadline=None, max_examples=100)
    @given(st.sampled_from(GOOD), st.binary(max_size=50), st.data())
    def test_pieces(self, case, more, data):
        """Every beginning of a header asks for more; what follows it is not its own."""
        header, source = case
        cut = data.draw(st.integers(0, len(header) - 1))
        self.assertIsNone(read_proxy_header(header[:cut]))
        self.assertEqual(read_proxy_header(header + more), ProxyHeader(len(header), source))

    @settings(deadline=None, max_examples=200)
    @given(
        st.one_of(
            st.binary(),
            st.binary().map(lambda x: SIGNATURE + x),
            st.binary().map(lambda x: b"PROXY " + x),
        )
    )
    def test_anything(self, data):
        """Whatever comes is a header, the beginning of one, or refused; never more than it is."""
        try:
            found = read_proxy_header(data)
        except BadProxyHeaderError:
            return
        if found is None:
            self.assertLess(len(data), 4096)
        else:
            self.assertLessEqual(found.length, len(data))
