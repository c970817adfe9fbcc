"""What `s3shield warm` reads: manifests, sitemaps, pages of a bucket; and what it will not ask."""

from __future__ import annotations

import gzip
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from s3shield.cli.bounded_xml import BadXmlError, read_xml
from s3shield.cli.bucket_keys import path_to, read_page
from s3shield.cli.dash import read_manifest
from s3shield.cli.door import ForeignError, Goal, door_of
from s3shield.cli.hls import read_playlist
from s3shield.cli.sitemap import read_sitemap
from s3shield.cli.warming import Done, Pace
from s3shield.config import loads

from .running import called

BOMB = b'<!DOCTYPE a [<!ENTITY b "cc">]><urlset><url><loc>&b;</loc></url></urlset>'
URL = "http://h/films/m.mpd"

NUMBERED = b"""<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT9S">
<BaseURL>v/</BaseURL><Period><AdaptationSet>
<SegmentTemplate timescale="10" duration="40" startNumber="7" media="$RepresentationID$/$Number%03d$"
 initialization="$RepresentationID$/i"/>
<Representation id="hi" bandwidth="9"/><Representation id="lo" bandwidth="1"/>
</AdaptationSet></Period></MPD>"""
TIMED = b"""<MPD><Period duration="PT10S"><AdaptationSet><Representation id="a" bandwidth="5">
<SegmentTemplate media="$Bandwidth$-$Time$$$"><SegmentTimeline>
<S t="3" d="2" r="1"/><S d="1"/><S t="8" d="1" r="-1"/></SegmentTimeline></SegmentTemplate>
</Representation></AdaptationSet></Period></MPD>"""
LISTED = b"""<MPD><Period><AdaptationSet><SegmentList><Initialization sourceURL="i"/></SegmentList>
<Representation><SegmentList><SegmentURL media="1"/><SegmentURL/></SegmentList></Representation>
<Representation><BaseURL>whole.mp4</BaseURL><SegmentBase/></Representation>
</AdaptationSet></Period></MPD>"""
PAGE = b"""<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
<NextContinuationToken>t=</NextContinuationToken>
<Contents><Key>a%2Fb+c</Key><LastModified>1970-01-01T00:01:00.000Z</LastModified></Contents>
<Contents><Key>d</Key><LastModified>soon</LastModified></Contents></ListBucketResult>"""
LATE = PAGE.replace(b"<EncodingType>url</EncodingType>", b"").replace(
    b"</ListBucketResult>", b"<EncodingType>url</EncodingType></ListBucketResult>"
)
"""The same, with the encoding said behind the keys, as moto and AWS's own example do."""
RANGES = b"""<MPD><Period><AdaptationSet><Representation><BaseURL>one.mp4</BaseURL><SegmentList>
<Initialization range="0-9"/><SegmentURL mediaRange="10-19"/></SegmentList></Representation>
</AdaptationSet></Period></MPD>"""
CONFIG = """
[s3shield]
listen = 0.0.0.0:8080
[bucket:media]
aws_s3_bucket = media
aws_sign = off
[server:www]
server_name = www.test *.cdn.test
[location:/m/]
server = www
bucket = media
proxy_cache = off
rewrite = ^/m/(.*) /$1
"""


class DocumentTests(SynchronousTestCase):
    """Documents of strangers."""

    def test_dash(self) -> None:
        """Templates with numbers and times, lists, whole files; what is inherited."""
        base = "http://h/films/v/"
        numbers = ("i", "007", "008", "009")
        wanted = [f"{base}{level}/{each}" for level in ("hi", "lo") for each in numbers]
        self.assertEqual(wanted, read_manifest(NUMBERED, URL))
        timed = [f"http://h/films/5-{time}$" for time in (3, 5, 7, 8, 9)]
        self.assertEqual(timed, read_manifest(TIMED, URL))
        listed = [f"http://h/films/{each}" for each in ("i", "1")]
        self.assertEqual(listed, read_manifest(LISTED, URL)[:2])
        self.assertEqual(["http://h/films/one.mp4"], read_manifest(RANGES, URL))

    def test_dash_bounds(self) -> None:
        """A manifest with endless segments, or of none, is refused; one without an end gives one."""
        endless = NUMBERED.replace(b"PT9S", b"P9999999D")
        for text in (endless, TIMED.replace(b'd="1"', b'd="0"'), b"<a/>", b"<MPD"):
            self.assertRaises(BadXmlError, read_manifest, text, URL)
        live = NUMBERED.replace(b'mediaPresentationDuration="PT9S"', b"")
        self.assertEqual(4, len(read_manifest(live, URL)))

    def test_hls(self) -> None:
        """Playlists and parts, each once; keys of other schemes are left out."""
        found = read_playlist(
            b'#EXTM3U\r\n#EXT-X-MEDIA:TYPE=AUDIO,URI="a.m3u8"\r\n#EXT-X-STREAM-INF:X=1\r\nv.m3u8\r\n'
            b'#EXT-X-KEY:METHOD=AES-128,URI="k"\r\n#EXT-X-KEY:METHOD=S,URI="skd://x"\r\n'
            b"#EXT-X-BYTERANGE:1@0\r\ns.ts\r\ns.ts\r\n"
        )
        self.assertEqual((("a.m3u8", "v.m3u8"), ("k", "s.ts")), (found.playlists, found.parts))
        self.assertRaises(ValueError, read_playlist, b"<html>")

    def test_sitemap(self) -> None:
        """XML, packed or not, and text; no entity is ever made, nothing but a sitemap is taken."""
        text = b"<urlset><url><loc> /a </loc><image><loc>/no</loc></image></url></urlset>"
        for document in (text, gzip.compress(text)):
            self.assertEqual((["/a"], False), read_sitemap(document))
        self.assertEqual((["/a", "/b"], False), read_sitemap(b"/a\r\n/b\n"))
        for document in (BOMB, b"<html/>", b"\x1f\x8bxx", b"<a>" * 30):
            self.assertRaises(BadXmlError, read_sitemap, document)

    def test_xml_bounds(self) -> None:
        """Elements, depth and text have bounds."""
        for text, why in (
            (b"<a>" + b"<b/>" * 9 + b"</a>", "too many elements"),
            (b"<a>" * 40, "too deep"),
            (b"<a>" + b"x" * 20_000 + b"</a>", "too long"),
        ):
            with self.assertRaises(BadXmlError) as refused:
                read_xml(text, most=9 if b"b" in text else 99)
            self.assertIn(why, str(refused.exception))

    def test_bucket(self) -> None:
        """A page of keys is decoded; its URL is the location's, with its rewrite undone."""
        page = read_page(PAGE)
        self.assertEqual("t=", page.token)
        self.assertEqual([(b"a/b c", 60.0), (b"d", None)], [(k.key, k.modified) for k in page.keys])
        self.assertEqual(page, read_page(LATE))
        self.assertRaises(BadXmlError, read_page, b"<Error/>")
        config = loads(CONFIG)
        self.assertEqual("/m/a/b%20c", path_to(config, "media", "www.test", b"a/b c"))
        self.assertIsNone(path_to(config, "other", "www.test", b"a"))


