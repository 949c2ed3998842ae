"""A place in a bucket (`s3://bucket/prefix`), its listing page by page, and reading one object of it.

Requests that are refused for a while (500, 503 SlowDown, timeouts) are repeated by the client, with backoff. A body
that breaks off is asked for again from the byte where it broke, if the object still has the listed etag.
"""

import io
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import urllib3.exceptions
from botocore.exceptions import BotoCoreError, ClientError

from ingest.objects import BUCKET_SCHEME, ObjectGone, ObjectRefused, RawObject, is_bucket_url
from lake.storage.aws import StoreUnavailable, client, explained
from lake.storage.signed_get import signed_get
from lake.storage.store import AwsAccess

PART_BYTES = 8 << 20
_READ_BYTES = 64 << 10  # what a connection that breaks may cost
_BODIES = 6  # that may break off in a row without a byte more
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.2, 10.0
# Answers that are about who asks, or about how busy the server is, not about the object.
_OF_NO_OBJECT = frozenset(
    (
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "SignatureDoesNotMatch",
        "SlowDown",
        "TooManyRequests",
    )
)
_OF_NO_OBJECT_STATUS = frozenset((408, 429))
_BROKEN_BODY = (BotoCoreError, urllib3.exceptions.HTTPError, OSError)
_GONE = "deleted after it was listed and before it was read; nothing of it was landed, and if it comes back it is read"
# "HeadObject" and "GetObject", Amazon S3 API Reference: without s3:ListBucket a missing object answers 403, not 404.
_MAY_BE_GONE = "; without s3:ListBucket on the bucket, an object that is gone is denied as well"
_REPLACED = "replaced after it was listed and before it was read; the new object is read when it is listed next"


@dataclass(frozen=True, slots=True)
class Listed:
    """One key that a listing named: size in bytes, etag without quotes, time of last change (aware), storage class."""

    key: str
    size: int
    etag: str
    modified_at: datetime
    storage: str


@dataclass
class Cost:
    """What listing cost: requests made; keys and folders that the answers named."""

    requests: int = 0
    keys: int = 0
    lock: Lock = field(default_factory=Lock, repr=False)

    def count(self, keys: int) -> None:
        """Count one answer."""
        with self.lock:
            self.requests += 1
            self.keys += keys


@dataclass(frozen=True)
class BucketPlace:
    """A bucket, what its keys begin with, and how it is reached."""

    bucket: str
    prefix: str
    access: AwsAccess

    def url(self, key: str) -> str:
        """Return the name of an object, as people see it."""
        return f"{BUCKET_SCHEME}{self.bucket}/{key}"

    def check(self) -> None:
        """Ask for one key. Raises AccessDenied and the other errors of `lake.storage.aws`."""
        asked = {"Bucket": self.bucket, "Prefix": self.prefix, "MaxKeys": 1}
        try:
            client(self.access, "s3").list_objects_v2(**asked)
        except (ClientError, BotoCoreError, OSError) as problem:
            raise explained(problem, "s3:ListBucket", self.bucket, self.prefix) from problem

    def objects(self, prefix: str, cost: Cost) -> Iterator[Listed]:
        """Yield the keys that begin with a prefix, in key order."""
        for page in self._pages(cost, Prefix=prefix):
            for each in page.get("Contents", ()):
                if not each["Key"].endswith("/"):  # what consoles make to show an empty folder
                    yield Listed(
                        key=each["Key"],
                        size=each["Size"],
                        etag=each["ETag"].strip('"'),
                        modified_at=each["LastModified"],
                        storage=each.get("StorageClass", "STANDARD"),
                    )

    def levels(self, prefix: str, ends_with: str, cost: Cost) -> list[str]:
        """Return what follows a prefix up to a character, once for each value: the folders in a folder."""
        found: list[str] = []
        for page in self._pages(cost, Prefix=prefix, Delimiter=ends_with):
            found += [each["Prefix"][len(prefix) : -len(ends_with)] for each in page.get("CommonPrefixes", ())]
        return found

    def _pages(self, cost: Cost, **request: Any) -> Iterator[dict[str, Any]]:
        """Yield the answers to a listing. Raises AccessDenied and the other errors of `lake.storage.aws`."""
        asked = client(self.access, "s3").get_paginator("list_objects_v2")
        try:
            for page in asked.paginate(Bucket=self.bucket, **request):
                cost.count(len(page.get("Contents", ())) + len(page.get("CommonPrefixes", ())))
                yield page
        except (ClientError, BotoCoreError, OSError) as problem:
            raise explained(problem, "s3:ListBucket", self.bucket, request["Prefix"]) from problem


def bucket_place(url: str, access: AwsAccess) -> BucketPlace:
    """Return the place that a URL names; a prefix names a folder, so it gets its `/` unless it ends in one.

    Raises:
        ValueError: it is no `s3://bucket/prefix`.
    """
    parts = urlsplit(url)
    if not is_bucket_url(url) or not parts.netloc or parts.username:
        raise ValueError(f"{url}: expected s3://bucket/prefix")
    prefix = url.removeprefix(f"{BUCKET_SCHEME}{parts.netloc}").strip("/")
    return BucketPlace(parts.netloc, f"{prefix}/" if prefix else "", access)


