"""Objects that are read from their end: members of zip archives as plain bytes, rows of Parquet as lines of JSON.

Members are read from their own local headers rather than through `ZipFile.open`, which throws away the last block of a
damaged member; the directory is still read by `zipfile`. Parquet values keep their types as far as JSON has them:
numbers stay numbers, times become text, bytes are escaped.
"""

from __future__ import annotations

import functools
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.decode.compression import Inflate, decompressed, expand
from ingest.decode.records import Broken, DecodeReport
from lake.base.sql import at_hand

_LOCAL_HEADER = struct.Struct("<4s22sHH")
_READ_BYTES = 1 << 20
_ROWS = 8192  # of Parquet at a time
# What `zipfile` raises on a damaged directory besides its own error.
_ROTTEN = (zipfile.BadZipFile, ValueError, LookupError, OverflowError, struct.error, NotImplementedError, EOFError)


def members_of(name: str, archive: BinaryIO, report: DecodeReport) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The members of a zip archive that are data, as `<name>!<member>`, each with its plain bytes."""
    try:
        found = _members(archive)
    except Broken as error:
        yield name, _broken(error)
        return
    for member in found:
        member_name = f"{name}!{member.filename}"
        why = _why_ignored(member)
        if why is not None:
            report.ignored.append((member_name, why))
            continue
        report.members[member_name] = name
        yield member_name, _member_bytes(archive, member)


def _broken(error: Broken) -> Iterator[bytes]:
    raise error
    yield b""


def _members(file: BinaryIO) -> list[zipfile.ZipInfo]:
    """The directory of an archive in name order. Raises Broken when it cannot be read."""
    try:
        found = zipfile.ZipFile(file).infolist()
    except _ROTTEN as error:
        raise Broken(f"the zip archive has no readable directory: {error}") from None
    return sorted(found, key=lambda member: (member.filename, member.header_offset))


def _why_ignored(member: zipfile.ZipInfo) -> str | None:
    """The reason why a member is no data (folders, what macOS and Windows leave behind, empty files), else None."""
    path = PurePosixPath(member.filename)
    if member.is_dir():
        return "folder"
    if "__MACOSX" in path.parts or path.name.startswith("._"):
        return "macOS resource fork"
    if path.name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        return "folder settings of a file manager"
    empty = member.file_size == member.CRC == 0 and member.compress_size <= 2  # nothing, deflated, is 2 bytes
    return "empty" if empty else None


def _member_bytes(file: BinaryIO, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Plain bytes of one member (gzip or zstd inside it undone). Raises Broken after what could be read."""
    if member.flag_bits & 0x1:
        raise Broken("the zip member is encrypted; deliver it without a password")
    yield from decompressed(_checked(_inflated(file, member), member), member.file_size)


def _inflated(file: BinaryIO, member: zipfile.ZipInfo) -> Iterator[bytes]:
    stored = _stored(file, member)
    if member.compress_type == zipfile.ZIP_STORED:
        return stored
    if member.compress_type == zipfile.ZIP_DEFLATED:
        return expand(stored, member.compress_size, functools.partial(Inflate, "zip", -zlib.MAX_WBITS))
    raise Broken(f"the zip member uses compression method {member.compress_type}; only stored and deflate are read")


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
