"""Install Twisted's asyncio reactor on a uvloop event loop.

`--reactor=uvloop` of twistd and trial, by the plugin in `twisted/plugins/`.
"""

from __future__ import annotations

import asyncio

import uvloop
from twisted.internet import asyncioreactor

__all__ = ["install"]


def install() -> None:
    """Make and install the reactor; no other may be installed in this process."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)  # type: ignore[no-untyped-call]
