"""Sphinx's settings: `make docs`."""

import sys
from pathlib import Path

import s3shield

# Where option_table is.
sys.path.insert(0, str(Path(__file__).parent))

project = "s3shield"
author = "the s3shield developers"
release = version = s3shield.__version__
extensions = ["option_table"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "A caching, signing reverse proxy for private S3 buckets"}
man_pages = [("configuration", "s3shield.ini", "the configuration of s3shield", "", 5)]
