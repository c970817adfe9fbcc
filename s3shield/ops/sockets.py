"""The listening sockets of the parent, and its hold on cache directories: kept through reloads.

An address that stays keeps its socket, with all connections that wait in it. A new one is bound
before anybody serves by the new configuration, and one that is gone is closed after that.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import attrs

from s3shield.config import Listen
from s3shield.ops.plan import Plan, StartError
from s3shield.ops.tenancy import Tenancy
from s3shield.wire import BindError, bind

__all__ = ["Lot", "Sockets"]

_LISTEN_FDS_START: Final = 3
"""sd_listen_fds(3)."""


@attrs.frozen
class Lot:
    """What one configuration listens on. fresh: the texts of those that were bound for it.

    plan: its. caches: directories that were taken for it.
    """

    pairs: tuple[tuple[Listen, socket.socket], ...]
    plan: Plan
    fresh: tuple[str, ...] = ()
    caches: tuple[str, ...] = ()

    @property
    def sockets(self) -> list[socket.socket]:
        """The sockets, in the order of `Plan.listens`."""
        return [sock for _, sock in self.pairs]

    @property
    def texts(self) -> frozenset[str]:
        """What the addresses are known by."""
        return frozenset(listen.text for listen, _ in self.pairs)


class Sockets:
    """Owns them. Make it in the process that was started: LISTEN_PID is looked at here."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[Listen, socket.socket]] = {}
        self._tenancy = Tenancy()
        # What stands in the environment is for this process, not for workers.
        pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
        os.environ.pop("LISTEN_FDNAMES", None)
        self._given = int(count) if pid == str(os.getpid()) and count.isdigit() else 0
        for fd in range(_LISTEN_FDS_START, _LISTEN_FDS_START + self._given):
            os.set_inheritable(fd, False)

    def take(self, plan: Plan) -> Lot:
        """Return a listening socket for each address of a plan; hold its cache directories.

        Raises StartError with all that cannot be had; nothing has changed then.
        """
        pairs: list[tuple[Listen, socket.socket]] = []
        fresh: dict[str, tuple[Listen, socket.socket]] = {}
        problems: list[str] = []
        caches = self._tenancy.take(plan, problems)
        for listen in plan.listens:
            known = self._open.get(listen.text) or fresh.get(listen.text)
            if known is not None:
                pairs.append((listen, known[1]))
                continue
            try:
                sock = self._bound(listen)
                fresh[listen.text] = listen, sock
                pairs.append((listen, sock))
                if listen is plan.config.daemon.admin_listen and listen.kind == "unix":
                    Path(listen.path).chmod(0o660)
                    if plan.uid is not None:
                        os.chown(listen.path, plan.uid, -1 if plan.gid is None else plan.gid)
            except (OSError, ValueError) as error:
                # A BindError's text, without the number that str() of an OSError puts first.
                text = error.strerror if isinstance(error, BindError) else str(error)
                problems.append(f"{listen.where or plan.path}: {text}")
        if problems:
            _let_go(fresh.values())
            self._tenancy.leave(caches)
            raise StartError("\n".join(problems))
        self._open.update(fresh)
        return Lot(tuple(pairs), plan, tuple(fresh), caches)

    def give_back(self, lot: Lot) -> None:
        """Let go of what was taken for `lot`, by which nobody will serve."""
        self._tenancy.leave(lot.caches)
        _let_go([self._open.pop(text) for text in lot.fresh])

    def keep(self, lot: Lot) -> list[str]:
        """Let go of all that is not in `lot`; return the addresses."""
        self._tenancy.keep(lot.plan)
        gone = [text for text in self._open if text not in lot.texts]
        _let_go([self._open.pop(text) for text in gone])
        return gone

    def close(self) -> None:
        """Close all, for this process. Paths of Unix sockets and caches stay until `unlink`."""
        for _, sock in self._open.values():
            sock.close()

    def unlink(self) -> None:
        """Remove the paths of our Unix sockets; nobody has a cache open any more."""
        self._tenancy.end()
        _unlink([listen for listen, _ in self._open.values()])

    def _bound(self, listen: Listen) -> socket.socket:
        """Return a listening socket. Raises BindError, or ValueError with why there is none."""
        if listen.kind == "endpoint":
            raise ValueError(f"{listen.text}: endpoint strings are not possible yet")
        if listen.kind == "systemd":
            return self._inherited(listen)
        return bind(listen.text)

    def _inherited(self, listen: Listen) -> socket.socket:
        """Return a socket that systemd opened (sd_listen_fds(3))."""
        if listen.port >= self._given:
            raise ValueError(f"{listen.text}: systemd handed over {self._given} sockets")
        sock = socket.socket(fileno=os.dup(_LISTEN_FDS_START + listen.port))
        try:
            stream = sock.type == socket.SOCK_STREAM
            if not stream or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                raise ValueError(f"{listen.text}: this is no listening stream socket")
        except BaseException:
            sock.close()
            raise
        sock.setblocking(False)
        return sock


def _let_go(opened: Iterable[tuple[Listen, socket.socket]]) -> None:
    for listen, sock in opened:
        sock.close()
        _unlink([listen])


def _unlink(listens: Iterable[Listen]) -> None:
    for listen in listens:
        if listen.kind == "unix":
            with contextlib.suppress(OSError):
                Path(listen.path).unlink()
