"""Containers that are read from their end: members of zip archives as stored bytes, rows of Parquet as lines of JSON.

Members are read from their own local headers rather than through `ZipFile.open`, which throws away the last block of a
damaged member; the directory is still read by `zipfile`. Parquet values keep their types as far as JSON has them:
numbers stay numbers, times become text, bytes are escaped.
"""

from __future__ import annotations

import functools
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.decode.compression import BOMB_BYTES, BOMB_RATIO, Inflate, Zstd, bzip2, expand, xz
from ingest.decode.records import Broken
from lake.base.sql import at_hand

_LOCAL_HEADER = struct.Struct("<4s22sHH")
_READ_BYTES = 1 << 20
_ROWS = 8192  # of Parquet at a time
# What `zipfile` raises on a damaged directory besides its own error.
_ROTTEN = (zipfile.BadZipFile, ValueError, LookupError, OverflowError, struct.error, NotImplementedError, EOFError)
_JUNK = frozenset((".DS_Store", "Thumbs.db", "desktop.ini"))
_FOR_PEOPLE = re.compile(
    r"^(?:readme|license|notice|changelog)(?:\.txt)?$|\.(?:md|rst|html?|pdf|docx?)$", re.IGNORECASE
)
_ZSTD, _XZ = 93, 95  # "4.4.5 compression method", PKWARE's APPNOTE.TXT
_METHODS = {9: "deflate64", zipfile.ZIP_LZMA: "LZMA", 97: "WavPack", 98: "PPMd", 99: "encryption by AES"}


@dataclass(frozen=True)
class Member:
    """One member of an archive: its name and sizes, its bytes as they were packed, or why these are not read.

    `ignored` says why it is no data, `refused` why data is not read.
    """

    name: str
    size: int
    packed_size: int
    stored: Callable[[], Iterator[bytes]]
    ignored: str = ""
    refused: str = ""


def zip_members(file: BinaryIO) -> list[Member]:
    """The members of a zip archive in name order. Raises Broken when its directory cannot be read."""
    try:
        try:
            found = zipfile.ZipFile(file).infolist()
        except UnicodeDecodeError:
            found = zipfile.ZipFile(cast(BinaryIO, _NamesOfBytes(file))).infolist()
    except _ROTTEN as error:
        raise Broken(f"the zip archive has no readable directory: {error}") from None
    found.sort(key=lambda member: (member.filename, member.header_offset))
    return [
        Member(
            each.filename,
            each.file_size,
            each.compress_size,
            functools.partial(_plain, file, each),
            _why_ignored(each),
            _why_refused(each),
        )
        for each in found
    ]


class _NamesOfBytes:
    """A zip archive with a name that is flagged as UTF-8 and is none: all names are read byte by byte, as cp437."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, count: int = -1) -> bytes:
        """As of any file; in the directory, which is read at once, no name is flagged."""
        data = bytearray(self._file.read(count))
        at = 0
        while data[at : at + 4] == b"PK\1\2" and len(data) >= at + 46:  # APPNOTE.TXT, 4.3.12
            data[at + 9] &= 0xFF ^ 0x08
            at += 46 + sum(struct.unpack_from("<HHH", data, at + 28))
        return bytes(data)


def why_ignored(name: str) -> str:
    """Return why a member is no data by its name: left behind by macOS or Windows, or for people; else nothing."""
    path = PurePosixPath(name)
    if "__MACOSX" in path.parts or path.name.startswith("._"):
        return "macOS resource fork"
    if path.name in _JUNK:
        return "folder settings of a file manager"
    return "not a data file by its name" if _FOR_PEOPLE.search(path.name) else ""


def _why_ignored(member: zipfile.ZipInfo) -> str:
    if member.is_dir():
        return "folder"
    empty = member.file_size == member.CRC == 0 and member.compress_size <= 2  # nothing, deflated, is 2 bytes
    return why_ignored(member.filename) or ("empty" if empty else "")


def _why_refused(member: zipfile.ZipInfo) -> str:
    if member.flag_bits & 0x1:
        return "the zip member is encrypted; deliver it without a password"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, _ZSTD, _XZ):
        method = _METHODS.get(member.compress_type, f"method {member.compress_type}")
        return f"the zip member is packed by {method}; stored, deflate, bzip2, xz and zstd are read"
    if member.file_size > BOMB_BYTES and member.file_size > BOMB_RATIO * max(member.compress_size, 1):
        return f"{member.compress_size:,} bytes say that they hold {member.file_size:,}, as a bomb does"
    return ""


def _plain(file: BinaryIO, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of one member as they were packed. Raises Broken after what could be read."""
    yield from _checked(_inflated(file, member), member)


def _inflated(file: BinaryIO, member: zipfile.ZipInfo) -> Iterator[bytes]:
    stored = _stored(file, member)
    if member.compress_type == zipfile.ZIP_STORED:
        return stored
    start = functools.partial(Inflate, "zip", -zlib.MAX_WBITS)
    if member.compress_type == _ZSTD:
        return expand(stored, member.compress_size, Zstd)
    if member.compress_type != zipfile.ZIP_DEFLATED:
        return expand(stored, member.compress_size, bzip2 if member.compress_type == zipfile.ZIP_BZIP2 else xz)
    return expand(stored, member.compress_size, start)


def _stored(file: BinaryIO, member: zipfile.ZipInfo) -> Iterator[bytes]:
    if not 0 <= member.header_offset < 1 << 62:
        raise Broken(f"the zip directory puts the member at byte {member.header_offset:,}")
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
        raise Broken(f"the zip member has no header at byte {member.header_offset:,}")
    _, _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
    file.seek(member.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes)
    left = member.compress_size
    while left:
        block = file.read(min(left, _READ_BYTES))
        if not block:
            raise Broken(f"the zip archive ends {left:,} bytes before the end of this member")
        left -= len(block)
        yield block


def _checked(plain: Iterator[bytes], member: zipfile.ZipInfo) -> Iterator[bytes]:
    crc = size = 0
    for block in plain:
        crc = zlib.crc32(block, crc)
        size += len(block)
        yield block
    if crc != member.CRC or size != member.file_size:
        raise Broken(
            f"the zip member's checksum is wrong: {member.file_size:,} bytes with CRC {member.CRC:08x} expected, "
            f"{size:,} bytes with CRC {crc:08x} found"
        )


def rows_as_json(file: BinaryIO) -> Iterator[bytes]:
    """The rows in order, each a line of JSON with all columns. Raises Broken after what could be read.

    `file` must be seekable: the columns are described at the end.
    """
    rows = 0
    con = at_hand()
    try:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=_ROWS):
            con.register("parquet_rows", pa.Table.from_batches([batch]))
            found = con.execute("select to_json(parquet_rows)::varchar || chr(10) as line from parquet_rows")
            for chunk in found.to_arrow_table().column("line").chunks:
                yield "".join(chunk.to_pylist()).encode()
            rows += batch.num_rows
    except (pa.ArrowException, OSError, duckdb.Error) as error:
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise Broken(f"the Parquet file cannot be read on after {rows:,} rows: {first_line}") from None
    finally:
        con.close()
