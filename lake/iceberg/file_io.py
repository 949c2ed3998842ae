"""Iceberg's metadata through the lake's own stores: same credentials, encryption, retries and errors as everything.

pyiceberg makes a FileIO by name from text properties, so stores are served by their root in this process.
"""

import io
from contextlib import nullcontext
from types import TracebackType
from typing import BinaryIO

from pyiceberg.io import FileIO, InputFile, OutputFile
from pyiceberg.typedef import EMPTY_DICT, Properties

from lake.storage.store import ABSENT, ANY, Conflict, LocalStore, Store

PROPERTY = "headwater.store"
_served: dict[str, Store] = {}


def serve(store: Store) -> None:
    """Let `LakeIO` find a store by its root."""
    _served[store.root] = store


def address(store: Store, key: str) -> str:
    """Return the URI of a key: Iceberg's metadata names files by it."""
    url = store.url(key).rstrip("/")
    return f"file://{url}" if isinstance(store, LocalStore) else url


def key_of(store: Store, location: str) -> str:
    """Return the key of a URI. Raises ValueError when it lies outside the store."""
    root = address(store, "").rstrip("/") + "/"
    if not location.startswith(root):
        raise ValueError(f"{location} lies outside {root}, where this lake's Iceberg tables are")
    return location.removeprefix(root)


class LakeIO(FileIO):
    """pyiceberg's way to files, over the store that its properties name."""

    def __init__(self, properties: Properties = EMPTY_DICT) -> None:
        super().__init__(properties)
        self.store = _served[properties[PROPERTY]]

    @classmethod
    def properties_for(cls, store: Store) -> dict[str, str]:
        """Return what makes pyiceberg use this class for a store."""
        return {"py-io-impl": f"{cls.__module__}.{cls.__name__}", PROPERTY: store.root}

    def new_input(self, location: str) -> InputFile:
        """Return a file to read."""
        return _Readable(self.store, location)

    def new_output(self, location: str) -> OutputFile:
        """Return a file to write."""
        return _Writable(self.store, location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Remove a file; removing what is not there is no error."""
        place = location if isinstance(location, str) else location.location
        self.store.delete(key_of(self.store, place))


class _Placed:
    def __init__(self, store: Store, location: str) -> None:
        self._store, self._location = store, location
        self._key = key_of(store, location)

    def __len__(self) -> int:
        found = self._store.info(self._key)
        if found is None:
            raise FileNotFoundError(self._location)
        return found.size

    def exists(self) -> bool:
        return self._store.info(self._key) is not None


class _Readable(_Placed, InputFile):
    def open(self, seekable: bool = True) -> BinaryIO:
        return self._store.open(self._key)


class _Writable(_Placed, OutputFile):
    def create(self, overwrite: bool = False) -> "_Buffer":
        if not overwrite and self.exists():
            raise FileExistsError(self._location)
        return _Buffer(self._store, self._key, ANY if overwrite else ABSENT)

    def to_input_file(self) -> InputFile:
        return _Readable(self._store, self._location)


class _Buffer(io.BytesIO):
    """Collects a file and writes it whole when it is closed, unless what made it failed."""

    def __init__(self, store: Store, key: str, expect: str) -> None:
        super().__init__()
        self._store, self._key, self._expect = store, key, expect

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            super().close()
        self.close()

    def __del__(self) -> None:
        if not self.closed:
            super().close()

    def close(self) -> None:
        if self.closed:
            return
        data = self.getvalue()
        super().close()
        # Temporary files of a local store are swept unless they are written under the publishing lock.
        with self._store.lock("publish") if isinstance(self._store, LocalStore) else nullcontext():
            try:
                self._store.write(self._key, data, self._expect)
            except Conflict as problem:
                raise FileExistsError(self._key) from problem
