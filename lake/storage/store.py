"""Stores: where the bytes of a lake are. One class per kind; all keep one contract (tests/integration/storage)."""

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from lake.base.errors import HeadwaterError
from lake.storage.paths import (
    ERASURES,
    FILE_MODE,
    FOLDER_MODE,
    PRIVATE_MODE,
    RACES,
    STAGING,
    bytes_of,
    local_root,
    make_folder,
    size_of,
    sync,
    to_sync,
)

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows, where one process at a time must be enough
    fcntl = None  # type: ignore[assignment]

ANY, ABSENT = "*any*", "*absent*"  # what a conditional write expects; else a fingerprint


@dataclass(frozen=True)
class ObjectInfo:
    """One object of a store: its key, size in bytes, time of last change (UTC, aware) and a change mark.

    The fingerprint is a text that changes when the object is replaced: an ETag, or size and time.
    """

    key: str
    size: int
    modified_at: datetime
    fingerprint: str


@dataclass(frozen=True)
class AwsAccess:
    """How AWS, or a store that speaks S3, is reached. Credentials are those of the standard chain, never part of it.

    `endpoint_url` is S3's alone (an S3-compatible store); other services use AWS_ENDPOINT_URL_<SERVICE>. With
    `role_arn` the chain's credentials assume that role (and `external_id`), again whenever they expire.
    `addressing_style` is auto, path or virtual. Times in seconds; `attempts` counts the first one.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    addressing_style: str = "auto"
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 60.0
    attempts: int = 8


@dataclass(frozen=True)
class S3Options:
    """How a bucket is used: access, encryption (`AES256` or `aws:kms`, with a key), and a folder of this machine.

    `scratch` holds what a step prepares, copies of receipts, and the lock between processes of this machine.
    `conditional_writes` says whether the store keeps If-Match and If-None-Match; None finds out.
    """

    access: AwsAccess = field(default_factory=AwsAccess)
    scratch: Path = Path(".headwater/scratch")
    encryption: str | None = None
    kms_key_id: str | None = None
    conditional_writes: bool | None = None


class Conflict(RuntimeError):
    """An object is not what a conditional write expected: somebody else wrote it. Nothing was written."""


class LostLock(HeadwaterError):
    """A lock that its holder could not renew, and that another may hold now."""


class Lease:
    """A held lock."""

    def check(self) -> None:
        """Raise LostLock unless the lock is surely still held."""


class Store(Protocol):
    """What a lake needs of the place it lies in. Keys are relative, `/`-separated; replacing is atomic."""

    root: str

    @property
    def machine(self) -> str:
        """Return what the names of this machine's folders in staging begin with; empty where one machine works."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects under a folder, in key order; nothing when the folder does not exist."""

    def folders(self, prefix: str) -> Sequence[str]:
        """Return the names of the folders right under one, in order."""

    def info(self, key: str) -> ObjectInfo | None:
        """Return what is known of one object, or None when it is not there."""

    def infos(self, keys: Iterable[str]) -> dict[str, ObjectInfo | None]:
        """Return what is known of many objects."""
        return {key: self.info(key) for key in keys}

    def open(self, key: str) -> BinaryIO:
        """Open one object for reading. Raises FileNotFoundError."""

    def read(self, key: str) -> bytes:
        """Return the bytes of one object. Raises FileNotFoundError."""

    def read_all(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Yield (key, bytes) of the objects under a folder, in key order; one that has just gone is left out."""
        for found in self.list(prefix):
            with suppress(FileNotFoundError):
                yield found.key, self.read(found.key)

    def write(self, key: str, data: bytes, expect: str = ANY) -> str:
        """Replace one object, durably and at once: readers see the old bytes or the new ones. Return its fingerprint.

        Raises:
            Conflict: the object is not as expected: `ABSENT`, or with that fingerprint.
        """

    def put(self, path: Path, key: str) -> None:
        """Replace one object by a file of this machine, at once; the file stays. Any size, in bounded memory."""

    def fingerprint_seen(self, key: str) -> str:
        """Return the fingerprint of what this thread last read of a key, or of what is there now; else `ABSENT`."""
        held = self.info(key)
        return held.fingerprint if held else ABSENT

    def forget_seen(self) -> None:
        """Forget what this thread has read, so that `fingerprint_seen` tells of what is read from now on."""
        return None

    def prepared(self, key: str) -> Path:
        """Return where on this machine a step prepares the file of a key under `_staging/`."""

    def stage(self, keys: Iterable[str]) -> None:
        """Bring prepared files to the store, where `move` finds them."""

    def unstage(self, folder: str) -> None:
        """Remove from the store what was brought there of a step's folder."""
        return None

    def move(self, key: str, to: str) -> None:
        """Replace `to` by `key`, at once. Raises FileNotFoundError."""

    def move_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Move staged objects; one that has gone from staging and is at its new place has been moved already."""

    def delete(self, key: str) -> None:
        """Remove one object; removing what is not there is no error."""

    def delete_many(self, keys: Iterable[str]) -> None:
        """Remove objects."""
        for key in keys:
            self.delete(key)

    def forget_versions(self, prefix: str) -> None:
        """Remove the versions under a folder that are not current, where the store keeps any. Raises OSError."""
        return None

    def url(self, key: str) -> str:
        """Return the address under which DuckDB and Arrow read or write this key."""

    def lock(self, name: str) -> AbstractContextManager[Lease]:
        """Hold a named lock; it is free again when its holder ends, however it ends."""


class LocalStore(Store):
    """A folder of this machine. Replacing is write-to-temporary, fsync, rename, fsync of the folder.

    So a power loss leaves the old bytes or the new ones, and what is done later is not there without what was before.
    """

    machine = ""

    def __init__(self, root: str | Path) -> None:
        self.path = local_root(str(root))
        self.root = str(self.path)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the files under a folder in key order, temporary ones left out."""
        yield from self._walk(str(self.path / prefix) if prefix else self.root)

    def _walk(self, folder: str) -> Iterator[ObjectInfo]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name + ("/" if entry.is_dir() else ""))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if entry.is_dir():
                yield from self._walk(entry.path)
            elif not entry.name.startswith((".tmp-", ".lock-")):
                with suppress(FileNotFoundError):  # it has just gone
                    yield _info(entry.path[len(self.root) + 1 :], entry.stat())

    def read_all(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Yield (key, bytes) of the files under a folder, in key order: three years of receipts are 300,000 files."""
        beginning = len(self.root) + 1
        for path in self._paths(str(self.path / prefix) if prefix else self.root):
            with suppress(FileNotFoundError):  # it has just gone
                yield path[beginning:], bytes_of(path)

    def _paths(self, folder: str) -> Iterator[str]:
        try:
            with os.scandir(folder) as found:
                entries = sorted((entry.name + "/" if entry.is_dir() else entry.name) for entry in found)
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in entries:
            if name[-1] == "/":
                yield from self._paths(f"{folder}/{name[:-1]}")
            elif not name.startswith((".tmp-", ".lock-")):
                yield f"{folder}/{name}"

    def info(self, key: str) -> ObjectInfo | None:
        """Return size and time of one file, or None."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return _info(key, os.stat(f"{self.root}/{key}"))  # noqa: PTH116 - pathlib takes as long as the system
        return None

    def folders(self, prefix: str) -> Sequence[str]:
        """Return the names of the folders right under one, in order."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return sorted(entry.name for entry in os.scandir(self.path / prefix) if entry.is_dir())
        return []

    def open(self, key: str) -> BinaryIO:
        """Open one file for reading."""
        return (self.path / key).open("rb")

    def read(self, key: str) -> bytes:
        """Return the bytes of one file."""
        return (self.path / key).read_bytes()

    def write(self, key: str, data: bytes, expect: str = ANY) -> str:
        """Replace one file: temporary file on the same file system, fsync, rename."""
        if expect == ANY:
            return self._write(key, data)
        with file_lock(self.path / ".lock-write"):
            if self.fingerprint_seen(key) != expect:
                raise Conflict(f"{self.path / key} is not as it was when it was read")
            return self._write(key, data)

    def _write(self, key: str, data: bytes) -> str:
        for attempt in range(RACES):
            temporary = f"{STAGING}/.tmp-{uuid.uuid4().hex}"
            self._write_durably(self.path / temporary, data)
            changed = list(to_sync((self.path / key).parent))
            try:
                self.move(temporary, key)
                sync(changed)
                break
            except FileNotFoundError:  # another process took it for what a dead step left (`publish.sweep`)
                if attempt == RACES - 1:
                    raise
        return self.fingerprint_seen(key)

    @staticmethod
    def _write_durably(path: Path, data: bytes) -> None:
        make_folder(path.parent)
        path.write_bytes(data)
        sync([path])

    def put(self, path: Path, key: str) -> None:
        """Replace one file: a copy beside it, fsync, rename."""
        target = self.path / key
        copy = target.with_name(f".tmp-{uuid.uuid4().hex}")
        for attempt in range(RACES):
            self._make_folder(target.parent)
            try:
                copy.touch(PRIVATE_MODE)
                shutil.copyfile(path, copy)
                copy.chmod(FILE_MODE)
                sync([copy])
                copy.replace(target)
                sync([target.parent])
                return
            except FileNotFoundError:  # another process may have removed the folder as an empty one
                if attempt == RACES - 1 or not path.exists():
                    raise
            finally:
                copy.unlink(missing_ok=True)

    def prepared(self, key: str) -> Path:
        """Return the file's own path: the lake's file system is where steps prepare."""
        return self.path / key

    def stage(self, keys: Iterable[str]) -> None:
        """Make what is prepared durable, with its folders."""
        files = [path for key in keys if (path := self.path / key).exists()]
        sync([*files, *(folder for path in files for folder in path.parents if folder.is_relative_to(self.path))])

    def move_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Rename staged files to their places, durably."""
        changed: set[Path] = set()
        for staged, final in pairs:
            changed.update(to_sync((self.path / final).parent))
            try:
                self.move(staged, final)
            except FileNotFoundError:
                if self.info(final) is None:
                    raise
        sync(changed)

    def move(self, key: str, to: str) -> None:
        """Rename one file over another; both lie on the lake's own file system."""
        origin, target = self.path / key, self.path / to
        for attempt in range(RACES):
            self._make_folder(target.parent)
            try:
                origin.chmod(FILE_MODE)
                origin.replace(target)
                return
            except FileNotFoundError:  # another process may have removed the folder as an empty one
                if attempt == RACES - 1 or not origin.exists():
                    raise

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            make_folder(self.path)
            named = folder.relative_to(self.path).parts[:1] == (ERASURES,)
            make_folder(folder, PRIVATE_MODE if named else FOLDER_MODE)

    def delete(self, key: str) -> None:
        """Remove one file and the folders that it leaves empty, up to the lake's root."""
        target = self.path / key
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            for folder in target.parents:
                if folder == self.path or not folder.is_relative_to(self.path):
                    break
                folder.rmdir()

    def url(self, key: str) -> str:
        """Return the file's path."""
        return str(self.path / key)

    @contextmanager
    def lock(self, name: str) -> Iterator[Lease]:
        """Hold an advisory file lock, which the kernel frees when the process dies."""
        with file_lock(self.path / f".lock-{name}"):
            yield Lease()


def sizes_of(store: Store, keys: Iterable[str]) -> dict[str, int | None]:
    """Return the sizes of many objects, None of what is not there; of files of a folder nothing else is asked."""
    if isinstance(store, LocalStore):
        return {key: size_of(f"{store.root}/{key}") for key in keys}
    return {key: info.size if info else None for key, info in store.infos(keys).items()}


def _info(key: str, stat: os.stat_result) -> ObjectInfo:
    changed = datetime.fromtimestamp(stat.st_mtime_ns // 1000 / 1_000_000, tz=UTC)
    return ObjectInfo(key, stat.st_size, changed, f"{stat.st_size}-{stat.st_mtime_ns // 1000}")


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold a lock between the processes of this machine, which the kernel frees when the holder dies."""
    make_folder(path.parent)
    with path.open("ab") as handle:
        if not handle.tell():
            with suppress(PermissionError):  # the file of another user, who shares the lake by its group
                path.chmod(FILE_MODE)
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
