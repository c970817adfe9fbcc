"""What a hit costs where a location compresses: a stored form is served as all that is stored."""

from s3shield.exchange import CodedLocation, Compressing, Forms
from s3shield.policy import NEVER, Compression, EntryFlag, EntryMeta, Request
from s3shield.routing import Pattern, Place, RoutingTable
from tests.exchange.test_hit_cost import C_CALLS, HEAD, PART, PYTHON_CALLS, HitCost

FORM = 10
"""Functions written in Python that a stored form adds: a second entry is looked up."""
IDENTITY = 5
"""Those that are added where the client takes none."""
C_FORM = 9
"""Functions written in C that a form adds."""
CODED = b"coded bytes" * 20


class CodedHitTests(HitCost):
    """A location that compresses, with forms of the small objects."""

    make_location = CodedLocation

    def setUp(self):
        """Store a form of each."""
        super().setUp()
        location = self.location
        types = frozenset({b"text/plain"})
        location.forms = Forms(
            Compression(codings=(b"gzip",), types=types),
            location.policy,
            location.zone,
            location.around,
            Compressing(None),
            largest=1 << 30,
            keep_filling=False,
        )
        table = RoutingTable(
            [], [Place(pattern=Pattern.parse("/"), server=None, origin="o", bucket=False)]
        )
        for number in range(16):
            route = table.route(Request(b"GET", b"/obj/%d" % number, host=b"cdn.example.com"))
            entry = self.store.get(route.digest, route.key_text)
            digest, key = location.forms.address(entry, b"gzip")
            meta = EntryMeta(
                status=200,
                born=1.0,
                response_time=1.0,
                fresh_until=NEVER,
                flags=int(EntryFlag.CODED),
                etag=location.forms.stamp(entry),
            )
            self.store.put(digest, key, meta, b"HTTP/1.1 200 OK\r\n", CODED)
        self.store.flush()

    def test_form(self):
        """A stored form: its head is made once, and nothing is compressed."""
        python, c, told = self.cost(self.requests(), self.requests())
        for answer in self.answers:
            self.assertIn(b"\r\nContent-Encoding: gzip\r\nContent-Length: 220\r\nAge: ", answer)
            self.assertTrue(answer.endswith(b"\r\n\r\n" + CODED))
        self.assertLessEqual(python, PYTHON_CALLS + FORM + PART, told)
        self.assertLessEqual(c, C_CALLS + C_FORM + PART, told)

    def test_identity(self):
        """The object as it is."""
        heads = [head.replace(b"gzip, br", b"identity") for head in self.requests()]
        python, _, told = self.cost(heads, heads)
        for answer in self.answers:
            self.assertTrue(answer.startswith(HEAD + b"Vary: Accept-Encoding\r\nAge: "))
        self.assertLessEqual(python, PYTHON_CALLS + IDENTITY + PART, told)
