"""The options about compressing: read, inherited, written out again, and refused."""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import ConfigErrors, LocationConfig, dump, loads

TEXT = """
[s3shield]
listen = 127.0.0.1:0
{top}
[location:/]
origin = http://127.0.0.1:9000
{lines}
"""


def location(lines: str, top: str = "") -> LocationConfig:
    """Return the one location of a configuration."""
    (found,) = loads(TEXT.format(lines=lines, top=top)).locations
    return found


class CompressionOptionTests(SynchronousTestCase):
    """`compress` and what goes with it."""

    def test_off_by_default(self) -> None:
        """Nothing is compressed unless somebody says so."""
        self.assertEqual((), location("").compression.codings)
        self.assertEqual((), location("compress = off", "compress = gzip").compression.codings)

    def test_values(self) -> None:
        """Order is kept, brotli is br, types are in lower case, levels are each their own."""
        found = location(
            "compress = zstd brotli gzip zstd\ncompress_types = Text/HTML text/* *\n"
            "compress_min_length = 2k\ngzip_comp_level = 9\nzstd_comp_level = 19",
            "brotli_comp_level = 11",
        ).compression
        self.assertEqual((b"zstd", b"br", b"gzip"), found.codings)
        self.assertEqual(frozenset({b"text/html", b"text/*", b"*"}), found.types)
        self.assertEqual(2048, found.min_length)
        self.assertEqual([9, 11, 19], [found.level(x) for x in (b"gzip", b"br", b"zstd")])

    def test_dump(self) -> None:
        """What is written out loads as the same."""
        for lines in ("", "compress = br gzip\ncompress_types = text/*\ngzip_comp_level = 1"):
            config = loads(TEXT.format(lines=lines, top=""))
            self.assertEqual(config, loads(dump(config)))

    def test_mistakes(self) -> None:
        """Each is told in words."""
        for lines, told in (
            ("compress = on", "some of gzip, br and zstd: 'on'"),
            ("compress = gzip deflate", "some of gzip, br and zstd: 'deflate'"),
            ("compress = gzip off", "some of gzip, br and zstd: 'off'"),
            ("compress_types = html", "a media type, text/html, or text/*, or *: 'html'"),
            ("gzip_comp_level = 0", "gzip_comp_level"),
            ("brotli_comp_level = 12", "brotli_comp_level"),
            ("zstd_comp_level = 20", "zstd_comp_level"),
            ("compress_min_length = long", "compress_min_length"),
        ):
            error = self.assertRaises(ConfigErrors, location, lines)
            self.assertIn(told, str(error))

    def test_library_is_missing(self) -> None:
        """A coding whose library is not there is refused with what to install; gzip needs none."""
        with patch("s3shield.config.compression.find_spec", return_value=None):
            self.assertEqual((b"gzip",), location("compress = gzip").compression.codings)
            for word, library in (("br", "brotli"), ("zstd", "zstandard")):
                error = self.assertRaises(ConfigErrors, location, f"compress = gzip {word}")
                self.assertIn(f"{library} is not installed", str(error))
                self.assertIn("pip install 's3shield[compress]'", str(error))
