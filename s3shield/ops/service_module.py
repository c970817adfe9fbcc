"""What serves, named by the composition above: this room may not know it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol, cast

from twisted.internet.defer import FirstError
from twisted.python.failure import Failure

__all__ = ["ServiceModule", "first_error", "load_service"]


class ServiceModule(Protocol):
    """A module that serves.

    Serving: called with the reactor and the Config, and by keyword `shared` (whether other
    processes have the same store), `access_log`, `log`, and in a worker `memory` (descriptor
    of an empty file, the same for all workers of a parent); raises ServiceError.
    `start(pairs of Listen and socket)` and `stop(timeout in seconds)` return Deferreds.
    """

    Serving: Callable[..., Any]
    ServiceError: type[Exception]


def load_service(name: str) -> ServiceModule:
    """Import the module `name`."""
    return cast(ServiceModule, importlib.import_module(name))


def first_error(failure: Failure) -> BaseException | None:
    """Return what failed, also when it was one of several things begun together."""
    error: BaseException | None = failure.value
    while isinstance(error, FirstError):
        error = error.subFailure.value
    return error
