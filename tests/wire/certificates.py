"""Certificates made for one test run, good ones and bad ones."""

from __future__ import annotations

import datetime as dt
import ipaddress
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from OpenSSL import crypto
from twisted.internet.ssl import CertificateOptions

__all__ = ["Authority"]

_DAY = dt.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@cache
def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Authority:
    """A certificate authority. pem: bytes, its own certificate."""

    def __init__(self, name: str = "Test CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        certificate = (
            self._builder(self._name, self._key, -_DAY, 30 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_signs_certificates(), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    def _builder(
        self, subject: x509.Name, key: Any, start: Any, end: Any
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_now() + start)
            .not_valid_after(_now() + end)
            # Python 3.13 verifies strictly: RFC 5280 4.2.1.1 and 4.2.1.2 want both.
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )

    def server(
        self,
        *names: str,
        start: dt.timedelta = -_DAY,
        end: dt.timedelta = 30 * _DAY,
        kind: str = "ec",
        **options: Any,
    ) -> CertificateOptions:
        """Return the TLS options of a server whose certificate is for `names` (addresses too).

        kind: of its key, ec or rsa.
        """
        key: Any = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else _rsa_key()
        builder = self._builder(_name("server"), key, start, end)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general(each) for each in names]), critical=False
            )
        certificate = builder.sign(self._key, hashes.SHA256())
        return CertificateOptions(
            privateKey=crypto.PKey.from_cryptography_key(key),
            certificate=crypto.X509.from_cryptography(certificate),
            **options,
        )

    def files(self, path: str, *names: str, kind: str = "ec") -> tuple[str, str]:
        """Write a server's certificate with its chain, and its key; return their paths.

        path: what both begin with. Made anew at each call, and renamed into place.
        """
        options = self.server(*names, kind=kind)
        pem = serialization.Encoding.PEM
        certificate = options.certificate.to_cryptography().public_bytes(pem) + self.pem
        key = options.privateKey.to_cryptography_key().private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for end, data in ((".pem", certificate), (".key", key)):
            new = Path(f"{path}{end}.new")
            new.touch(mode=0o600)
            new.write_bytes(data)
            new.rename(f"{path}{end}")
        return f"{path}.pem", f"{path}.key"


@cache
def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _signs_certificates() -> x509.KeyUsage:
    others = dict.fromkeys(
        [
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ],
        False,
    )
    return x509.KeyUsage(key_cert_sign=True, crl_sign=True, **others)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
