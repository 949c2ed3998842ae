"""A bucket and a prefix in it, as people write them: `s3://bucket/prefix`; and its listing, page by page.

What belongs here: addresses, single listing requests and their count. What does not: which prefixes to list
(`bucket_walk`), what the keys mean (`bucket`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from lake.storage.aws import AwsAccess, client, explained

_SCHEME = "s3://"


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
        return f"{_SCHEME}{self.bucket}/{key}"

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


def is_bucket_url(text: str) -> bool:
    """Return whether a place is in a bucket."""
    return text.startswith(_SCHEME)


def bucket_place(url: str, access: AwsAccess) -> BucketPlace:
    """Return the place that a URL names; a prefix names a folder, so it gets its `/` unless it ends in one.

    Raises:
        ValueError: it is no `s3://bucket/prefix`.
    """
    parts = urlsplit(url)
    if not is_bucket_url(url) or not parts.netloc or parts.username:
        raise ValueError(f"{url}: expected s3://bucket/prefix")
    prefix = url.removeprefix(f"{_SCHEME}{parts.netloc}").strip("/")
    return BucketPlace(parts.netloc, f"{prefix}/" if prefix else "", access)
