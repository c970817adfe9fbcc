"""Sphinx's settings: `make docs`."""

import s3shield

project = "s3shield"
author = "the s3shield developers"
release = version = s3shield.__version__
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "A caching, signing reverse proxy for private S3 buckets"}
