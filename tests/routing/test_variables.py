"""Texts with variables."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import Request
from s3shield.routing import Template, any_true

ASKED = Request(
    b"GET",
    b"/a%20b?X=1&y=&z=a%26b",
    {b"x-own": b"yes", b"cookie": b"a=1; b=2", b"host": b"h:80"},
    host=b"h",
    peer=b"192.0.2.1",
)


class TemplateTests(SynchronousTestCase):
    def test_values(self) -> None:
        """Each variable has nginx's meaning; what is missing is empty."""
        cases = {
            "$uri": b"/a b",
            "$request_uri": b"/a%20b?X=1&y=&z=a%26b",
            "$args": b"X=1&y=&z=a%26b",
            "$query_string$is_args": b"X=1&y=&z=a%26b?",
            "$host": b"h",
            "$request_method": b"GET",
            "$remote_addr $scheme": b"192.0.2.1 http",
            "$http_x_own": b"yes",
            "$http_missing": b"",
            "$arg_x": b"1",
            "$arg_z": b"a%26b",
            "$arg_missing": b"",
            "$cookie_b": b"2",
            "$cookie_c": b"",
            "${host}name-$host": b"hname-h",
            "plain": b"plain",
            "": b"",
        }
        for text, value in cases.items():
            self.assertEqual(value, Template.parse(text).value(ASKED), text)
            self.assertEqual(text, str(Template.parse(text)))

    def test_mistakes(self) -> None:
        """An unknown variable is named."""
        for text in ("$nothing", "$http_", "a$", "${}", "$ x"):
            with self.assertRaises(ValueError):
                Template.parse(text)

    def test_by_target(self) -> None:
        """Only what host and target decide may be remembered by them."""
        for text in ("$uri$args", "$host$request_uri", "$arg_a", "text"):
            self.assertTrue(Template.parse(text).by_target, text)
        for text in ("$http_a", "$cookie_a", "$request_method", "$remote_addr", "$uri$scheme"):
            self.assertFalse(Template.parse(text).by_target, text)

    def test_conditions(self) -> None:
        """One that is neither empty nor 0 is enough."""

        def true(*texts: str) -> bool:
            return any_true([Template.parse(text) for text in texts], ASKED)

        self.assertTrue(true("$arg_y", "$http_x_own"))
        self.assertTrue(true("$arg_x$arg_y"))
        self.assertFalse(true("$arg_y", "0", "$http_missing"))
        self.assertFalse(true())
