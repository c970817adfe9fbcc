"""Asking a running daemon on its admin listener."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any, Final

import attrs

from s3shield.config import Config, Listen

__all__ = ["Admin", "AdminError"]

_PATIENCE: Final = 600.0
"""Seconds: a purge of everything takes its time."""
_SHORT: Final = 15.0
_NOT_LET_IN: Final = (401, 403)
_RUNS: Final = "; is it running, with this configuration?"


class AdminError(Exception):
    """What was asked for was not done; its text is a sentence for people.

    reached: whether there was anybody to ask.
    """

    def __init__(self, text: str, *, reached: bool = True) -> None:
        super().__init__(text)
        self.reached = reached


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@attrs.frozen
class Admin:
    """The admin listener of a daemon."""

    listen: Listen
    token: str | None = attrs.field(default=None, repr=False)

    @classmethod
    def of(cls, config: Config, file: str) -> Admin:
        """Return that of a configuration, of that file. Raises AdminError when it has none."""
        listen = config.daemon.admin_listen
        if listen is None:
            text = f"{file}: [s3shield] admin_listen is missing: the daemon cannot be asked"
            raise AdminError(text, reached=False)
        return cls(listen, config.daemon.admin.admin_token)

    def purge(self, wanted: Mapping[str, object], *, count: bool = False) -> int:
        """Return the number of responses purged, or, to `count`, of those that would be.

        wanted: fields of `POST /purge`. Raises AdminError.
        """
        body = json.dumps({**wanted, "count": True} if count else dict(wanted))
        return int(self._ask("POST", "/purge", body, _PATIENCE, "count" if count else "purged"))

    def status(self) -> Any:
        """Return what `/status.json` tells. Raises AdminError."""
        return self._ask("GET", "/status.json", None, _SHORT, None, "summary")

    def _ask(
        self,
        method: str,
        path: str,
        body: str | None,
        patience: float,
        take: str | None,
        needs: str | None = None,
    ) -> Any:
        """Return the answer, or its field `take`; `needs`: a field that it must have."""
        listen = self.listen
        connection = (
            _UnixConnection(listen.path, patience)
            if listen.kind == "unix"
            else http.client.HTTPConnection(listen.host, listen.port, timeout=patience)
        )
        fields = {} if body is None else {"Content-Type": "application/json"}
        if self.token is not None:
            fields["Authorization"] = f"Bearer {self.token}"
        try:
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status != http.HTTPStatus.OK:
                text = str(answer.get("error", f"the daemon answered {response.status}"))
                if response.status in _NOT_LET_IN:
                    text = f"{listen}: {text}; was the daemon reloaded since that was changed?"
                raise AdminError(text)
            if needs is not None and needs not in answer:
                raise LookupError(needs)
            return answer if take is None else answer[take]
        except OSError as why:
            reason = why.strerror or str(why)
            way = "; be its user or in its group" if isinstance(why, PermissionError) else _RUNS
            text = f"cannot reach the daemon at {listen}: {reason}{way}"
            raise AdminError(text, reached=False) from None
        except (http.client.HTTPException, ValueError, LookupError, AttributeError):
            raise AdminError(f"what answers at {listen} is no s3shield of this release") from None
        finally:
            connection.close()
