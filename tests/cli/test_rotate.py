"""`s3shield rotate` and `signing-key --append`: key files supplied ahead, whatever is there."""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
import threading
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.cli import keys_ahead, rotate, signing_key
from s3shield.cli.command import Console
from s3shield.signing import Scope, derive_signing_key, parse_key_file
from tests.ops.test_key_watch import text
from tests.signing.test_key_ring import DAY, START, key

ROOT = Path(__file__).resolve().parents[2]
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


class Case(SynchronousTestCase):
    """A folder with a key file to be."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.file = self.folder / "media.key"

    def call(self, *words, stdin=SECRET, environ=None, now=START + 10 * 3600.0):
        """Run the command; (status, stdout, stderr). No secret and no key is in either."""
        parser = argparse.ArgumentParser()
        subparsers = parser.add_subparsers()
        rotate.add_parser(subparsers)
        signing_key.add_parser(subparsers)
        args = parser.parse_args([str(word) for word in words])
        out, err = io.StringIO(), io.StringIO()
        status = args.run(args, Console(io.StringIO(stdin), out, err, environ or {}, now))
        said = out.getvalue() + err.getvalue()
        self.assertNotIn(SECRET, said)
        if self.file.is_file() and words[0] == "rotate":
            for line in self.file.read_text("latin-1").splitlines():
                self.assertTrue("aws4_request" in line or line not in said or len(line) < 40)
        return status, out.getvalue(), err.getvalue()

    def rotate(self, *words, **more):
        """`rotate` for region r, the secret piped in."""
        return self.call("rotate", "-k", "-", "-r", "r", *words, self.file, **more)

    def dates(self):
        """The days of the keys in the file; each is what the secret gives for its scope."""
        found = parse_key_file(self.file.read_text())
        for signing, scope in found:
            self.assertEqual(signing, derive_signing_key(SECRET, scope))
        return [scope.date for _, scope in found]

    def untouched(self, *words, **more):
        """Call; see that the file is the same to its inode; return what `call` does."""

        def marks():
            found = self.file.stat()
            return found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode

        before = marks()
        result = self.call(*words, **more)
        self.assertEqual(marks(), before)
        self.assertEqual(os.listdir(self.folder), ["media.key"])
        return result


class Rotate(Case):
    """The command."""

    def test_made(self):
        """A new file: a key for each of seven days from today on, mode 0600, nothing beside it."""
        status, out, err = self.rotate()
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(
            out,
            f"{self.file}: keys of 20261124 to 20261130 for r/s3: 7 made; "
            "good until 2026-12-07T00:00:00Z\n",
        )
        self.assertEqual(self.dates(), [f"202611{day}" for day in range(24, 31)])
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.assertEqual(os.listdir(self.folder), ["media.key"])

    def test_again(self):
        """Once more the same day changes nothing; the next day adds one."""
        self.rotate()
        status, out, _ = self.untouched("rotate", "-k", "-", self.file)
        self.assertEqual(status, 0)
        self.assertIn("there already, nothing to do; good until 2026-12-07T00:00:00Z", out)
        _, out, _ = self.rotate(now=START + DAY)
        self.assertIn("1 made, 1 others kept; good until 2026-12-08", out)
        self.assertEqual(self.dates(), [f"202611{day}" for day in range(24, 31)] + ["20261201"])

    def test_dropped(self):
        """Keys that are over go, of any region; those that are good stay, and all comments."""
        self.file.write_text(
            "# media\n" + text([key(-7), key(-6), key(-7, "q"), key(2, "q")]) + "\n  # the end\n"
        )
        self.file.chmod(0o600)
        _, out, _ = self.rotate("--days", "1")
        self.assertIn("1 made, 2 others kept, 2 dropped that were over; good until 2026-12-01", out)
        lines = self.file.read_text().splitlines()
        self.assertEqual(lines[:2], ["# media", "# the end"])
        scopes = [str(scope)[:10] for _, scope in parse_key_file(self.file.read_text())]
        self.assertEqual(scopes, ["20261118/r", "20261124/r", "20261126/q"])

    def test_another_secret(self):
        """Keys that another secret made for the days wanted are replaced."""
        self.rotate(stdin="old")
        _, out, _ = self.rotate()
        self.assertIn("7 replaced that another secret made; good", out)
        self.assertEqual(len(self.dates()), 7)

    def test_open_file(self):
        """A file that others can read is closed to them, also when nothing else changes."""
        self.rotate()
        self.file.chmod(0o644)
        _, out, _ = self.rotate()
        self.assertIn("closed to others", out)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    def test_empty(self):
        """A file that was made empty for its owner's sake is filled."""
        self.file.write_text("\n# for rotate\n")
        self.assertEqual(self.rotate()[0], 0)
        self.assertEqual(len(self.dates()), 7)

    def test_link(self):
        """What a symbolic link names is replaced; the link stays."""
        (self.folder / "real").mkdir()
        real = self.folder / "real" / "m"
        self.file.symlink_to(real)
        self.assertEqual(self.rotate()[0], 0)
        self.assertTrue(self.file.is_symlink())
        self.assertEqual((len(self.dates()), real.stat().st_mode & 0o777), (7, 0o600))

    def test_secret_from(self):
        """A file's first line, the environment, standard input; quiet says nothing."""
        source = self.folder / "secret"
        source.write_text(f"{SECRET}\r\nmore\n")
        for words, more in (
            (["--from-file", source], {"stdin": ""}),
            ([], {"environ": {"AWS_SECRET_ACCESS_KEY": SECRET}}),
            (["-k", "-"], {}),
            (["-k", SECRET], {}),
        ):
            got = self.call("rotate", *words, "-q", "-r", "r", self.file, **more)
            self.assertEqual(got, (0, "", ""))
            self.assertEqual(len(self.dates()), 7)
            self.file.unlink()

    def test_region(self):
        """The option's, the file's, then the environment's; several in the file: say which."""
        self.call("rotate", "-k", "-", self.file, environ={"AWS_REGION": "e"})
        self.assertIn("/e/", self.file.read_text())
        _, out, _ = self.untouched("rotate", "-k", "-", self.file, environ={"AWS_REGION": "f"})
        self.assertIn(" e/s3:", out)
        self.rotate()
        status, _, err = self.untouched("rotate", "-k", "-", self.file)
        self.assertEqual(
            (status, err),
            (2, f"s3shield rotate: {self.file} has keys for e and r: say which with -r\n"),
        )

    def test_owner(self):
        """The new file belongs to the old one's owner; where that cannot be, nothing is done."""
        self.file.write_text(text([key(0)]))
        self.file.chmod(0o600)
        given: list[tuple[int, int]] = []
        self.patch(keys_ahead, "_owner", lambda _file: (12345, 54321))
        self.patch(os, "fchown", lambda _fd, uid, gid: given.append((uid, gid)))
        self.assertEqual(self.rotate()[0], 0)
        self.assertEqual(given, [(12345, 54321)])

        def refuse(*_words):
            raise PermissionError(1, "Operation not permitted")

        self.patch(os, "fchown", refuse)
        status, _, err = self.untouched("rotate", "-k", "-", "-n", "9", self.file)
        self.assertEqual(status, 1)
        self.assertIn("belongs to the user 12345: run this as that user, or as root", err)

    def test_at_once(self):
        """Of several that run at the same time none loses what another has added."""
        regions = [f"r{number}" for number in range(8)]
        threads = [
            threading.Thread(target=self.call, args=("rotate", "-k", "-", "-r", region, self.file))
            for region in regions
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = {scope.region for _, scope in parse_key_file(self.file.read_text())}
        self.assertEqual(found, set(regions))

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 10)), min_size=1, max_size=6))
    def test_always_supplied(self, runs):
        """However rarely it runs: afterwards each day wanted has its key, and none is over."""
        self.file.unlink(missing_ok=True)
        now = START
        for pause, days in runs:
            now += pause * DAY
            self.rotate("-n", days, now=now + 5)
            found = parse_key_file(self.file.read_text())
            begins = [scope.begins for _, scope in found]
            self.assertEqual(begins, sorted(set(begins)))
            self.assertTrue({now + number * DAY for number in range(days)} <= set(begins))
            self.assertGreater(begins[0] + 7 * DAY, now)


