"""The rows of a push as Parquet files of this machine, without those that Snowflake would refuse."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lake.base.sql import literal, quoted
from lake.export.declaration import EVENT_ID
from lake.export.destination import Held, Refusal
from lake.export.destinations.snowflake.columns import Column, too_large
from lake.export.errors import ExportError
from lake.export.rows import Reader, checksum_over

TOO_LARGE = "value_too_large"
_FILE_BYTES = 256 << 20  # Snowflake loads files side by side, and advises 100 to 250 MB
_FORMAT = "format parquet, compression zstd"
_ROW_GROUP_ROWS, _FEWEST_ROWS = 20_480, 2_048  # DuckDB works on 2,048 rows at once


@dataclass(frozen=True)
class Written:
    """The files, what Snowflake shall hold once they are loaded, and the rows that are left out of them."""

    files: Sequence[Path]
    bytes: int
    held: Held
    refused: Sequence[Refusal]


def write_files(reader: Reader, columns: Sequence[Column], folder: Path) -> Written:
    """Write the rows to a folder. A row with too large a value is refused; the others go. Raises ExportError."""
    files = _write(reader, columns, folder / "all")
    refused = _refused(reader, columns, files)
    if refused:
        files = _write(reader, columns, folder / "rest", refused)
    return Written(
        files=files,
        bytes=sum(each.stat().st_size for each in files),
        held=Held(
            rows=reader.rows - len(refused),
            checksum=reader.checksum - checksum_over(each.event_id for each in refused),
        ),
        refused=refused,
    )


def _write(reader: Reader, columns: Sequence[Column], folder: Path, without: Sequence[Refusal] = ()) -> list[Path]:
    folder.mkdir(parents=True)
    values = ", ".join(f"{each.written} as C{number}" for number, each in enumerate(columns))
    left_out = ", ".join(literal(each.event_id) for each in without)
    where = f"where {quoted(EVENT_ID)} not in ({left_out})" if without else ""
    size = _bytes_of_a_row(reader)
    rows = max(1, reader.memory_bytes // (32 * size))
    if rows < _FEWEST_ROWS:
        return _write_some_at_once(reader, f"select {values} from taken {where}", folder, rows)
    group = min(_ROW_GROUP_ROWS, max(_FEWEST_ROWS, reader.memory_bytes // (8 * reader.threads * size)))
    options = f"{_FORMAT}, row_group_size {group}, file_size_bytes {_FILE_BYTES}, overwrite_or_ignore"
    reader.write(f"select {values} from exported {where}", folder, options)
    return sorted(folder.glob("*.parquet"))


def _bytes_of_a_row(reader: Reader) -> int:
    """Return how large a row is on average, not compressed."""
    held = pq.read_metadata(reader.path)
    size = sum(held.row_group(number).total_byte_size for number in range(held.num_row_groups))
    return int(size) // max(reader.rows, 1) + 1


def _write_some_at_once(reader: Reader, select: str, folder: Path, rows: int) -> list[Path]:
    """Write rows so large that the 2,048 that DuckDB takes at once, copied for every step, would not fit."""
    files = []
    for number, batch in enumerate(reader.batches(rows)):
        files.append(folder / f"{number:06}.parquet")
        try:
            with reader.connect() as con:
                con.register("taken", pa.Table.from_batches([batch]))
                con.execute(f"copy ({select}) to {literal(str(files[-1]))} ({_FORMAT})")
        except duckdb.OutOfMemoryException:
            raise ExportError(
                "the hour has rows too large for the memory that exports may take; give them more, or leave out columns"
                " with large values (`without`)"
            ) from None
    return files


def _refused(reader: Reader, columns: Sequence[Column], files: Sequence[Path]) -> list[Refusal]:
    """Return the rows with too large a value. Only columns are read that may have one, by the files' own metadata."""
    suspects = [
        number
        for number, each in enumerate(columns)
        if each.limit and any(_largest_chunk(file, number) > each.limit for file in files)
    ]
    if not suspects:
        return []
    key = next(number for number, each in enumerate(columns) if each.name == EVENT_ID.upper())
    names = ", ".join(literal(str(file)) for file in files)
    told = too_large({number: columns[number] for number in suspects})
    with reader.connect() as con:
        found = con.execute(
            f"select C{key}, {told} as told from read_parquet([{names}]) where told is not null order by 1"
        ).fetchall()
    return [
        Refusal(event_id=event_id, source=event_id.partition(":")[0], code=TOO_LARGE, said=told)
        for event_id, told in found
    ]


def _largest_chunk(file: Path, column: int) -> int:
    """Return the bytes of a column's largest part; a value is never larger than the part that it stands in."""
    with pq.ParquetFile(file) as held:
        groups = [held.metadata.row_group(number) for number in range(held.metadata.num_row_groups)]
        return max((group.column(column).total_uncompressed_size for group in groups), default=0)
