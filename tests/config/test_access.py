"""The options of access: their order, their inheritance, what is wrong with them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import Config, dump

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
