"""Buckets: an endpoint, a way to sign and the keys for it, proven to go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import attrs

from s3shield.signing import (
    Addressing,
    Credentials,
    Endpoint,
    KeyRing,
    Scope,
    Signer,
    SignMode,
    parse_key_file,
)

from .errors import BadValueError
from .given import Given, Sources, Value, find
from .options import BUCKET, KEYS, ORIGIN, REPLICA, STATIC
from .values import BucketConfig, CredentialSource, OriginConfig

__all__ = ["build_bucket", "build_connection"]


class _Unusable(Exception):  # noqa: N818 - carries a complaint to where it is noted
    """The bucket cannot be built. at, option: what it is about; None: already told."""

    def __init__(self, message: str, at: Value | None = None, option: str = "") -> None:
        super().__init__(message)
        self.at = at
        self.option = option


def build_connection(chain: Sequence[Given]) -> OriginConfig:
    """Return the origin_* options in force; broken ones have been told of."""
    values = {}
    for name in ORIGIN:
        found = find(chain, name)
        if found is not None and not found.broken:
            values[name] = found.value
    return OriginConfig(**values)


def build_bucket(
    chain: Sequence[Given], name: str, about: Given, sources: Sources
) -> BucketConfig | None:
    """Return the bucket that `chain` describes, or None after complaining.

    chain: sections, the innermost first. about: the section to name when an option is
    missing.
    """
    found = {option: find(chain, option) for option in (*BUCKET, *REPLICA)}
    # Keys of two sections never mix.
    home = next((given for given in chain if any(key in given.values for key in KEYS)), None)
    for key in KEYS:
        found[key] = None if home is None else home.values.get(key)
    try:
        return _Bucket(found, sources).build(name, build_connection(chain), about)
    except _Unusable as why:
        if str(why):
            sources.complain(why.at or about, str(why), why.option)
        return None


@attrs.frozen
class _Bucket:
    found: dict[str, Value | None]
    sources: Sources

    def get(self, option: str) -> Any:
        value = self.found[option]
        if value is None:
            return {**BUCKET, **REPLICA}[option].default
        if value.broken:
            raise _Unusable("")
        return value.value

    def build(self, name: str, connection: OriginConfig, about: Given) -> BucketConfig:
        mode: SignMode = self.get("aws_sign")
        if self.found["aws_s3_bucket"] is None:
            raise _Unusable("it is missing: the bucket's name", option="aws_s3_bucket")
        credentials = source = None
        if mode is not SignMode.OFF:
            credentials, source = self.keys(mode)
        region = self.region(None if credentials is None else credentials.ring)
        endpoint = self.endpoint(region)
        if mode in (SignMode.V4, SignMode.V4_QUERY) and region is None:
            raise _Unusable("it is missing: version 4 signs for a region", option="aws_region")
        lifetime: int = self.get("aws_presign_lifetime")
        try:
            pending = source is not None
            Signer(endpoint, mode, credentials, region, lifetime=lifetime, pending=pending)
        except ValueError as why:
            raise _Unusable(str(why), self.found["aws_sign"], "aws_sign") from None
        where = self.found["aws_s3_bucket"]
        from_file = credentials is not None and credentials.keys is not None
        return BucketConfig(
            name=name,
            endpoint=endpoint,
            sign=mode,
            credentials=credentials,
            region=region,
            lifetime=lifetime,
            addressing=cast("Addressing", self.get("aws_addressing")),
            connection=connection,
            key_file=self.key_file if from_file else None,
            source=source,
            **{option: self.get(option) for option in REPLICA},
            where=self.sources.where(where or about),
        )

    @property
    def key_file(self) -> str:
        return self.sources.path(self.get("aws_signing_key_file"))

    def region(self, ring: KeyRing | None) -> str | None:
        region: str | None = self.get("aws_region")
        if ring is None:
            return region
        if region is not None and region != ring.region:
            raise _Unusable(
                f"the region is {region!r}, but the key scope is for {ring.region!r}",
                self.found["aws_region"],
            )
        return ring.region

    def endpoint(self, region: str | None) -> Endpoint:
        bucket: str = self.get("aws_s3_bucket")
        addressing: Addressing = self.get("aws_addressing")
        url: str | None = self.get("aws_endpoint")
        if url is None:
            # Amazon's own, in the region; where there is none, the first one.
            url = "https://s3.amazonaws.com"
            if region is not None:
                china = ".cn" if region.startswith("cn-") else ""
                url = f"https://s3.{region}.amazonaws.com{china}"
        # One part more at a time, so that the complaint is about the right option.
        for option, parts in (
            ("aws_endpoint", (url, "", "path")),
            ("aws_s3_bucket", ("localhost", bucket, "path")),
            ("aws_endpoint", (url, bucket, "path")),
            ("aws_addressing", (url, bucket, addressing)),
        ):
            try:
                endpoint = Endpoint.parse(*parts)  # type: ignore[arg-type]  # as annotated above
            except ValueError as why:
                raise _Unusable(str(why), self.found[option], option) from None
        return endpoint

    def keys(self, mode: SignMode) -> tuple[Credentials | None, CredentialSource | None]:
        """Return what to sign with, or where that comes from."""
        kind: str = self.get("aws_credentials")
        role: str | None = self.get("aws_role_arn")
        session: str = self.get("aws_role_session_name")
        at = self.found["aws_role_arn"] or self.found["aws_credentials"]
        if role is None and self.found["aws_role_session_name"] is not None:
            raise _Unusable(
                "it goes with aws_role_arn, which is missing", self.found["aws_role_session_name"]
            )
        base = self.credentials(mode) if kind in ("static", "env") else None
        if base is not None and role is None:
            return base, None
        if mode in (SignMode.V2, SignMode.V2_QUERY):
            raise _Unusable("temporary credentials are for version 4", at)
        if base is None:
            self.nothing_else(f"the keys come from the source {kind}")
        elif base.secret_key is None:
            raise _Unusable("a role is assumed with a secret, not with a scoped key", at)
        if not self.sources.installed("botocore"):
            raise _Unusable("this needs botocore: pip install 's3shield[aws]'", at)
        word, _, profile = kind.partition(":")
        source = CredentialSource(
            kind=word if base is None else "static",
            profile=profile or None,
            base=base,
            role=role,
            session=session,
        )
        return None, source

    def nothing_else(self, why: str) -> None:
        """See to it that no key is in the same section; an outer one may be for others."""
        here = self.found["aws_credentials"]
        for option in ("aws_access_key", *STATIC):
            value = self.found[option]
            if value is not None and here is not None and value.title == here.title:
                raise _Unusable(f"{why}: not from here too", self.found[option])

    def credentials(self, mode: SignMode) -> Credentials:
        version2 = mode in (SignMode.V2, SignMode.V2_QUERY)
        if self.get("aws_credentials") == "env":
            return self.from_environment(version2=version2)
        secret: str | None = self.get("aws_secret_key")
        key: bytes | None = self.get("aws_signing_key")
        scope: Scope | None = self.get("aws_key_scope")
        token: str | None = self.get("aws_session_token")
        source = self.found["aws_signing_key_file"]
        ring: KeyRing | None = None
        kinds = [
            name
            for name, there in (
                ("aws_secret_key", secret is not None),
                ("aws_signing_key", key is not None),
                ("aws_signing_key_file", source is not None),
            )
            if there
        ]
        if len(kinds) > 1:
            last = max((self.found[kind] for kind in kinds), key=lambda at: at.line if at else 0)
            raise _Unusable(f"give one of {' and '.join(kinds)}", last)
        if version2 and kinds and kinds != ["aws_secret_key"]:
            raise _Unusable(
                "a scoped key signs version 4 only; version 2 needs aws_secret_key",
                self.found[kinds[0]],
            )
        if version2 and token is not None:
            raise _Unusable(
                "temporary credentials are for version 4", self.found["aws_session_token"]
            )
        if source is not None:
            if scope is not None:
                raise _Unusable("the scope stands in the key file", self.found["aws_key_scope"])
            ring = self.from_file(source)
        elif key is not None and scope is None:
            raise _Unusable(
                "it is missing: the scope of aws_signing_key, its second line",
                option="aws_key_scope",
            )
        elif scope is not None and key is None:
            what = "a key scope goes with aws_signing_key, not with aws_secret_key"
            if secret is None:
                raise _Unusable("it is missing: the key of aws_key_scope", option="aws_signing_key")
            raise _Unusable(what, self.found["aws_key_scope"])
        if not kinds:
            option = "aws_secret_key" if version2 else "aws_signing_key"
            needs = (
                "" if version2 else " (with aws_key_scope), aws_signing_key_file or aws_secret_key"
            )
            raise _Unusable(f"it is missing: a key to sign with{needs}", option=option)
        access_key: str | None = self.get("aws_access_key")
        if access_key is None:
            raise _Unusable("it is missing: the id of the access key", option="aws_access_key")
        try:
            return Credentials(access_key, secret, key, scope, token, ring)
        except ValueError as why:
            raise _Unusable(str(why), self.found[kinds[0]]) from None

    def from_file(self, source: Value) -> KeyRing:
        path = self.key_file
        try:
            ring = KeyRing.pick(parse_key_file(self.sources.read(path)), self.get("aws_region"))
        except BadValueError as why:
            raise _Unusable(str(why), source) from None
        except ValueError as why:
            raise _Unusable(f"{path}: {why}", source) from None
        self.sources.warn_if_open(path)
        return ring

    def from_environment(self, *, version2: bool) -> Credentials:
        at = self.found["aws_credentials"]
        self.nothing_else("the keys come from the environment")
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        access_key, secret = (self.sources.environ.get(name) for name in names)
        for name, value in zip(names, (access_key, secret), strict=True):
            if not value:
                raise _Unusable(f"there is no environment variable {name!r}", at)
        token = self.sources.environ.get("AWS_SESSION_TOKEN") or None
        if version2 and token is not None:
            raise _Unusable("temporary credentials (AWS_SESSION_TOKEN) are for version 4", at)
        try:
            return Credentials(access_key or "", secret, session_token=token)
        except ValueError as why:
            raise _Unusable(str(why), at) from None
