"""A caching, signing reverse proxy for private S3 buckets.

What `twistd s3shield` runs. The layers, from the inside out: pure (`policy`,
`signing`, `routing`, `config`), I/O (`store`, `wire`, `ops`), the drive of one
request (`exchange`), and composition (`service`, `tap`, `cli`).
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
