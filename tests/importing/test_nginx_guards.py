"""nginx's access rules in the ini: what is kept is kept to the letter, the rest closes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.importing import Weight

from .fixture import imported, loaded, need_crossplane, notes

PASS = "proxy_pass http://h;"
IFS = 'if ($secure_link = "") { return 403; } if ($secure_link = "0") { return 410; }'
LINK = (
    f'secure_link $arg_md5,$arg_expires; secure_link_md5 "$secure_link_expires$uri sec;ret"; {IFS}'
)
BASIC = 'auth_basic "Staff only"; auth_basic_user_file /etc/nginx/users;'


def summary(text: str) -> list[str]:
    """Return what keeps whom out of each location, in a line each."""
    found = []
    for location in loaded(imported(text)).locations:
        access = location.access
        words = [f"{'+' if rule.allow else '-'}{rule}" for rule in access.rules]
        words += [f"{access.basic.realm}@{access.basic.file}"] if access.basic else []
        words += [f"{access.link.link}|{access.link.text}"] if access.link else []
        words += ["any"] if access.satisfy == "any" else []
        closed = location.policy.methods == frozenset({b"OPTIONS"})
        found.append("closed" if closed else " ".join(words))
    return found


class KeptTests(SynchronousTestCase):
    """What there is here too."""

    def setUp(self) -> None:
        """Read nginx's."""
        need_crossplane()

    def test_kept(self) -> None:
        """Lines in their order, inherited whole; passwords; links; `satisfy`."""
        for text, wanted in (
            (
                f"server {{ location / {{ allow 10.0.0.1; deny 10.1.2.3/8; allow ::1; deny all; {PASS} }} }}",
                ["+10.0.0.1/32 -10.0.0.0/8 +::1/128 -all"],
            ),
            (
                f"""http {{ deny 10.0.0.1; server {{ location / {{ {PASS} }}
                    location /a/ {{ deny all; {PASS} }} location /b/ {{ allow all; {PASS} }} }} }}""",
                ["-10.0.0.1/32", "-all", ""],
            ),
            (f"server {{ {BASIC} location / {{ {PASS} }} }}", ["Staff only@/etc/nginx/users"]),
            (
                f"""server {{ {BASIC} location / {{ auth_basic off; {PASS} }}
                    location /a/ {{ auth_basic "A"; {PASS} }} }}""",
                ["", "A@/etc/nginx/users"],
            ),
            (
                f"server {{ satisfy any; deny all; {BASIC} location / {{ {PASS} }} }}",
                ["-all Staff only@/etc/nginx/users any"],
            ),
            (
                f"server {{ satisfy all; deny all; {BASIC} location / {{ {PASS} }} }}",
                ["-all Staff only@/etc/nginx/users"],
            ),
            (
                f"server {{ location / {{ {LINK} {PASS} }} }}",
                ["$arg_md5,$arg_expires|$secure_link_expires$uri sec;ret"],
            ),
            (
                f"server {{ deny 10.0.0.1; location / {{ {LINK} {PASS} }} }}",
                ["-10.0.0.1/32 $arg_md5,$arg_expires|$secure_link_expires$uri sec;ret"],
            ),
            (
                f"server {{ location / {{ deny all; try_files $uri @up; }} location @up {{ {PASS} }} }}",
                ["-all"],
            ),
        ):
            self.assertEqual(wanted, summary(text), text)
            self.assertEqual([], notes(imported(text), Weight.ACCESS), text)

    def test_not_kept(self) -> None:
        """What would be only nearly the same closes the location, and is noted."""
        for said in (
            f"deny all; {BASIC} auth_request /auth;",
            "deny all; set_real_ip_from 10.0.0.0/8;",
            "deny all; real_ip_header X-Forwarded-For;",
            "allow 10.0.0.0/8 11.0.0.0/8; deny all;",
            "allow example.com; deny all;",
            "deny $nobody;",
            'auth_basic "A";',
            'auth_basic "$host"; auth_basic_user_file /f;',
            'auth_basic "A"; auth_basic_user_file /f/$host;',
            'auth_basic "A"; auth_basic_user_file conf.d/users;',
            f"satisfy any; deny all; {LINK}",
            f"rewrite ^/a/(.*)$ /$1; {LINK}",
            LINK.replace("403", "404"),
            LINK.replace("410", "403"),
            LINK.replace("$secure_link_expires", "$unknown_variable"),
            LINK.replace('if ($secure_link = "") { return 403; }', ""),
            LINK.replace("return 403;", "return 403; set $a b;"),
            LINK.replace("secure_link_md5", "secure_link_other"),
            f"secure_link_secret word; {IFS}",
            f"{LINK} internal;",
            f"deny all; {LINK} if ($http_referer = x) {{ return 403; }}",
        ):
            text = f"server {{ location / {{ {said} {PASS} }} }}"
            self.assertEqual(["closed"], summary(text), text)
            self.assertTrue(notes(imported(text), Weight.ACCESS), text)

    def test_proxy_protocol(self) -> None:
        """Where a balancer tells the address, the lines are not about the connection's."""
        text = f"server {{ listen 80 proxy_protocol; deny 10.0.0.1; location / {{ {PASS} }} }}"
        self.assertEqual(["closed"], summary(text))

    def test_two_doors(self) -> None:
        """Who comes by a fallback passes both; where they differ nobody does."""
        text = f"server {{ location / {{ deny 10.0.0.1; try_files $uri @up; }} location @up {{ deny 10.0.0.2; {PASS} }} }}"
        self.assertEqual(["closed"], summary(text))

    def test_told(self) -> None:
        """Users whose passwords are not taken here are told of; the secret of links is not shown."""
        what = imported(f"server {{ location / {{ {BASIC} {PASS} }} }}")
        self.assertTrue(any("hashed by DES" in note.why for note in what.notes))
        what = imported(f"server {{ location / {{ {LINK} {PASS} }} }}")
        self.assertFalse(any("sec;ret" in str(note) for note in what.notes))
