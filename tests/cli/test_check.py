"""`s3shield check`, `explain`, and the command around them, as a person runs them."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from s3shield import __version__
from s3shield.cli import main
from tests.wire.certificates import Authority

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEXAMPLETOKEN"
INI = f"""\
[s3shield]
listen = 127.0.0.1:8080
[cache:main]
path = /var/cache/s3shield
[bucket:media]
aws_s3_bucket = my-bucket
aws_region = eu-central-1
aws_access_key = AKIAIOSFODNN7EXAMPLE
aws_secret_key = {SECRET}
aws_session_token = {TOKEN}
[server:assets]
server_name = assets.test
[server:rest]
[location:/]
server = assets
bucket = media
query = allow versionId
rewrite = ^/downloads/(.*)$ /$1
proxy_cache = main
proxy_cache_valid = 404 1m
proxy_cache_valid = 200 60m
[location:/plain/]
origin = http://127.0.0.1:9000
"""


class CommandCase(SynchronousTestCase):
    def setUp(self):
        """A configuration that only its owner reads."""
        self.path = self.write(INI)

    def write(self, text, mode=0o600):
        """Write a file; return its path."""
        path = Path(self.mktemp())
        path.touch(mode=mode)
        path.write_text(text)
        return str(path)

    def call(self, *words):
        """Run the command; (status, stdout, stderr)."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main(words)
            except SystemExit as end:
                status = end.code
        for secret in (SECRET, TOKEN):
            self.assertNotIn(secret, out.getvalue() + err.getvalue())
        return status, out.getvalue(), err.getvalue()


class Check(CommandCase):
    def test_ok(self):
        """A configuration without a mistake."""
        self.assertEqual(self.call("check", self.path), (0, "configuration ok\n", ""))

    def test_log_format(self):
        """A variable that the access log does not know is a mistake like any other."""
        listen = "listen = 127.0.0.1:8080"
        path = self.write(INI.replace(listen, f"{listen}\naccess_log = stdout $remote_adr"))
        status, out, err = self.call("check", path)
        self.assertEqual((status, out), (1, ""))
        self.assertIn(f"{path}:3: [s3shield] access_log: ", err)
        self.assertIn("$remote_addr", err)

    def test_mistakes(self):
        """Every mistake on standard error, nothing on standard output, status 1."""
        path = self.write(
            INI.replace("proxy_cache =", "proxy_cash =").replace("listen =", "listn =")
        )
        status, out, err = self.call("check", path)
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(
            err.splitlines(),
            [
                f"{path}:2: [s3shield] listn: there is no such option (did you mean 'listen'?)",
                f"{path}:19: [location:/] proxy_cash: there is no such option (did you mean 'proxy_cache'?)",
            ],
        )

    def test_dump(self):
        """What is in force, secrets masked; with mistakes, the mistakes alone."""
        status, out, err = self.call("check", "--dump", self.path)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("aws_secret_key = ***\n", out)
        self.assertIn("proxy_cache_max_range_offset = off\n", out)
        self.assertEqual(self.call("check", "--dump", self.write("nonsense"))[:2], (1, ""))

    def test_stall_log(self):
        """The debugging option is taken and shown; left out, or as `off`, it is off."""
        listen = "listen = 127.0.0.1:8080"
        for line, shown in (("stall_log = 5ms", "5ms"), ("stall_log = off", "off"), ("", "off")):
            path = self.write(INI.replace(listen, f"{listen}\n{line}"))
            self.assertEqual(self.call("check", path), (0, "configuration ok\n", ""))
            self.assertIn(f"\nstall_log = {shown}\n", self.call("check", "--dump", path)[1])

    def test_certificate(self):
        """A certificate that cannot be used is a mistake, told with the place that names it."""
        pair = Authority().files(self.mktemp(), "a.test")
        listen = "listen = 127.0.0.1:8080"
        more = f"{listen} tls\ntls_certificate = {pair[0]}\ntls_certificate_key = /nowhere/key"
        path = self.write(INI.replace(listen, more))
        status, out, err = self.call("check", path)
        self.assertEqual((status, out), (1, ""))
        text = "/nowhere/key: it cannot be read: No such file or directory\n"
        self.assertEqual(err, f"{path}:3: tls_certificate: {text}")
        path = self.write(
            INI.replace(
                listen,
                f"{listen} tls\ntls_certificate = {pair[0]}\ntls_certificate_key = {pair[1]}",
            )
        )
        self.assertEqual(self.call("check", path), (0, "configuration ok\n", ""))

    def test_missing(self):
        """A file that is not there is one line and status 1."""
        status, out, err = self.call("check", "/nowhere/s3shield.ini")
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(
            err, "/nowhere/s3shield.ini: it cannot be read: No such file or directory\n"
        )

    def test_warning(self):
        """Secrets that others can read: said, but no mistake."""
        path = self.write(INI)
        os.chmod(path, 0o644)
        status, out, err = self.call("check", path)
        self.assertEqual((status, out), (0, "configuration ok\n"))
        self.assertEqual(err, f"warning: {path}: there is a secret in it and others can read it\n")


