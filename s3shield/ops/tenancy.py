"""The cache directories of the parent: held against other daemons, see `store.Tenant`."""

from __future__ import annotations

from pathlib import Path

from s3shield.ops.plan import Plan
from s3shield.store import StoreError, Tenant

__all__ = ["Tenancy"]


class Tenancy:
    """Holds those of one configuration and, at a reload, of the next."""

    def __init__(self) -> None:
        self._held: dict[str, Tenant] = {}

    def take(self, plan: Plan, problems: list[str]) -> tuple[str, ...]:
        """Hold those that are not held yet; return them. Adds what is wrong to `problems`."""
        fresh = []
        owner = None if plan.uid is None else (plan.uid, -1 if plan.gid is None else plan.gid)
        for cache in plan.config.caches.values():
            if cache.path in self._held:
                continue
            try:
                self._held[cache.path] = Tenant(Path(cache.path), plan.path, owner)
                fresh.append(cache.path)
            except StoreError as error:
                where = cache.where or plan.path
                problems.append(f"{where}: [cache:{cache.name}] path: {error}")
        return tuple(fresh)

    def leave(self, paths: tuple[str, ...]) -> None:
        """Let go of some."""
        for path in paths:
            self._held.pop(path).leave()

    def keep(self, plan: Plan) -> None:
        """Let go of all that a plan has not."""
        wanted = {cache.path for cache in plan.config.caches.values()}
        self.leave(tuple([path for path in self._held if path not in wanted]))

    def end(self) -> None:
        """Let go of all."""
        self.leave(tuple(self._held))
