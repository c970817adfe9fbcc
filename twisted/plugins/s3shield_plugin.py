"""What `twistd` and `trial` find of s3shield: the daemon, and the uvloop reactor."""

from twisted.application.reactors import Reactor
from twisted.application.service import ServiceMaker

__all__ = ["s3shield", "uvloop"]

s3shield = ServiceMaker(
    "s3shield",
    "s3shield.tap",
    "A caching, signing reverse proxy for private S3 buckets",
    "s3shield",
)

uvloop = Reactor(
    "uvloop",
    "s3shield.wire.uvloop_reactor",
    "asyncio based reactor on a uvloop event loop.",
)
