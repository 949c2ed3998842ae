"""Stores: where a lake's bytes are. One class per kind; all keep the same contract (tests/lake/test_store.py).

What belongs here: listing, reading, replacing and deleting whole objects by key.
What does not: what the keys mean (`lake.paths`), or the order in which a step writes them (`lake.publish`).
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from lake.paths import STAGING

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows, where one process at a time must be enough
    fcntl = None  # type: ignore[assignment]

_RACES = 5  # an emptied folder may vanish between making it and using it, as often as others clean up


@dataclass(frozen=True)
class ObjectInfo:
    """One object of a store: its key, size in bytes, time of last change (UTC, aware) and a change mark."""

    key: str
    size: int
    modified_at: datetime

    @property
    def fingerprint(self) -> str:
        """Return a text that changes when the object is replaced."""
        return f"{self.size}-{int(self.modified_at.timestamp() * 1_000_000)}"


class UnsupportedStore(ValueError):
    """A lake root that no store of this version serves."""


class Store(Protocol):
    """What a lake needs of the place it lies in. Keys are relative, `/`-separated; replacing is atomic."""

    root: str

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects under a folder, in key order; nothing when the folder does not exist."""
        ...

    def info(self, key: str) -> ObjectInfo | None:
        """Return what is known of one object, or None when it is not there."""
        ...

    def open(self, key: str) -> BinaryIO:
        """Open one object for reading. Raises FileNotFoundError."""
        ...

    def read(self, key: str) -> bytes:
        """Return the bytes of one object. Raises FileNotFoundError."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Replace one object, durably and at once: readers see the old bytes or the new ones."""
        ...

    def move(self, key: str, to: str) -> None:
        """Replace `to` by `key`, at once."""
        ...

    def delete(self, key: str) -> None:
        """Remove one object; removing what is not there is no error."""
        ...

    def url(self, key: str) -> str:
        """Return the address under which DuckDB and Arrow read or write this key."""
        ...

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a named lock; it is free again when its holder ends, however it ends."""
        ...


class LocalStore:
    """A folder of this machine. Replacing is write-to-temporary, fsync, rename."""

    def __init__(self, root: str | Path) -> None:
        self.path = Path(root).expanduser().resolve()
        self.root = str(self.path)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the files under a folder in key order, temporary ones left out."""
        yield from self._walk(self.path / prefix if prefix else self.path)

    def _walk(self, folder: Path) -> Iterator[ObjectInfo]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name + ("/" if entry.is_dir() else ""))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if entry.is_dir():
                yield from self._walk(Path(entry.path))
            elif not entry.name.startswith((".tmp-", ".lock-")):
                info = self.info(str(Path(entry.path).relative_to(self.path)))
                if info is not None:
                    yield info

    def info(self, key: str) -> ObjectInfo | None:
        """Return size and time of one file, or None."""
        try:
            stat = (self.path / key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        changed = datetime.fromtimestamp(stat.st_mtime_ns // 1000 / 1_000_000, tz=UTC)
        return ObjectInfo(key=key, size=stat.st_size, modified_at=changed)

    def open(self, key: str) -> BinaryIO:
        """Open one file for reading."""
        return (self.path / key).open("rb")

    def read(self, key: str) -> bytes:
        """Return the bytes of one file."""
        return (self.path / key).read_bytes()

    def write(self, key: str, data: bytes) -> None:
        """Replace one file: temporary file on the same file system, fsync, rename."""
        temporary = f"{STAGING}/.tmp-{uuid.uuid4().hex}"
        path = self.path / temporary
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        self.move(temporary, key)

    def move(self, key: str, to: str) -> None:
        """Rename one file over another; both lie on the lake's own file system."""
        origin, target = self.path / key, self.path / to
        for attempt in range(_RACES):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                origin.replace(target)
                return
            except FileNotFoundError:  # another process may have removed the folder as an empty one
                if attempt == _RACES - 1 or not origin.exists():
                    raise

    def delete(self, key: str) -> None:
        """Remove one file and the folders that it leaves empty, up to the lake's root."""
        target = self.path / key
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)
        for folder in target.parents:
            if folder == self.path or not folder.is_relative_to(self.path):
                break
            try:
                folder.rmdir()
            except OSError:
                break

    def url(self, key: str) -> str:
        """Return the file's path."""
        return str(self.path / key)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold an advisory file lock, which the kernel frees when the process dies."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / f".lock-{name}").open("ab") as handle:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def open_store(root: str | Path) -> Store:
    """Return the store of a lake root (a path, or a `file://` URL).

    Raises:
        UnsupportedStore: the URL names a kind of store that this version does not serve.
    """
    text = str(root)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if "://" in text:
        raise UnsupportedStore(f"lake root {text!r}: only a local folder or a file:// URL is served by this version")
    return LocalStore(text)