class Refusals(Case):
    """One sentence on standard error, a status for cron, the file as it was."""

    def test_refused(self):
        """1 for what cannot be, 2 for wrong usage."""
        good = text([key(0)])
        for words, content, options, expected, says in (
            (
                ["-k", "-", "-r", "r"],
                good[:50],
                {},
                1,
                "no key file, or a broken one (then remove it, and it is made anew): line 2",
            ),
            (["-k", "-", "-r", "r"], "[s3shield]\n", {}, 1, "it is made anew): line 1"),
            (["-k", "-", "-r", "r", "-n", "0"], good, {}, 1, "from 1 to 400, not 0"),
            (["-k", "-", "-r", "r", "-n", "401"], good, {}, 1, "from 1 to 400"),
            (["-k", "-", "-r", "r/x"], good, {}, 1, "region"),
            (["-k", "-", "-r", "r"], good, {"stdin": ""}, 1, "the secret key is empty"),
            (["-r", "r"], good, {}, 2, "no secret key"),
            (["-k", "-", "--from-file", "x"], good, {}, 2, "not both"),
            (["--from-file", "/nowhere"], good, {}, 1, "cannot read /nowhere: No such file"),
            (["-k", "-"], "# none\n", {}, 2, "no region"),
        ):
            with self.subTest(says=says):
                self.file.write_text(content)
                self.file.chmod(0o600)
                status, out, err = self.untouched("rotate", *words, self.file, **options)
                self.assertEqual((status, out, err.count("\n")), (expected, "", 1))
                self.assertIn(says, err)
                self.assertTrue(err.startswith("s3shield rotate: "))

    def test_nowhere(self):
        """A directory that is not there, and one in the file's place."""
        status, _, err = self.call("rotate", "-k", "-", "-r", "r", self.folder / "no" / "k")
        self.assertEqual(status, 1)
        self.assertIn("No such file or directory", err)
        status, _, err = self.call("rotate", "-k", "-", "-r", "r", self.folder)
        self.assertEqual(status, 1)
        self.assertIn("cannot read", err)

    def test_disk_full(self):
        """A write that fails leaves the old file and nothing else."""
        self.rotate()

        def full(_fd):
            raise OSError(28, "No space left on device")

        self.patch(os, "fsync", full)
        status, _, err = self.untouched("rotate", "-k", "-", "-n", "9", self.file)
        self.assertEqual((status, "No space left on device" in err), (1, True))


