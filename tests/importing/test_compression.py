"""nginx's gzip, Brotli and zstd as `compress`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.importing import Weight
from s3shield.policy import Compression

from .fixture import imported, loaded, need_crossplane, notes

BUCKET = "proxy_pass https://bbb.s3.amazonaws.com;"


def compression(text: str, number: int = 0) -> Compression:
    """Return what becomes of a configuration in one of its locations."""
    return loaded(imported(text)).locations[number].compression


class CompressionTests(SynchronousTestCase):
    """Each coding has a switch and lists of its own there."""

    def setUp(self) -> None:
        need_crossplane()

    def test_gzip(self) -> None:
        """The usual lines; text/html is always meant, and what only tunes is not needed."""
        text = f"""http {{
            gzip on; gzip_types text/css application/json; gzip_comp_level 5;
            gzip_min_length 256; gzip_vary on; gzip_proxied any; gzip_disable msie6;
            server {{ location / {{ {BUCKET} }} }}
        }}"""
        self.assertEqual(
            Compression(
                codings=(b"gzip",),
                types=frozenset({b"text/html", b"text/css", b"application/json"}),
                min_length=256,
                gzip_level=5,
            ),
            compression(text),
        )
        what = imported(text)
        self.assertEqual([], notes(what, Weight.LOST))
        self.assertEqual(3, len(notes(what, Weight.NEEDLESS)))

    def test_of_several_modules(self) -> None:
        """What a block says of one coding leaves the others as they are around it."""
        text = f"""http {{
            gzip on; zstd on; zstd_types text/css; brotli_types text/xml; brotli_comp_level 9;
            server {{
                brotli on; zstd off;
                location /a {{ {BUCKET} }}
                location /b {{ gzip off; brotli off; {BUCKET} }}
                location /c {{ brotli off; zstd on; {BUCKET} }}
            }}
        }}"""
        found = [compression(text, number) for number in range(3)]
        self.assertEqual(
            [(b"br", b"gzip"), (), (b"zstd", b"gzip")], [each.codings for each in found]
        )
        self.assertEqual(frozenset({b"text/html", b"text/css", b"text/xml"}), found[0].types)
        self.assertEqual(9, found[0].brotli_level)

    def test_lost(self) -> None:
        """What cannot be is told: files beside the object, a level that is too high."""
        what = imported(
            f"server {{ gzip_static on; zstd on; zstd_comp_level 22; location / {{ {BUCKET} }} }}"
        )
        told = notes(what, Weight.LOST)
        self.assertIn("1 gzip_static on", told)
        self.assertIn("1 zstd_comp_level 22", told)
        self.assertEqual((b"zstd",), loaded(what).locations[0].compression.codings)