class Explain(CommandCase):
    def facts(self, *words):
        """The lines before the request, as a dict, and all of the output."""
        status, out, err = self.call("explain", *words)
        self.assertEqual((status, err), (0, ""))
        lines = out.partition("\n\n")[0].splitlines()
        return {line[:11].strip(): line[12:] for line in lines}, out

    def test_replica(self):
        """The replica of a request's bucket is named, with where it is."""
        copy = INI[INI.index("[bucket:media]") :].partition("[server:")[0]
        ini = INI.replace("[bucket:media]\n", "[bucket:media]\nreplica = copy\n")
        path = self.write(f"{ini}\n{copy.replace('bucket:media', 'bucket:copy')}\n")
        facts, _ = self.facts(path, "http://assets.test/a")
        self.assertRegex(facts["replica"], r"^copy: \S+ at \S+ \(.*:\d+\)$")

    def test_bucket(self):
        """Server, location, rewritten key, cache key, lifetime, and what is signed."""
        facts, out = self.facts(self.path, "http://assets.test/downloads/a%20b+c?versionId=1&x=2")
        self.assertEqual(facts["server"], f"assets ({self.path}:11)")
        self.assertEqual(facts["location"], f"/ ({self.path}:14)")
        self.assertEqual(facts["path"], "/downloads/a b+c")
        self.assertEqual(facts["rewritten"], "/a b+c")
        self.assertEqual(facts["parameter"], "versionId=1")
        self.assertEqual(facts["cache key"], "media|/a%20b%2Bc|versionId=1")
        self.assertIn("is kept for 3600 s", facts["a 200"])
        self.assertIn("  GET /a%20b%2Bc?versionId=1\n", out)
        self.assertIn("canonical request:\n  GET\n  /a%20b%2Bc\n  versionId=1\n", out)
        self.assertIn("string to sign:\n  AWS4-HMAC-SHA256\n", out)
        self.assertIn("x-amz-security-token: ***", out)
        self.assertIn("Signature=***", out)

    def test_source(self):
        """What a source gives is not asked for: an example's key stands in its place."""
        kept = [line for line in INI.splitlines() if "_key =" not in line and TOKEN not in line]
        text = "\n".join(kept).replace("[bucket:media]", "[bucket:media]\naws_credentials = imds")
        path = self.write(text)
        _, out = self.facts(path, "http://assets.test/a")
        self.assertIn("credentials from the instance metadata service; here with an example's", out)
        self.assertIn("Credential=AKIAIOSFODNN7EXAMPLE/", out)
        self.assertIn("x-amz-security-token: ***", out)
        self.assertEqual(self.call("check", path)[0], 0)
        self.assertIn("aws_credentials = imds\n", self.call("check", "--dump", path)[1])

    def test_method(self):
        """HEAD is signed as HEAD."""
        self.assertIn(
            "  HEAD /a\n", self.facts(self.path, "http://assets.test/a", "--method", "HEAD")[1]
        )

    def test_plain(self):
        """A plain origin is sent what was asked; another server; no cache."""
        facts, out = self.facts(self.path, "http://other.test/plain/a%20b?x=%41")
        self.assertEqual(facts["server"], f"rest ({self.path}:13)")
        self.assertEqual(facts["origin"], "http://127.0.0.1:9000")
        self.assertTrue(facts["cache"].startswith("off"))
        self.assertIn("unsigned:\n  GET /plain/a%20b?x=%41\n  Host: 127.0.0.1:9000\n", out)

    def test_refused(self):
        """What would be refused is said, with its status."""
        for url, wanted in (
            ("http://assets.test/%zz", "answered 400: bad percent-escape"),
            ("http://assets.test/../x", "answered 400: the path climbs above the root"),
            ("http://other.test/x", "answered 404: no location takes it"),
            ("nonsense", "answered 400: the target is neither"),
        ):
            status, out, err = self.call("explain", self.path, url)
            self.assertEqual((status, out), (1, ""))
            self.assertIn(wanted, err)

    def test_mistakes(self):
        """A configuration with mistakes explains nothing."""
        status, out, err = self.call("explain", self.write("[x]\n"), "/")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("there is no such section", err)

    def test_lifetimes(self):
        """The rule for a 200, in each of its forms."""
        for lines, wanted in (
            (
                "proxy_cache_valid = any 5s\nproxy_cache_valid_force = on",
                "is kept for 5 s, whatever the origin says (proxy_cache_valid = any 5s",
            ),
            ("proxy_cache_valid = 200 0", "is not stored, unless"),
            ("", "then guessed from Last-Modified (no proxy_cache_valid line names it)"),
            ("proxy_cache_heuristic = off", "else not stored"),
        ):
            text = (
                f"[cache:c]\npath = /c\n[location:/]\norigin = http://h\nproxy_cache = c\n{lines}\n"
            )
            self.assertIn(wanted, self.facts(self.write(text), "/")[0]["a 200"])

    def test_terminal(self):
        """Control characters in a key do not reach the terminal."""
        self.assertNotIn("\x1b", self.call("explain", self.path, "http://assets.test/%1B%5B31m")[1])


class Command(CommandCase):
    def test_version(self):
        """The version alone."""
        self.assertEqual(self.call("--version"), (0, f"s3shield {__version__}\n", ""))

    def test_help(self):
        """Each command is in the help, and each has help with an example of its own."""
        status, out, _ = self.call("--help")
        self.assertEqual(status, 0)
        for command in ("check", "explain", "presign", "signing-key"):
            self.assertIn(f"\n    {command}", out)
            status, of_command, _ = self.call(command, "--help")
            self.assertEqual(status, 0)
            self.assertIn(f"  s3shield {command} ", of_command)

    def test_nothing(self):
        """Without a command, the help, on standard error, and status 2."""
        status, out, err = self.call()
        self.assertEqual((status, out), (2, ""))
        self.assertIn("examples:", err)

    def test_unknown(self):
        """A command that does not exist: the nearest, or all."""
        self.assertEqual(
            self.call("chekc", "x.ini"),
            (2, "", "s3shield: there is no command 'chekc' (did you mean 'check'?)\n"),
        )
        self.assertIn("it is cache, check, doctor, explain", self.call("zzz")[2])
        self.assertEqual(self.call("--verbose")[0], 2)
