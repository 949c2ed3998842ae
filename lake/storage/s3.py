"""A lake in a bucket: the `Store` contract over S3 and what speaks its protocol.

S3 answers every read and listing with the newest completed write. One PUT or copy replaces an object at once; a
receipt is written with If-Match or If-None-Match, so that of two writers one is told. A request whose answer is lost is
sent again: what then stands in its own way with the same bytes is its own write.
"""

import contextlib
import hashlib
import io
import os
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from lake.storage.aws import CONNECTIONS, Parts, client, explained
from lake.storage.lock import held_lock
from lake.storage.paths import LEDGER, STAGING
from lake.storage.store import ABSENT, ANY, Conflict, Lease, ObjectInfo, S3Options

_CONDITION_FAILED = frozenset(("PreconditionFailed", "412", "ConditionalRequestConflict", "409"))
_ONE_PUT_BYTES = 1 << 30  # beyond, the upload to staging goes in parts; S3 takes 5 GiB in one
_DELETED_AT_ONCE = 1000  # S3's limit
_FEW = 16  # objects of one place that are asked for one by one
_HIDDEN = (".tmp-", ".lock-")
_PART = 16 << 20  # bytes of an object that are in memory at a time while it is read as a file

Item = TypeVar("Item")
Result = TypeVar("Result")


