"""Real S3 servers that check signatures, on loopback, from PyPI: for the demo and the tests.

    server = start("swift", directory)
    try:
        server.put("media", "a key", b"body")
    finally:
        server.stop()

Neither is fast. They prove that a signature is right; they are no origin for a benchmark.
"""

from demo.s3_servers.running import (
    KINDS,
    RunningServer,
    ServerStartError,
    start,
    why_unavailable,
)

__all__ = ["KINDS", "RunningServer", "ServerStartError", "start", "why_unavailable"]
