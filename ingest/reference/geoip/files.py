"""The Parquet files of one version of a GeoIP table: its ranges, and the index of its blocks.

`part.parquet` holds the ranges, `blocks.parquet` the first address of every block of `BLOCK_ROWS` ranges. The join
finds an address's block first and then reads only blocks that are asked for. Receipts and validity do not belong here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.reference.geoip.networks import Range
from ingest.reference.geoip.records import TABLES

# CPU seconds of the lookup in 5,000,000 ranges for 10 / 1,000 / 100,000 addresses: 0.13 / 0.7 / 1.8 with 64 ranges a
# block, 0.10 / 0.9 / 2.6 with 1,024.
BLOCK_ROWS = 64
ROW_GROUP_ROWS = 65_536
LOW = (1 << 64) - 1

# Parquet has no 128-bit integer (DuckDB writes one as DOUBLE), so a number is two UBIGINT halves. At 5,000,000 IPv6
# ranges and 100,000 addresses: halves joined to a UHUGEINT 0.58 s and 38 MB, 32 hex digits as text 0.73 s and 79 MB.
RANGE_TYPES = {
    "block": "int64",
    "ip_version": "int8",
    "start_high": "uint64",
    "start_low": "uint64",
    "end_high": "uint64",
    "end_low": "uint64",
}
STAMP_TYPES = {"database_type": "string", "version": "string", "built_at": "timestamp", "learned_at": "timestamp"}
BLOCK_TYPES = {name: RANGE_TYPES[name] for name in ("block", "ip_version", "start_high", "start_low")} | {
    "version": "string"
}


@dataclass(frozen=True)
class Stamp:
    """What every row of one version says about its origin; times are naive UTC."""

    database_type: str
    version: str
    built_at: datetime
    learned_at: datetime
    block_prefix: int  # makes block numbers unique over all versions of a table


def table_types(table: str) -> dict[str, str]:
    """Column → Arrow type name of `part.parquet`."""
    return RANGE_TYPES | TABLES[table] | STAMP_TYPES


def write_files(table: str, ranges: Iterable[Range], stamp: Stamp, part: Path, blocks: Path) -> None:
    """Write both files in batches of `ROW_GROUP_ROWS` rows: memory does not grow with the database."""
    part_schema, block_schema = _schema(table_types(table)), _schema(BLOCK_TYPES)
    first_block = stamp.block_prefix << 28
    with (
        pq.ParquetWriter(part, part_schema, compression="zstd") as parts,
        pq.ParquetWriter(blocks, block_schema, compression="zstd") as index,
    ):
        for batch in _batches(ranges):
            numbers = [first_block + row // BLOCK_ROWS for row in range(len(batch))]
            first_block = numbers[-1] + 1
            rows = _range_columns(batch, numbers) | _payload_columns(table, batch) | _stamp_columns(stamp, len(batch))
            written = pa.table(rows, schema=part_schema)
            parts.write_table(written, row_group_size=ROW_GROUP_ROWS)
            index.write_table(written.select(list(BLOCK_TYPES)).take(list(range(0, len(batch), BLOCK_ROWS))))


def _batches(ranges: Iterable[Range]) -> Iterator[list[Range]]:
    """Batches of one IP version each: a block never spans both."""
    pending: list[Range] = []
    for item in ranges:
        if pending and (len(pending) == ROW_GROUP_ROWS or pending[-1].ip_version != item.ip_version):
            yield pending
            pending = []
        pending.append(item)
    if pending:
        yield pending


def _range_columns(batch: list[Range], blocks: list[int]) -> dict[str, list[int]]:
    return {
        "block": blocks,
        "ip_version": [item.ip_version for item in batch],
        "start_high": [item.start >> 64 for item in batch],
        "start_low": [item.start & LOW for item in batch],
        "end_high": [item.end >> 64 for item in batch],
        "end_low": [item.end & LOW for item in batch],
    }


def _payload_columns(table: str, batch: list[Range]) -> dict[str, list[object]]:
    return {name: [item.payload[at] for item in batch] for at, name in enumerate(TABLES[table])}


def _stamp_columns(stamp: Stamp, rows: int) -> dict[str, list[object]]:
    return {name: [getattr(stamp, name)] * rows for name in STAMP_TYPES}


def _schema(types: dict[str, str]) -> pa.Schema:
    return pa.schema([(name, pa.timestamp("us") if of == "timestamp" else of) for name, of in types.items()])
