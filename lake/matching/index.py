"""The index of observables: which of them the rows of one file of silver hold, how often, and when.

What belongs here: the SQL that makes an index of rows, and the shape of its files. What does not: publishing them
(`lake.build.run` with the table, `lake.matching.index_repair` later), searching them (`lake.matching.probe`).

A row of an index is one observable of one event hour, source and table: `kind`, `value` (as events write it), its key,
`occurrences` (attributes of events that hold it), `first_at`, `last_at`. Rows are ordered by kind and key.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from lake.base.sql import empty_select, literal
from lake.matching.keys import keyed
from lake.ocsf.attributes import EventClass
from lake.ocsf.observables import OBSERVABLES, ObservablePath, filled_paths, given_text, observable_paths

VERSION = "1"  # of what an index holds; an index of another version is made anew when it is needed
FOLDER = "index"  # in the folder of a model's staged partitions
COLUMNS = (
    ("kind", "VARCHAR"),
    ("value", "VARCHAR"),
    ("key_high", "UBIGINT"),
    ("key_low", "UBIGINT"),
    ("occurrences", "BIGINT"),
    ("first_at", "TIMESTAMP"),
    ("last_at", "TIMESTAMP"),
)
OPTIONS = "format parquet, compression zstd, compression_level 1"
_TIME = "time_dt"
LONG_TEXT = 10_000
_LEVELS = {"list", "element"}


def index_select(event_class: EventClass, leaves: Collection[str], rows: str, by: Sequence[str] = ()) -> str:
    """Return a SELECT of the index of some rows of a class, and of each value of the columns `by` on its own.

    `rows` is a relation with the class's columns; `leaves` are its leaf columns that hold anything (`filled_leaves`).
    """
    parts = [_texts(each, rows, by) for each in filled_paths(observable_paths(event_class), leaves)]
    if f"{OBSERVABLES}.value" in leaves:
        parts.append(_given_texts(rows, by))
    kept = ", ".join(["occurrences", "first_at", "last_at", *by])
    groups = ", ".join(["kind", "key_high", "key_low", *by])
    if not parts:
        return empty_select((*COLUMNS, *((name, "VARCHAR") for name in by)))
    also = "".join(f", {name}" for name in by)
    gathered = f"""(
  select what, text, coalesce(sum(found) filter (own), sum(found))::bigint as occurrences,
    min(first_at) as first_at, max(last_at) as last_at{also}
  from ({" union all ".join(parts)}) group by what, text{also})"""
    return f"""select kind, min(value) as value, key_high, key_low, sum(occurrences)::bigint as occurrences,
  min(first_at) as first_at, max(last_at) as last_at{also}
from ({keyed(gathered, kept)}) group by {groups} order by {groups}"""


def filled_leaves(files: Iterable[Path]) -> set[str]:
    """Return the leaf columns of some Parquet files that hold a value in any, as `a.b.c` without list levels."""
    return {leaf for file in files for leaf in leaves_of(pq.read_metadata(file))}


def leaves_of(metadata: pq.FileMetaData) -> set[str]:
    """Return the leaf columns of one Parquet file that hold a value, by its statistics.

    Below lists DuckDB counts more nulls than there are values; then least and greatest value tell. It gives none where
    a text has more than 10,000 bytes, so a column of that size counts as one with values.
    """
    found = set()
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            held = column.statistics
            empty = held is not None and not held.has_min_max and held.has_null_count
            if not empty or held.null_count < column.num_values or column.total_uncompressed_size >= LONG_TEXT:
                found.add(".".join(step for step in column.path_in_schema.split(".") if step not in _LEVELS))
    return found


def staged_statements(event_class: EventClass, folder: Path, unsorted: Path, days: Sequence[str]) -> list[str]:
    """Return the statements that write the indexes of a model's staged partitions, hour by hour; none without rows.

    `unsorted` is one file of the same rows, if it exists. With `days`, one day is written after the other.
    """
    files = [unsorted] if unsorted.exists() else sorted(folder.glob("date=*/hour=*/*.parquet"))
    if not files:
        return []
    out = folder / FOLDER
    out.mkdir(exist_ok=True)
    where = literal(str(unsorted) if unsorted.exists() else f"{folder}/date=*/hour=*/*.parquet")
    hive = "" if unsorted.exists() else ", hive_partitioning = true, hive_types_autocast = false"
    leaves = filled_leaves(files)
    rows = f"read_parquet({where}{hive})"
    each_day = [f"(select * from {rows} where date = {literal(day)})" for day in days] or [rows]
    return [
        f"copy ({index_select(event_class, leaves, each, ('date', 'hour'))}) to {literal(str(out))}"
        f" ({OPTIONS}, partition_by (date, hour), filename_pattern 'part', overwrite_or_ignore)"
        for each in each_day
    ]


def _texts(path: ObservablePath, rows: str, by: Sequence[str]) -> str:
    also = "".join(f", {name}" for name in by)
    return f"""
  select {literal(path.text)} as what, text, count(*) as found, true as own, min({_TIME}) as first_at,
    max({_TIME}) as last_at{also}
  from (select {path.sql} as text, {_TIME}{also} from {rows}) where text is not null group by text{also}"""


def _given_texts(rows: str, by: Sequence[str]) -> str:
    also = "".join(f", {name}" for name in by)
    return f"""
  select {given_text()} as what, each.value as text, count(*) as found, false as own, min({_TIME}) as first_at,
    max({_TIME}) as last_at{also}
  from (select unnest({OBSERVABLES}) as each, {_TIME}{also} from {rows}) where each.value is not null
  group by what, text{also}"""
