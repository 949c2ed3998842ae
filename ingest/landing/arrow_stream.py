"""The decoded stream with more columns: when each record's object arrived, and what is known of it before SQL looks.

What belongs here: turning decoded batches into what the landing statement reads. What does not: SQL.
"""

from collections.abc import Container, Iterator
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import SCHEMA, DecodeReport
from ingest.landing.coverage import CoverageCounter
from ingest.landing.drift import DriftCounter
from ingest.landing.fast_path import KEPT, Precheck
from ingest.landing.read_text import TextFields


def flagged(
    batches: Iterator[pa.RecordBatch], precheck: Precheck, drift: DriftCounter, report: DecodeReport
) -> pa.RecordBatchReader:
    """Return the stream with `arrived_at` (timestamp, µs, UTC without zone) and `checked` (0, 1 or 2).

    Unknown fields are counted on the way, in the records that may have some.
    """
    added = [pa.field("arrived_at", pa.timestamp("us")), pa.field("checked", pa.int8())]
    schema = pa.schema([*SCHEMA, *added])

    def rows() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            lines = batch.column("line")
            flags = precheck.flags(lines)
            doubtful = flags > KEPT
            if doubtful.any():
                drift.add(lines if doubtful.all() else lines.filter(pa.array(doubtful)))
            yield pa.RecordBatch.from_arrays([*batch.columns, _arrivals(batch, report), pa.array(flags)], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, rows())


def text_values(
    batches: Iterator[pa.RecordBatch], fields: TextFields, coverage: CoverageCounter, report: DecodeReport
) -> pa.RecordBatchReader:
    """Return the stream of a text format with the values of its records and `arrived_at`, without coverage records."""
    schema = fields.schema.append(pa.field("arrived_at", pa.timestamp("us")))

    def rows() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            typed = coverage.passed(fields.typed(batch))
            if len(typed):
                yield pa.RecordBatch.from_arrays([*typed.columns, _arrivals(typed, report)], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, rows())


def _arrivals(batch: pa.RecordBatch, report: DecodeReport) -> pa.Array:
    names = batch.column("object")
    encoded = names if pa.types.is_dictionary(names.type) else pc.dictionary_encode(names)
    instants = pa.array(
        [arrival(name, report) for name in encoded.dictionary.to_pylist()],
        pa.timestamp("us"),
    )
    return instants.take(encoded.indices)


def arrival(name: str, report: DecodeReport) -> datetime:
    """Return when the object of a record arrived (naive UTC); a zip's member arrived with its zip."""
    return report.objects[holder(name, report.objects)].arrived_at.astimezone(UTC).replace(tzinfo=None)


def holder(name: str, objects: Container[str]) -> str:
    """Return the object that holds a record's `object` name: the name itself, or what stands before `!<member>`."""
    at = -1
    while name not in objects and (at := name.find("!", at + 1)) >= 0:
        if name[:at] in objects:
            return name[:at]
    return name
