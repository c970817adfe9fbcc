"""`s3shield sign-url`: links that the gate takes, keys that nobody sees."""

from __future__ import annotations

import argparse
import base64
import hmac
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import GRANTED, Refused, signed_link_verdict
from s3shield.cli import sign_url
from s3shield.cli.command import Console
from s3shield.policy import Request

KEY: Final = "0123456789abcdef"
NOW: Final = 1_800_000_000.0
CONFIG: Final = """\
[server:media]
server_name = media.example.com
[location:/]
origin = http://127.0.0.1:1
[location:/films/]
origin = http://127.0.0.1:1
signed_link_key = {key}
    another key for old links
"""


class SignUrlTests(SynchronousTestCase):
    """The command."""

    def run_command(
        self, *words: str, stdin: str = "", environ: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Return status, output and errors."""
        parser = argparse.ArgumentParser()
        sign_url.add_parser(parser.add_subparsers())
        args = parser.parse_args(["sign-url", *words])
        out, err = io.StringIO(), io.StringIO()
        console = Console(io.StringIO(stdin), out, err, environ or {}, NOW)
        status = sign_url.run(args, console)
        self.assertNotIn(KEY, out.getvalue() + err.getvalue())
        return status, out.getvalue(), err.getvalue()

    def good(self, url: str, *, peer: bytes = b"192.0.2.7", later: float = 0.0) -> bool:
        """Tell whether the gate takes a link."""
        request = Request(target=url.strip().encode(), peer=peer)
        return signed_link_verdict([KEY.encode()], request, NOW + later) == GRANTED

    def test_sources_of_the_key(self) -> None:
        """From a configuration, a file, standard input, the environment: the same link."""
        url = "https://media.example.com/films/a%20b.mp4"
        config, file = Path(self.mktemp()), Path(self.mktemp())
        config.write_text(CONFIG.format(key=KEY))
        file.write_text(f"{KEY}\nolder-than-the-first\n")
        links = set()
        for words, more in (
            (("--config", str(config)), {}),
            (("--key-file", str(file)), {}),
            (("--key-file", "-"), {"stdin": f"{KEY}\n"}),
            ((), {"environ": {"S3SHIELD_LINK_KEY": KEY}}),
        ):
            status, out, err = self.run_command(url, *words, **more)  # type: ignore[arg-type]
            self.assertEqual((0, ""), (status, err))
            links.add(out)
        (link,) = links
        self.assertTrue(link.startswith(f"{url}?link_expires=1800003600&link_signature="))
        self.assertTrue(self.good(link))
        self.assertFalse(self.good(link, later=3601.0))

    def test_terms(self) -> None:
        """Time, address and prefix are what the gate holds it to."""
        environ = {"S3SHIELD_LINK_KEY": KEY}
        _, link, _ = self.run_command(
            "/films/b/i.m3u8", "--ip", "192.0.2.0/24", "--prefix", "/films/b/",
            "--expires", "@1800000010", environ=environ,
        )  # fmt: skip
        self.assertTrue(self.good(link))
        self.assertTrue(self.good(link.replace("i.m3u8", "1.ts")))
        self.assertFalse(self.good(link, peer=b"192.0.3.7"))
        self.assertFalse(self.good(link, later=11.0))

    def test_spelling(self) -> None:
        """What cannot stand in a URL is encoded; a query is signed as it stands."""
        environ = {"S3SHIELD_LINK_KEY": KEY}
        for url, wanted in (
            ("/caf\xe9 x", "/caf%C3%A9%20x?"),
            ("/a%2Fb", "/a%2Fb?"),
            ("/a?v=1", "/a?v=1&"),
            ("/a?", "/a?"),
        ):
            status, link, _ = self.run_command(url, environ=environ)
            self.assertEqual(0, status)
            self.assertTrue(link.startswith(f"{wanted}link_expires="), link)
            self.assertTrue(self.good(link), link)

    def test_refused(self) -> None:
        """Each mistake is told, and nothing printed."""
        config = Path(self.mktemp())
        config.write_text(CONFIG.format(key=KEY))
        environ = {"S3SHIELD_LINK_KEY": KEY}
        for words, more, wanted, status in (
            (("/a",), {}, "no key: give --config", 2),
            (("/a", "--config", "x", "--key-file", "y"), {}, "not both", 2),
            (("/a", "--config", str(config)), {}, "[location:/] has no signed_link_key", 1),
            (("/a", "--key-file", "/nonexistent/key"), {}, "cannot read /nonexistent/key", 1),
            (("/a", "--key-file", "-"), {"stdin": "short\n"}, "16 characters at least", 1),
            (("a",), {"environ": environ}, "a URL begins with", 1),
            (("ftp://h/a",), {"environ": environ}, "a URL begins with", 1),
            (("/a#b",), {"environ": environ}, "a URL begins with", 1),
            (("/a", "--expires", "soon"), {"environ": environ}, "a time is", 1),
            (("/a", "--expires", "0"), {"environ": environ}, "a time is", 1),
            (("/a", "--ip", "example.com"), {"environ": environ}, "example.com", 1),
            (("/a", "--prefix", "/b/"), {"environ": environ}, "not below the prefix", 1),
            (("/a/b", "--prefix", "/a"), {"environ": environ}, "no slash at its end", 1),
            (("/a?link_ip=x",), {"environ": environ}, "parameters of a link", 1),
        ):
            found, out, err = self.run_command(*words, **more)  # type: ignore[arg-type]
            self.assertEqual((status, ""), (found, out), words)
            self.assertIn(wanted, err)

    def test_not_for_others(self) -> None:
        """A link of another key is none."""
        _, link, _ = self.run_command("/a", environ={"S3SHIELD_LINK_KEY": KEY[::-1]})
        request = Request(target=link.strip().encode(), peer=b"192.0.2.7")
        self.assertEqual(Refused(403), signed_link_verdict([KEY.encode()], request, NOW))

    def test_recipe(self) -> None:
        """What docs/access.rst tells programs to do makes the same links."""
        lines = ("s3shield-link-1", "1800003600", "192.0.2.7", "=/caf%C3%A9/a%20b?v=1")
        digest = hmac.digest(KEY.encode(), "\n".join(lines).encode(), "sha256")
        signature = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        _, link, _ = self.run_command(
            "/caf\xe9/a b?v=1", "--ip", "192.0.2.7", environ={"S3SHIELD_LINK_KEY": KEY}
        )
        self.assertIn(f"link_signature={signature}\n", link)
