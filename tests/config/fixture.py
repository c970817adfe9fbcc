"""Configurations in a line or two, and what is wrong with them."""

from __future__ import annotations

import textwrap

from s3shield.config import Config, ConfigErrors, loads

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SIGNING_KEY = "6mFP2/KVedDIlEWvn3tDft9KTf6f03OlIG68KIeST9o="
SCOPE = "20260226/eu-central-1/s3/aws4_request"

PLAIN = "[location:/]\norigin = http://127.0.0.1:9000\n"
BUCKET = f"""\
[bucket:media]
aws_s3_bucket = my-private-bucket
aws_endpoint = https://s3.eu-central-1.amazonaws.com
aws_region = eu-central-1
aws_access_key = AKIAIOSFODNN7EXAMPLE
aws_secret_key = {SECRET}
"""


def no_files(path: str) -> str:
    """A file system with nothing in it."""
    raise FileNotFoundError(2, "No such file or directory", path)


def read(text: str, *, environ=None, files=None, modes=None, installed=True) -> Config:
    """Load `text` as `x.ini`; files: path -> text; installed: whether botocore is."""

    def read_file(path: str) -> str:
        if path not in (files or {}):
            return no_files(path)
        return files[path]

    return loads(
        textwrap.dedent(text),
        "x.ini",
        environ=environ or {},
        read_file=read_file,
        mode_of=(modes or {}).get,
        installed=lambda _module: installed,
    )


def mistakes(text: str, **more) -> list[str]:
    """Return the lines of all that is wrong with `text`."""
    try:
        read(text, **more)
    except ConfigErrors as why:
        return why.render().splitlines()
    return []
