"""The files that a merge makes: the feed's rows, the names of its entities, and what is no row.

What belongs here: what stands in the files, and in what order. What does not: which rows there are (`changes`).
"""

from pathlib import Path

from ingest.reference.changes import GIVEN_AGAIN, Merge, file_columns
from ingest.reference.tables import ENTITY_TABLES, NAME_COLUMNS, OBSERVABLE_COLUMNS
from lake.base.sql import literal, quoted

# A row group is what a join may leave out. DuckDB makes them of multiples of 2,048 rows.
ROW_GROUP_ROWS = 16_384


def write_rows(merge: Merge, file: Path) -> tuple[int, int]:
    """Write the feed's rows as they are after the merge; return how many there are, and how many are open.

    Observables lie in the order of their keys, so that a reader of few keys reads few row groups.
    """
    key = [*OBSERVABLE_COLUMNS][2:]  # no kind, value: `order` has kind, and the key stands for the value
    order = ["kind", *key] if merge.feed.table not in ENTITY_TABLES else []
    columns = ", ".join(quoted(name) for name in file_columns(merge.feed.table))
    in_order = ", ".join([*order, "entry", "valid_from", "learned_at"])
    _copy(merge, f"select {columns} from ({_rows(merge)}) order by {in_order}", file)
    rows, rows_open = merge.counted(f"select count(*), count(*) filter (closed_at is null) from {_read(file)}")
    return rows, rows_open


def _rows(merge: Merge) -> str:
    texts = {"feed": merge.feed.name, "provider": merge.feed.provider, "version": merge.version}
    given = ", ".join(f"{literal(text)} as {name}" for name, text in texts.items())
    names = ", r.names as _names" if merge.feed.table in ENTITY_TABLES else ""
    return f"""
        select h.* replace (
            coalesce(x.valid_to, e.valid_to, h.valid_to) as valid_to,
            coalesce(h.closed_at, e.closed_at) as closed_at
        )
        from held_rows h
        left join ending e on h.file_row_number = e.row_id
        left join cut x on h.file_row_number = x.row_id
        union all by name
        select r.*, r.given_from as _given_from{names}, {given}, {merge.at} as learned_at,
            b.valid_from, coalesce(x.valid_to, b.valid_to) as valid_to, null::timestamp as closed_at
        from raw r
        join beginning b on r.position = b.position
        left join cut x on r.position = x.position"""


def write_names(merge: Merge, rows: Path, file: Path) -> None:
    """Write the names of the entities in a file of rows, one row each, with the validity of the entity's row.

    Rows that never held have none.
    """
    own = {"name_kind", "rank", *OBSERVABLE_COLUMNS}
    columns = ", ".join(f"n.{quoted(name)} as {quoted(name)}" if name in own else quoted(name) for name in NAME_COLUMNS)
    _copy(
        merge,
        f"select {columns} from (select *, unnest(_names) as n from {_read(rows)} where valid_from < valid_to)"
        " order by n.kind, n.prefix, n.key_high, n.key_low, entry, valid_from",
        file,
    )


def write_rejects(merge: Merge, staged: Path, file: Path) -> int:
    """Write what the snapshot gave that is no row of the feed, in its order; return how many pieces those are."""
    feed = merge.feed
    stamps = f'{literal(feed.name)} as feed, {literal(feed.table)} as "table", {literal(merge.version)} as version'
    again = f"""
        select a.position, {literal(GIVEN_AGAIN)} as reason, 'entry ' || a.position as "where",
            a.entry || ' (again as entry ' || a.later || ')' as text
        from ({merge.given_again()}) a"""
    _copy(
        merge,
        f'select {stamps}, {merge.at} as as_of, reason, "where", text'
        f" from (select * from {_read(staged)} union all by name {again}) order by position",
        file,
    )
    return merge.counted(f"select count(*) from {_read(file)}")[0]


def _copy(merge: Merge, select: str, file: Path) -> None:
    options = f"format parquet, compression zstd, row_group_size {ROW_GROUP_ROWS}"
    merge.run(f"copy ({select}) to {literal(str(file))} ({options})")


def _read(file: Path) -> str:
    return f"read_parquet({literal(str(file))}, hive_partitioning = false)"
