"""moto's S3 with authentication on, as one process: checks SigV4 in the header.

It does not check the region, the clock, or any other way to sign. Prints one JSON line
when it listens, and lives until it is told to stop or, with `--lifeline`, until its
standard input ends (so it never outlives who started it).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import urllib.request
from pathlib import Path

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

REGION = "us-east-1"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}],
}


def listen(port: int) -> BaseWSGIServer:
    """Return a threaded server that listens; requests wait until it is run."""
    application = DomainDispatcherApplication(create_backend_app)
    return make_server("127.0.0.1", port, application, threaded=True)


def lock(endpoint: str, region: str) -> tuple[str, str]:
    """Make a user who may use S3, then refuse everyone else; return the user's keys."""
    iam = boto3.client(
        "iam",
        endpoint_url=endpoint,
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",
        region_name=region,
    )
    iam.create_user(UserName="s3shield")
    iam.put_user_policy(UserName="s3shield", PolicyName="s3", PolicyDocument=json.dumps(POLICY))
    key = iam.create_access_key(UserName="s3shield")["AccessKey"]
    # moto's switch: the number of further requests that are let through unauthenticated.
    plain = {"Content-Type": "text/plain"}
    switch = urllib.request.Request(f"{endpoint}/moto-api/reset-auth", data=b"0", headers=plain)
    urllib.request.urlopen(switch).read()
    return key["AccessKeyId"], key["SecretAccessKey"]


def die_with_parent() -> None:
    """Leave as soon as standard input ends."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def main(arguments: list[str]) -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="unused: all is in memory")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--region", default=REGION)
    parser.add_argument("--lifeline", action="store_true")
    options = parser.parse_args(arguments)
    if options.lifeline:
        die_with_parent()
    server = listen(options.port)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    access_key, secret_key = lock(endpoint, options.region)
    ready = {
        "endpoint": endpoint,
        "access_key": access_key,
        "secret_key": secret_key,
        "region": options.region,
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    serving.join()


if __name__ == "__main__":
    main(sys.argv[1:])
