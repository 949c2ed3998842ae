"""The events behind hits: rows of `gold.threat_matches` from the files of silver that hold an indicator.

What belongs here: finding the attributes of rows that hold what was hit, and what a match tells of its event. What does
not: which files hold a hit (`lake.matching.probe`), publishing.
"""

from collections.abc import Collection, Mapping, Sequence

import duckdb

from lake.base.sql import literal, texts
from lake.ledger.receipts import BuildReceipt
from lake.matching.index_repair import leaves_held, reading
from lake.matching.indicators import TABLE, TOLD
from lake.matching.keys import keyed
from lake.matching.matches import COLUMNS, NAMES
from lake.matching.probe import HIT
from lake.ocsf.attributes import EventClass
from lake.ocsf.observables import OBSERVABLES, filled_paths, given_text, observable_paths
from lake.storage.store import Store

FOUND = "found"  # rows of `gold.threat_matches`, with the hour they belong to (`match_hour`)
_GIVEN = f"{OBSERVABLES}[]"
# What a match tells of its event → the attributes that say it, the first that has a value.
_TOLD_OF_EVENT = {
    "event_uid": ("metadata.uid",),
    "class_uid": ("class_uid",),
    "class_name": ("class_name",),
    "activity_name": ("activity_name",),
    "severity_id": ("severity_id",),
    "severity": ("severity",),
    "status": ("status",),
    "user_name": ("user.name", "actor.user.name", "user.uid", "actor.user.uid"),
    "user_uid": ("user.uid", "actor.user.uid"),
    "device_name": ("device.hostname", "device.name", "dst_endpoint.hostname", "dst_endpoint.name"),
    "device_uid": ("device.uid",),
    "src_ip": ("src_endpoint.ip",),
    "dst_ip": ("dst_endpoint.ip",),
    "arrived_at": ("metadata.logged_time",),
    "_batch": ("_batch",),
    "_source_object": ("_source_object",),
    "_source_row": ("_source_row",),
}
_TYPES = dict(COLUMNS)


