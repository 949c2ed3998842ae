"""`gold.threat_matches`: its shape, where its hours lie, and its rows, from the events behind hits."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime

import duckdb
import msgspec

from lake.base.sql import coalesced, listed, literal, quoted, texts
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.matching.index import leaves_held, reading
from lake.matching.indicators import OF_INDICATOR
from lake.matching.indicators import TABLE as INDICATOR
from lake.ocsf.attributes import EventClass
from lake.ocsf.keys import keyed
from lake.ocsf.observables import OBSERVABLES, filled_paths, given_text, observable_paths
from lake.storage import paths
from lake.storage.duck import typed_select
from lake.storage.store import Store

TABLE = "threat_matches"
COLUMNS = (
    ("match_id", "VARCHAR"),
    ("time_dt", "TIMESTAMP"),
    ("event_uid", "VARCHAR"),
    ("event_table", "VARCHAR"),
    ("event_source", "VARCHAR"),
    ("class_uid", "INTEGER"),
    ("class_name", "VARCHAR"),
    ("activity_name", "VARCHAR"),
    ("severity_id", "INTEGER"),
    ("severity", "VARCHAR"),
    ("status", "VARCHAR"),
    ("user_name", "VARCHAR"),
    ("user_uid", "VARCHAR"),
    ("device_name", "VARCHAR"),
    ("device_uid", "VARCHAR"),
    ("src_ip", "VARCHAR"),
    ("dst_ip", "VARCHAR"),
    ("attributes", "VARCHAR[]"),
    ("observable_kind", "VARCHAR"),
    ("observable_value", "VARCHAR"),
    ("indicator_id", "VARCHAR"),
    ("indicator_value", "VARCHAR"),
    ("indicator_uid", "VARCHAR"),
    ("indicator_name", "VARCHAR"),
    ("category", "VARCHAR"),
    ("malware", "VARCHAR"),
    ("threat_actor", "VARCHAR"),
    ("confidence", "INTEGER"),
    ("indicator_severity", "VARCHAR"),
    ("tlp", "VARCHAR"),
    ("feed", "VARCHAR"),
    ("provider", "VARCHAR"),
    ("version", "VARCHAR"),
    ("valid_from", "TIMESTAMP"),
    ("valid_to", "TIMESTAMP"),
    ("learned_at", "TIMESTAMP"),
    ("arrived_at", "TIMESTAMP"),
    ("known_at", "TIMESTAMP"),
    ("seconds_after", "BIGINT"),
    ("was_known", "BOOLEAN"),
    ("was_valid", "BOOLEAN"),
    ("_batch", "VARCHAR"),
    ("_source_object", "VARCHAR"),
    ("_source_row", "BIGINT"),
)
NAMES = ", ".join(name for name, _ in COLUMNS)
HIT = "hit"  # file, kind, key_high, key_low, n: an observable of a file, and the indicator that it is
FOUND = "found"  # rows of `gold.threat_matches`, with the hour they belong to (`match_hour`)
_GIVEN = f"{OBSERVABLES}[]"
# Columns of a match that describe its event → the attributes that hold them, the first that has a value.
_OF_EVENT = {
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


def file_of(hour: datetime) -> str:
    """Return the key of the matches of an event hour (naive UTC)."""
    return f"{paths.gold_folder(TABLE)}/{paths.hour_folder(hour)}/part.parquet"


def forgotten(store: Store, day: date, of: Callable[[str], bool]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return what a change has to remove, and the receipts to write, so that hours of a day have no matches.

    `of` says which hours (`YYYY-MM-DDTHH`). What silver has of them still is searched again with the next run.
    """
    held = build_receipts.day_of(store, TABLE, day)
    gone = [each for hour, each in held.items() if of(hour) and (each.rows or each.inputs)]
    bare = {"rows": 0, "bytes": 0, "inputs": (), "counts": {}, "context": {}, "content": "", "file": ""}
    emptied = [msgspec.structs.replace(each, **bare) for each in gone]
    return [each.file for each in gone if each.file], build_receipts.merged_days(store, TABLE, emptied)


def select(store: Store, files: Iterable[str] | None = None) -> str:
    """Return a SELECT over the matches of the lake, or of some files (keys); typed also when there are none."""
    folder = paths.gold_folder(TABLE)
    if files is None:
        files = [f"{folder}/date=*/hour=*/*.parquet"] if next(iter(store.list(folder)), None) is not None else []
    return typed_select(COLUMNS, [store.url(key) for key in files])


