"""The options of access: their order, their inheritance, what is wrong with them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import Config, dump
from s3shield.config.access import BasicConfig
from s3shield.config.dump import render

from .fixture import PLAIN, mistakes, read


def rules(config: Config, at: int = 0) -> str:
    """A location's lines, `+10.0.0.0/8 -all`."""
    found = config.locations[at].access.rules
    return " ".join(f"{'+' if rule.allow else '-'}{rule}" for rule in found)


class AddressTests(SynchronousTestCase):
    """`allow`, `deny`, `satisfy`."""

    def test_order(self) -> None:
        """The order of the lines is kept across both options, however they are written."""
        for text, wanted in (
            ("allow = 10.0.0.0/8\ndeny = all\n", "+10.0.0.0/8 -all"),
            ("deny = all\nallow = 10.0.0.0/8\n", "-all +10.0.0.0/8"),
            (
                "deny = 10.0.0.1\nallow = 10.0.0.0/8\ndeny = 10.0.0.0/7\nallow = all\n",
                "-10.0.0.1/32 +10.0.0.0/8 -10.0.0.0/7 +all",
            ),
            (
                "allow =\n    10.0.0.0/8\n    unix: ::1\ndeny = all\n",
                "+10.0.0.0/8 +unix: +::1/128 -all",
            ),
        ):
            config = read(PLAIN + text)
            self.assertEqual(wanted, rules(config))
            self.assertEqual(config, read(dump(config)))

    def test_inherited_whole(self) -> None:
        """A section with a line of its own, of either option, has none of those around it."""
        top = "[s3shield]\nallow = 10.0.0.0/8\ndeny = all\nsatisfy = any\n"
        config = read(
            f"{top}{PLAIN}[location:/own]\norigin = http://h\nallow = all\nsatisfy = all\n"
            "[location:/other]\norigin = http://h\ndeny = 10.0.0.1\n"
        )
        self.assertEqual("+10.0.0.0/8 -all", rules(config))
        self.assertEqual("+all", rules(config, 1))
        self.assertEqual("-10.0.0.1/32", rules(config, 2))
        self.assertEqual(["any", "all", "any"], [x.access.satisfy for x in config.locations])
        self.assertEqual(config, read(dump(config)))

    def test_warned(self) -> None:
        """Lines that allow and none that denies keep nobody out, which is hardly meant."""
        self.assertIn("allow without deny", read(f"{PLAIN}allow = 10.0.0.0/8\n").warnings[0])
        self.assertEqual((), read(f"{PLAIN}allow = 10.0.0.0/8\ndeny = all\n").warnings)

    def test_mistakes(self) -> None:
        """Each bad line is complained about, with what it may be."""
        for option, value, wanted in (
            ("allow", "10.0.0.1/8", "has host bits set"),
            ("deny", "example.com", "it is an address, a network, unix: or all"),
            ("allow", "10.0.0.256", "it is an address"),
            ("deny", "", "there is no value"),
            ("satisfy", "some", "'some'"),
        ):
            (found,) = mistakes(f"{PLAIN}{option} = {value}\n")
            self.assertIn(f"[location:/] {option}: ", found)
            self.assertIn(wanted, found)