def begin(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table of matches found, empty."""
    columns = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS)
    con.execute(f"create or replace temp table {FOUND} (match_hour varchar, {columns})")


def hit_files(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the keys of the files of silver that hold a hit."""
    return [row[0] for row in con.execute(f"select distinct file from {HIT} order by 1").fetchall()]


def add_matches(
    con: duckdb.DuckDBPyConnection, store: Store, event_class: EventClass, files: Mapping[str, BuildReceipt]
) -> None:
    """Add the matches in some files of one class (key → the build that made it) to those found.

    Raises:
        Unreadable: one of the files. Nothing of any of them was added.
    """
    with reading():
        _add(con, store, event_class, files)


def _add(
    con: duckdb.DuckDBPyConnection, store: Store, event_class: EventClass, files: Mapping[str, BuildReceipt]
) -> None:
    _name_files(con, store, files)
    addresses = [store.url(key) for key in files]
    options = "union_by_name = true, filename = '_file', file_row_number = true, hive_partitioning = false"
    rows = f"read_parquet([{', '.join(map(literal, addresses))}], {options})"
    leaves = leaves_held(con, addresses)
    said = _texts(event_class, leaves, rows)
    if not said:
        return
    con.execute(f"create or replace temp table spotted as {_spotted(said)}")
    con.execute(f"create or replace temp table placed as {_placed(said)}")
    con.execute(f"insert into {FOUND} {_matches(leaves, rows)}")


def _name_files(con: duckdb.DuckDBPyConnection, store: Store, files: Mapping[str, BuildReceipt]) -> None:
    told = {
        "_file": [store.url(key) for key in files],
        "file": list(files),
        "event_table": [each.table for each in files.values()],
        "event_source": [each.source for each in files.values()],
        "match_hour": [each.hour for each in files.values()],
    }
    listed = ", ".join(f"unnest({texts(values)}) as {name}" for name, values in told.items())
    con.execute(f"create or replace temp table of_file as select {listed}")


def _texts(event_class: EventClass, leaves: Collection[str], rows: str) -> str:
    """SQL of every text that may be an observable: file, row, path, what it is, and the text; "" if there are none."""
    at = "_file, file_row_number"
    parts = [
        f"select {at}, {literal(each.path)} as path, {literal(each.text)} as what, text"
        f" from (select {at}, {each.sql} as text from {rows}) where text is not null"
        for each in filled_paths(observable_paths(event_class), leaves)
    ]
    if f"{OBSERVABLES}.value" in leaves:
        parts.append(
            f"select {at}, {literal(_GIVEN)} as path, {given_text()} as what, each.value as text"
            f" from (select {at}, unnest({OBSERVABLES}) as each from {rows}) where each.value is not null"
        )
    return " union all ".join(parts)


def _spotted(said: str) -> str:
    """SQL of the texts that are a hit in any of the files, with their keys."""
    return f"""
select distinct given_what as what, given as text, kind, value, key_high, key_low
from ({keyed(f"(select distinct what, text, what as given_what, text as given from ({said}))", "given_what, given")})
semi join {HIT} using (kind, key_high, key_low)"""


def _placed(said: str) -> str:
    """SQL of (file, row, indicator) with the attributes that hold it."""
    return f"""
select _file, file_row_number, kind, key_high, key_low, n, min(value) as value,
  case when list_distinct(list(path)) = ['{_GIVEN}'] then ['{_GIVEN}']
    else list_sort(list_filter(list_distinct(list(path)), lambda each: each <> '{_GIVEN}')) end as attributes
from ({said}) join spotted using (what, text) join of_file using (_file)
join {HIT} as hit using (file, kind, key_high, key_low)
group by all"""


def _matches(leaves: Collection[str], rows: str) -> str:
    event = ", ".join(f"{_first(name, paths, leaves)} as {name}" for name, paths in _TOLD_OF_EVENT.items())
    told = ", ".join(f"i.{name} as {column}" for column, name in TOLD.items())
    same = "event_table, event_source, event_uid, kind, key_high, key_low, indicator_id"
    origin = "_source_object, _source_row::varchar"
    identity = f"{same.replace('key_high, key_low', 'key_high::varchar, key_low::varchar')}"
    return f"""
with event as (
  select _file, file_row_number, time_dt, {event} from {rows}
  semi join placed using (_file, file_row_number)
),
met as (
  select match_hour, event_table, event_source, event.* exclude (_file, file_row_number),
    placed.kind, placed.key_high, placed.key_low, attributes, placed.kind as observable_kind,
    placed.value as observable_value, indicator_id, {told},
    greatest(i.learned_at, arrived_at) as known_at, i.learned_at <= time_dt and i.valid_from <= time_dt as was_known,
    i.valid_from <= time_dt as was_valid
  from placed join event using (_file, file_row_number) join of_file using (_file)
  join {TABLE} as i on i.n = placed.n join sought as s on s.n = placed.n
  where time_dt < s.valid_to and time_dt >= s.search_from
)
select match_hour, {NAMES} from (
  select *, date_diff('second', time_dt, known_at) as seconds_after,
    md5(concat_ws(chr(31), {identity}, case when count(*) over (partition by {same}) > 1
      then concat_ws('#', {origin}) end)) as match_id
  from met
)"""


def _first(name: str, paths: Sequence[str], leaves: Collection[str]) -> str:
    """SQL of the first of some attributes that has a value, of those that the files have."""
    held = [".".join(f'"{step}"' for step in path.split(".")) for path in paths if path in leaves]
    if not held:
        return f"null::{_TYPES[name]}"
    value = f"coalesce({', '.join(held)})" if len(held) > 1 else held[0]
    return f"epoch_ms({value})::timestamp" if name == "arrived_at" else f"{value}::{_TYPES[name]}"
