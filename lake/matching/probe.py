"""Which files of silver hold an indicator: indicators held against the indexes of many files at once.

What belongs here: the join of the table `sought` with index files. What does not: which files, and the events in them.

Whole observables are joined by their key, in one pass over the indexes. Networks are joined by the key under their
mask, once for each length of prefix that occurs; only addresses of blocks in which a network lies are looked at so
(IPv4 /16, IPv6 /32), and these are found in one more pass.
"""

from collections.abc import Mapping

import duckdb

from lake import ledger
from lake.base.sql import literal, texts
from lake.ledger.receipts import BuildReceipt
from lake.matching.index_repair import reading
from lake.matching.indicators import SOUGHT

HIT = "hit"  # file, kind, key_high, key_low, n: an observable of a file, and the indicator that it is
_ALL_ONES = (1 << 64) - 1
_WHOLE = 128
_MAPPED = "key_high = 0 and key_low >> 32 = 65535"
_BLOCK = "case when key_high = 0 then key_low >> 16 else (key_high >> 32) | 9223372036854775808 end"


def begin(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table of hits, empty."""
    con.execute(
        f"create or replace temp table {HIT} (file varchar, kind varchar, key_high ubigint, key_low ubigint, n integer)"
    )


def networks(con: duckdb.DuckDBPyConnection) -> list[int]:
    """Return the lengths of prefix of the networks sought, and make the table of the blocks that they lie in."""
    con.execute(f"""
create or replace temp table block as
select distinct block from (
  select (key_low >> 16) + unnest(range(0, 1 << greatest(112 - prefix::integer, 0)))::ubigint as block
  from {SOUGHT} where prefix between 96 and {_WHOLE - 1} and {_MAPPED}
  union all
  select {_BLOCK} from {SOUGHT} where prefix between 32 and {_WHOLE - 1} and key_high > 0
)""")
    rows = con.execute(f"select distinct prefix from {SOUGHT} where prefix < {_WHOLE} order by 1").fetchall()
    return [int(row[0]) for row in rows]


def probe(
    con: duckdb.DuckDBPyConnection, indexes: Mapping[str, str], files: Mapping[str, BuildReceipt], prefixes: list[int]
) -> None:
    """Add what indexes (address → key of the file of silver) hold of `sought` to the hits.

    `files` are the builds of these files, `prefixes` what `networks` gave.

    Raises:
        Unreadable: one of the indexes. No hit of any of them was added.
    """
    if indexes:
        with reading():
            _probe(con, indexes, files, prefixes)


def _probe(
    con: duckdb.DuckDBPyConnection, indexes: Mapping[str, str], files: Mapping[str, BuildReceipt], prefixes: list[int]
) -> None:
    _name_indexes(con, indexes, files)
    seen = f"read_parquet([{', '.join(map(literal, indexes))}], filename = 'index_file', hive_partitioning = false)"
    parts = [
        f"select index_file, kind, key_high, key_low, n, search_from, valid_to from {seen}"
        f" join (select * from {SOUGHT} where prefix = {_WHOLE}) using (kind, key_high, key_low)"
    ]
    if prefixes:
        _find_near(con, seen)
    for prefix in prefixes:
        high, low = _mask(prefix)
        near = "seen" if _has_blocks(con, prefix) else f"(select * from {seen} where kind = 'ip')"
        parts.append(
            f"select index_file, 'ip', seen.key_high, seen.key_low, s.n, search_from, valid_to from {near} as seen"
            f" join (select * from {SOUGHT} where prefix = {prefix}) as s"
            f" on s.key_high = seen.key_high & {high}::ubigint and s.key_low = seen.key_low & {low}::ubigint"
        )
    con.execute(
        f"insert into {HIT} select file, kind, key_high, key_low, n from ({' union all '.join(parts)}) as found"
        " join of_index using (index_file) where search_from < ends_at and valid_to > begins_at"
    )


def _name_indexes(
    con: duckdb.DuckDBPyConnection, indexes: Mapping[str, str], files: Mapping[str, BuildReceipt]
) -> None:
    hours = [str(ledger.hour(files[key].hour)) for key in indexes.values()]
    con.execute(
        "create or replace temp table of_index as select *, begins_at + interval 1 hour as ends_at from ("
        f"select unnest({texts(indexes)}) as index_file, unnest({texts(indexes.values())}) as file,"
        f" unnest({texts(hours)})::timestamp as begins_at)"
    )


def _find_near(con: duckdb.DuckDBPyConnection, seen: str) -> None:
    """Make the table `seen` of the addresses that lie in a block of a network."""
    con.execute(
        "create or replace temp table seen as select index_file, key_high, key_low from"
        f" (select index_file, key_high, key_low, {_BLOCK} as block from {seen} where kind = 'ip')"
        " semi join block using (block)"
    )


def _has_blocks(con: duckdb.DuckDBPyConnection, prefix: int) -> bool:
    """Whether all networks of a length of prefix have blocks; those that are too large, or odd, have none."""
    odd = f"not (({_MAPPED} and prefix >= 96) or (key_high > 0 and prefix >= 32))"
    row = con.execute(f"select count(*) from {SOUGHT} where prefix = {prefix} and {odd}").fetchone()
    return row is not None and not row[0]


def _mask(prefix: int) -> tuple[int, int]:
    """Return the halves of the mask of a prefix out of 128 bits."""
    mask = ((1 << prefix) - 1) << (_WHOLE - prefix)
    return mask >> 64, mask & _ALL_ONES