def raw_object(place: BucketPlace, key: str, etag: str, size: int, arrived_at: datetime) -> RawObject:
    """Return an object of a bucket as landing takes it; its fingerprint is etag and size."""
    part = partial(read_part, place, key, etag, size)
    return RawObject(
        name=place.url(key),
        open=partial(open_parts, part, size),
        size=size,
        arrived_at=arrived_at,
        fingerprint=f"{etag}-{size}",
        part=part,
    )


def listed_object(place: BucketPlace, key: str, arrived_at: datetime | None) -> RawObject:
    """Return an object of which only the key is known; without `arrived_at` it arrived when it was last changed.

    Raises:
        ObjectGone: there is no such object.
        ObjectRefused: the store answers, and will not give it.
        AccessDenied, StoreUnavailable: the message names bucket, key and what is missing.
    """
    try:
        found = client(place.access, "s3").head_object(Bucket=place.bucket, Key=key)
    except (ClientError, BotoCoreError) as problem:
        raise _told(problem, place, key) from problem
    modified_at = found["LastModified"].astimezone(UTC)
    return raw_object(place, key, found["ETag"].strip('"'), found["ContentLength"], arrived_at or modified_at)


def read_part(place: BucketPlace, key: str, etag: str, size: int, begin: int, end: int) -> bytes:
    """Return the bytes of an object from one place up to another.

    Raises:
        ObjectGone: the object is deleted, or has another etag.
        ObjectRefused: the store answers, and will not give it.
        AccessDenied, StoreUnavailable: the message names bucket, key and what is missing.
    """
    content = bytearray()
    broken = 0
    while len(content) < end - begin:
        before = len(content)
        try:
            _append(content, _body(place, key, etag, size, begin + before, end))
        except _BROKEN_BODY as problem:
            if isinstance(problem, ObjectGone | ObjectRefused | PermissionError | StoreUnavailable):
                raise
            broken = broken + 1 if len(content) == before else 1
            if broken >= _BODIES:
                raise StoreUnavailable(
                    f"s3:GetObject on {place.url(key)}: the connection broke {broken} times at byte"
                    f" {begin + len(content):,} of {size:,}: {type(problem).__name__}"
                ) from problem
            _wait(broken)
        else:
            if len(content) == before:
                raise ObjectGone(_REPLACED)  # shorter than it was listed
    return bytes(content)


def _append(content: bytearray, body: Any) -> None:
    with body:
        while chunk := body.read(_READ_BYTES):
            content += chunk


def _body(place: BucketPlace, key: str, etag: str, size: int, begin: int, end: int) -> Any:
    asked = {} if (begin, end) == (0, size) else {"Range": f"bytes={begin}-{end - 1}"}
    quick = signed_get(place.access, place.bucket, key, {"If-Match": f'"{etag}"', **asked})
    if quick is not None:
        return quick
    try:
        return client(place.access, "s3").get_object(Bucket=place.bucket, Key=key, IfMatch=etag, **asked)["Body"]
    except ClientError as problem:
        status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status == 412:
            raise ObjectGone(_REPLACED) from None
        raise _told(problem, place, key) from problem
    except BotoCoreError as problem:
        raise explained(problem, "s3:GetObject", place.bucket, key) from problem


def _told(problem: ClientError | BotoCoreError, place: BucketPlace, key: str) -> Exception:
    """Return the error to raise for one of botocore's: the object is gone, is refused, or the store is out of reach."""
    said = explained(problem, "s3:GetObject", place.bucket, key)
    if isinstance(said, FileNotFoundError):
        return ObjectGone(_GONE)
    if not isinstance(problem, ClientError):
        return said
    code = str(problem.response.get("Error", {}).get("Code", ""))
    status = int(problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
    if code in _OF_NO_OBJECT or status in _OF_NO_OBJECT_STATUS or not 400 <= status < 500:
        return said
    return ObjectRefused(f"{said}{_MAY_BE_GONE if code in ('AccessDenied', '403') else ''}")


def _wait(broken: int) -> None:
    longest = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** (broken - 1))
    time.sleep(longest * random.uniform(0.5, 1.0))  # many readers do not come back at once


class Parts(io.RawIOBase):
    """A file that asks for its bytes part by part; it cannot seek."""

    def __init__(self, part: Callable[[int, int], bytes], size: int) -> None:
        self._part, self._size = part, size
        self._at = 0
        self._held = memoryview(b"")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Give what is at hand, or of the next part. Raises as `read_part` does."""
        if not self._held and self._at < self._size:
            end = min(self._at + PART_BYTES, self._size)
            self._held, self._at = memoryview(self._part(self._at, end)), end
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


def open_parts(part: Callable[[int, int], bytes], size: int) -> BinaryIO:
    """Return a file of an object's parts. Its first part is read at once, so that an object that is gone is no file."""
    file = Parts(part, size)
    content = io.BufferedReader(file, 1 << 20)
    if size:
        content.peek(1)
    return cast(BinaryIO, content)
