"""What a bucket announces of a body's bytes."""

from __future__ import annotations

import base64
import hashlib
import zlib

from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import ResponseHead, body_digest

BODY = b"the body"
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()


def announced(status=200, **fields):
    """What a head with these fields announces: algorithm and whether BODY is it."""
    lines = tuple((k.replace("_", "-").encode(), v.encode()) for k, v in fields.items())
    digest = body_digest(ResponseHead(status, b"", lines))
    if digest is None:
        return None
    running = digest.running()
    running.update(BODY[:3])
    running.update(memoryview(BODY)[3:])
    return digest.algorithm, running.matches


def b64(value: bytes) -> str:
    """As S3 writes checksums."""
    return base64.b64encode(value).decode()


class BodyDigestTests(SynchronousTestCase):
    """`body_digest`."""

    def test_etag(self) -> None:
        """An ETag that is an MD5 is one: not of parts, of KMS, of a customer's key, or weak."""
        tag = f'"{MD5}"'
        for fields, expected in (
            ({"ETag": tag}, ("md5", True)),
            ({"ETag": f'"{"0" * 32}"'}, ("md5", False)),
            ({"ETag": tag, "x_amz_server_side_encryption": "AES256"}, ("md5", True)),
            ({"ETag": tag, "x_amz_server_side_encryption": "aws:kms"}, None),
            ({"ETag": tag, "x_amz_server_side_encryption": "aws:kms:dsse"}, None),
            ({"ETag": tag, "x_amz_server_side_encryption_customer_algorithm": "AES256"}, None),
            ({"ETag": f'"{MD5}-3"'}, None),
            ({"ETag": f"W/{tag}"}, None),
            ({"ETag": '"65f1c2a0-400"'}, None),
            ({"ETag": MD5}, None),
            ({}, None),
        ):
            self.assertEqual(announced(**fields), expected, fields)

    def test_checksum_fields(self) -> None:
        """A checksum of the whole goes before the ETag; one of parts, or no base64, counts not."""
        sha256 = b64(hashlib.sha256(BODY).digest())
        other = {"ETag": f'"{"0" * 32}"'}
        for fields, expected in (
            ({"x_amz_checksum_sha256": sha256}, ("sha256", True)),
            (
                {"x_amz_checksum_sha1": b64(hashlib.sha1(BODY, usedforsecurity=False).digest())},
                ("sha1", True),
            ),
            ({"x_amz_checksum_crc32": b64(zlib.crc32(BODY).to_bytes(4, "big"))}, ("crc32", True)),
            ({"x_amz_checksum_crc32": b64(b"zero")}, ("crc32", False)),
            (
                {"x_amz_checksum_sha256": sha256, "x_amz_checksum_type": "FULL_OBJECT"},
                ("sha256", True),
            ),
            (
                {"x_amz_checksum_sha256": sha256, "x_amz_checksum_type": "COMPOSITE"},
                ("md5", False),
            ),
            ({"x_amz_checksum_sha256": f"{sha256}-2"}, ("md5", False)),
            ({"x_amz_checksum_sha256": b64(b"short")}, ("md5", False)),
            ({"x_amz_checksum_crc32c": b64(b"1234")}, ("md5", False)),
        ):
            self.assertEqual(announced(**fields, **other), expected, fields)

    def test_only_the_whole(self) -> None:
        """A part's head, or an error's, announces nothing of its own body."""
        for status in (206, 304, 404, 403):
            self.assertIsNone(announced(status, ETag=f'"{MD5}"'), status)
