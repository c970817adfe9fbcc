"""Credentials from outside of the configuration, got by botocore: the extra s3shield[aws].

All of this blocks, for many seconds when a source is slow: it is for a thread. Each call
begins anew, with the files and endpoints as they are now. botocore is imported here alone,
when the first credentials are got.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

import attrs

from s3shield.config import CredentialSource
from s3shield.signing import Credentials

__all__ = ["Fetched", "UnavailableError", "describe", "fetch"]

_CONNECT: Final = 3
_READ: Final = 5
_OF_A_PROFILE: Final = frozenset(
    {"assume-role", "assume-role-with-web-identity", "sso", "login"}
    | {"shared-credentials-file", "custom-process", "config-file"}
)
_METHODS: Final = {
    "file": _OF_A_PROFILE,
    "profile": _OF_A_PROFILE,
    "process": frozenset({"custom-process"}),
    "imds": frozenset({"iam-role"}),
    "ecs": frozenset({"container-role"}),
    "web-identity": frozenset({"assume-role-with-web-identity"}),
}
"""Sources and botocore's names of the providers that they are; all of them for the chain."""
_NAMES: Final = {
    "static": "the configuration",
    "file": "the shared files",
    "process": "credential_process",
    "imds": "the instance metadata service",
    "ecs": "the container credentials endpoint",
    "web-identity": "a web identity token",
    "chain": "botocore's chain",
}
_LACKS: Final = {
    "file": "they have no credentials for the profile",
    "profile": "it has no credentials",
    "process": "the profile names none",
    "imds": "it does not answer as it should, or the instance has no role",
    "ecs": "the environment names none (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI)",
    "web-identity": "the environment names none (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN)",
    "chain": "nothing in it has credentials",
}
_FILES: Final = (
    "look at ~/.aws/credentials and ~/.aws/config of the daemon's user, or where its environment "
    "says that they are (AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE, AWS_PROFILE)"
)
_ADVICE: Final = {
    "static": "look at the key in the configuration",
    "file": _FILES,
    "profile": _FILES,
    "process": "run the credential_process of the profile by hand, as the daemon's user",
    "imds": (
        "attach an instance profile; in a container the hop limit of the metadata service must "
        "be 2 (aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2)"
    ),
    "ecs": "look at the role of the task, or at the pod identity association and its agent",
    "web-identity": "look at the role of the service account, and at the trust policy of the role",
    "chain": "`aws sts get-caller-identity` as the daemon's user shows what its chain finds",
}
_PAGES: Final = re.compile(r" from container metadata:|,? invalid XML received|Further retries ")
"""What botocore's texts go on with before they quote an answer."""
_LONG: Final = re.compile(r"[A-Za-z0-9/+=_.-]{40,}")
_ACCOUNT: Final = re.compile(r"\d{12}:$")
_LONGEST: Final = 300


@attrs.frozen
class Fetched:
    """What a source gave. expires: epoch seconds, None where no end is known."""

    credentials: Credentials
    expires: float | None = None


class UnavailableError(Exception):
    """A source gave nothing to sign with. problem: why, without secrets. advice: what to do."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.advice = advice


def describe(source: CredentialSource) -> str:
    """Return what a source is called."""
    name = _NAMES.get(source.kind) or f"the profile {source.profile}"
    return name if source.role is None else f"{name} for the role {source.role}"


def fetch(source: CredentialSource, region: str | None) -> Fetched:
    """Return credentials as the source has them now. Raises UnavailableError, nothing else.

    region: the bucket's; STS is asked there unless the environment says where.
    """
    advice = _ADVICE[source.kind]
    try:
        import botocore.session  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        problem = "botocore is not installed"
        raise UnavailableError(problem, "pip install 's3shield[aws]'") from None
    try:
        session = botocore.session.Session(profile=source.profile)
        _prepare(session, region)
        found = _first(source, session)
        if source.role is None:
            return found
    except UnavailableError:
        raise
    except Exception as why:  # endpoints that lie make botocore fail in every way there is
        raise UnavailableError(_told(why), advice) from None
    try:
        return _assume(source, session, found.credentials)
    except Exception as why:
        trust = f"look at its trust policy: may {found.credentials.access_key} assume it?"
        raise UnavailableError(f"the role cannot be assumed: {_told(why)}", trust) from None


def _prepare(session: Any, region: str | None) -> None:
    import botocore.config  # noqa: PLC0415

    session.set_default_client_config(
        botocore.config.Config(
            connect_timeout=_CONNECT, read_timeout=_READ, retries={"total_max_attempts": 2}
        )
    )
    if region is not None and not session.get_config_variable("region"):
        session.set_config_variable("region", region)


def _first(source: CredentialSource, session: Any) -> Fetched:
    """Return what the source itself gives, before a role is assumed with it."""
    if source.base is not None:
        return Fetched(source.base)
    import botocore.credentials  # noqa: PLC0415

    methods = _METHODS.get(source.kind)
    for provider in botocore.credentials.create_credential_resolver(session).providers:
        if methods is not None and provider.METHOD not in methods:
            continue
        found = provider.load()
        if found is not None:
            keys = found.get_frozen_credentials()
            # botocore has no public way to tell it.
            expires: datetime | None = getattr(found, "_expiry_time", None)
            credentials = Credentials(
                keys.access_key, keys.secret_key, session_token=keys.token or None
            )
            return Fetched(credentials, None if expires is None else expires.timestamp())
    raise UnavailableError(f"no credentials: {_LACKS[source.kind]}", _ADVICE[source.kind])


def _assume(source: CredentialSource, session: Any, base: Credentials) -> Fetched:
    client = session.create_client(
        "sts",
        aws_access_key_id=base.access_key,
        aws_secret_access_key=base.secret_key,
        aws_session_token=base.session_token,
    )
    try:
        answer = client.assume_role(RoleArn=source.role, RoleSessionName=source.session)
    finally:
        client.close()
    keys = answer["Credentials"]
    credentials = Credentials(
        keys["AccessKeyId"], keys["SecretAccessKey"], session_token=keys["SessionToken"]
    )
    return Fetched(credentials, keys["Expiration"].timestamp())


def _masked(found: re.Match[str]) -> str:
    """Hide what is as long as a secret, unless it is a path, or the end of an ARN."""
    text = found[0]
    path = text.startswith("/") or _ACCOUNT.search(found.string[: found.start()]) is not None
    return text if path else "***"


def _told(why: Exception) -> str:
    """Return an error in one line, and without what may be a secret or somebody's page."""
    if "refreshed credentials are still expired" in str(why):
        return "what it gave has expired; is this machine's clock right (timedatectl)?"
    text = _LONG.sub(_masked, _PAGES.split(" ".join(str(why).split()), maxsplit=1)[0])
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}..."
    known = type(why).__module__.startswith("botocore.") or isinstance(why, OSError)
    if not known:
        text = f"it gave what cannot be used ({type(why).__name__}: {text})"
    return ascii(text)[1:-1].replace("\\'", "'")
