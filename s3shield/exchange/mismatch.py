"""Why a signature does not match: what we signed beside what S3 says that it received.

S3 puts its own canonical request and string to sign into the document of a
SignatureDoesNotMatch, so the first line that differs names the culprit: a proxy that
changes Host, a path encoded otherwise. Where nothing differs the key is wrong. Pure.

AWS, "Troubleshooting Signature Version 4 signing errors".
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from s3shield.signing import Explanation

from .s3_errors import element

__all__ = ["Mismatch", "compare"]

_MASK: Final = r"\1***"
_SECRETS: Final = (
    re.compile(r"(?im)^(x-amz-security-token:|x-amz-[a-z0-9-]*customer-key:).*"),
    re.compile(r"(?i)(x-amz-security-token=|signature=)[^&\s]*"),
)
"""S3 quotes back what it was sent, tokens and customers' keys among it."""
_LONGEST: Final = 8192
"""Characters of one text that go into a line of the log."""
_HEAD: Final = ("method", "path", "query")
_TO_SIGN: Final = ("algorithm", "time", "scope", "hash of the canonical request")
_BLAME: Final = {
    "path": "it is changed on the way, or encoded in another way",
    "query": "it is changed on the way, or encoded in another way",
    "host": "a proxy in between changes Host; check aws_endpoint and aws_addressing",
    "scope": "check aws_region",
}


@attrs.frozen
class Mismatch:
    r"""What came of comparing.

    verdict: str, one sentence without a full stop. texts: (title, text) pairs, each text
    one line with `\n` for line ends, secrets masked; ours before S3's of the same. same:
    whether S3 signed what we did, so that the key must be wrong.
    """

    verdict: str
    texts: tuple[tuple[str, str], ...]
    same: bool


def compare(ours: Explanation, body: bytes) -> Mismatch:
    """Compare our stages with those in S3's error document `body`."""
    pairs = (
        ("canonical request", ours.canonical_request, element(body, "CanonicalRequest")),
        ("string to sign", ours.string_to_sign, element(body, "StringToSign")),
    )
    texts: list[tuple[str, str]] = []
    verdict, compared = "", False
    for title, here, there in pairs:
        mine, other = _masked(here), _masked(there)
        if mine:
            texts.append((f"our {title}", _one_line(mine)))
        if other:
            texts.append((f"S3's {title}", _one_line(other)))
        if mine and other:
            compared = True
            verdict = verdict or _difference(title, mine, other)
    same = compared and not verdict
    if not compared:
        verdict = (
            "S3 does not show what it received: look first whether the secret, or the signing key "
            "with its scope, is this access key's"
        )
    elif same:
        verdict = (
            "S3 signed the same text: the secret, or the signing key with its scope, "
            "is not this access key's"
        )
    return Mismatch(verdict, tuple(texts), same)


def _masked(text: str) -> str:
    text = text.replace("\r\n", "\n").strip("\n")
    for secret in _SECRETS:
        text = secret.sub(_MASK, text)
    return text


def _one_line(text: str) -> str:
    return text[:_LONGEST].replace("\n", "\\n")


def _difference(title: str, mine: str, other: str) -> str:
    """Name the first line that differs; an empty string when none does."""
    ours, theirs = mine.split("\n"), other.split("\n")
    for number in range(max(len(ours), len(theirs))):
        here = ours[number] if number < len(ours) else None
        there = theirs[number] if number < len(theirs) else None
        if here != there:
            name = _name(title, ours, number)
            told = f"{title}, line {number + 1} ({name}): we sent {_shown(here)}"
            blame = _BLAME.get(name)
            end = f"; {blame}" if blame else ""
            return f"{told}, S3 received {_shown(there)}{end}"
    return ""


def _shown(line: str | None) -> str:
    return "nothing" if line is None else ascii(line[:500])


def _name(title: str, lines: list[str], number: int) -> str:
    """Say what the line is for. V2 has no canonical request, and other lines to sign."""
    if title == "string to sign":
        is_v4 = lines[0].startswith("AWS4-")
        return _TO_SIGN[number] if is_v4 and number < len(_TO_SIGN) else "a line"
    if number < len(_HEAD):
        return _HEAD[number]
    if number >= len(lines) or number == len(lines) - 1:
        return "hash of the body"
    if number == len(lines) - 2:
        return "names of the signed headers"
    return lines[number].partition(":")[0] or "end of the headers"
