"""`s3shield explain --live`: what a running daemon says."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout

from twisted.internet.threads import deferToThread

from s3shield.cli import main
from tests.scenario.harness import Scenario, answer


class LiveTests(Scenario):
    async def said(self, *args: str) -> tuple[int, str, str]:
        """Run the command in a thread; return status, output and errors."""
        out, err = io.StringIO(), io.StringIO()

        def command() -> int:
            with redirect_stdout(out), redirect_stderr(err):
                return main(["explain", "--live", *args])

        status = await deferToThread(command)
        return status, out.getvalue(), err.getvalue()

    async def test_live(self) -> None:
        """The reason why something is not stored is shown."""
        self.origin.answers["/a?b"] = answer(headers={"Cache-Control": "no-store"})
        await self.shield("cache_status = on")
        status, text, _ = await self.said("--method", "GET", f"http://127.0.0.1:{self.port}/a?b")
        self.assertEqual(0, status)
        self.assertIn("x-cache-status: MISS\n", text)
        self.assertIn("detail=no-store", text)

    async def test_without_the_field(self) -> None:
        """A HEAD is asked by default; without `cache_status` that is said."""
        await self.shield()
        status, text, _ = await self.said(f"http://127.0.0.1:{self.port}/none")
        self.assertEqual((0, "HEAD"), (status, self.origin.asked[0].method))
        self.assertIn("404 ", text)
        self.assertIn("cache_status = on", text)

    async def test_mistakes(self) -> None:
        """No URL, and nobody there."""
        self.assertEqual(2, (await self.said("/a"))[0])
        self.assertEqual(1, (await self.said("http://127.0.0.1:1/a"))[0])
