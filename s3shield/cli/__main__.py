"""`python -m s3shield.cli`."""

import sys

from s3shield.cli import main

sys.exit(main())
