"""`s3shield import`, as a person runs it."""

from __future__ import annotations

import contextlib
import io
import stat
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from s3shield.cli import main

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
APACHE = f"""\
<Proxy "https://media.s3.eu-west-1.amazonaws.com/">
    S3AccessKey AKIAIOSFODNN7EXAMPLE
    S3SecretKey {SECRET}
    S3Region eu-west-1
    S3UseHeaders on
    S3Unheard {SECRET}
</Proxy>
SSLProxyEngine on
ProxyPass /media/ https://media.s3.eu-west-1.amazonaws.com/
ErrorDocument 404 /missing.html
"""


class ImportTests(SynchronousTestCase):
    """The command."""

    def write(self, text):
        """Write a file; return its path."""
        path = Path(self.mktemp())
        path.write_text(text)
        return str(path)

    def call(self, *words):
        """Run the command; (status, stdout, stderr)."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["import", *words])
        return status, out.getvalue(), err.getvalue()

    def test_ini_and_notes(self):
        """The ini is on stdout and passes check; the notes are on stderr, secrets masked."""
        path = self.write(APACHE)
        status, ini, notes = self.call(path)
        self.assertEqual(0, status)
        self.assertIn(f"aws_secret_key = {SECRET}\n", ini)
        self.assertNotIn(SECRET, notes)
        self.assertIn(f"{path}:6: S3Unheard ***\n    the import does not know", notes)
        self.assertIn(f"{path}:10: ErrorDocument 404 /missing.html\n", notes)
        self.assertIn("1 line not needed here (--all names them)", notes)
        self.assertNotIn("SSLProxyEngine", notes)
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(0, main(["check", self.write(ini)]))
        self.assertEqual("configuration ok\n", out.getvalue())

    def test_name_of_the_file(self):
        """A file's name adds no line to the ini."""
        path = Path(self.mktemp() + "\n[s3shield]")
        path.parent.mkdir(exist_ok=True)
        path.write_text(APACHE)
        _, ini, _ = self.call(str(path))
        self.assertEqual(0, ini.count("\n[s3shield]"))

    def test_all(self):
        """--all names what is not needed too."""
        _, _, notes = self.call("--all", self.write(APACHE))
        self.assertIn("SSLProxyEngine on\n    it is so here", notes)

    def test_defined(self):
        """-D says what Apache is started with, as often as it has to."""
        path = self.write("<IfDefine X>\nProxyPass / http://${H}/\n</IfDefine>\n")
        self.assertEqual(1, self.call(path)[0])
        status, ini, _ = self.call("-D", "X", "-D", "H=h.example:81", path)
        self.assertEqual(0, status)
        self.assertIn("origin = http://h.example:81\n", ini)

    def test_output(self):
        """-o writes a file for its owner's eyes, and never over another."""
        path, target = self.write(APACHE), self.mktemp()
        status, ini, _ = self.call("-o", target, path)
        self.assertEqual((0, ""), (status, ini))
        self.assertEqual(0o600, stat.S_IMODE(Path(target).stat().st_mode))
        self.assertIn(SECRET, Path(target).read_text())
        Path(target).write_text("mine")
        status, _, why = self.call("-o", target, path)
        self.assertEqual(1, status)
        self.assertEqual(f"s3shield import: {target}: File exists\n", why)
        self.assertEqual("mine", Path(target).read_text())

    def test_mistakes(self):
        """A file that is absent, is neither's, or is broken: one line, status 1."""
        for text, why in (
            (None, "it cannot be read: No such file or directory"),
            ("hello\n", "it looks like neither nginx's nor Apache's: give --from"),
            ("", "it looks like neither nginx's nor Apache's: give --from"),
            ("<Proxy x>\n</Location>\n", ":2: </Location> closes nothing that is open here"),
        ):
            path = "absent.conf" if text is None else self.write(text)
            status, ini, told = self.call(path)
            self.assertEqual((1, ""), (status, ini))
            self.assertTrue(told.startswith(f"s3shield import: {path}"), told)
            self.assertIn(why, told)
            self.assertEqual(1, told.count("\n"))

    def test_without_crossplane(self):
        """Without the library nginx's cannot be read, and it is said what to install."""
        path = self.write("server { location / { proxy_pass http://a; } }\n")
        for name in ("crossplane.lexer", "crossplane.errors"):
            self.patch_module(name, None)
        status, _, told = self.call("--from", "nginx", path)
        self.assertEqual(1, status)
        self.assertIn("pip install 's3shield[import]'", told)

    def patch_module(self, name, module):
        """Put something in the place of a module, for the test alone."""
        missing = name not in sys.modules
        before = sys.modules.get(name)
        sys.modules[name] = module

        def restore():
            if missing:
                del sys.modules[name]
            else:
                sys.modules[name] = before

        self.addCleanup(restore)