def begin(con: duckdb.DuckDBPyConnection) -> None:
    """Make the tables of hits and of matches found, empty."""
    con.execute(
        f"create or replace temp table {HIT} (file varchar, kind varchar, key_high ubigint, key_low ubigint, n integer)"
    )
    columns = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS)
    con.execute(f"create or replace temp table {FOUND} (match_hour varchar, {columns})")


def add_matches(
    con: duckdb.DuckDBPyConnection, store: Store, event_class: EventClass, files: Mapping[str, BuildReceipt]
) -> None:
    """Add the matches in some files of one class (key → the build that made it) to those found.

    Raises:
        Unreadable: one of the files. Nothing of any of them was added.
    """
    _name_files(con, store, files)
    addresses = [store.url(key) for key in files]
    options = "union_by_name = true, filename = '_file', file_row_number = true, hive_partitioning = false"
    rows = f"read_parquet({listed(addresses)}, {options})"
    with reading():
        leaves = leaves_held(con, addresses)
        if observables := _texts(event_class, leaves, rows):
            con.execute(f"create or replace temp table spotted as {_spotted(observables)}")
            con.execute(f"create or replace temp table placed as {_placed(observables)}")
            con.execute(f"insert into {FOUND} {_matches(leaves, rows)}")


def _name_files(con: duckdb.DuckDBPyConnection, store: Store, files: Mapping[str, BuildReceipt]) -> None:
    columns = {
        "_file": [store.url(key) for key in files],
        "file": list(files),
        "event_table": [each.table for each in files.values()],
        "event_source": [each.source for each in files.values()],
        "match_hour": [each.hour for each in files.values()],
    }
    selected = ", ".join(f"unnest({texts(values)}) as {name}" for name, values in columns.items())
    con.execute(f"create or replace temp table of_file as select {selected}")


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


def _spotted(observables: str) -> str:
    """SQL of the texts that are a hit in any of the files, with their keys."""
    given = f"(select distinct what, text, what as given_what, text as given from ({observables}))"
    return f"""
select distinct given_what as what, given as text, kind, value, key_high, key_low
from ({keyed(given, "given_what, given")})
semi join {HIT} using (kind, key_high, key_low)"""


def _placed(observables: str) -> str:
    """SQL of (file, row, indicator) with the attributes that hold it."""
    return f"""
select _file, file_row_number, kind, key_high, key_low, n, min(value) as value,
  case when list_distinct(list(path)) = ['{_GIVEN}'] then ['{_GIVEN}']
    else list_sort(list_filter(list_distinct(list(path)), lambda each: each <> '{_GIVEN}')) end as attributes
from ({observables}) join spotted using (what, text) join of_file using (_file)
join {HIT} as hit using (file, kind, key_high, key_low)
group by all"""


def _matches(leaves: Collection[str], rows: str) -> str:
    event = ", ".join(f"{_first(name, paths, leaves)} as {name}" for name, paths in _OF_EVENT.items())
    indicator = ", ".join(f"i.{name} as {column}" for column, name in OF_INDICATOR.items())
    same = "event_table, event_source, event_uid, kind, key_high, key_low, indicator_id"
    origin = "_source_object, _source_row::varchar"
    identity = same.replace("key_high, key_low", "key_high::varchar, key_low::varchar")
    return f"""
with event as (
  select _file, file_row_number, time_dt, {event} from {rows}
  semi join placed using (_file, file_row_number)
),
met as (
  select match_hour, event_table, event_source, event.* exclude (_file, file_row_number),
    placed.kind, placed.key_high, placed.key_low, attributes, placed.kind as observable_kind,
    placed.value as observable_value, indicator_id, {indicator},
    greatest(i.learned_at, arrived_at) as known_at, i.learned_at <= time_dt and i.valid_from <= time_dt as was_known,
    i.valid_from <= time_dt as was_valid
  from placed join event using (_file, file_row_number) join of_file using (_file)
  join {INDICATOR} as i on i.n = placed.n join sought as s on s.n = placed.n
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
    held = [".".join(map(quoted, path.split("."))) for path in paths if path in leaves]
    if not held:
        return f"null::{_TYPES[name]}"
    value = coalesced(held)
    return f"epoch_ms({value})::timestamp" if name == "arrived_at" else f"{value}::{_TYPES[name]}"
