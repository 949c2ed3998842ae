"""Which hours of a model came out with the rows that they had: whoever read those need not read them again.

Only an hour that is built again is compared: first builds, which are most, cost nothing. Rows are compared by a sum of
hashes, so their order does not count, and by the names and types of their columns.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import duckdb

from lake.base.sql import listed, quoted
from lake.ledger.build_receipts import BuildReceipt, SameRows
from lake.ledger.published_tables import mark
from lake.storage.store import Store

_WHOLE = 64 << 20  # bytes of a file that is small enough to be compared as it is


def same_rows(
    con: duckdb.DuckDBPyConnection, store: Store, before: Mapping[str, BuildReceipt], staged: Mapping[str, Path]
) -> dict[str, SameRows]:
    """Return the hours whose staged files hold the rows that their receipts name, with the marks of those rows.

    An hour without a staged file has no rows. What cannot be read, or has other columns, counts as other rows.
    """
    from pyarrow.parquet import read_metadata  # where nothing is stale nobody waits for it

    found = [hour for hour, old in before.items() if not old.expired_at and not old.rows and hour not in staged]
    asked: list[str] = []
    for hour, path in staged.items():
        old = before.get(hour)
        if old is None or not old.file or old.rows != read_metadata(path).num_rows:
            continue
        (found if _same_bytes(store, old, path) else asked).append(hour)
    if asked:
        olds, news = {hour: store.url(before[hour].file) for hour in asked}, {hour: str(staged[hour]) for hour in asked}
        with suppress(duckdb.Error):  # an old file that is damaged, or that a newer build has just replaced
            found += _same_sums(con, olds, news)
    return {hour: SameRows(rows=before[hour].rows_mark, build=mark(before[hour])) for hour in found}


def _same_bytes(store: Store, old: BuildReceipt, path: Path) -> bool:
    if old.bytes != path.stat().st_size or old.bytes > _WHOLE:
        return False
    try:
        return store.read(old.file) == path.read_bytes()
    except FileNotFoundError:
        return False


def _same_sums(con: duckdb.DuckDBPyConnection, olds: Mapping[str, str], news: Mapping[str, str]) -> list[str]:
    columns = _columns(con, news.values())
    if _columns(con, olds.values()) != columns:
        return []
    before, after = (_sums(con, [name for name, _ in columns], files) for files in (olds.values(), news.values()))
    return [hour for hour, url in news.items() if after[url] == before[olds[hour]]]


def _columns(con: duckdb.DuckDBPyConnection, files: Iterable[str]) -> list[tuple[str, str]]:
    found = con.execute(f"describe from {_rows(files)}").fetchall()
    return sorted((name, type_) for name, type_, *_ in found if name != "_file")


def _sums(con: duckdb.DuckDBPyConnection, columns: Iterable[str], files: Iterable[str]) -> dict[str, int]:
    """Return, by file, what is the same for the same rows in whatever order."""
    sums = f"sum(hash({', '.join(map(quoted, columns))})::hugeint)"
    return dict(con.execute(f"select _file, {sums} from {_rows(files)} group by _file").fetchall())


def _rows(files: Iterable[str]) -> str:
    return f"read_parquet({listed(files)}, union_by_name = true, filename = '_file', hive_partitioning = false)"
