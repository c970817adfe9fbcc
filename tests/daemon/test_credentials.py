"""The real daemon with credentials from a source: replaced under load, and one that hangs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.ops.sources import Double, environment
from tests.ops.test_daemon import Running
from tests.ports import free_port
from tests.scenario.harness import until
from tests.scenario.tokens import Credentials

from .workers import Workers


class UnderLoad(Credentials, Workers):
    """The real daemon, two workers, and a file of credentials that somebody replaces."""

    source = "file"

    def replace(self, number: int) -> None:
        """Put others there."""
        new = self.file.with_suffix(".new")
        new.write_text(
            f"[default]\naws_access_key_id = ASIA{number}\n"
            f"aws_secret_access_key = s3cr3t{number}\naws_session_token = t0ken{number}\n"
        )
        new.replace(self.file)

    async def test_rotation(self) -> None:
        """Replaced, and the old ones refused, while both workers are busy: no request fails."""
        self.file = Path(self.mktemp()).absolute()
        environment(self, AWS_SHARED_CREDENTIALS_FILE=str(self.file))
        self.replace(1)
        await self.shield("proxy_cache = off")
        await until(
            lambda: str(self.daemon.lines).count("ASIA1 from the shared files") == 2, "both"
        )
        running = self.begin_load([*await self.on(0, 2), *await self.on(1, 2)])
        await self.more(20)
        for number in (2, 3):
            self.replace(number)
            self.origin.oldest = number
            await self.more(20)
        self.enough = True
        await running
        self.assertEqual({status for each in self.answers for status in each}, {200})
        self.assertEqual((self.origin.used[-1], self.origin.wrong), (3, []))
        self.assertGreater(self.origin.expired, 0)
        await until(
            lambda: str(self.daemon.lines).count("ASIA3 from the shared files") == 2, "both"
        )
        self.nothing_told(self.daemon.lines)


class Hanging(Credentials):
    """A source that never answers."""

    async def test_stop(self) -> None:
        """The daemon is ready without it, and its end waits for no thread."""

        def hang(double: Double, *_words: Any) -> tuple[int, str]:
            double.go_on.wait()
            return 500, ""

        self.double.fault = hang
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        text = self.config_text("", "", "").replace("workers = 0", "workers = 1")
        (folder / "s3shield.ini").write_text(
            text.replace("127.0.0.1:0\n", f"127.0.0.1:{free_port()}\n")
        )
        daemon = Running(folder, "-c", "s3shield.ini")
        self.addCleanup(daemon.clean)
        daemon.until("ready: listening on")
        await until(lambda: self.double.asked, "the worker to ask")
        self.assertEqual(daemon.end(), 0)
        self.assertFalse(self.double.go_on.is_set())
        self.assertEqual(self.origin.asked, [])
