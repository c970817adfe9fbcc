"""`s3shield logs`: filters, the last lines, rotation."""

from __future__ import annotations

import io
import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from s3shield.cli.following import LOOKS, Following
from s3shield.cli.log_lines import Wanted, fields_of, line_reader, statuses

from .running import called

COMBINED = '10.0.0.1 - - [24/Nov/2026:17:00:00 +0000] "GET /a HTTP/1.1" 503 12 "-" "a \\x22b\\x22"'
OWN = "$remote_addr $status ${request_time}s [$upstream_cache_status] $location"


def everything(_line: str) -> bool:
    """Take it."""
    return True


class LineTests(SynchronousTestCase):
    """What a line says."""

    def test_formats(self) -> None:
        """Each format is read back by nginx's names; a line that is none is None."""
        combined = line_reader("combined")(COMBINED)
        self.assertEqual(("503", "GET /a HTTP/1.1"), (combined["status"], combined["request"]))
        own = line_reader(OWN)("unix: 200 0.250s [MISS] /a b/")
        self.assertEqual("0.250", own["request_time"])
        self.assertEqual("/a b/", own["location"])
        found = line_reader("json")('{"status":200,"cache_reason":null}')
        self.assertEqual({"status": "200", "cache_reason": "-"}, found)
        for form in ("combined", OWN, "json"):
            self.assertIsNone(line_reader(form)("[1]"), form)
        self.assertIsNone(fields_of("json"))
        self.assertIn("status", fields_of("combined"))

    def test_filters(self) -> None:
        """Each filter takes what it says, and nothing else; all must."""
        fields = {
            "status": "503",
            "location": "/",
            "request_time": "1.000000",
            "upstream_cache_status": "MISS",
        }
        for wanted, taken in (
            (Wanted(), True),
            (Wanted(status=statuses("5xx")), True),
            (Wanted(status=statuses("404, 500-503")), True),
            (Wanted(status=statuses("404")), False),
            (Wanted(location="/"), True),
            (Wanted(location="/a"), False),
            (Wanted(slow=1.0), True),
            (Wanted(slow=1.5), False),
            (Wanted(cache=frozenset({"HIT", "MISS"})), True),
            (Wanted(cache=frozenset({"HIT"})), False),
            (Wanted(status=statuses("5xx"), slow=2.0), False),
        ):
            self.assertEqual(taken, wanted.takes(fields), wanted)
        self.assertFalse(Wanted(slow=0.0).takes({"request_time": "-"}))
        self.assertRaises(ValueError, statuses, "6xx")


class FollowingTests(SynchronousTestCase):
    """The file."""

    def setUp(self) -> None:
        """Make one."""
        self.file = Path(self.mktemp())

    def follow(self) -> Following:
        """Open it."""
        following = Following(str(self.file))
        self.addCleanup(following.close)
        return following

    def add(self, text: str) -> None:
        """Write behind what there is."""
        with self.file.open("a") as file:
            file.write(text)

    def test_last(self) -> None:
        """The last lines that match, in order, however long the file; a begun line comes later."""
        lines = [f"{number:05} {'x' * 60}" for number in range(4000)]
        self.add("\n".join(lines) + "\nbeg")
        for count, wanted in ((3, lines[-3:]), (0, []), (9999, lines)):
            following = self.follow()
            self.assertEqual(wanted, following.last(count, everything))
            self.assertEqual([], following.more())
        found = self.follow().last(2, lambda line: line[4] == "7")
        self.assertEqual([lines[3987], lines[3997]], found)
        self.add("un\nnext\n")
        self.assertEqual(["begun", "next"], following.more())

    def test_rotation(self) -> None:
        """Neither a rename nor a file that is cut short loses a line."""
        self.add("a\n")
        following = self.follow()
        self.assertEqual(["a"], following.last(5, everything))
        self.add("b\n")
        self.file.rename(f"{self.file}.1")
        self.assertEqual(["b"], following.more())
        with Path(f"{self.file}.1").open("a") as file:
            file.write("late\n")
        self.add("c\n")
        self.assertEqual(["late", "c"], following.more())
        self.file.write_text("")
        following.more()
        self.add("e\n")
        self.assertEqual(["e"], following.more())

    def test_rotation_by_workers(self) -> None:
        """A worker that writes to the old file when another has made the new one loses nothing."""
        self.add("a\n")
        following = self.follow()
        following.last(0, everything)
        with self.file.open("a") as slow:
            self.file.rename(f"{self.file}.1")
            self.add("b\n")
            self.assertEqual(["b"], following.more())
            slow.write("c\nd")
            slow.flush()
            self.file.rename(f"{self.file}.2")
            self.add("e\n")
            self.assertEqual(["c", "e"], following.more())
            slow.write("d\ntorn")
        self.assertEqual(["dd"], following.more())
        later = [line for _ in range(LOOKS) for line in following.more()]
        self.assertEqual(["torn"], later)  # and by now the old ones are closed
        self.add("f\n")
        self.assertEqual(["f"], following.more())


class CommandTests(SynchronousTestCase):
    """The command, without a daemon."""

    def configured(self, access_log: str) -> str:
        """Return the path of a configuration with that option."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.log = folder / "access.log"
        file = folder / "s3shield.ini"
        file.write_text(
            f"[s3shield]\nlisten = 127.0.0.1:8080\n{access_log.format(log=self.log)}\n"
            "[location:/]\norigin = http://127.0.0.1:9\nproxy_cache = off\n"
        )
        return str(file)

    def test_filtered(self) -> None:
        """The last lines that match are printed as they stand in the file."""
        ini = self.configured("access_log = {log} json")
        lines = [json.dumps({"status": status}) for status in (200, 404, 500, 502, 503)]
        self.log.write_text("\n".join(lines) + "\n")
        words = ("logs", "-c", ini, "--no-follow", "-n", "2", "--status", "5xx")
        self.assertEqual((0, "\n".join(lines[3:]) + "\n", ""), called(*words))

    def test_refused(self) -> None:
        """Each thing that cannot be is one sentence with the way out."""
        for option, words, status, said in (
            ("access_log = off", (), 1, "name a file there"),
            ("access_log = syslog json", (), 1, "journalctl"),
            ("access_log = {log}", (), 1, "has the daemon been started?"),
            ("access_log = {log}", ("--slow", "1s"), 1, "has no $request_time, which --slow"),
            ("access_log = {log}", ("--slow", "soon"), 2, "a time looks like"),
            ("access_log = {log}", ("--status", "abc"), 2, "a status is like"),
            ("access_log = {log}", ("-n", "-1"), 2, "-n is"),
        ):
            ini = self.configured(option)
            found = called("logs", "-c", ini, "--no-follow", *words)
            self.assertEqual((status, ""), found[:2], (option, words))
            self.assertIn(said, found[2])
            self.assertEqual(1, found[2].count("\n"))

    def test_interrupted(self) -> None:
        """Ctrl-C ends it with what shells expect, and no traceback."""
        ini = self.configured("access_log = {log} json")
        self.log.write_text("")

        class Interrupted(io.StringIO):
            def flush(self) -> None:
                raise KeyboardInterrupt

        status, _, err = called("logs", "-c", ini, out=Interrupted())
        self.assertEqual((130, ""), (status, err))

    def test_help(self) -> None:
        """The help has examples and exit codes."""
        status, out, _ = called("logs", "--help")
        self.assertEqual(0, status)
        self.assertIn("s3shield logs -n 50 --status 5xx", out)
        self.assertIn("exit status:", out)
