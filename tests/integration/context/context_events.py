"""Context without dbt: rows of a class in, the same rows with their context out.

Reference tables are made of plain rows; what the tables hold and what is asked comes from the code that a run uses.
"""

import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import duckdb

from ingest.reference.geoip.records import TABLES as GEOIP_TABLES
from ingest.reference.inventory import held_by, kept_places
from ingest.reference.observables import observable_key
from ingest.reference.tables import FEED_RANK, NAME_COLUMNS, NAME_VIEWS, OBSERVABLE_TABLES, TABLES, columns_of
from lake.base.sql import literal
from lake.ocsf import observable_text
from lake.ocsf.attributes import declared_classes
from lake.ocsf.context.plan import ReferenceInventory
from lake.ocsf.context.statements import context_sql
from lake.ocsf.event_sql import event_sql
from lake.ocsf.validate import event_texts, validate_event_text

Row = Mapping[str, Any]

FIRST, LAST = datetime(1970, 1, 1), datetime(9999, 12, 31)
LEARNED = datetime(2026, 1, 1)
_OPEN = {
    "feed": "a",
    "provider": "Provider A",
    "version": "1",
    "feed_rank": 1,
    "valid_from": FIRST,
    "valid_to": LAST,
    "learned_at": LEARNED,
}
REQUIRED = {
    "authentication": {"user": "{'uid': 'u'}", "dst_endpoint": "{'uid': 'd'}"},
    "network_activity": {"dst_endpoint": "{'uid': 'd'}"},
}
PIPELINE = """'k' || i as _event_key, moment as _event_at, moment as _arrived_at,
  'b' as _batch, 'o' as _source_object, i as _source_row"""


def reference(**rows: Iterable[Row]) -> duckdb.DuckDBPyConnection:
    """A connection with the reference views; what a row leaves out is as of an open row of feed `a`."""
    con = duckdb.connect()
    observable_text.prepare(con)
    con.execute("set timezone = 'UTC'; create schema reference")
    for table in TABLES:
        fill(con, table, columns_of(table) | FEED_RANK, [_whole(table, row) for row in rows.get(table, ())])
    for names in NAME_VIEWS.values():
        fill(con, names, NAME_COLUMNS | FEED_RANK, [{**_OPEN, **row} for row in rows.get(names, ())])
    return con


def fill(con: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Iterable[Row]) -> None:
    """Make a table of rows, and the view over it."""
    typed = ", ".join(f'"{name}" {type_}' for name, type_ in columns.items())
    con.execute(f"create table main.{table} ({typed})")
    for row in rows:
        names = ", ".join(f'"{name}"' for name in row)
        con.execute(f"insert into main.{table} ({names}) values ({', '.join('?' * len(row))})", list(row.values()))
    con.execute(f"create or replace view reference.{table} as from main.{table}")


def _whole(table: str, row: Row) -> dict[str, Any]:
    if table not in OBSERVABLE_TABLES:
        return {**_OPEN, **row}
    key = observable_key(row["kind"], row["value"])
    keyed = {"value": key.value, "prefix": key.prefix, "key_high": key.high, "key_low": key.low, "entry": key.value}
    return {**_OPEN, **row, **keyed}


def named(entry: str, kind: str, *texts: str, rank: int = 1, **more: Any) -> list[dict[str, Any]]:
    """Rows of `asset_names` or `identity_names`."""
    of = "ip" if kind == "ip" else "name"
    keys = [observable_key(of, text) for text in texts]
    return [
        {"entry": entry, "name_kind": kind, "rank": rank, "kind": of, "value": key.value, "prefix": key.prefix,
         "key_high": key.high, "key_low": key.low, **more}
        for key in keys
    ]  # fmt: skip


def indicator(kind: str, value: str, **more: Any) -> dict[str, Any]:
    """A row of `indicators` or `warning_lists`."""
    return {"kind": kind, "value": value, **more}


def geoip(
    con: duckdb.DuckDBPyConnection,
    table: str,
    network: str,
    payload: Mapping[str, str],
    version: str,
    valid_from: datetime = FIRST,
    valid_to: datetime = LAST,
) -> None:
    """Add one version of a GeoIP table that has one IPv4 network; `payload` is column → SQL."""
    key = observable_key("ip", network)
    last = key.low + (1 << 128 - key.prefix) - 1
    columns = dict.fromkeys(GEOIP_TABLES[table], "null") | dict(payload)
    number = zlib.crc32(version.encode()) % 1000
    block = f"{number} as block, 4 as ip_version, 0::ubigint as start_high, {key.low}::ubigint as start_low"
    valid = f"'{version}' as version, timestamp '{valid_from}' as valid_from, timestamp '{valid_to}' as valid_to"
    said = f"'{table}' as database_type, timestamp '{LEARNED}' as built_at, timestamp '{LEARNED}' as learned_at"
    ends = f"0::ubigint as end_high, {last}::ubigint as end_low"
    values = ", ".join(f"{sql} as {name}" for name, sql in columns.items())
    for name, sql in ((table, f"{block}, {valid}, {said}, {ends}, {values}"), (f"{table}_blocks", f"{block}, {valid}")):
        known = con.execute("select 1 from duckdb_tables() where table_name = ?", [name]).fetchall()
        con.execute(f"{'insert into' if known else 'create table'} main.{name} {'' if known else 'as'} select {sql}")
        con.execute(f"create or replace view reference.{name} as from main.{name}")
    for statement in kept_places([table]):
        con.execute(statement)


