"""`make check-browser`: headless Chromium walks through a site in a bucket.

The bucket is a real S3 server's that checks signatures, the daemon is the real one. Exit
status 0 when all is as it should be or Chromium is not here (it says so), else 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path


def missing() -> str:
    """Return what is not here and how to get it; nothing when all is."""
    for names, package in (
        (("chromium", "chromium-browser", "google-chrome"), "chromium"),
        (("chromedriver",), "chromium-driver"),
    ):
        if not any(map(shutil.which, names)):
            return f"no {names[0]} on this machine: apt install {package}"
    if importlib.util.find_spec("selenium") is None:
        return "selenium is not installed: pip install selenium"
    return ""


def main(arguments: list[str]) -> int:
    """Walk; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser", description=__doc__)
    parser.add_argument("--pictures", type=Path, help="keep the screenshots in this directory")
    options = parser.parse_args(arguments)
    if why := missing():
        print(f"SKIPPED: {why}")
        return 0
    from tests.browser.ground import prepare  # noqa: PLC0415  needs the demo's extra
    from tests.browser.walk import NotSoError, Walk  # noqa: PLC0415  needs selenium

    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    chromium, driver = next(filter(None, found)), shutil.which("chromedriver")
    assert chromium is not None
    assert driver is not None
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        pictures = options.pictures or directory / "pictures"
        pictures.mkdir(parents=True, exist_ok=True)
        ground = prepare(directory)
        try:
            walk = Walk(ground, chromium, driver, pictures.absolute())
            try:
                for line in walk.all():
                    print(line, flush=True)
            finally:
                walk.close()
        except NotSoError as problem:
            print(f"\nNOT as it should be. {problem}\n\nThe end of the access log:")
            print("\n".join(ground.logged()[-15:]))
            print("\n".join(ground.daemon.lines[-15:]))
            return 1
        finally:
            ground.stop()
    print("All as it should be.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
