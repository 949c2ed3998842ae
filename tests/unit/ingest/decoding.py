"""What the decode tests share: an object from bytes, and all its rows with the counts checked."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from ingest.decode import SCHEMA, DecodeReport, Limits, decode
from ingest.objects import RawObject

SMALL = Limits(chunk_bytes=16, max_record_bytes=200, max_document_bytes=400)


class Row(NamedTuple):
    line: str
    problem: str | None = None
    detail: str = ""


def stored(content: bytes, name: str = "object") -> RawObject:
    return RawObject(name, lambda: io.BytesIO(content), len(content), datetime(2026, 1, 1, tzinfo=UTC), "fingerprint")


def decoded(
    objects: bytes | Sequence[RawObject],
    limits: Limits = SMALL,
    keys: tuple[str, ...] = ("Records",),
    report: DecodeReport | None = None,
) -> list[Row]:
    """All rows; checks on the way that the report counts as many, and that rows are numbered from 1 without a gap."""
    report = report if report is not None else DecodeReport()
    given = [stored(objects)] if isinstance(objects, bytes) else objects
    rows: list[dict[str, str]] = []
    numbers: dict[str, int] = {}
    for batch in decode(given, limits, keys, report):
        assert batch.schema == SCHEMA
        assert batch.num_rows
        batch.validate(full=True)
        for row in batch.to_pylist():
            rows.append(row)
            numbers[row["object"]] = numbers.get(row["object"], 0) + 1
            assert row["row"] == numbers[row["object"]]
    assert report.records == len(rows) == sum(count.records for count in report.objects.values())
    return [Row(row["line"], row["problem"], row["detail"] or "") for row in rows]


def lines(content: bytes, limits: Limits = SMALL) -> list[str]:
    """The texts of all records, none of which may have a problem."""
    rows = decoded(content, limits)
    assert all(row.problem is None for row in rows), rows
    return [row.line for row in rows]


def short(content: bytes, limits: Limits = SMALL) -> list[tuple[str, str | None]]:
    """Texts and problems of all records."""
    return [(row.line, row.problem) for row in decoded(content, limits)]