def whole_sql(
    con: duckdb.DuckDBPyConnection, class_name: str, mapped: str, inventory: ReferenceInventory | None = None
) -> str:
    """Look up what the rows of a mapping's SELECT ask; return the SELECT of whole events, as `lake_events` makes it."""
    described = {name: type_ for name, type_, *_ in con.execute(f"describe ({mapped})").fetchall()}
    event_class = declared_classes()[class_name]
    made = event_sql(event_class, described)
    context = context_sql(event_class, made, inventory or held_by(con))
    con.execute(f"create or replace temp table context_rows as with mapped as ({mapped}), {made.steps} {context.rows}")
    con.execute(context.found)
    return (
        f"with mapped as ({mapped}), {made.steps}, enriched as ({context.events})"
        f" select * replace ({made.metadata} as metadata) from enriched"
    )


def events(
    con: duckdb.DuckDBPyConnection, class_name: str, rows: Iterable[tuple[str, str]], check: bool = True
) -> list[dict[str, Any]]:
    """Whole events of rows (time, attributes as SQL), in their order; `check`: they must keep the official schema.

    They stay in the table `main.whole`.
    """
    whole = [(at, _with_required(class_name, sql)) for at, sql in rows]
    selects = [f"select {i} as i, timestamp {literal(at)} as moment, {sql}" for i, (at, sql) in enumerate(whole)]
    union = " union all by name ".join(selects)
    base = "1 as activity_id, {'product': {'name': 'p', 'vendor_name': 'v'}} as metadata"
    mapped = f"select * exclude (i, moment), {base}, {PIPELINE} from ({union})"
    con.execute(f"create or replace table main.whole as {whole_sql(con, class_name, mapped)}")
    found = con.sql("select * from main.whole order by _source_row")
    checked = [validate_event_text(text, class_name) for text in event_texts(found)]
    assert not check or [findings for _, findings in checked if findings] == []
    return [event for event, _ in checked]


def _with_required(class_name: str, sql: str) -> str:
    missing = [f"{value} as {name}" for name, value in REQUIRED.get(class_name, {}).items() if f" as {name}" not in sql]
    return ", ".join([sql, *missing])


def of(event: dict[str, Any], name: str, type_: str) -> list[dict[str, Any]]:
    """The enrichments of an event with this name and type."""
    return [each for each in event.get("enrichments", ()) if (each["name"], each["type"]) == (name, type_)]


def facts(event: dict[str, Any], name: str, type_: str, field: str) -> list[Any]:
    return [each["data"].get(field) for each in of(event, name, type_)]


DB1 = {
    "entry": "DB1",
    "uid": "i-1",
    "name": "db1",
    "hostnames": ["db1.larkspur.example"],
    "type": "Server",
    "owner": "ann",
}
WEB = {"entry": "WEB", "uid": "i-2", "name": "web", "hostnames": ["web.larkspur.example"], "type": "mainframe"}
ADA = {
    "entry": "ADA",
    "uid": "S-1-5-21-7",
    "username": "ada",
    "full_name": "Ada Lovelace",
    "emails": ["ada@larkspur.example"],
    "domain": "larkspur.example",
    "title": "Controller",
    "department": "Finance",
    "manager": "Bob",
    "groups": ["Everybody"],
    "is_privileged": False,
    "employment_type": "employee",
}
BOB = ADA | {"entry": "BOB", "uid": "S-1-5-21-8", "username": "bob", "full_name": "Bob", "is_privileged": True}
ACCOUNT_NAMES = [
    *named("ADA", "uid", "S-1-5-21-7", "00u7"),
    *named("ADA", "email", "ada@larkspur.example", rank=2),
    *named("ADA", "qualified_name", "LARKSPUR\\ada", rank=3),
    *named("ADA", "name", "ada", "sam", rank=4),
    *named("BOB", "uid", "S-1-5-21-8"),
    *named("BOB", "name", "bob", "sam", rank=4),
]
