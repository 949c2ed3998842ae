"""Stored bytes to plain bytes: reading an object's file, undoing gzip, zstd, bzip2 and xz (known by their first bytes).

In bounded memory. What is readable in front of damage is kept, and `Broken` then says where the damage is. Only
`StoredFile` may fail to read; such a failure names the object and stops the decode. Archives with members are
`containers`'.
"""

from __future__ import annotations

import io
import os
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

import zstandard

from ingest.decode.records import Broken, DecodeReport, peek
from ingest.objects import ObjectGone, ObjectRefused, RawObject

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)")  # the begin of a block, or of the end
_XZ = re.compile(rb"\xfd7zXZ\0|\x5d\0\0..(?:\xff{8}|.{5}\0{3})", re.DOTALL)  # or the older .lzma
_MAGIC_BYTES = 14
OUTPUT_BYTES = 1 << 20
MAX_LAYERS = 3
_XZ_BYTES = 128 << 20  # of memory; `xz -9` needs 65 MiB
# What expands to more than this, and by more than this factor, is taken for a bomb: deflate reaches 1,032 with nothing
# but zeros, and logs seldom 100.
BOMB_BYTES, BOMB_RATIO = 256 << 20, 500


class ObjectUnreadable(Exception):
    """An object could not be opened or read, whatever its content. `name` is the object, `reason` a sentence."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class NotRead(Broken):
    """The bytes are of a kind that is not read, or beyond a bound; nothing of them was given. Says why."""


class _BadData(Exception):
    """What the decompressor said."""


class _Codec(Protocol):
    """One gzip member or zstd frame on its way through the decompressor."""

    name: str
    slice_bytes: int
    taken: int

    @property
    def ended(self) -> bytes | None:
        """What was fed behind the end of the member, or None while it has not ended."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The plain bytes of `data`. Raises _BadData behind what could be read; `taken` counts the bytes taken."""


class Inflate:
    """Deflate data; `wbits` as in zlib: 31 for a gzip member, -15 for the bare data of a zip member.

    zlib gives nothing of a call that fails. So each call starts from a copy of the state (about 40 kB per 64 KiB of
    input), and after a failure the same input is fed again byte by byte: only the bad byte is lost.
    """

    slice_bytes = 64 * 1024

    def __init__(self, name: str = "gzip", wbits: int = 31) -> None:
        self.name = name
        self.taken = 0
        self._state = zlib.decompressobj(wbits)

    @property
    def ended(self) -> bytes | None:
        """What was fed behind the end, or None before the end."""
        return self._state.unused_data if self._state.eof else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See _Codec."""
        while True:
            before = self._state.copy()
            try:
                out = self._state.decompress(data, OUTPUT_BYTES)
            except zlib.error:
                yield from self._salvage(before, data)
                raise _BadData("damaged data") from None
            rest = self._state.unconsumed_tail
            self.taken += len(data) - len(rest)
            data = rest
            if out:
                yield out
            if self._state.eof or (not data and len(out) < OUTPUT_BYTES):
                return

    def _salvage(self, state: zlib._Decompress, data: bytes) -> Iterator[bytes]:
        for at in range(len(data)):
            try:
                out = state.decompress(data[at : at + 1])
            except zlib.error as error:
                raise _BadData(str(error)) from None
            self.taken += 1
            if out:
                yield out


class Zstd:
    """A zstd frame. A block of 4 bytes may hold 128 KiB, so the slices are small to keep the output bounded."""

    name = "zstd"
    slice_bytes = 2048

    def __init__(self) -> None:
        self.taken = 0
        self._state = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()

    @property
    def ended(self) -> bytes | None:
        """What was fed behind the end, or None before the end."""
        return self._state.unused_data if self._state.eof else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See _Codec."""
        try:
            out = self._state.decompress(data)
        except zstandard.ZstdError as error:
            raise _BadData(str(error)) from None
        self.taken += len(data)
        if out:
            yield out


