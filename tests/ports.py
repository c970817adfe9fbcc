"""Ports for daemons that tests start."""

from __future__ import annotations

import random
import socket

__all__ = ["free_port"]


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on.

    None of those that the kernel gives out by itself (32768 and up on Linux, 49152 on
    others): a connection of some other test would have it before the daemon is up.
    """
    draw = random.SystemRandom()
    while True:
        port = draw.randrange(20_000, 32_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
