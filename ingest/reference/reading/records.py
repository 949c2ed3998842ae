"""The records of a feed's file: JSON texts or lines, from plain, compressed or zipped bytes, in bounded memory.

A file that ends too early is refused as a whole: of a full feed, what was lost would look as if it had ended.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ingest.decode import DecodeReport, Limits, ObjectUnreadable, decode
from ingest.decode.lines import LineForm
from ingest.objects import RawObject
from ingest.reference.formats import FormatError, Source
from ingest.reference.tables import Reject

MAX_BYTES = 8 << 30  # of decompressed text; the largest public feeds have 2 GB, a bomb has any size
DOCUMENT_BYTES = 128 << 20  # of a document that must be held whole; it takes about ten times as much memory
SHOWN = 200


@dataclass(frozen=True)
class Record:
    """One text of a feed, where it stands ("row 7"), and what decoding found wrong with it (empty: nothing)."""

    text: str
    where: str
    problem: str = ""

    def reject(self, reason: str) -> Reject:
        """Return the reject of this record."""
        return Reject(self.text[:SHOWN], self.where, reason)


def json_records(source: Source, keys: tuple[str, ...] = ()) -> Iterator[Record]:
    """Yield the objects of a JSON file: lines, an array, whole documents, or the list under one of `keys`, or Parquet.

    Raises:
        FormatError: the file cannot be read, is cut off or damaged, or is larger than a feed may be.
    """
    yield from _records(source, None, keys)


def documents(source: Source) -> Iterator[tuple[Record, Any] | Reject]:
    """Yield the whole JSON documents of a file with their values. Raises FormatError as `json_records`."""
    for record in _records(
        source, None, (), Limits(max_record_bytes=DOCUMENT_BYTES, max_document_bytes=DOCUMENT_BYTES)
    ):
        if record.problem.startswith("too_large"):
            raise FormatError(
                f"{source.name}: a document of more than {DOCUMENT_BYTES >> 20} MiB, which is not read whole"
            )
        try:
            yield record, decoded(record)
        except ValueError as error:
            yield record.reject(str(error))


def line_records(source: Source) -> Iterator[Record]:
    """Yield the lines of a text file that are not blank. Raises FormatError as `json_records`."""
    yield from _records(source, LineForm(always=True), ())


def decoded(record: Record) -> Any:
    """Return the JSON value of a record's text. Raises ValueError with the reason when it is none."""
    if record.problem:
        raise ValueError(record.problem)
    try:
        return msgspec.json.decode(record.text)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: nested too deeply") from None


def objects(source: Source, keys: tuple[str, ...] = ()) -> Iterator[tuple[Record, dict[str, Any]] | Reject]:
    """Yield the JSON objects of a file with their records; what is none comes as a Reject."""
    for record in json_records(source, keys):
        try:
            value = decoded(record)
        except ValueError as error:
            yield record.reject(str(error))
            continue
        if isinstance(value, dict):
            yield record, value
        else:
            yield record.reject("not a JSON object")


def _records(
    source: Source, lines: LineForm | None, keys: tuple[str, ...], limits: Limits | None = None
) -> Iterator[Record]:
    path = _path(source)
    report = DecodeReport()
    try:
        for batch in decode([_raw_object(path)], limits or Limits(), keys, report, lines):
            if report.bytes_decoded > MAX_BYTES:
                raise FormatError(
                    f"{path}: more than {MAX_BYTES >> 30} GiB when decompressed, more than a feed may have"
                )
            yield from _of_batch(path, batch.to_pydict())
    except ObjectUnreadable as error:
        raise FormatError(f"{path}: {error.reason}") from None
    if report.ignored and not report.records:
        raise FormatError(f"{path}: holds nothing that can be read: {report.ignored[0][0]}: {report.ignored[0][1]}")


def _of_batch(path: Path, columns: dict[str, list[Any]]) -> Iterator[Record]:
    for text, name, row, problem, detail in zip(*(columns[each] for each in _COLUMNS), strict=True):
        if problem == "truncated_object":
            raise FormatError(f"{path}: the file is damaged or cut off, nothing of it is used: {detail}")
        member = name.removeprefix(str(path)).lstrip("!")
        yield Record(text, f"{member} row {row}".strip(), f"{problem}: {detail}" if problem else "")


_COLUMNS = ("line", "object", "row", "problem", "detail")


def _path(source: Source) -> Path:
    if source.path is None:
        raise FormatError("this format reads a file, and no path is given")
    return source.path


def _raw_object(path: Path) -> RawObject:
    try:
        found = path.stat()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from None
    return RawObject(
        name=str(path),
        open=partial(_open, path),
        size=found.st_size,
        arrived_at=datetime.fromtimestamp(found.st_mtime, UTC),
        fingerprint=f"{found.st_size}-{found.st_mtime_ns}",
    )


def _open(path: Path) -> BinaryIO:
    return path.open("rb")