class _Unpacked:
    """A stream of bzip2, or of xz or lzma, on its way through the standard library."""

    slice_bytes = 64 * 1024

    def __init__(self, name: str, state: Any, error: type[Exception]) -> None:
        self.name = name
        self.taken = 0
        self._state, self._error = state, error

    @property
    def ended(self) -> bytes | None:
        """What was fed behind the end, or None before the end."""
        unused: bytes = self._state.unused_data
        return unused if self._state.eof else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See _Codec."""
        while True:
            try:
                out = self._state.decompress(data, OUTPUT_BYTES)
            except (OSError, ValueError, EOFError, MemoryError, self._error) as error:
                raise _BadData(str(error) or "damaged data") from None
            self.taken += len(data)
            data = b""
            if out:
                yield out
            if self._state.eof or self._state.needs_input:
                return


def bzip2() -> _Codec:
    """A stream of bzip2."""
    import bz2  # few objects are

    return _Unpacked("bzip2", bz2.BZ2Decompressor(), OSError)


def xz() -> _Codec:
    """A stream of xz or lzma."""
    import lzma  # few objects are

    return _Unpacked("xz", lzma.LZMADecompressor(memlimit=_XZ_BYTES), lzma.LZMAError)


def decompressed(stored: Iterator[bytes], size: int, layer: int = 1) -> Iterator[bytes]:
    """Plain bytes of a stream that may be gzip (many members), zstd (many frames) or plain; also one inside another.

    `size` is the length of `stored` in bytes, for the message of Broken.
    """
    head, stored = peek(stored, _MAGIC_BYTES)
    start: Callable[[], _Codec]
    if head.startswith(GZIP_MAGIC):
        start = Inflate
    elif head.startswith(ZSTD_MAGIC) or (head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F):
        start = Zstd
    elif _BZIP2.match(head):
        start = bzip2
    elif _XZ.match(head):
        start = xz
    else:
        yield from stored
        return
    if layer > MAX_LAYERS:
        raise NotRead(f"it is compressed more than {MAX_LAYERS} times; unpack it first")
    yield from decompressed(expand(stored, size, start), 0, layer + 1)


def expand(stored: Iterator[bytes], size: int, start: Callable[[], _Codec]) -> Iterator[bytes]:
    """Run `stored` through as many members or frames as it has; zero padding between and after them is skipped."""
    codec = start()
    done = given = 0
    whole_members = 0
    for block in stored:
        for begin in range(0, len(block), codec.slice_bytes):
            pending = block[begin : begin + codec.slice_bytes]
            while pending:
                if codec.taken == 0 and whole_members:
                    done += len(pending) - len(pending := pending.lstrip(b"\0"))
                    if not pending:
                        break
                try:
                    for part in codec.feed(pending):
                        given += len(part)
                        if given > BOMB_BYTES and given > BOMB_RATIO * (done + codec.taken):
                            raise _BadData(f"it expands to more than {BOMB_RATIO} times its size, as a bomb does")
                        yield part
                except _BadData as error:
                    raise Broken(_damage(codec, done + codec.taken, size, whole_members, str(error))) from None
                left = codec.ended
                if left is None:
                    break
                done += codec.taken - len(left)
                pending, codec, whole_members = left, start(), whole_members + 1
    if codec.taken or not whole_members:
        raise Broken(_damage(codec, done + codec.taken, size, whole_members, "the data ends too early"))


def _damage(codec: _Codec, at: int, size: int, whole_members: int, error: str) -> str:
    where = f"compressed byte {at:,} of {size:,}" if size else f"compressed byte {at:,}"
    after = f" (after {whole_members} whole members)" if whole_members else ""
    return f"{codec.name} data cannot be read on at {where}{after}: {error}"


def opened(source: RawObject, report: DecodeReport) -> BinaryIO | None:
    """The object's file; None when it is gone or not given to us, which is reported and costs other objects nothing."""
    try:
        return source.open()
    except ObjectGone as gone:
        report.ignored.append((source.name, str(gone)))
        report.gone.append(source.name)
        return None
    except ObjectRefused as refused:
        report.refused.append((source.name, str(refused)))
        return None
    except OSError as error:
        raise ObjectUnreadable(source.name, f"cannot be opened: {error}") from error


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
        """As of any file; ValueError, or OSError from its end, for a place before its start."""
        if whence == io.SEEK_SET and offset < 0:
            raise ValueError(f"place {offset} before the start of the file")
        if whence == io.SEEK_END and -offset > self._file.seek(0, io.SEEK_END):
            raise OSError(f"place {offset} before the start of the file")
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            raise ObjectUnreadable(self._name, f"cannot be read at byte {offset:,}: {error}") from error

    def size(self) -> int:
        """How large a file of this machine is now; -1 of any other."""
        try:
            return os.fstat(self._file.fileno()).st_size
        except (AttributeError, OSError):
            return -1

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


def counted_bytes(name: str, chunks: Iterator[bytes], report: DecodeReport) -> Iterator[bytes]:
    """The same bytes, counted in the report; what is not read is refused there, in the stead of an error."""
    try:
        for chunk in chunks:
            report.bytes_decoded += len(chunk)
            yield chunk
    except NotRead as problem:
        report.refused.append((name, f"{name}: {problem}"))
