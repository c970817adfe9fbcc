"""A scripted bucket that checks signatures as S3 does, from AWS's text and nothing of ours.

AWS, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime

from .harness import Answer, Asked, Origin, answer

__all__ = ["CheckingOrigin"]

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)
WEEK = 7 * 86_400
TOLERANCE = 15 * 60


def seconds(text: str, form: str) -> float:
    """Epoch seconds of a date in UTC."""
    return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()


class CheckingOrigin(Origin):
    """Answers what is signed rightly; everything else gets a 403.

    secret: of the access key AKIAIOSFODNN7EXAMPLE. clock: its own. refused: days whose keys
    are not taken. scopes: of the requests that were right. wrong: why others were not.
    """

    def __init__(self, secret: str, region: str, clock: Callable[[], float]) -> None:
        super().__init__()
        self.secret = secret
        self.region = region
        self.clock = clock
        self.refused: set[str] = set()
        self.scopes: list[str] = []
        self.wrong: list[str] = []

    def reply(self, asked: Asked) -> Answer:
        """Check; then answer as the scenario says, with the key's day, or a body of its own."""
        day, why = self.check(asked)
        if why:
            self.wrong.append(why)
            codes = {"the signature": "SignatureDoesNotMatch", "the time": "RequestTimeTooSkewed"}
            code = codes.get(why, "AccessDenied")
            return answer(403, f"<Error><Code>{code}</Code></Error>".encode())
        self.scopes.append(day)
        path = "/" + asked.target.split("/", 2)[2]
        if path in self.answers:
            return super().reply(Asked(asked.method, path, asked.headers, asked.head))
        return answer(200, asked.target.encode(), {"X-Key-Day": day})

    def check(self, asked: Asked) -> tuple[str, str]:
        """Return the scope's day, and what is wrong or an empty text."""
        found = _AUTHORIZATION.fullmatch(asked.headers.get("authorization", ""))
        if found is None:
            return "", "no signature"
        access_key, day, region, service, names, signature = found.groups()
        now, stamp = self.clock(), asked.headers["x-amz-date"]
        begins = seconds(day, "%Y%m%d")
        if (access_key, region, service) != ("AKIAIOSFODNN7EXAMPLE", self.region, "s3"):
            return day, "the scope"
        if abs(seconds(stamp, "%Y%m%dT%H%M%SZ") - now) > TOLERANCE:
            return day, "the time"
        if not begins - TOLERANCE <= now < begins + WEEK or day in self.refused:
            return day, f"the key's day, {day}"
        path, _, query = asked.target.partition("?")
        canonical = "\n".join(
            [
                asked.method,
                path,
                "&".join(sorted(query.split("&"))),
                *[f"{name}:{asked.headers[name]}" for name in names.split(";")],
                "",
                names,
                asked.headers["x-amz-content-sha256"],
            ]
        )
        digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
        scope = f"{day}/{region}/{service}/aws4_request"
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        right = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        needed = {"host", "x-amz-content-sha256", "x-amz-date"}
        return day, "" if right == signature and needed <= set(
            names.split(";")
        ) else "the signature"
