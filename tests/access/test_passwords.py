"""`access.passwords`: what clients send, what files hold, and whether they agree."""

from __future__ import annotations

import base64
from typing import Final
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import Credential, Refused, challenge, credential_of, parse_users, passwords
from s3shield.policy import Request

# Made by htpasswd's and OpenSSL's own hands, of "correct horse".
FILE: Final = rb"""# users
bcrypt:$2y$04$AwmumNJPwWhNxHe2ScCBDODn1iT0zjTv/362qx3YAmXTIKdM2OuOe
apr1:$apr1$abcdefgh$sIQmFnT1CuEXAsyjuXjUX/
sha256:$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/:a comment

sha512:$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0
sha:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=
ssha:{SSHA}LhKrkM9Fy+zlstjdD7Kv2s6QvhBzYWx0
"""
SECRET: Final = b"s" * 32


def request(value: bytes | None) -> Request:
    """A request with this Authorization."""
    return Request(headers={} if value is None else {b"authorization": value})


def basic(text: bytes) -> bytes:
    """Return the field's value."""
    return b"Basic " + base64.b64encode(text)


class HashTests(SynchronousTestCase):
    """The kinds of hashes."""

    def test_kinds(self) -> None:
        """Each kind admits its password, and no other."""
        users, wrong = parse_users(FILE)
        self.assertEqual([], wrong)
        self.assertEqual(6, len(users.hashes))
        for name in users.hashes:
            for password, right in (
                (b"correct horse", True),
                (b"correct horse ", False),
                (b"", False),
                (b"\xff\xfe", False),
                (users.hashes[name], False),
            ):
                found = users.admits(Credential(name, password), SECRET)
                self.assertEqual(right, found, (name, password))

    def test_crlf(self) -> None:
        """A file that was written on Windows is read as any other."""
        users, wrong = parse_users(FILE.replace(b"\n", b"\r\n"))
        self.assertEqual([], wrong)
        self.assertTrue(users.admits(Credential(b"sha", b"correct horse"), SECRET))

    def test_wrong_lines(self) -> None:
        """A line that nobody comes in by is told, without what is in it."""
        text = (
            b"no colon\nplain:secret\nbraces:{PLAIN}secret\ndes:rl0uE2sWbWTNk\n:{SHA}x\n"
            b"cut:$2y$04$Aw\nsha:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\nsha:$apr1$abcdefgh$"
            b"sIQmFnT1CuEXAsyjuXjUX/\n"
        )
        users, wrong = parse_users(text)
        self.assertEqual([b"sha"], list(users.hashes))
        self.assertEqual([1, 2, 3, 4, 5, 6, 8], [int(x.split(":")[0][5:]) for x in wrong])
        self.assertNotIn("secret", " ".join(wrong))
        self.assertTrue(users.admits(Credential(b"sha", b"correct horse"), SECRET))

    def test_spoilt_hashes(self) -> None:
        """A hash that is cut or spoilt admits nobody, and raises nothing."""
        for line in FILE.splitlines():
            if b":" not in line:
                continue
            name, _, rest = line.partition(b":")
            stored = rest.partition(b":")[0]
            for spoilt in (
                stored[:-1],
                stored + b"x",
                stored[:-3] + b"\xff\xff",
                stored[:-5] + b"!",
            ):
                users, _ = parse_users(name + b":" + spoilt)
                found = users.admits(Credential(name, b"correct horse"), SECRET)
                self.assertFalse(found, (name, spoilt))

    def test_unknown_names_cost_the_same(self) -> None:
        """For a name that nobody has one hash is computed, always the same one of the file's."""
        users, _ = parse_users(FILE)
        asked: list[bytes] = []

        def agree(_: bytes, stored: bytes) -> bool:
            asked.append(stored)
            return True  # whatever it says, nobody comes in

        with mock.patch.object(passwords, "_agree", agree):
            for name in (b"nobody", b"nobody", b"other", b"third", b"fourth", b"", b"x" * 99):
                self.assertFalse(users.admits(Credential(name, b"p"), SECRET))
        self.assertEqual(7, len(asked))
        self.assertEqual(asked[0], asked[1])
        self.assertGreater(len(set(asked)), 1)

    def test_nobody(self) -> None:
        """An empty file admits nobody."""
        users, wrong = parse_users(b"")
        self.assertFalse(users.admits(Credential(b"", b""), SECRET))
        self.assertEqual([], wrong)

    def test_shows_nothing(self) -> None:
        """Neither names, passwords nor hashes are in what a log could print."""
        users, _ = parse_users(FILE)
        shown = repr(users) + repr(Credential(b"bcrypt", b"hunter2"))
        for text in ("bcrypt", "hunter2", "SHA", "$"):
            self.assertNotIn(text, shown)


class CredentialTests(SynchronousTestCase):
    """What clients send."""

    def test_table(self) -> None:
        """RFC 7617; what makes no sense is no credential."""
        for value, wanted in (
            (basic(b"a:b"), Credential(b"a", b"b")),
            (basic(b"a:b").replace(b"Basic", b"bASIC"), Credential(b"a", b"b")),
            (basic(b"a:b").replace(b" ", b"   "), Credential(b"a", b"b")),
            (basic(b"a:b:c"), Credential(b"a", b"b:c")),
            (basic(b"a:"), Credential(b"a", b"")),
            (basic(b":b"), Credential(b"", b"b")),
            (basic(b"\xc3\xa4:\xff"), Credential(b"\xc3\xa4", b"\xff")),
            (basic(b"ab"), None),
            (basic(b""), None),
            (basic(b"a:b\0c"), None),
            (basic(b"a" * 1025 + b":"), None),
            (basic(b":" + b"a" * 1025), None),
            (basic(b"a:b") + b", " + basic(b"c:d"), None),
            (basic(b"a:b") + b"!", None),
            (b"Basic", None),
            (b"Basic a:b", None),
            (b"Bearer " + basic(b"a:b")[6:], None),
            (b"", None),
            (None, None),
        ):
            self.assertEqual(wanted, credential_of(request(value)), value)

    @given(st.binary(max_size=40))
    @settings(deadline=None, max_examples=100)
    def test_anything(self, value: bytes) -> None:
        """Whatever is sent, it is read or it is not; nothing is raised."""
        credential_of(request(b"Basic " + value))
        found = credential_of(request(basic(value)))
        self.assertEqual(b":" in value and b"\0" not in value, found is not None)

    def test_challenge(self) -> None:
        """The realm is a quoted string."""
        for realm, wanted in (
            ("members", b'"members"'),
            ('say "hi"\\', b'"say \\"hi\\"\\\\"'),
            ("caf\xe9", b'"caf\xc3\xa9"'),
        ):
            value = b"Basic realm=" + wanted + b', charset="UTF-8"'
            self.assertEqual(Refused(401, ((b"WWW-Authenticate", value),)), challenge(realm))
