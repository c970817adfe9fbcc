"""Whose request it is, behind balancers: PROXY headers and fields, from those who may say it."""

from __future__ import annotations

from .attack import FOR_LONG, Attack
from .harness import answer

HOST = "Host: shield.test\r\nConnection: close\r\n"


class RealIpTests(Attack):
    listen = ""

    def config_text(self, location: str, cache: str, more: str) -> str:
        """Put the options in question into `[s3shield]`."""
        text = super().config_text(location, cache, more)
        return text.replace("listen = 127.0.0.1:0", f"listen = 127.0.0.1:0{self.listen}")

    async def start_with(self, listen: str, location: str = "") -> None:
        """Serve; `listen` are the words after the address and the lines after that one."""
        self.origin.answers["/a"] = answer(body=b"abc", headers=FOR_LONG)
        self.listen = listen
        await self.shield(location)

    async def ask(self, before: bytes = b"", fields: str = "") -> int:
        """Ask for /a; return the status, 0 without an answer."""
        request = f"GET /a HTTP/1.1\r\n{HOST}{fields}\r\n".encode()
        got = await self.say(before + request)
        return got[0].status if got else 0

    def clients(self) -> list[str]:
        """Return the addresses in the access log."""
        return [line["remote_addr"] for line in self.logged()]

    async def test_proxy_header(self) -> None:
        """The client in the header is in the log, and it is asked who may come in."""
        await self.start_with(
            " proxy_protocol\nset_real_ip_from = 127.0.0.0/8", "deny = 192.0.2.66\nallow = all"
        )
        line = b"PROXY TCP4 192.0.2.%d 10.0.0.1 1234 80\r\n"
        self.assertEqual([200, 403], [await self.ask(line % last) for last in (1, 66)])
        # What it says itself counts for nothing.
        self.assertEqual(403, await self.ask(line % 66, "X-Real-IP: 192.0.2.1\r\n"))
        self.assertEqual(["192.0.2.1", "192.0.2.66", "192.0.2.66"], self.clients())

    async def test_strangers_header(self) -> None:
        """A PROXY header of somebody who is not trusted opens nothing; the log names him."""
        seen = self.watch_log()
        await self.start_with(" proxy_protocol\nset_real_ip_from = 10.0.0.0/8")
        self.assertEqual(0, await self.ask(b"PROXY TCP4 10.0.0.1 10.0.0.1 1234 80\r\n"))
        told = [text for text in seen if "set_real_ip_from" in text]
        self.assertEqual(1, len(told))
        self.assertIn("127.0.0.1 is refused", told[0])
        self.assertEqual([], self.origin.asked)

    async def test_bad_header(self) -> None:
        """Without the header, or with one that is broken, nothing is served."""
        seen = self.watch_log()
        await self.start_with(" proxy_protocol\nset_real_ip_from = 127.0.0.1")
        for before in (b"", b"PROXY TCP4 x\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0"):
            self.assertEqual(0, await self.ask(before))
        wanted = "a PROXY header of 127.0.0.1: what comes is no PROXY header"
        self.assertTrue(any(wanted in text for text in seen), seen)
        self.assertEqual([], self.origin.asked)

    async def test_field(self) -> None:
        """X-Forwarded-For from a trusted address, as far as trust goes; nobody else's."""
        await self.start_with(
            "\nset_real_ip_from = 127.0.0.1 10.0.0.0/8\nreal_ip_header = X-Forwarded-For\n"
            "real_ip_recursive = on",
            "deny = 192.0.2.66\nallow = all",
        )
        for value, status in (("192.0.2.66, 192.0.2.1, 10.0.0.9", 200), ("192.0.2.66", 403)):
            self.assertEqual(status, await self.ask(fields=f"X-Forwarded-For: {value}\r\n"))
        self.assertEqual(200, await self.ask(fields="X-Real-IP: 192.0.2.66\r\n"))
        self.assertEqual(["192.0.2.1", "192.0.2.66", "127.0.0.1"], self.clients())

    async def test_untrusted_field(self) -> None:
        """Everybody can write a field."""
        await self.start_with("\nset_real_ip_from = 10.0.0.0/8", "deny = 127.0.0.1\nallow = all")
        self.assertEqual(403, await self.ask(fields="X-Real-IP: 192.0.2.1\r\n"))
        self.assertEqual(["127.0.0.1"], self.clients())
