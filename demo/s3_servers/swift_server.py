"""OpenStack Swift with its S3 API as one process: checks SigV4 and SigV2, header and query.

Prints one JSON line when it listens, and lives until it is told to stop or, with
`--lifeline`, until its standard input ends (so it never outlives who started it).
The directory must be on a file system with user extended attributes: that is where
Swift keeps an object's metadata.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # eventlet advises its users to leave; Swift has not, and a demo cannot.
    warnings.simplefilter("ignore")
    import eventlet
    import eventlet.patcher
    import eventlet.wsgi

    eventlet.patcher.monkey_patch(all=False, socket=True, select=True, thread=True)
    from swift.common import utils, wsgi
    from swift.common.http_protocol import SwiftHttpProtocol
    from swift.common.ring import RingBuilder

REGION = "us-east-1"
ACCESS_KEY = "test:tester"
"""Swift's access keys are `account:user`; the colon is a good test of parsers."""
SECRET_KEY = "testing"
PIPELINE = ("catch_errors", "gatekeeper", "listing_formats", "s3api", "tempauth", "bulk", "copy",
            "slo", "dlo", "versioned_writes", "symlink")  # fmt: skip

SWIFT_CONF = """\
[swift-hash]
swift_hash_path_suffix = s3shield
swift_hash_path_prefix = demo
[storage-policy:0]
name = gold
default = yes
"""

BACKEND_CONF = """\
[DEFAULT]
swift_dir = {base}
devices = {base}/devices
mount_check = false
disable_fallocate = true
log_level = ERROR
[pipeline:main]
pipeline = {name}
[app:{name}]
use = egg:swift#{name}
set log_requests = false
"""

PROXY_CONF = """\
[DEFAULT]
swift_dir = {base}
log_level = ERROR
[pipeline:main]
pipeline = {pipeline} proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
"""


def filter_options(region: str) -> dict[str, str]:
    """Return the options of the filters that need any."""
    account, user = ACCESS_KEY.split(":")
    return {
        "s3api": f"location = {region}\nstorage_domain = s3.localhost\ns3_acl = false\n"
        "allow_multipart_uploads = true\nmin_segment_size = 1048576\n",
        "tempauth": f"user_{account}_{user} = {SECRET_KEY} .admin\n",
        "versioned_writes": "allow_versioned_writes = true\nallow_object_versioning = true\n",
    }


def lay_out(base: Path, region: str) -> dict[str, Any]:
    """Write configuration and rings under `base`; return the back ends' sockets by name."""
    (base / "devices" / "d1").mkdir(parents=True, exist_ok=True)
    (base / "swift.conf").write_text(SWIFT_CONF)
    utils.set_swift_dir(str(base))
    utils.validate_configuration()
    sockets = {}
    for name in ("account", "container", "object"):
        sockets[name] = eventlet.listen(("127.0.0.1", 0))
        place = {"ip": "127.0.0.1", "port": sockets[name].getsockname()[1]}
        replication = {f"replication_{part}": value for part, value in place.items()}
        ring = RingBuilder(part_power=4, replicas=1, min_part_hours=1)
        device = {"id": 0, "region": 1, "zone": 1, "device": "d1", "weight": 1.0}
        ring.add_dev({**device, **place, **replication})
        ring.rebalance()
        ring.get_ring().save(str(base / f"{name}.ring.gz"))
        (base / f"{name}.conf").write_text(BACKEND_CONF.format(base=base, name=name))
    text = PROXY_CONF.format(base=base, pipeline=" ".join(PIPELINE))
    options = filter_options(region)
    for name in PIPELINE:
        text += f"[filter:{name}]\nuse = egg:swift#{name}\n{options.get(name, '')}"
    (base / "proxy.conf").write_text(text)
    return sockets


class Quiet:
    """Where eventlet's access log goes: nowhere."""

    def write(self, text: str) -> None:
        """Drop it."""


def serve(name: str, listening: Any, base: Path) -> Any:
    """Serve one of Swift's four programs on a socket, in a green thread of its own."""
    application = wsgi.loadapp(str(base / f"{name}.conf"), global_conf={"log_name": name})
    return eventlet.spawn(
        eventlet.wsgi.server,
        listening,
        application,
        Quiet(),
        log_output=False,
        protocol=SwiftHttpProtocol,
        keepalive=True,
        capitalize_response_headers=False,
    )


def die_with_parent() -> None:
    """Leave as soon as standard input ends. A real thread: a green one would not see it."""
    threading = eventlet.patcher.original("threading")
    reading = eventlet.patcher.original("os").read

    def wait() -> None:
        while reading(0, 1):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def main(arguments: list[str]) -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--region", default=REGION)
    parser.add_argument("--lifeline", action="store_true")
    options = parser.parse_args(arguments)
    base = options.directory.resolve()
    if options.lifeline:
        die_with_parent()
    for name, listening in lay_out(base, options.region).items():
        serve(name, listening, base)
    front = eventlet.listen(("127.0.0.1", options.port))
    green = serve("proxy", front, base)
    ready = {
        "endpoint": f"http://127.0.0.1:{front.getsockname()[1]}",
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "region": options.region,
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    green.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
