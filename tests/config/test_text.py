"""The ini text: lines, comments, continuations, section names."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.config.errors import Complaints, ConfigErrors
from s3shield.config.text import escape, read_ini


def parse(text):
    """[(title, line, {option: [(line, text)]})], raising when something is wrong."""
    complaints = Complaints()
    sections = read_ini("x.ini", text, complaints)
    complaints.raise_if_any()
    return [
        (s.title, s.number, {o.name: [(x.number, x.text) for x in o.lines] for o in s.options})
        for s in sections
    ]


def only(text):
    """The one option's lines of a section around `text`."""
    ((_, _, options),) = parse("[a]\n" + text)
    return [line for _, line in options["o"]]


class Lines(SynchronousTestCase):
    def test_numbers(self):
        """Each option, and each line of its value, knows its own line."""
        text = "\n[s3shield]\n; hello\na = 1\n\n[cache:x]   ; it's\nb =\n    2\n; no\n\n    3\n"
        self.assertEqual(
            parse(text),
            [
                ("s3shield", 2, {"a": [(4, "1")]}),
                ("cache:x", 6, {"b": [(8, "2"), (11, "3")]}),
            ],
        )

    def test_comments(self):
        """A semicolon begins a comment only after white space; `#` only a whole line."""
        for text, value in (
            ("o = a ; b", ["a"]),
            ("o = a\t; b", ["a"]),
            ("o = a;b", ["a;b"]),
            ("o = max-age=1; x", ["max-age=1; x"]),
            ("o = a # b", ["a # b"]),
            ("o = a \\; b", ["a ; b"]),
            ("o = a \\\\; b", ["a \\; b"]),
            ("o = ; b", []),
            ("o =", []),
            ("o = a=b", ["a=b"]),
            ("o=\n  x ; y\n  ; z\n  # z\n  w;v", ["x", "w;v"]),
        ):
            self.assertEqual(only(text), value, text)

    def test_indented_options(self):
        """Options that are all indented alike do not run together."""
        ((_, _, options),) = parse("[a]\n  b = 1\n  c = 2\n    3\n  d = 4\n")
        self.assertEqual(options, {"b": [(2, "1")], "c": [(3, "2"), (4, "3")], "d": [(5, "4")]})

    def test_line_ends(self):
        """CRLF and a byte order mark are nothing special."""
        self.assertEqual(parse("\ufeff[a]\r\nb = 1\r\n"), [("a", 1, {"b": [(2, "1")]})])

    def test_section_names(self):
        """A location's regex may have brackets and colons: the last ] ends the section."""
        for header, title in (
            ("[location:/]", "location:/"),
            ("[location:= /a]", "location:= /a"),
            (r"[location:~ ^/[a-z]:[0-9]+\.(mp4|ts)$]", r"location:~ ^/[a-z]:[0-9]+\.(mp4|ts)$"),
            ("[location:~ [;x]] ; more]", "location:~ [;x]"),
            ("[ cache : x ]", "cache:x"),
        ):
            self.assertEqual([s[0] for s in parse(header)], [title])

    def test_nonsense(self):
        """What is neither section nor option is told with its line, and never quoted."""
        for text, line, message in (
            ("a = 1", 1, "an option before the first section"),
            ("[a]\nhello", 2, "neither a section nor an option"),
            ("[a\nb = 1", 1, "ends with ]"),
            ("[a] b", 1, "nothing but a comment"),
            ("[a]\nwJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 2, "neither"),
            ("[a]\n6mFP2/KVedDIlEWvn3tDft9KTf6f03OlIG68KIeST9o=", 2, "cannot be the name"),
            ("[a]\nabcdefghijABCDEFGHIJabcdefghijABCDEFGHIJabc=", 2, "cannot be the name"),
            ("[a]\n= 4", 2, "neither"),
        ):
            with self.assertRaises(ConfigErrors) as caught:
                parse(text)
            (error,) = caught.exception.errors
            self.assertEqual(error.line, line)
            self.assertIn(message, str(error))
            for secret in ("wJalr", "6mFP2", "abcdef", "hello"):
                self.assertNotIn(secret, str(error))

    @settings(deadline=None, max_examples=200)
    @given(st.text(alphabet=" \\;ab\t=#", min_size=1).map(str.strip).filter(bool))
    def test_escape(self, value):
        """Whatever is written with `escape` is read again as it was."""
        self.assertEqual(only(f"o = {escape(value)}"), [value])

    @settings(deadline=None, max_examples=200)
    @given(st.text())
    def test_any_text(self, text):
        """No text whatever is anything but sections or complaints."""
        read_ini("x.ini", text, Complaints())
