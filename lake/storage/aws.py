"""Access to AWS and to what speaks its protocols: clients, credentials, and errors that say what to change."""

import io
import os
import re
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from botocore.session import get_session

from lake.base.errors import HeadwaterError
from lake.storage.store import AwsAccess

CONNECTIONS = 32  # at once, of one client
_MISSING = frozenset(("NoSuchKey", "404", "NotFound", "NoSuchVersion"))
_DENIED = frozenset(
    (
        "AccessDenied",
        "AccessDeniedException",
        "403",
        "Forbidden",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "KMS.AccessDeniedException",
        "AllAccessDisabled",
        "AccountProblem",
    )
)


# "… is not authorized to perform: kms:Decrypt on resource: …": what AWS says is missing ("Troubleshoot access denied
# (403 Forbidden) errors in Amazon S3", Amazon S3 User Guide).
_PERMISSION = re.compile(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z*]+)")
_PROXIES = frozenset(("http_proxy", "https_proxy", "no_proxy", "all_proxy"))
_MAKING = threading.RLock()  # botocore's sessions must not make two clients at once
Environment = tuple[int, tuple[tuple[str, str], ...]]


class AccessDenied(HeadwaterError, PermissionError):
    """The store refused a request. The message names bucket, key and the permission that is missing."""


class StoreUnavailable(HeadwaterError, OSError):
    """The store did not answer, or not with what was asked for, after all retries. Nothing was changed by it."""


class NoSuchBucket(StoreUnavailable):
    """The bucket does not exist, or not in this region and at this endpoint."""


class Credentials(NamedTuple):
    """What signs requests now. Never printed: `repr` tells nothing."""

    access_key: str
    secret_key: str
    token: str | None

    def __repr__(self) -> str:
        return "Credentials(…)"


class _Addressed(Exception):
    """Carries the address of a request that is not sent."""


def client(access: AwsAccess, service: str, endpoint_url: str | None = None) -> Any:
    """Return a client of a service (`s3`, `sqs`, `sts`, …); the same one for the same access, per process."""
    with _MAKING:
        return _client(access, service, endpoint_url, environment())


def session(access: AwsAccess) -> boto3.Session:
    """Return the session that clients are made of, with the credentials of the chain or of the role."""
    with _MAKING:
        return _session(access, environment())


def credentials(access: AwsAccess) -> Credentials:
    """Return the credentials of now.

    Raises:
        AccessDenied: the standard chain has none.
    """
    found = _session(access, environment()).get_credentials()
    if found is None:
        raise AccessDenied(_no_credentials())
    frozen = found.get_frozen_credentials()
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


def region_of(access: AwsAccess) -> str:
    """Return the region that requests are signed for."""
    return access.region or _session(access, environment()).region_name or "us-east-1"


def own_endpoint(access: AwsAccess) -> str:
    """Return the address of an S3-compatible store, by the settings or by AWS_ENDPOINT_URL; empty when it is AWS."""
    url = str(client(access, "s3").meta.endpoint_url)
    return "" if ".amazonaws.com" in (urlsplit(url).hostname or "") else url


def address_of(access: AwsAccess, bucket: str) -> str:
    """Return the address that the client sends requests for a bucket's objects to, as `https://…/`; asks no server."""
    with _MAKING:
        maker = _session(access, environment()).client(
            "s3", endpoint_url=access.endpoint_url, region_name=region_of(access), config=config(access)
        )

    def stop(request: Any, **_: Any) -> None:
        raise _Addressed(request.url)

    maker.meta.events.register("before-send.s3.GetObject", stop)
    try:
        maker.get_object(Bucket=bucket, Key="x")
    except _Addressed as found:
        return str(found).removesuffix("x")
    raise AssertionError("botocore sends requests without asking `before-send`")


