"""Configurations of others in files, and what becomes of them."""

from __future__ import annotations

import importlib.util
import tempfile
import textwrap
from pathlib import Path

from twisted.trial.unittest import SkipTest

from s3shield.access import GRANTED, Addresses, Refused
from s3shield.config import Config, LocationConfig, loads
from s3shield.importing import Imported, Weight, import_file

DATA = Path(__file__).with_name("data")


def need_crossplane() -> None:
    """Skip where nginx's configurations cannot be read. Raises SkipTest."""
    if importlib.util.find_spec("crossplane") is None:
        raise SkipTest("crossplane is not installed: pip install 's3shield[import]'")


def imported(text: str, kind: str = "nginx", defined=None, **files: str) -> Imported:
    """Import a text; files: others beside it, by name with `_` for `.`."""
    if kind == "nginx":
        need_crossplane()
    with tempfile.TemporaryDirectory() as directory:
        for name, content in files.items():
            (Path(directory) / name.replace("_", ".")).write_text(content)
        path = Path(directory) / "x.conf"
        path.write_text(textwrap.dedent(text))
        return import_file(str(path), kind, defined)


def loaded(what: Imported) -> Config:
    """Load an ini as the daemon would, without files and environment. Raises ConfigErrors."""

    def no_file(path: str) -> str:
        raise FileNotFoundError(2, "No such file or directory", path)

    return loads(what.ini, "x.ini", environ={}, read_file=no_file, mode_of=lambda _: None)


def notes(what: Imported, *weights: Weight) -> list[str]:
    """Return `LINE text` of the notes of these weights; none given: all."""
    return [
        f"{note.line} {note.text}" for note in what.notes if not weights or note.weight in weights
    ]


def lets_in(location: LocationConfig, peer: bytes = b"192.0.2.1") -> bool:
    """Tell whether a stranger may GET: without password or link, from this address."""
    access = location.access
    known = Addresses(access.rules).verdict(peer) == GRANTED
    if not location.policy.methods & {b"GET", b"any"}:
        return False
    if access.satisfy == "any" and known:
        return True
    asked = access.basic or access.link or access.link_keys
    return not asked and Addresses(access.rules).verdict(peer) != Refused(403)


def places(config: Config) -> dict[str, tuple[str, bool]]:
    """Return the name of the origin and whether it is closed to strangers, by `server pattern`."""
    return {
        f"{each.server or ''} {each.pattern}".strip(): (
            each.origin_name,
            not lets_in(each),
        )
        for each in config.locations
    }
