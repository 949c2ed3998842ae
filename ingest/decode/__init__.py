"""Bytes of delivered objects to Arrow batches of raw record texts, in bounded memory, every byte accounted for.

`decode` is the whole interface. The parts, in the order in which bytes go through them: `compression` and `archive`
(stored to plain bytes), `text` (to UTF-8), `wrapped` (records inside other services' documents), `framing` with
`lines`, `documents` and `splitter` (text to records), `records` (records to Arrow, counts). What a record means, and
whether it keeps its contract, is decided in landing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator
from typing import BinaryIO, cast

import pyarrow as pa

from ingest.decode.compression import Broken, ObjectUnreadable, StoredFile, decompressed, gathered, peek
from ingest.decode.documents import BLANKS, Envelopes
from ingest.decode.framing import Framer
from ingest.decode.lines import LineForm, LineFramer
from ingest.decode.records import (
    JSON_FORM,
    LINES,
    SCHEMA,
    Batches,
    DecodeReport,
    Limits,
    ObjectCount,
    Piece,
)
from ingest.decode.text import unescaped, utf8
from ingest.decode.wrapped import CLOUDWATCH_LOGS, EVENTBRIDGE, details, is_export, is_subscription, messages, unstamped
from ingest.objects import ObjectGone, ObjectRefused, RawObject

# How much is read ahead. Not a matter of speed: 256 KiB, 1 MiB and 16 MiB were equal within noise on NDJSON lines of
# 585 bytes (3 runs each, 680 to 1,080 MB/s of processor time on a busy machine).
BLOCK_BYTES = 1 << 20
_SNIFFED_BYTES = 64
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_PARQUET_MAGIC = b"PAR1"

__all__ = ["SCHEMA", "DecodeReport", "Limits", "LineForm", "ObjectCount", "ObjectUnreadable", "decode", "unescaped"]


def decode(
    objects: Iterable[RawObject],
    limits: Limits,
    records_keys: tuple[str, ...] = ("Records",),
    report: DecodeReport | None = None,
    lines: LineForm | None = None,
    wrappers: Collection[str] = (),
) -> Iterator[pa.RecordBatch]:
    """Batches (see `SCHEMA`) of the records of all objects, in order; small objects share a batch.

    Columns: `line`, the record's text without its line end (invalid UTF-8 in the notation of `text.escaped`, undone
    by `unescaped`); `object`, the object's name, for members of a zip archive `<object>!<member>`; `row`, the number of
    the record in the object or member, from 1; `problem`, NULL or truncated_object, too_large or not_json;
    `detail`, a sentence on the problem. A record without a problem need not be JSON: only what decoding could not
    avoid to see is judged here.

    `records_keys`: top-level keys whose list makes an object an envelope of records. `report` is filled on the way.
    `lines`: the source's records are lines of this form; an object that begins like JSON is read as JSON all the same,
    unless the form is `always`.
    The schema of a batch of lines says so in its metadata (`records.FORM`), with the header line of their objects.
    `wrappers`: what may stand around records, see `wrapped`. No content raises. Raises ObjectUnreadable when an object
    cannot be opened or read; one that is gone or refused is reported.
    """
    report = report if report is not None else DecodeReport()
    batches = Batches(limits.chunk_bytes)
    envelopes = Envelopes(records_keys)
    for source in objects:
        opened = _opened(source, report)
        if opened is None:
            continue
        count = report.objects.setdefault(source.name, ObjectCount(source.arrived_at, source.fingerprint))
        with opened:
            file = StoredFile(source.name, opened)
            for name, chunks in _streams(source, file, limits, report):
                plain = utf8(_counted(chunks, report))
                framer = _framer(plain, limits, envelopes, lines, CLOUDWATCH_LOGS in wrappers)
                for first_row, part in _pieces(framer, report, count):
                    inner = details(part) if EVENTBRIDGE in wrappers else part
                    yield from batches.add(name, first_row, inner, _form(framer))
            count.bytes += file.bytes_read
            report.bytes_read += file.bytes_read
    yield from batches.rest()


def _opened(source: RawObject, report: DecodeReport) -> BinaryIO | None:
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


def _framer(
    plain: Iterator[bytes], limits: Limits, envelopes: Envelopes, lines: LineForm | None, subscribed: bool
) -> Framer | LineFramer:
    head, text = peek(plain, _SNIFFED_BYTES)
    if subscribed and is_export(head):
        head, text = peek(unstamped(text), _SNIFFED_BYTES)
    is_json = lines is None or (not lines.always and head.lstrip(BLANKS)[:1] in (b"{", b"["))
    if subscribed and is_subscription(head):
        text, is_json = messages(text, limits.max_document_bytes), lines is None
    return LineFramer(text, limits, lines) if lines and not is_json else Framer(text, limits, envelopes)


def _pieces(framer: Framer | LineFramer, report: DecodeReport, count: ObjectCount) -> Iterator[tuple[int, Piece]]:
    """The pieces of one object that hold records, each with the number of its first one; all records are counted."""
    row = 1
    counted = 0
    for part in framer.pieces():
        report.records += framer.count - counted
        count.records += framer.count - counted
        counted = framer.count
        if len(part.lines):
            yield row, part
        row += len(part.lines)
    report.records += framer.count - counted
    count.records += framer.count - counted


def _form(framer: Framer | LineFramer) -> bytes:
    return LINES + framer.header.encode() if isinstance(framer, LineFramer) else JSON_FORM


def _counted(chunks: Iterator[bytes], report: DecodeReport) -> Iterator[bytes]:
    for chunk in chunks:
        report.bytes_decoded += len(chunk)
        yield chunk


def _streams(
    source: RawObject, file: StoredFile, limits: Limits, report: DecodeReport
) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The object's plain bytes under its name, or those of each of its members."""
    block_bytes = min(limits.chunk_bytes, BLOCK_BYTES)
    magic, blocks = peek(file.blocks(block_bytes), 4)
    if magic not in _ZIP_MAGIC and magic != _PARQUET_MAGIC:
        yield source.name, gathered(decompressed(blocks, source.size), block_bytes)
        return
    from ingest.decode.archive import rows_as_json  # few objects are Parquet or zip

    with tempfile.TemporaryFile() as spool:
        archive: BinaryIO = cast(BinaryIO, file)
        if not file.seekable():
            spool.writelines(blocks)
            archive = cast(BinaryIO, spool)
        archive.seek(0)
        if magic == _PARQUET_MAGIC:
            yield source.name, gathered(rows_as_json(archive), block_bytes)
        else:
            yield from _members(source.name, archive, limits, report)


def _members(
    name: str, archive: BinaryIO, limits: Limits, report: DecodeReport
) -> Iterator[tuple[str, Iterator[bytes]]]:
    from ingest.decode.archive import member_bytes, members, why_ignored

    try:
        found = members(archive)
    except Broken as error:
        yield name, _broken(error)
        return
    for member in found:
        member_name = f"{name}!{member.filename}"
        why = why_ignored(member)
        if why is not None:
            report.ignored.append((member_name, why))
            continue
        report.members[member_name] = name
        yield member_name, gathered(member_bytes(archive, member), min(limits.chunk_bytes, BLOCK_BYTES))


def _broken(error: Broken) -> Iterator[bytes]:
    raise error
    yield b""
