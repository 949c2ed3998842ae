"""The SQL that selects an export's rows: a stable id for each, its fate, and the columns that go.

Three views: `held` has the lake's rows with their slot's source as `_slot`, `judged` adds `_event_id` and `_fate`,
`exported` has the rows that go. An analyst's expression stands on lines of its own, so that a comment in it ends there.
"""

from collections.abc import Mapping, Sequence

import duckdb

from lake.base.sql import literal, quoted
from lake.export.declaration import EVENT_ID, Aggregate, Export
from lake.export.errors import BadDeclaration, one_line
from lake.ledger.build_receipts import BuildReceipt
from lake.storage.store import Store

FATES = ("filtered", "dropped", "sampled_out")
MINUTE = "time_dt"
_PARTS = 1_000_000
_OPTIONS = "hive_partitioning = false, union_by_name = true"


def held_rows(store: Store, files: Mapping[str, BuildReceipt], *, numbered: bool = False) -> str:
    """Return a SELECT over the files of the slots, by source and each in its own order; `numbered` adds the row's.

    It is one scan of all files: only so does DuckDB keep their order whatever the threads (a UNION ALL does not).
    Columns go by name, fields of objects too; where types differ, by the one that holds the values of both.
    """
    urls = {source: literal(store.url(each.file)) for source, each in sorted(files.items())}
    slot = f"case _file {' '.join(f'when {url} then {literal(source)}' for source, url in urls.items())} end"
    # A class has no column `source` of its own; gold may have one, which stays.
    named = f"{slot} as source, " if any(files) else ""
    numbers = ", file_row_number = true" if numbered else ""
    return (
        f"select * exclude (_file), {named}{slot} as _slot"
        f" from read_parquet([{', '.join(urls.values())}], {_OPTIONS}, filename = '_file'{numbers})"
    )


def no_rows(layer: str) -> str:
    """Return a SELECT of no rows with the columns that a table of a layer surely has."""
    source = "null::varchar as source, " if layer == "silver" else ""
    return f"select null::timestamp as time_dt, {source}null::varchar as {EVENT_ID} where false"


def make_views(con: duckdb.DuckDBPyConnection, export: Export, store: Store, files: Mapping[str, BuildReceipt]) -> None:
    """Make the views `judged` and `exported` over the view `held`.

    Where ids need a join, the connection gets one thread: with more, a join gives rows in another order every time.

    Raises:
        BadDeclaration: a column that is named is not of the table, or the key does not tell rows apart.
        duckdb.Error: an expression of the declaration is not SQL over the table's columns.
    """
    columns = [row[0] for row in con.execute("describe held").fetchall()]
    con.execute(f"create view identified as {_identified(con, export, columns, store, files)}")
    _check_expressions(con, export)
    con.execute(f"create view judged as select *, {_fate(export)} as _fate from identified")
    con.execute(f"create view exported as {_shaped(con, export, columns)}")


def _check_expressions(con: duckdb.DuckDBPyConnection, export: Export) -> None:
    for where, text in export.declared.expressions.items():
        try:
            row = con.execute(f"describe select (\n{text}\n) as asked from identified").fetchone()
        except duckdb.ProgrammingError as problem:
            raise BadDeclaration(f"{export.model}: meta.exports: {where}: {one_line(problem)}") from None
        if row and row[1] != "BOOLEAN":
            raise BadDeclaration(f"{export.model}: meta.exports: {where}: it gives {row[1]}, not true or false")


def source_of(columns: Sequence[str]) -> str:
    """Return the SQL of a row's source, a text."""
    return "coalesce(source::varchar, '')" if "source" in columns else "''"


def _fate(export: Export) -> str:
    said = export.declared
    fates = []
    if said.filter:
        fates.append(f"when not coalesce((\n{said.filter}\n), false) then 'filtered'")
    fates += [f"when coalesce((\n{drop}\n), false) then 'dropped'" for drop in said.reduction.drop]
    if (sample := said.reduction.sample) is not None:
        kept = f"md5_number_lower({EVENT_ID}) % {_PARTS} < {round(sample.share * _PARTS)}"
        fates.append(f"when coalesce((\n{sample.where}\n), false) and not ({kept}) then 'sampled_out'")
    return f"case {' '.join(fates)} else 'kept' end" if fates else "'kept'"


