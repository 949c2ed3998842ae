"""Which files of silver hold an indicator: indicators held against the indexes of many files at once.

What belongs here: the join of the table `sought` with index files. What does not: which files, and the events in them.

Whole observables are joined by their key. Networks are joined by the key under their mask, once for each length of
prefix that occurs.
"""

from collections.abc import Mapping

import duckdb

from lake.registry import literal
from lake.retro.indicators import SOUGHT

HIT = "hit"  # file, kind, key_high, key_low, n: an observable of a file, and the indicator that it is
_ALL_ONES = (1 << 64) - 1
_WHOLE = 128


def begin(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table of hits, empty."""
    con.execute(
        f"create or replace temp table {HIT} (file varchar, kind varchar, key_high ubigint, key_low ubigint, n integer)"
    )


def prefixes(con: duckdb.DuckDBPyConnection) -> list[int]:
    """Return the lengths of prefix of the networks sought."""
    rows = con.execute(f"select distinct prefix from {SOUGHT} where prefix < {_WHOLE} order by 1").fetchall()
    return [int(row[0]) for row in rows]


def probe(con: duckdb.DuckDBPyConnection, indexes: Mapping[str, str], networks: list[int]) -> int:
    """Add what indexes (address → key of the file of silver) hold of `sought` to the hits; return the rows looked at.

    Raises:
        duckdb.Error: an index cannot be read. No hit of any of them was added.
    """
    if not indexes:
        return 0
    files = ", ".join(map(literal, indexes))
    seen = f"read_parquet([{files}], filename = 'index_file', hive_partitioning = false)"
    held = "seen.first_at < s.valid_to and seen.last_at >= s.search_from"
    parts = [
        f"select index_file, seen.kind, seen.key_high, seen.key_low, s.n from {seen} as seen join {SOUGHT} as s"
        f" on s.prefix = {_WHOLE} and s.kind = seen.kind and s.key_high = seen.key_high and s.key_low = seen.key_low"
        f" and {held}"
    ]
    for prefix in networks:
        high, low = _mask(prefix)
        parts.append(
            f"select index_file, seen.kind, seen.key_high, seen.key_low, s.n from {seen} as seen join {SOUGHT} as s"
            f" on s.prefix = {prefix} and s.key_high = seen.key_high & {high}::ubigint"
            f" and s.key_low = seen.key_low & {low}::ubigint and {held} where seen.kind = 'ip' and s.kind = 'ip'"
        )
    con.execute("create or replace temp table of_index (index_file varchar, file varchar)")
    con.executemany("insert into of_index values (?, ?)", [list(each) for each in indexes.items()])
    con.execute(
        f"insert into {HIT} select file, kind, key_high, key_low, n from ({' union all '.join(parts)})"
        " join of_index using (index_file)"
    )
    row = con.execute(f"select sum(num_rows) from parquet_file_metadata([{files}])").fetchone()
    return int(row[0] or 0) if row else 0


def _mask(prefix: int) -> tuple[int, int]:
    """Return the halves of the mask of a prefix out of 128 bits."""
    mask = ((1 << prefix) - 1) << (_WHOLE - prefix)
    return mask >> 64, mask & _ALL_ONES
