"""Views over the lake, for whoever reads it with DuckDB: dbt runs and `headwater query`.

What belongs here: SQL text that makes a view, also where the lake has no file yet. What does not: a connection.
"""

from collections.abc import Iterator, Sequence

from lake.base.sql import empty_select, literal, quoted
from lake.storage import paths
from lake.storage.store import Store

Address = str | tuple[str, tuple[str, ...]]  # a file, or a file with the batches whose rows in it count


def typed_select(columns: Sequence[Sequence[str]], files: Sequence[Address], *, hive: bool = False) -> str:
    """Return a SELECT over Parquet files that has at least the given columns, whatever the age of the files."""
    return " union all by name ".join([f"({empty_select(columns)})", *_parts(files, hive)])


def rows_select(files: Sequence[Address]) -> str:
    """Return a SELECT over the rows that count in some files, at least one, with the columns that the files have."""
    return " union all by name ".join(_parts(files, hive=False))


def _parts(files: Sequence[Address], hive: bool) -> Iterator[str]:
    """Yield a SELECT over all files that count whole, and one for each other."""
    options = "union_by_name = true, " + (
        "hive_partitioning = true, hive_types_autocast = false" if hive else "hive_partitioning = false"
    )
    whole = [each for each in files if isinstance(each, str)]
    if whole:
        yield f"(select * from read_parquet([{', '.join(map(literal, whole))}], {options}))"
    for each in files:
        if not isinstance(each, str):
            batches = ", ".join(map(literal, each[1]))
            yield f"(select * from read_parquet({literal(each[0])}, {options}) where _batch in ({batches}))"


def bronze_view(source: str, columns: Sequence[Sequence[str]], files: Sequence[Address]) -> str:
    """Return the statement that makes `bronze.<source>` over some bronze files."""
    return f"create or replace view bronze.{quoted(paths.checked(source))} as {typed_select(columns, files)}"


def lake_table(store: Store, table: str, source: str, columns: Sequence[Sequence[str]]) -> str:
    """Return a SELECT over all hours of one class and source, or of a source's dispositions."""
    folder = paths.dispositions_folder(source) if table == "dispositions" else paths.silver_folder(table, source)
    has_files = next(iter(store.list(folder)), None) is not None
    return typed_select(columns, [store.url(f"{folder}/date=*/hour=*/*.parquet")] if has_files else [])


def mart_files(store: Store, mart: str) -> list[str]:
    """Return the address of all files of a mart: a pattern, or nothing where it has none."""
    folder = paths.gold_folder(mart)
    has_files = next(iter(store.list(folder)), None) is not None
    return [store.url(f"{folder}/date=*/hour=*/*.parquet")] if has_files else []