class BasicTests(SynchronousTestCase):
    """`auth_basic`, `auth_basic_user_file`."""

    FILE = "auth_basic_user_file = users\n"

    def test_read(self) -> None:
        """A realm with a file; off, and nothing at all, ask nobody."""
        config = read(
            f'[s3shield]\nauth_basic = "members only"\n{self.FILE}{PLAIN}'
            "[location:/open]\norigin = http://h\nauth_basic = off\n"
            '[location:/other]\norigin = http://h\nauth_basic = say "hi"\n'
            "auth_basic_user_file = /etc/others\n"
        )
        basics = [location.access.basic for location in config.locations]
        self.assertEqual(
            [BasicConfig("members only", "users"), None, BasicConfig('say "hi"', "/etc/others")],
            basics,
        )
        self.assertEqual(config, read(dump(config)))
        self.assertIsNone(read(PLAIN).locations[0].access.basic)
        # A file alone is a default for those that ask.
        self.assertIsNone(read(PLAIN + self.FILE).locations[0].access.basic)

    def test_the_field_is_ours(self) -> None:
        """Authorization is withheld from the origin just where we ask for it."""
        config = read(f'{PLAIN}auth_basic = "x"\n{self.FILE}[location:/a]\norigin = http://h\n')
        schemes = [location.policy.consumed.schemes for location in config.locations]
        self.assertEqual([frozenset({b"basic"}), frozenset()], schemes)

    def test_mistakes(self) -> None:
        """A realm without a file would let everybody in, as with nginx: it is refused."""
        for text, wanted in (
            ('auth_basic = "x"\n', "it goes with auth_basic_user_file"),
            (f'auth_basic = "$host"\n{self.FILE}', "variables"),
            (f'auth_basic = ""\n{self.FILE}', "it is a text"),
            (f"auth_basic =\n{self.FILE}", "there is no value"),
        ):
            (found,) = mistakes(PLAIN + text)
            self.assertIn(f"[location:/] auth_basic: {wanted}", found)

    def test_library_missing(self) -> None:
        """Without the libraries it says how to get them."""
        (found,) = mistakes(f'{PLAIN}auth_basic = "x"\n{self.FILE}', installed=False)
        self.assertIn("pip install 's3shield[passwords]'", found)

    def test_open_to_others(self) -> None:
        """A file that others can read is warned about."""
        modes = {"users": 0o644}
        config = read(f'{PLAIN}auth_basic = "x"\n{self.FILE}', modes=modes)
        self.assertIn("others can read it", config.warnings[0])


class LinkTests(SynchronousTestCase):
    """`secure_link`, `secure_link_md5`, `signed_link_key`."""

    LINK = 'secure_link = $arg_md5,$arg_expires\nsecure_link_md5 = "$secure_link_expires$uri hunter2"\n'
    KEYS = "signed_link_key = first-of-two-keys\nsigned_link_key = second-of-two-keys\n"

    def test_read(self) -> None:
        """Words of nginx, and keys in order; an inner section can do without."""
        config = read(
            f"[s3shield]\n{self.LINK}{self.KEYS}{PLAIN}"
            "[location:/open]\norigin = http://h\nsecure_link = off\nsigned_link_key =\n"
        )
        gated, open_ = [location.access for location in config.locations]
        assert gated.link is not None
        self.assertEqual("$secure_link_expires$uri hunter2", gated.link.text)
        self.assertEqual((b"first-of-two-keys", b"second-of-two-keys"), gated.link_keys)
        self.assertEqual((None, ()), (open_.link, open_.link_keys))
        self.assertEqual(
            {b"md5", b"expires", b"link_expires", b"link_ip", b"link_prefix", b"link_signature"},
            config.locations[0].place().consumed.arguments,
        )
        self.assertFalse(config.locations[1].place().consumed)

    def test_secrets(self) -> None:
        """They are in no dump and no repr; with them put back the dump is the same."""
        config = read(f"{PLAIN}{self.LINK}{self.KEYS}")
        text = dump(config)
        for secret in ("hunter2", "first-of", "second-of"):
            self.assertNotIn(secret, text)
            self.assertNotIn(secret, repr(config))
        self.assertIn("secure_link_md5 = ***", text)
        self.assertEqual(config, read(render(config, lambda secret: secret)))

    def test_mistakes(self) -> None:
        """Told without the secret."""
        for option, value, wanted in (
            ("secure_link", "$arg_md5", "it goes with secure_link_md5"),
            ("secure_link", "$nothing", "there is no variable"),
            ("secure_link_md5", '"$uri hunter$2"', "begins no variable that is known"),
            ("signed_link_key", "hunter2", "it has 16 characters at least"),
            ("signed_link_key", "env:KEY", "it has 16 characters at least"),
        ):
            (found,) = mistakes(f"{PLAIN}{option} = {value}\n", environ={"KEY": "hunter2"})
            self.assertIn(f"[location:/] {option}: ", found)
            self.assertIn(wanted, found)
            self.assertNotIn("hunter", found)
