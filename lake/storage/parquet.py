"""SELECTs over Parquet files of a lake, also where it has no file yet."""

from collections.abc import Iterator, Sequence

from lake.base.sql import empty_select, literal

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
