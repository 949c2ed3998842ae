"""GET of one object, signed by botocore and sent without its client.

Botocore's client takes some 3.5 ms of processor time a request, which is what ten thousand small objects wait for;
this takes a fraction of it. It knows only success: whatever else comes (an error, a redirect to another region, a
proxy, no connection) is left to the client, which knows how to retry and what to say.
"""

import os
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import get_cert_path

from lake.storage.aws import CONNECTIONS, address_of, environment, region_of, session
from lake.storage.store import AwsAccess

_REFUSED: set[str] = set()  # buckets' addresses that answered in a way that only the client knows to follow
_Environment = tuple[int, tuple[tuple[str, str], ...]]


def signed_get(access: AwsAccess, bucket: str, key: str, headers: dict[str, str]) -> Any:
    """Return an object's bytes as a file (urllib3's), or None when the client must ask.

    `headers` may hold `If-Match` and `Range`. The file is of the stored bytes; reading fewer than were announced raises
    urllib3's HTTPError.
    """
    found = session(access).get_credentials()
    if found is None:
        return None
    base = _base(access, bucket, environment())
    if base is None or base in _REFUSED:
        return None
    url = base + quote(key, safe="/~")
    request = AWSRequest(method="GET", url=url, headers=headers)
    S3SigV4Auth(found.get_frozen_credentials(), "s3", region_of(access)).add_auth(request)
    try:
        answer = _connections(access, environment()).request(
            "GET", url, headers=dict(request.headers), preload_content=False, decode_content=False, redirect=False
        )
    except (urllib3.exceptions.HTTPError, OSError):
        return None
    if answer.status in (200, 206):
        return answer
    if answer.status in (301, 307, 308, 400):
        _REFUSED.add(base)
    answer.drain_conn()
    answer.release_conn()
    return None


@lru_cache(maxsize=256)
def _base(access: AwsAccess, bucket: str, seen: _Environment) -> str | None:
    """Return the address under which a bucket's objects lie; None behind a proxy."""
    base = address_of(access, bucket)
    address = urlsplit(base)
    if getproxies().get(address.scheme) and not proxy_bypass(address.hostname or ""):
        return None
    return base


@lru_cache(maxsize=64)
def _connections(access: AwsAccess, seen: _Environment) -> urllib3.PoolManager:
    timeout = urllib3.Timeout(connect=access.connect_timeout_seconds, read=access.read_timeout_seconds)
    certificates = os.environ.get("AWS_CA_BUNDLE") or get_cert_path(True)
    return urllib3.PoolManager(maxsize=CONNECTIONS, timeout=timeout, retries=False, ca_certs=certificates)
