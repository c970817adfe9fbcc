"""A scenario with the admin listener."""

from __future__ import annotations

import http.client
import json
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from s3shield.ops import AccessLog
from s3shield.service import Serving
from s3shield.wire import bind

from .harness import Scenario


class AdminScenario(Scenario):
    """Its port is `admin`."""

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One request to the admin listener; return status and JSON, or the body."""

        def work() -> Any:
            connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=20)
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            if isinstance(body, dict):
                fields["Content-Type"] = "application/json"
            text = json.dumps(body) if isinstance(body, dict) else body
            connection.request(method, path, text, fields)
            response = connection.getresponse()
            data = response.read()
            connection.close()
            return response.status, json.loads(data) if data.startswith(b"{") else data

        return await deferToThread(work)

    def config_text(self, location: str, cache: str, more: str) -> str:
        """Add the admin listener on any port."""
        text = super().config_text(location, cache, more)
        return text.replace("workers = 0", "workers = 0\nadmin_listen = 127.0.0.1:0")

    async def start(self, config: Any, **more: Any) -> None:
        """Bind the admin listener as well."""
        self.access_log = AccessLog(self.log_path, "json", reactor=reactor)
        self.serving = Serving(
            reactor, config, shared=False, access_log=self.access_log, log=self.log, **more
        )
        listens = [*config.listens, config.daemon.admin_listen]
        sockets = [(listen, bind(listen.text)) for listen in listens]
        self.port, self.admin = [sock.getsockname()[1] for _, sock in sockets]
        await self.serving.start(sockets)
        self.addCleanup(self.stop)
