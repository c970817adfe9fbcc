"""Print what an extra of setup.cfg needs besides s3shield itself, a requirement a line.

`python .ci/needs.py test`: for pip's `-r`, where the checkout itself is installed later, because
two environments that install it at once write into the same directory beside the sources.
"""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

SETUP = Path(__file__).resolve().parents[1] / "setup.cfg"
SELF = re.compile(r"s3shield\[(.*)\]")


def needs(options: configparser.ConfigParser, extra: str) -> list[str]:
    """Return the requirements of an extra, those of the extras that it names among them."""
    found = []
    for line in options["options.extras_require"][extra].split("\n"):
        if match := SELF.fullmatch(line.strip()):
            for other in match[1].split(","):
                found += needs(options, other.strip())
        elif line.strip() and not line.strip().startswith("#"):
            found.append(line.strip())
    return found


if __name__ == "__main__":
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(SETUP, encoding="utf-8")
    lines = setup["options"]["install_requires"].split("\n")
    lines = [line.strip() for line in lines if line.strip()]
    for extra in sys.argv[1:]:
        lines += needs(setup, extra)
    sys.stdout.write("".join(f"{line}\n" for line in dict.fromkeys(lines)))
