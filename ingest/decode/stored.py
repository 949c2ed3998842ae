"""The stored side of an object: its file with a count of the bytes read, and chunks of an even size.

Only here may reading fail; such a failure names the object and stops the decode.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from ingest.decode.compression import Broken
from ingest.decode.report import ObjectUnreadable


class StoredFile:
    """A file that counts the bytes read from it and raises ObjectUnreadable instead of OSError."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self._name = name
        self._file = file
        self.bytes_read = 0

    def read(self, count: int = -1) -> bytes:
        """As of any file; every byte counts, also one read twice."""
        try:
            data = self._file.read(count)
        except OSError as error:
            raise ObjectUnreadable(self._name, f"cannot be read at byte {self.bytes_read:,}: {error}") from error
        self.bytes_read += len(data)
        return data

    @property
    def closed(self) -> bool:
        """As of any file."""
        return self._file.closed

    def seekable(self) -> bool:
        """True if archives can be read in place."""
        return self._file.seekable()

    def tell(self) -> int:
        """As of any file."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file; ValueError for a place before its start."""
        if whence == io.SEEK_SET and offset < 0:
            raise ValueError(f"place {offset} before the start of the file")
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            raise ObjectUnreadable(self._name, f"cannot be read at byte {offset:,}: {error}") from error

    def blocks(self, size: int) -> Iterator[bytes]:
        """The file in blocks of at most `size` bytes."""
        while block := self.read(size):
            yield block


def gathered(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The same bytes, small chunks put together to about `size`. Broken comes after all of them."""
    parts: list[bytes] = []
    held = 0
    try:
        for part in chunks:
            if parts and held + len(part) > size:
                yield b"".join(parts)
                parts, held = [], 0
            if len(part) >= size:
                yield part
            else:
                parts.append(part)
                held += len(part)
    except Broken:
        if parts:
            yield b"".join(parts)
        raise
    if parts:
        yield b"".join(parts)
