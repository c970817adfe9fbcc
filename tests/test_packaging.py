"""What a user gets: the sdist, the wheel built from it, and an environment with that wheel.

A package of Twisted's plugins breaks silently: the wheel installs, `twistd` starts, and
there is no `s3shield` among its commands. So the wheel is installed and the commands are run.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path
from typing import Final

import attrs
from twisted.trial.unittest import SkipTest, SynchronousTestCase

ROOT: Final = Path(__file__).resolve().parents[1]
NOT_SOURCES: Final = ("__pycache__", "*.egg-info", "dropin.cache", "_build")
TWISTD: Final = (
    "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; sys.exit(run())"
)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command; return what it printed. Raises AssertionError with that when it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


@attrs.frozen
class Built:
    """What was built. sdist, wheel: the names of their files, the sdist's without its top."""

    sdist: set[str]
    wheel: set[str]
    wheel_path: Path


@functools.cache
def built() -> Built:
    """Build the sdist, and the wheel from it; once, and in trial's own directory.

    From a copy, because setuptools leaves things lying beside the sources. Raises SkipTest.
    """
    if importlib.util.find_spec("build") is None:
        raise SkipTest("`build` is not installed: pip install 's3shield[test]'")
    work = Path(tempfile.mkdtemp(prefix="packaging-", dir=Path.cwd()))
    copy, dist = work / "checkout", work / "dist"
    copy.mkdir()
    ignored = shutil.ignore_patterns(*NOT_SOURCES)
    for path in ROOT.iterdir():
        hidden = path.name.startswith((".", "_")) and path.name != ".ci"
        if hidden or path.name in ("build", "dist") or path.match("*.egg-info"):
            continue
        if path.is_dir():
            shutil.copytree(path, copy / path.name, ignore=ignored)
        else:
            shutil.copy2(path, copy)
    # The environment's own setuptools: the tests need no network.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, ".", cwd=copy)
    (wheel_path,) = dist.glob("*.whl")
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        sdist = {name.partition("/")[2] for name in tar.getnames()}
    return Built(sdist, set(zipfile.ZipFile(wheel_path).namelist()), wheel_path)


class PackagingTests(SynchronousTestCase):
    """The sdist, the wheel, and the wheel installed."""

    def setUp(self) -> None:
        """Have them."""
        there = built()
        self.sdist, self.wheel, self.wheel_path = there.sdist, there.wheel, there.wheel_path

    def test_sdist_is_whole(self) -> None:
        """Everything that is in the repository can be built and tested from the sdist."""
        for name in (
            "LICENSE",
            "Makefile",
            "NEWS.rst",
            "README.rst",
            "CONTRIBUTING.rst",
            ".ci/run",
            "bench/table.py",
            "demo/__main__.py",
            "docs/conf.py",
            "etc/s3shield.ini",
            "etc/s3shield.rules.yml",
            "etc/s3shield-dashboard.json",
            "etc/s3shield-rotate.service",
            "etc/s3shield-rotate.timer",
            "debian/control",
            "pack/tree",
            "tests/test_packaging.py",
            "twisted/plugins/s3shield_plugin.py",
        ):
            self.assertIn(name, self.sdist)
        self.assertEqual(set(), {name for name in self.sdist if name.endswith(".pyc")})

    def test_wheel_has_every_module(self) -> None:
        """The wheel has the checkout's modules, all of them and no others."""
        modules = {
            str(path.relative_to(ROOT))
            for top in ("s3shield", "twisted")
            for path in (ROOT / top).rglob("*.py")
        }
        self.assertEqual(modules, {name for name in self.wheel if name.endswith(".py")})

    def test_wheel_leaves_twisted_alone(self) -> None:
        """The wheel adds a plugin to Twisted's package and overwrites nothing of it."""
        theirs = {name for name in self.wheel if name.startswith("twisted/")}
        self.assertEqual({"twisted/plugins/s3shield_plugin.py"}, theirs)

    def test_wheel_has_sample_and_licence(self) -> None:
        """A user of the wheel has a configuration to begin with, the licence, and types."""
        for end in (
            "/s3shield.ini",
            "/s3shield-rotate.service",
            "/s3shield-rotate.timer",
            "/LICENSE",
            "s3shield/py.typed",
            "s3shield/ops/status.html",
        ):
            self.assertTrue(any(name.endswith(end) for name in self.wheel), end)

    def test_installed_commands(self) -> None:
        """In a fresh environment, from a directory without sources, both commands are there."""
        work = Path(tempfile.mkdtemp(prefix="installed-", dir=Path.cwd()))
        home = work / "venv"
        venv.create(home, with_pip=False)
        python = home / "bin" / "python"
        pip = [sys.executable, "-m", "pip", "--python", python]
        quick = ["--quiet", "--no-deps", "--no-index"]
        run(*pip, "install", *quick, self.wheel_path, cwd=work)
        # The dependencies are lent from the environment that runs the tests. Its own .pth
        # files, an editable s3shield among them, do not count from here.
        ours = sysconfig.get_path("purelib")
        theirs = sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)})
        (Path(theirs) / "lent.pth").write_text(ours + "\n")
        where = "import s3shield; print(s3shield.__file__)"
        self.assertIn(str(home), run(python, "-c", where, cwd=work))
        usage = run(python, "-c", TWISTD, "s3shield", "--help", cwd=work)
        self.assertIn("--config", usage)
        self.assertIn("signing-key", run(home / "bin" / "s3shield", "--help", cwd=work))