class DoorTests(SynchronousTestCase):
    """One address, and the hosts that are its own."""

    def test_goals(self) -> None:
        """Paths, URLs of the daemon's names, references; everything else is refused."""
        door = door_of(None, ["site.test"], loads(CONFIG))
        self.assertEqual("127.0.0.1:8080", str(door))
        base = Goal("www.test", "/a/b")
        for text, where, wanted in (
            ("/x y?q#f", None, "http://site.test/x%20y?q"),
            ("http://www.test", None, "http://www.test/"),
            ("/\xfc\udcff", None, "http://site.test/%C3%BC%FF"),
            ("https://img.cdn.test:444/x", None, "http://img.cdn.test:444/x"),
            ("c", base, "http://www.test/a/c"),
            ("/c", base, "http://www.test/c"),
        ):
            self.assertEqual(wanted, str(door.goal(text, where)))
        for text, where in (
            ("http://169.254.169.254/latest", None),
            ("//evil.test/x", base),
            ("http://www.test@evil.test/", None),
            ("http://cdn.test/", None),
        ):
            self.assertRaises(ForeignError, door.goal, text, where)
        for text in ("file:///etc/passwd", "a", "http://", "//x", "http://[/"):
            self.assertRaises(ValueError, door.goal, text)

    def test_via(self) -> None:
        """A door by its URL; what is none is refused."""
        self.assertEqual("h:80", str(door_of("http://h", (), None)))
        self.assertEqual("h:443", str(door_of("https://h/", (), None)))
        for via in ("h:80", "http://h/a", "ftp://h", "http://h:x"):
            self.assertRaises(ValueError, door_of, via, (), None)


class KeepingTests(SynchronousTestCase):
    """State and pace."""

    def test_done(self) -> None:
        """What is noted is known to the next run, a torn line is not; nothing else is overwritten."""
        path = self.mktemp()
        first, second = Goal("h", "/1"), Goal("h", "/22")
        done = Done(path)
        done.add(first)
        done.close()
        with Path(path).open("a") as file:
            file.write("http://h/2")
        again = Done(path)
        again.add(second)
        again.close()
        last = Done(path)
        last.close()
        self.assertEqual(
            [True, True, False], [each in last for each in (first, second, Goal("h", "/2"))]
        )
        Path(path).write_text("something of mine\n")
        self.assertRaises(ValueError, Done, path)
        self.assertEqual("something of mine\n", Path(path).read_text())

    def test_state_cannot_be_written(self) -> None:
        """On a full disk it ends, and names the file: what is not noted would be asked again."""
        if not Path("/dev/full").exists():
            raise SkipTest("there is no /dev/full")
        path = Path(self.mktemp())
        done = Done(str(path))
        self.addCleanup(done.close)
        done._file = Path("/dev/full").open("a")  # noqa: SIM115  # closed by `close`
        self.assertIn("/dev/full", str(self.assertRaises(OSError, done.add, Goal("h", "/1"))))

    def test_pace(self) -> None:
        """All threads together keep to the rate."""
        now = 0.0
        pace = Pace(100, lambda: now)
        self.assertEqual([1.0, 2.0], [pace.wait(100), pace.wait(100)])
        now = 10.0
        self.assertEqual(0.5, pace.wait(50))
        self.assertEqual(0.0, Pace(None).wait(50))


class MistakeTests(SynchronousTestCase):
    """What is said of wrong usage."""

    def test_usage(self) -> None:
        """Each is one sentence, with status 2."""
        for words, said in (
            ((), "give a LIST"),
            (("a", "--hls", "b"), "give a LIST"),
            (("a", "--prefix", "b"), "go with --bucket"),
            (("a", "--rate", "fast"), "a size looks like"),
            (("a", "--budget", "0"), "more than nothing"),
            (("a", "--parallel", "0"), "--parallel is"),
            (("--bucket", "b", "--newer-than", "x"), "a time looks like"),
        ):
            status, out, err = called("warm", *words)
            self.assertEqual((2, "", 1), (status, out, err.count("\n")), words)
            self.assertIn(said, err)

    def test_no_daemon(self) -> None:
        """A daemon that is not there is said to be out of reach, and where."""
        status, _, err = called("warm", "--via", "http://127.0.0.1:1", "-")
        self.assertEqual((1, True), (status, "cannot reach the daemon at 127.0.0.1:1" in err), err)
