"""What a model of a run has staged and not yet published: its rows, made valid where they break a rule of OCSF.

A folder has a model's rows by `date=…/hour=…`, or by `class_uid=…/…` what is computed once for the run.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb

from lake.base.sql import empty_select, literal, quoted
from lake.ocsf.attributes import EventClass
from lake.ocsf.event_sql import repair_sql
from lake.storage.duck import partitioned

_UNSORTED = "unsorted.parquet"
_OPTIONS = "format parquet, compression zstd, compression_level 1, row_group_size 61440"


def unsorted_rows(folder: Path) -> Path:
    """Return the file that has all rows of a folder, where many hours were written: 168 files take seconds to open."""
    return folder / _UNSORTED


def staged_rows(folder: Path) -> str | None:
    """Return what stands for the staged rows in a FROM; None when there are none."""
    if next(folder.glob("*/*/*.parquet"), None) is None:
        return None
    if (unsorted := unsorted_rows(folder)).exists():
        return f"read_parquet({literal(str(unsorted))})"
    return partitioned(literal(f"{folder}/*/*/*.parquet"), str(folder), ("date", "hour"))


def repair_hours(
    con: duckdb.DuckDBPyConnection,
    event_class: EventClass,
    described: dict[str, str],
    folder: Path,
    hours: Iterable[str],
) -> dict[str, int]:
    """Make the staged rows of some hours valid; return how many broke a rule, by hour. `described`: types by column."""
    counts = {}
    for hour in hours:
        (file,) = folder.glob(f"date={hour[:10]}/hour={hour[11:]}/*.parquet")
        rows, made = f"read_parquet({literal(str(file))}, hive_partitioning = false)", file.with_suffix(".made")
        count, repaired = repair_sql(event_class, described, rows)
        (counts[hour],) = con.execute(count).fetchone() or (0,)
        con.execute(f"copy ({repaired}) to {literal(str(made))} ({_OPTIONS})")
        made.replace(file)
    unsorted_rows(folder).unlink(missing_ok=True)  # its rows are those from before
    return counts


def kept_select(folder: Path, columns: Sequence[tuple[str, str]]) -> str:
    """Return a SELECT over what was computed once for the run, in the given columns (name, type)."""
    if next(folder.glob("*/*.parquet"), None) is None:
        return empty_select(columns)
    carried = "metadata._record.record" if dict(columns).get("metadata", "").count("record VARCHAR") else "_raw"
    places = {name: carried if name == "_raw" else quoted(name) for name, _ in columns}
    typed = ", ".join(f"{places[name]}::{type_} as {quoted(name)}" for name, type_ in columns)
    files = literal(f"{folder}/*/*.parquet")
    types = "hive_partitioning = true, hive_types = {'class_uid': integer}"
    if "=" in str(folder):  # the files have that column too; the folder's name only spares reading some of them
        types = "hive_partitioning = false"
    return f"select {typed} from read_parquet({files}, {types})"