class Append(Case):
    """`signing-key --append`."""

    def append(self, *words, **more):
        """Append for region r."""
        return self.call("signing-key", "-k", "-", "-r", "r", "--append", self.file, *words, **more)

    def test_days(self):
        """Today's alone; then days from a date on; what is there stays, once."""
        self.assertEqual(self.append()[0], 0)
        self.assertEqual(self.dates(), ["20261124"])
        status, out, err = self.append("--date", "20261126", "--days", "3")
        self.assertEqual((status, err), (0, ""))
        self.assertIn(
            "20261126 to 20261128 for r/s3: 3 made, 1 others kept; good until 2026-12-05", out
        )
        self.assertEqual(self.dates(), ["20261124", "20261126", "20261127", "20261128"])
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.assertIn("nothing to do", self.append("--days", "1")[1])

    def test_same_as_printed(self):
        """What is put there is what is printed without the option, byte for byte."""
        self.append()
        _, printed, _ = self.call("signing-key", "-k", "-", "-r", "r")
        self.assertEqual(self.file.read_text(), printed)

    def test_another_service(self):
        """The key of another service stands beside."""
        self.append()
        self.append("-s", "es")
        self.assertEqual(
            [scope for _, scope in parse_key_file(self.file.read_text())],
            [Scope("20261124", "r", "es"), Scope("20261124", "r", "s3")],
        )

    def test_refused(self):
        """Days without a file, a key that is over, the end of the calendar."""
        for words, status, says in (
            (["-k", "-", "-r", "r", "--days", "2"], 2, "--days goes with --append"),
            (["-k", "-", "-r", "r", "--append", self.file, "--no-base64"], 2, "base64"),
            (["-k", "-", "-r", "r", "--append", self.file, "-d", "20261117"], 1, "is over"),
            (
                ["-k", "-", "-r", "r", "--append", self.file, "-d", "99991231", "--days", "2"],
                1,
                "the calendar ends",
            ),
        ):
            got = self.call("signing-key", *words)
            self.assertEqual((got[0], got[1]), (status, ""))
            self.assertIn(says, got[2])
            self.assertFalse(self.file.exists())


class Documents(Case):
    """What is shown to operators runs as it is shown."""

    def there(self, words):
        """`words` with our folder for theirs."""
        return [word.replace("/etc/s3shield", str(self.folder)) for word in words]

    def test_page(self):
        """Every command of the page on keys, the crontab's too, does what it says there."""
        (self.folder / "media.secret").write_text(SECRET)
        page = (ROOT / "docs" / "keys.rst").read_text()
        lines = re.findall(r"(?m)^    (?:0 3 \* \* \*  )?s3shield (.*)$", page)
        self.assertEqual(len(lines), 4)
        for line in lines:
            words = self.there(shlex.split(line))
            words = [str(self.file) if word == "media.key" else word for word in words]
            status, out, err = self.call(*words)
            self.assertEqual((status, err), (0, ""), line)
            if words[:2] == ["rotate", "--from-file"]:
                self.assertIn(
                    out.replace(str(self.folder), "/etc/s3shield"), page.replace("    ", "")
                )
        dates = self.dates()
        self.assertEqual((len(dates), dates[0], dates[-1]), (7 + 7 + 10, "20261124", "20270102"))

    def test_unit(self):
        """The service's command makes the keys, and the timer is for it."""
        (self.folder / "media").write_text(SECRET + "\n")
        self.file.touch()
        unit = (ROOT / "etc" / "s3shield-rotate.service").read_text()
        (command,) = re.findall(r"(?m)^ExecStart=/usr/bin/env s3shield (.*)$", unit)
        words = self.there(command.replace("${CREDENTIALS_DIRECTORY}", str(self.folder)).split())
        self.assertEqual(self.call(*words)[0], 0)
        self.assertEqual(len(self.dates()), 7)
        for option in ("LoadCredential=media:", "Type=oneshot", "ProtectSystem=strict"):
            self.assertIn(f"\n{option}", unit)
        timer = (ROOT / "etc" / "s3shield-rotate.timer").read_text()
        self.assertIn("\nOnCalendar=*-*-* ", timer)
        self.assertIn("\nWantedBy=timers.target", timer)
