"""Comparing two states of a table: rows added, removed, changed; by column how many values, and examples.

Values are compared as they are, NULL like any other; of texts that are JSON the content counts.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import msgspec

from lake.base.sql import quoted

_ORDERED_BY = ("_batch", "_source_object", "_source_row")  # which of the rows of one key is which


class Column(msgspec.Struct, frozen=True):
    """A column with changed values: of how many rows, and for an object the paths in it, each with its rows."""

    name: str
    values: int
    paths: dict[str, int] = {}


class Example(msgspec.Struct, frozen=True):
    """A row that differs. `values`: path → (before, after); of a row that is on one side only, the whole row there."""

    what: str
    key: dict[str, Any]
    values: dict[str, tuple[Any, Any]]


class Difference(msgspec.Struct, frozen=True):
    """What differs between two states of a table. Without a `key` a row is the same only as a whole."""

    key: tuple[str, ...]
    before: int
    after: int
    added: int
    removed: int
    changed: int
    columns: list[Column]
    examples: list[Example]


def compare(
    con: duckdb.DuckDBPyConnection, before: str, after: str, key: Sequence[str] = (), examples: int = 10
) -> Difference:
    """Compare the rows of two SELECTs by the columns, or paths into objects, of a key.

    A column that one side lacks is NULL there. Several rows of one key are paired in the order in which they arrived.
    """
    con.create_function("same_json", _same_json, ["VARCHAR", "VARCHAR"], "BOOLEAN")
    types = {side: _types(con, sql) for side, sql in (("before", before), ("after", after))}
    for side, sql in (("before", before), ("after", after)):
        con.execute(f"create or replace temp view {side}_rows as {_keyed(sql, types[side], key)}")
    names = [*types["after"], *(name for name in types["before"] if name not in types["after"])]
    own = [name for name in names if name not in key]
    differs = {name: _differs(name, types["before"].get(name), types["after"].get(name)) for name in own}
    joined = " and ".join(f"b._key{n} is not distinct from a._key{n}" for n in range(len(key) or 1))
    flags = "".join(f", {sql} as {quoted(f'differs {name}')}" for name, sql in differs.items())
    any_flag = " or ".join(quoted(f"differs {name}") for name in own) or "false"
    con.execute(
        "create or replace temp table differing as select * from ("
        " select case when b._copy is null then 'added' when a._copy is null then 'removed' else 'changed' end as what,"
        f" b as before, a as after{flags if key else ''}"
        f" from before_rows as b full join after_rows as a on {joined} and b._copy = a._copy)"
        f" where what <> 'changed' or {any_flag if key else 'false'}"
    )
    counts = dict(con.execute("select what, count(*) from differing group by 1").fetchall())
    return Difference(
        key=tuple(key),
        before=_one(con, "select count(*) from before_rows"),
        after=_one(con, "select count(*) from after_rows"),
        added=counts.get("added", 0),
        removed=counts.get("removed", 0),
        changed=counts.get("changed", 0),
        columns=list(_columns(con, own, types)) if counts.get("changed") else [],
        examples=_examples(con, key, names, examples),
    )


def _types(con: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    relation = con.sql(f"select * from ({sql}) limit 0")
    return dict(zip(relation.columns, relation.types, strict=True))


def _keyed(sql: str, types: Mapping[str, Any], key: Sequence[str]) -> str:
    """Return the rows with `_key0`, … and `_copy`, which counts the rows of one key."""
    if not key:
        return f"select *, hash(r) as _key0, row_number() over (partition by hash(r)) as _copy from ({sql}) as r"
    keys = ", ".join(f"{_path(each)} as _key{n}" for n, each in enumerate(key))
    order = ", ".join(quoted(name) for name in _ORDERED_BY if name in types) or "hash(r)"
    parts = ", ".join(map(_path, key))
    return f"select *, {keys}, row_number() over (partition by {parts} order by {order}) as _copy from ({sql}) as r"


def _path(path: str) -> str:
    return ".".join(map(quoted, path.split(".")))


def _differs(path: str, before: Any, after: Any) -> str:
    """Return the condition that a value differs between the rows `b` and `a`; None stands for no such column."""
    old, new = (f"{side}.{_path(path)}" if type_ else "null" for side, type_ in (("b", before), ("a", after)))
    if before and after and str(before) != str(after):
        old, new = f"to_json({old})::varchar", f"to_json({new})::varchar"
    sql = f"{old} is distinct from {new}"
    if before and after and str(before) in ("VARCHAR", "JSON"):
        braces = f"left({old}, 1) in ('{{', '[') and left({new}, 1) in ('{{', '[')"
        sql = f"case when {sql} then case when {braces} then not same_json({old}, {new}) else true end else false end"
    return sql


def _columns(
    con: duckdb.DuckDBPyConnection, names: Sequence[str], types: Mapping[str, Mapping[str, Any]]
) -> Iterator[Column]:
    counted = ", ".join(f"count_if({quoted(f'differs {name}')})" for name in names)
    found = con.execute(f"select {counted} from differing where what = 'changed'").fetchone() or ()
    for name, values in sorted(zip(names, found, strict=True), key=lambda each: -each[1]):
        if not values:
            continue
        old, new = types["before"].get(name), types["after"].get(name)
        paths = {}
        if old is not None and str(old) == str(new) and old.id == "struct":
            leaves = list(_leaves(name, old))
            sql = ", ".join(f"count_if({_differs(path, type_, type_)})" for path, type_ in leaves)
            each = con.execute(
                f"select {sql} from (select before as b, after as a from differing where what = 'changed')"
            )
            paths = {path: n for (path, _), n in zip(leaves, each.fetchone() or (), strict=True) if n}
        yield Column(name, values, paths)


def _leaves(path: str, type_: Any) -> Iterator[tuple[str, Any]]:
    """Yield the paths in an object that are no objects."""
    if type_.id != "struct":
        yield path, type_
        return
    for name, inner in type_.children:
        yield from _leaves(f"{path}.{name}", inner)


def _examples(con: duckdb.DuckDBPyConnection, key: Sequence[str], names: Sequence[str], limit: int) -> list[Example]:
    keys = ", ".join(f"coalesce(after._key{n}, before._key{n})" for n in range(len(key) or 1))
    turn = f"row_number() over (partition by what order by {keys})"  # some of each kind
    rows = con.execute(
        f"select what, before, after, {keys} from differing order by {turn}, what limit {int(limit)}"
    ).fetchall()
    found = []
    for what, before, after, *held in rows:
        old, new = ({name: (side or {}).get(name) for name in names} for side in (before, after))
        values = dict(_differing(old, new, "")) if what == "changed" else _whole(old, new, what)
        found.append(Example(what, dict(zip(key, held, strict=True)) if key else {}, values))
    return found


def _whole(old: Mapping[str, Any], new: Mapping[str, Any], what: str) -> dict[str, tuple[Any, Any]]:
    if what == "added":
        return {name: (None, value) for name, value in new.items() if value is not None}
    return {name: (value, None) for name, value in old.items() if value is not None}


def _differing(old: Any, new: Any, path: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the paths at which two values differ, with both."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*new, *(name for name in old if name not in new)]:
            yield from _differing(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif old != new and not (isinstance(old, str) and isinstance(new, str) and _same_json(old, new)):
        yield path, (old, new)


def _same_json(old: str, new: str) -> bool:
    if not (old[:1] in "{[" and new[:1] in "{["):
        return old == new
    try:
        return bool(json.loads(old) == json.loads(new))
    except ValueError:
        return old == new


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    return int(row[0]) if row else 0
