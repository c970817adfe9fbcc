"""The tests. Hypothesis draws the same examples in every run, so that none fails by chance.

`HYPOTHESIS_PROFILE=search` has it look for new ones.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True, database=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
