"""Doubles of what AWS gives credentials by: instance metadata, containers' endpoint, STS.

From AWS's pages: "Use the Instance Metadata Service to access instance metadata" (the token
of version 2), "Task IAM role" and "EKS Pod Identity" (Authorization), and the STS API
Reference (AssumeRole, AssumeRoleWithWebIdentity). Each runs in a thread.
"""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

__all__ = ["FAR", "Double", "container", "environment", "metadata", "moment", "sts"]

ROLE = "arn:aws:iam::123456789012:role/reader"
FAR = 4_000_000_000.0


def moment(seconds: float) -> str:
    """As AWS writes a time."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


class Double:
    """An HTTP server. answer: (method, path, headers, body) -> status and body.

    asked: (method, path) of each request. fault: takes the place of `answer` when it is
    there; `go_on` set lets those go on that wait for it. form: what STS was sent last.
    """

    def __init__(self, answer: Callable[..., tuple[int, str]]) -> None:
        self.answer = answer
        self.fault: Callable[..., tuple[int, str]] | None = None
        self.asked: list[tuple[str, str]] = []
        self.number = 1
        self.expires: float | None = FAR
        self.go_on = threading.Event()
        self.form: dict[str, str] = {}
        double = self

        class Answering(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length).decode()
                double.asked.append((self.command, self.path))
                answer = double.fault or double.answer
                status, text = answer(double, self.command, self.path, self.headers, body)
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_PUT = do_POST = do_GET

            def log_message(self, *_words: object) -> None:
                """Say nothing."""

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_words: object) -> None:
                """A client that went away is no news."""

        self.server = Server(("127.0.0.1", 0), Answering)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """End it; what waits goes on."""
        if self.go_on.is_set() and not self.thread.is_alive():
            return
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(30)

    @property
    def keys(self) -> dict[str, Any]:
        """What it gives now, in the words of the metadata service."""
        given = {
            "AccessKeyId": f"ASIA{self.number}",
            "SecretAccessKey": f"s3cr3t{self.number}",
            "Token": f"t0ken{self.number}",
        }
        if self.expires is not None:
            given["Expiration"] = moment(self.expires)
        return given


def _metadata(double: Double, method: str, path: str, headers: Any, _body: str) -> tuple[int, str]:
    if path == "/latest/api/token":
        good = method == "PUT" and headers["x-aws-ec2-metadata-token-ttl-seconds"]
        return (200, "imds-t0ken") if good else (400, "")
    if headers["x-aws-ec2-metadata-token"] != "imds-t0ken":
        return 401, ""
    roles = "/latest/meta-data/iam/security-credentials/"
    if path == roles:
        return 200, "reader"
    if path == f"{roles}reader":
        return 200, json.dumps({"Code": "Success", "Type": "AWS-HMAC", **double.keys})
    return 404, ""


def _container(double: Double, method: str, path: str, headers: Any, _body: str) -> tuple[int, str]:
    if (method, path) != ("GET", "/v1/credentials"):
        return 404, ""
    if headers["authorization"] != "pod-t0ken":
        return 401, "no"
    return 200, json.dumps(double.keys)


def _sts(double: Double, _method: str, _path: str, headers: Any, body: str) -> tuple[int, str]:
    asked = {name: values[0] for name, values in parse_qs(body).items()}
    double.form = {**asked, "authorization": headers.get("authorization", "")}
    action = asked["Action"]
    by_token = action == "AssumeRoleWithWebIdentity"
    right = (
        asked.get("WebIdentityToken") == "web-t0ken"
        if by_token
        else "Credential=" in headers.get("authorization", "")
    )
    if not right or asked["RoleArn"] != ROLE:
        return 403, (
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
            "<Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>"
        )
    keys = double.keys
    return 200, (
        f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
        f"<Credentials><AccessKeyId>{keys['AccessKeyId']}</AccessKeyId>"
        f"<SecretAccessKey>{keys['SecretAccessKey']}</SecretAccessKey>"
        f"<SessionToken>{keys['Token']}</SessionToken>"
        f"<Expiration>{keys['Expiration']}</Expiration></Credentials>"
        f"<AssumedRoleUser><Arn>{ROLE}</Arn><AssumedRoleId>A:b</AssumedRoleId></AssumedRoleUser>"
        f"</{action}Result></{action}Response>"
    )


def metadata() -> Double:
    """The instance metadata service, version 2 alone."""
    return Double(_metadata)


def container() -> Double:
    """The endpoint of EKS's pod identity; ECS's is the same without the token."""
    return Double(_container)


def sts() -> Double:
    """STS with one role."""
    return Double(_sts)


def environment(case: Any, **names: str) -> None:
    """Let the process have these AWS_* variables and no others, until the test is over."""
    before = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}

    def back() -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(before)

    case.addCleanup(back)
    for name in before:
        del os.environ[name]
    nowhere = "/nonexistent"
    os.environ.update(
        {
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_METADATA_SERVICE_TIMEOUT": "60",
            **names,
        }
    )