class S3Store:
    """A prefix of a bucket."""

    def __init__(self, root: str, options: S3Options | None = None) -> None:
        """Take `s3://bucket/prefix`; no request is made."""
        self.options = options or S3Options()
        self.bucket, _, prefix = root.removeprefix("s3://").strip("/").partition("/")
        self.prefix = f"{prefix}/" if prefix else ""
        self.root = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        place = hashlib.sha256(f"{self.options.access.endpoint_url} {self.root}".encode()).hexdigest()[:16]
        self.scratch = self.options.scratch.expanduser().resolve() / place
        self._read_last = threading.local()
        self._staged: set[str] = set()

    @property
    def _seen(self) -> dict[str, str]:
        """Fingerprints of what this thread last read of keys, or ABSENT."""
        seen: dict[str, str] = self._read_last.__dict__.setdefault("seen", {})
        return seen

    def fingerprint_seen(self, key: str) -> str:
        """Return the fingerprint of what this thread last read of a key, or of what is there now; else `ABSENT`."""
        if key not in self._seen:
            held = self.info(key)
            self._seen[key] = held.fingerprint if held else ABSENT
        return self._seen[key]

    def forget_seen(self) -> None:
        """Forget what this thread has read."""
        self._seen.clear()

    @cached_property
    def machine(self) -> str:
        """Return this machine's name, with a dot behind it.

        It is made once and kept in the scratch folder, and holds for one boot of one host: a copy of the folder, in an
        image or a snapshot, is another machine.
        """
        path = self.scratch / "machine"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"machine-{os.getpid()}-{uuid.uuid4().hex[:8]}")
            temporary.write_text(uuid.uuid4().hex[:12])
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)  # of several processes the first one names the machine
            temporary.unlink()
        boot = Path("/proc/sys/kernel/random/boot_id")
        host = socket.gethostname() + (boot.read_text() if boot.exists() else "")
        return f"{path.read_text()}{hashlib.sha256(host.encode()).hexdigest()[:8]}."

    @property
    def client(self) -> Any:
        """Return the client of this process."""
        return client(self.options.access, "s3")

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects under a folder in key order, locks left out."""
        yield from (info for info in self._pages(prefix) if not info.key.rsplit("/", 1)[-1].startswith(_HIDDEN))

    def _pages(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._under(f"{prefix.rstrip('/')}/" if prefix else "")

    def _under(self, beginning: str) -> Iterator[ObjectInfo]:
        with self._explained("s3:ListBucket", beginning):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + beginning
            )
            for page in pages:
                for each in page.get("Contents", ()):
                    key = each["Key"].removeprefix(self.prefix)
                    yield ObjectInfo(key, each["Size"], each["LastModified"], each["ETag"].strip('"'))

    def folders(self, prefix: str) -> Sequence[str]:
        """Return the names of the folders right under one, in order."""
        folder = f"{self.prefix}{prefix.rstrip('/')}/"
        with self._explained("s3:ListBucket", prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=folder, Delimiter="/"
            )
            found = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", ())]
        return sorted(each.removeprefix(folder).rstrip("/") for each in found)

    def info(self, key: str) -> ObjectInfo | None:
        """Return what one HEAD tells, or None."""
        try:
            with self._explained("s3:GetObject", key):
                head = self.client.head_object(Bucket=self.bucket, Key=self.prefix + key)
        except FileNotFoundError:
            return None
        return ObjectInfo(key, head["ContentLength"], head["LastModified"], head["ETag"].strip('"'))

    def infos(self, keys: Iterable[str]) -> dict[str, ObjectInfo | None]:
        """Return what is known of many objects: a request for each of a few, a listing of where many lie together."""
        together: dict[str, list[str]] = {}
        for key in dict.fromkeys(keys):
            together.setdefault("/".join(key.split("/")[:2]), []).append(key)
        few = [key for some in together.values() if len(some) <= _FEW for key in some]
        found: dict[str, ObjectInfo | None] = dict(zip(few, self._at_once(self.info, few), strict=True))
        many = [some for some in together.values() if len(some) > _FEW]
        for some, held in zip(many, self._at_once(self._where_they_lie, many), strict=True):
            found |= {key: held.get(key) for key in some}
        return found

    def _where_they_lie(self, keys: Sequence[str]) -> dict[str, ObjectInfo]:
        common = os.path.commonprefix([*keys])  # noqa: RUF071 - S3 lists by the beginning of keys, not by folders
        return {each.key: each for each in self._under(common)}

    def open(self, key: str) -> BinaryIO:
        """Return one object as a file: one of more than 16 MiB is read in parts, all of the version that is opened."""
        with self._explained("s3:GetObject", key):
            data, fingerprint, size = self._body(key, _PART)
        if len(data) == size:
            return io.BytesIO(data)

        def part(start: int, end: int) -> bytes:
            with self._explained("s3:GetObject", key):
                return self._body(key, Range=f"bytes={start}-{end - 1}", IfMatch=f'"{fingerprint}"')[0]

        return io.BufferedReader(Parts(part, size), _PART)

    def read(self, key: str) -> bytes:
        """Return one object's bytes, whole: a body that breaks off is asked for again."""
        return self._read(key)[0]

    def _read(self, key: str) -> tuple[bytes, str]:
        try:
            with self._explained("s3:GetObject", key):
                data, fingerprint, _ = self._body(key)
        except FileNotFoundError:
            self._seen[key] = ABSENT
            raise
        self._seen[key] = fingerprint
        return data, fingerprint

    def _body(self, key: str, most: int = sys.maxsize, **asked: str) -> tuple[bytes, str, int]:
        """Return an object's bytes, or none if they are more than `most`, its fingerprint, and how many there are."""
        for attempt in range(1, self.options.access.attempts + 1):
            last = attempt == self.options.access.attempts
            try:
                answer = self.client.get_object(Bucket=self.bucket, Key=self.prefix + key, **asked)
            except HTTPError as broken:  # the body of an error answer broke off, which botocore does not catch
                if last:
                    raise OSError(str(broken)) from None
                continue
            size, fingerprint = answer["ContentLength"], answer["ETag"].strip('"')
            if size > most:
                answer["Body"].close()
                return b"", fingerprint, size
            try:
                data = answer["Body"].read()
            except (BotoCoreError, OSError):
                if last:
                    raise
                continue
            if len(data) == size:
                return data, fingerprint, size
        raise OSError(f"the body of s3://{self.bucket}/{self.prefix}{key} broke off every time it was asked for")

    def read_all(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Yield (key, bytes) of the objects under a folder, in key order, many requests at once.

        Receipts are kept on this machine by key and fingerprint, so that a ledger of years is not fetched again.
        """
        yield from self._at_once(self._through_cache, list(self.list(prefix)))

    def _through_cache(self, found: ObjectInfo) -> tuple[str, bytes]:
        if not found.key.startswith(f"{LEDGER}/"):
            return found.key, self.read(found.key)
        kept = self.scratch / "receipts" / hashlib.sha256(found.key.encode()).hexdigest()
        with contextlib.suppress(OSError):
            fingerprint, _, data = kept.read_bytes().partition(b"\n")
            if fingerprint.decode() == found.fingerprint:
                self._seen[found.key] = found.fingerprint
                return found.key, data
        data, fresh = self._read(found.key)
        _replace(kept, fresh.encode() + b"\n" + data)
        return found.key, data

    def write(self, key: str, data: bytes, expect: str = ANY) -> str:
        """Replace one object by one PUT, on the condition that it is as expected; return its new fingerprint."""
        condition = {} if expect == ANY else {"IfNoneMatch": "*"} if expect == ABSENT else {"IfMatch": expect}
        if condition and self.options.conditional_writes is False:
            condition = self._checked_by_hand(key, expect)
        try:
            with self._explained("s3:PutObject", key):
                fingerprint = self._put(key, data, condition)
        except Conflict:
            mine = self._mine(key, data)
            if mine is None:
                raise
            fingerprint = mine
        self._seen[key] = fingerprint
        return fingerprint

    def _put(self, key: str, data: bytes, condition: dict[str, str]) -> str:
        try:
            answer = self.client.put_object(
                Bucket=self.bucket, Key=self.prefix + key, Body=data, **condition, **self._sealed()
            )
        except ClientError as problem:
            code = problem.response.get("Error", {}).get("Code")
            if condition and (code in _CONDITION_FAILED or ("IfMatch" in condition and code in ("NoSuchKey", "404"))):
                raise Conflict(f"{self.url(key)} is not as it was when it was read") from None
            raise
        return str(answer["ETag"]).strip('"')

    def _mine(self, key: str, data: bytes) -> str | None:
        """Return the fingerprint of an object that holds just these bytes: a write whose answer was lost."""
        try:
            held, fingerprint = self._read(key)
        except FileNotFoundError:
            return None
        return fingerprint if held == data else None

    def _checked_by_hand(self, key: str, expect: str) -> dict[str, str]:
        held = self.info(key)
        if (held.fingerprint if held else ABSENT) != expect:
            raise Conflict(f"{self.url(key)} is not as it was when it was read")
        return {}

    def stage(self, keys: Iterable[str]) -> None:
        """Upload files that a step prepared on this machine (see `prepared`), each once."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self._staged]
        list(self._at_once(self._upload, wanted))
        self._staged.update(wanted)

    def _upload(self, key: str) -> None:
        self.put(self.prepared(key), key)

    def put(self, path: Path, key: str) -> None:
        """Replace one object by a file of this machine: one PUT, or parts that appear together."""
        with self._explained("s3:PutObject", key), path.open("rb") as body:
            if path.stat().st_size <= _ONE_PUT_BYTES:
                self.client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=body, **self._sealed())
            else:  # not `upload_file`, which hides what was refused behind an error of its own
                self.client.upload_fileobj(body, self.bucket, self.prefix + key, ExtraArgs=self._sealed())

    def prepared(self, key: str) -> Path:
        """Return where on this machine a step prepares the file of a staging key."""
        return self.scratch / key

    def unstage(self, folder: str) -> None:
        """Remove what was uploaded of a step's folder, on this machine's word alone: no listing."""
        mine = [key for key in list(self._staged) if key.startswith(f"{folder}/")]
        self.delete_many(mine)
        self._staged.difference_update(mine)

    def move(self, key: str, to: str) -> None:
        """Replace `to` by `key` by one copy, then remove `key`."""
        self.move_many([(key, to)])
        self.delete_many([key])

    def move_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Copy staged objects to their places, many at once; `unstage` or a sweep removes them all by one request.

        Raises FileNotFoundError when one is neither at its old nor at its new place.
        """
        list(self._at_once(self._copy, list(pairs)))

    def _copy(self, pair: tuple[str, str]) -> None:
        key, to = pair
        source = {"Bucket": self.bucket, "Key": self.prefix + key}
        try:
            with self._explained("s3:PutObject", to):
                if self.prepared(key).exists() and self.prepared(key).stat().st_size > _ONE_PUT_BYTES:
                    parts = TransferConfig(multipart_threshold=_ONE_PUT_BYTES)
                    self.client.copy(source, self.bucket, self.prefix + to, ExtraArgs=self._sealed(), Config=parts)
                else:
                    self.client.copy_object(
                        Bucket=self.bucket, Key=self.prefix + to, CopySource=source, **self._sealed()
                    )
        except FileNotFoundError:
            if not key.startswith(f"{STAGING}/") or self.info(to) is None:
                raise

    def delete(self, key: str) -> None:
        """Remove one object, and those under it when it is a folder of staging."""
        self.delete_many([key, *(each.key for each in self._pages(key))] if key.startswith(STAGING) else [key])

    def delete_many(self, keys: Iterable[str]) -> None:
        """Remove objects, a thousand a request."""
        wanted = list(dict.fromkeys(keys))
        with self._explained("s3:DeleteObject", wanted[0] if wanted else ""):
            self._delete([{"Key": self.prefix + key} for key in wanted])

    def _delete(self, objects: Sequence[dict[str, str]]) -> None:
        for at in range(0, len(objects), _DELETED_AT_ONCE):
            some = {"Objects": objects[at : at + _DELETED_AT_ONCE], "Quiet": True}
            answer = self.client.delete_objects(Bucket=self.bucket, Delete=some)
            for refused in answer.get("Errors", ()):
                raise ClientError({"Error": refused}, "DeleteObjects")

    def forget_versions(self, prefix: str) -> None:
        """Remove the versions under a folder that are not current.

        Delete markers stay: they hold nothing, and without one an older version would be current again.
        """
        with self._explained("s3:ListBucketVersions", prefix):
            pages = self.client.get_paginator("list_object_versions").paginate(
                Bucket=self.bucket, Prefix=f"{self.prefix}{prefix}/"
            )
            found = [each for page in pages for each in page.get("Versions", ()) if not each["IsLatest"]]
        with self._explained("s3:DeleteObjectVersion", prefix):
            self._delete([{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found])

    def delete_expected(self, key: str, fingerprint: str) -> None:
        """Remove one object if it is still as expected, where the store looks at the condition; else remove it."""
        words = {"Bucket": self.bucket, "Key": self.prefix + key}
        with self._explained("s3:DeleteObject", key):
            try:
                self.client.delete_object(**words, IfMatch=fingerprint)
            except ClientError as problem:
                code = problem.response.get("Error", {}).get("Code")
                if code in ("NotImplemented", "501", "InvalidArgument"):
                    self.client.delete_object(**words)
                elif code not in _CONDITION_FAILED | {"NoSuchKey", "404"}:
                    raise

    def url(self, key: str) -> str:
        """Return the object's `s3://` address."""
        return f"s3://{self.bucket}/{self.prefix}{key}"

    @contextmanager
    def lock(self, name: str) -> Iterator[Lease]:
        """Hold a named lock of the lake: between processes of this machine and of others (`lake.storage.lock`)."""
        with held_lock(self, name) as lease:
            yield lease

    def _at_once(self, act: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        if len(items) < 2:
            yield from map(act, items)
            return
        with ThreadPoolExecutor(min(CONNECTIONS, len(items))) as pool:
            yield from pool.map(act, items)

    def _sealed(self) -> dict[str, Any]:
        if self.options.encryption is None:
            return {}
        sealed: dict[str, Any] = {"ServerSideEncryption": self.options.encryption}
        if self.options.kms_key_id:
            sealed |= {"SSEKMSKeyId": self.options.kms_key_id, "BucketKeyEnabled": True}
        return sealed

    @contextmanager
    def _explained(self, action: str, key: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as problem:
            raise explained(problem, action, self.bucket, self.prefix + key) from None


def _replace(path: Path, data: bytes) -> None:
    """Keep a copy on this machine; a full or read-only disk costs only the copy."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
