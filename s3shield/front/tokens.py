"""The checks of tokens of one process, and the sources of keys that they share."""

from __future__ import annotations

from collections.abc import Iterable

from s3shield.config import JwtConfig

from .file_keys import FileKeys
from .key_source import KeySource
from .process import Process
from .token_check import TokenCheck
from .url_keys import UrlKeys

__all__ = ["Tokens"]


class Tokens:
    """One check for each `auth_jwt` that is not like another, one source for each file and URL."""

    def __init__(self, configs: Iterable[JwtConfig], process: Process) -> None:
        self._sources: dict[tuple[str, int], KeySource] = {}
        self._checks: dict[JwtConfig, TokenCheck] = {}
        for config in configs:
            if config not in self._checks:
                sources = self._sources_of(config, process)
                self._checks[config] = TokenCheck(config, sources, process)

    def start(self) -> None:
        """Look for keys."""
        for source in self._sources.values():
            source.start()

    def stop(self) -> None:
        """Look no more."""
        for source in self._sources.values():
            source.stop()

    def check(self, config: JwtConfig) -> TokenCheck:
        """Return the check of a configuration."""
        return self._checks[config]

    def _sources_of(self, config: JwtConfig, process: Process) -> list[KeySource]:
        found = []
        for path in config.key_files:
            if (path, 0) not in self._sources:
                self._sources[path, 0] = FileKeys(path, process)
            found.append(self._sources[path, 0])
        for url in config.key_urls:
            if (url, config.key_ttl) not in self._sources:
                self._sources[url, config.key_ttl] = UrlKeys(url, config.key_ttl, process)
            found.append(self._sources[url, config.key_ttl])
        return found