def explained(problem: Exception, action: str, bucket: str, key: str = "") -> Exception:
    """Return the error to raise for one of botocore's, about an action such as `s3:GetObject` on a bucket and key."""
    if isinstance(problem, AccessDenied | StoreUnavailable):
        return problem  # of getting credentials: it is explained already
    where = f"s3://{bucket}/{key}" if bucket else key
    if isinstance(problem, NoCredentialsError | PartialCredentialsError):
        return AccessDenied(f"{action} on {where}: {_no_credentials()}")
    if isinstance(problem, ClientError):
        code = str(problem.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            return FileNotFoundError(f"{where}: no such object")
        if code == "NoSuchBucket":
            return NoSuchBucket(
                f"{where}: there is no bucket {bucket} at this endpoint, or not in this account's reach"
            )
        if code in _DENIED:
            found = _PERMISSION.search(str(problem.response.get("Error", {}).get("Message", "")))
            return AccessDenied(_denial(code, action, where, found[1] if found else action))
        if code == "RequestTimeTooSkewed":
            return AccessDenied(
                f"{action} on {where} was refused ({code}): this machine's clock is wrong; set it (NTP) and run again"
            )
        message = str(problem.response.get("Error", {}).get("Message", ""))
        return StoreUnavailable(f"{action} on {where} failed: {code} {message}".strip())
    if isinstance(problem, BotoCoreError | OSError):
        return StoreUnavailable(f"{action} on {where} failed: {type(problem).__name__}: {problem}")
    return problem


def _denial(code: str, action: str, where: str, permission: str) -> str:
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
        return f"{action} on {where} was denied ({code}): the access key is not known there, or its secret is wrong"
    if code == "ExpiredToken":
        return f"{action} on {where} was denied ({code}): the credentials have expired; renew them and run again"
    told = f"{action} on {where} was denied ({code}): allow the permission"
    if permission.startswith("kms:"):
        return f"{told} {permission} on the KMS key of the object"
    return f"{told} {permission} there, and its KMS key if it has one"


def _no_credentials() -> str:
    return (
        "no AWS credentials were found. Give them by the standard chain: environment variables, a profile, SSO, or the"
        " role of the machine"
    )


@lru_cache(maxsize=64)
def _client(access: AwsAccess, service: str, endpoint_url: str | None, process: Environment) -> Any:
    endpoint = endpoint_url or (access.endpoint_url if service == "s3" else None)
    return _session(access, process).client(
        service, endpoint_url=endpoint, region_name=region_of(access), config=config(access)
    )


def config(access: AwsAccess) -> Config:
    """Return botocore's settings: bounded retries and timeouts; checksums in trailers only where AWS itself answers."""
    named = access.endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    own = named is not None and not (urlsplit(named).hostname or "").endswith(".amazonaws.com")
    checksums = "when_required" if own else "when_supported"
    return Config(
        retries={"mode": "standard", "total_max_attempts": access.attempts},
        connect_timeout=access.connect_timeout_seconds,
        read_timeout=access.read_timeout_seconds,
        max_pool_connections=CONNECTIONS,
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
        s3={"addressing_style": access.addressing_style},
        user_agent_extra="headwater",
    )


@lru_cache(maxsize=64)
def _session(access: AwsAccess, process: Environment) -> boto3.Session:
    base = boto3.Session(profile_name=access.profile, region_name=access.region)
    if access.role_arn is None:
        return base

    def assume() -> dict[str, str]:
        request = {"RoleArn": access.role_arn, "RoleSessionName": "headwater"}
        request |= {"ExternalId": access.external_id} if access.external_id else {}
        sts = base.client("sts", region_name=region_of(AwsAccess(region=access.region, profile=access.profile)))
        try:
            given = sts.assume_role(**request)["Credentials"]
        except (ClientError, BotoCoreError) as problem:
            raise AccessDenied(f"sts:AssumeRole of {access.role_arn} was refused: {_code(problem)}") from None
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }

    assumed = get_session()
    assumed._credentials = DeferredRefreshableCredentials(refresh_using=assume, method="assume-role")
    return boto3.Session(botocore_session=assumed, region_name=access.region or base.region_name)


def environment() -> Environment:
    """What clients and connections are kept by besides the access: a forked child must not share them, and the chain
    reads AWS_* variables and the ones that name a proxy."""
    return os.getpid(), tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))


def _code(problem: Exception) -> str:
    if isinstance(problem, ClientError):
        return str(problem.response.get("Error", {}).get("Code", "")) or "ClientError"
    return type(problem).__name__


class Parts(io.RawIOBase):
    """An object of many bytes as a file: `part` gives the bytes from one place to another."""

    def __init__(self, part: Callable[[int, int], bytes], size: int) -> None:
        self._part, self._size, self._at = part, size, 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that one can begin anywhere."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, as of any file."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, into: Any) -> int:
        """Read on, as many bytes as there is room for."""
        end = min(self._at + len(into), self._size)
        data = self._part(self._at, end) if self._at < end else b""
        into[: len(data)] = data
        self._at += len(data)
        return len(data)