def _identified(
    con: duckdb.DuckDBPyConnection,
    export: Export,
    columns: Sequence[str],
    store: Store,
    files: Mapping[str, BuildReceipt],
) -> str:
    """Return the SELECT that gives every row its id."""
    said = export.declared
    if said.key:
        return _keyed(con, export, columns)
    if "metadata" not in columns:
        if said.reduction.aggregate is not None and said.reduction.sample is None:
            return f"select *, null::varchar as {EVENT_ID} from held"  # rows of a minute get ids of their own
        raise BadDeclaration(f"{export.model}: the table has no metadata.uid: name its `key` in meta.exports")
    plain = f"{source_of(columns)} || ':' || coalesce(metadata.uid::varchar, '')"
    con.execute(f"create table colliding as select {plain} as id from held group by all having count(*) > 1")
    bare = "metadata.uid is null"
    if not _any(con, "from colliding") and not _any(con, f"from held where {bare}"):
        return f"select *, {plain} as {EVENT_ID} from held"
    con.execute("set threads = 1")
    origin = "md5(_source_object || '#' || _source_row)" if "_source_object" in columns else "''"
    shared = f"{plain} in (select id from colliding) or {bare}"
    told = f"{plain} || case when {shared} then '#' || substr(coalesce({origin}, ''), 1, 12) else '' end"
    con.execute(f"create table twins as select {told} as id from held group by all having count(*) > 1")
    if not _any(con, "from twins"):
        return f"select *, {told} as {EVENT_ID} from held"
    con.execute(f"create view numbered as {held_rows(store, files, numbered=True)}")
    number = "'#' || file_row_number"
    twin = f"case when {told} in (select id from twins) then {number} else '' end"
    if _any(con, f"from (select {told} || {twin} as id from numbered) select id group by id having count(*) > 1"):
        twin = number  # a uid that looks like another's id: every row gets its number, which nothing can look like
    return f"select * exclude (file_row_number), {told} || {twin} as {EVENT_ID} from numbered"


def _keyed(con: duckdb.DuckDBPyConnection, export: Export, columns: Sequence[str]) -> str:
    values = ", ".join(f"{path_of(each)}::varchar" for each in export.declared.key)
    identity = f"{source_of(columns)} || ':' || md5([{values}]::varchar)"
    shared = con.execute(
        f"select count(*), sum(n) from (select count(*) as n from held group by {identity} having n > 1)"
    ).fetchone()
    if shared and shared[0]:
        raise BadDeclaration(
            f"{export.model}: meta.exports: the key ({', '.join(export.declared.key)}) does not tell rows apart:"
            f" {shared[1]:,} rows of the hour share {shared[0]:,} keys. Name columns that do"
        )
    return f"select *, {identity} as {EVENT_ID} from held"


def _any(con: duckdb.DuckDBPyConnection, rows: str) -> bool:
    return con.execute(f"{rows} limit 1").fetchone() is not None


def _shaped(con: duckdb.DuckDBPyConnection, export: Export, columns: Sequence[str]) -> str:
    said = export.declared
    if said.reduction.aggregate is not None:
        return _aggregated(con, said.reduction.aggregate, columns)
    own = [name for name in columns if not name.startswith("_")]
    unknown = [name for name in (*said.columns, *said.without) if name not in own]
    if unknown:
        raise BadDeclaration(f"{export.model}: meta.exports names {unknown[0]!r}, which is no column of the table")
    kept = [name for name in own if (not said.columns or name in said.columns) and name not in said.without]
    chosen = ", ".join(map(quoted, kept))
    return f"select {f'{chosen}, ' if chosen else ''}{EVENT_ID} from judged where _fate = 'kept'"


def _aggregated(con: duckdb.DuckDBPyConnection, said: Aggregate, columns: Sequence[str]) -> str:
    """Return the SELECT of a row per minute: OCSF's own `count`, `start_time_dt`, `end_time_dt`, and what is asked."""
    fixed = ["source"] if "source" in columns else []
    by = [*fixed, *(each for each in said.by if each.lower() not in fixed)]
    groups = {path: f"_by{at}" for at, path in enumerate(by)}
    sums = {path: f"_sum{at}" for at, path in enumerate(said.sum)}
    inner = [f"date_trunc('minute', {MINUTE}) as _minute"]
    inner += [f"{path_of(path)} as {name}" for path, name in groups.items()]
    inner += [f"{_sum(con, path)} as {name}" for path, name in sums.items()]
    inner += [f"count(*) as _count, min({MINUTE}) as _first, max({MINUTE}) as _last"]
    names = ", ".join(f"{name}::varchar" for name in groups.values())
    row = _objects({**groups, **sums})
    return (
        f"select _minute as {MINUTE}, epoch_ms(_minute) as time, _count as count, _first as start_time_dt,"
        f" _last as end_time_dt, {row}, md5([_minute::varchar, {names}]::varchar) as {EVENT_ID}"
        f" from (select {', '.join(inner)} from judged where _fate = 'kept' group by all) order by {EVENT_ID}"
    )


def _sum(con: duckdb.DuckDBPyConnection, path: str) -> str:
    """Return the SQL of a sum: of integers it is one of 64 bits again."""
    added = f"sum({path_of(path)})"
    described = con.execute(f"describe select {added} as added from judged").fetchone()
    return f"{added}::bigint" if described and described[1] == "HUGEINT" else added


def _objects(values: Mapping[str, str]) -> str:
    """Return SQL that puts values (path → expression) where they stand in an event: `a.b` becomes an object `a`."""
    return ", ".join(f"{value} as {quoted(top)}" for top, value in _nested(values))


def _nested(values: Mapping[str, str]) -> list[tuple[str, str]]:
    tree: dict[str, dict[str, str]] = {}
    for path, expression in values.items():
        top, _, rest = path.partition(".")
        tree.setdefault(top, {})[rest] = expression
    return [(top, held[""] if "" in held else _object(held)) for top, held in tree.items()]


def _object(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{literal(top)}: {value}" for top, value in _nested(values)) + "}"


def path_of(path: str) -> str:
    """Return the SQL of a column or of a field of one."""
    return ".".join(map(quoted, path.split(".")))
