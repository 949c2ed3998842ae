"""The reference tables of a run: what it keeps of them in memory, and what they hold."""

from collections.abc import Iterable

import duckdb

from ingest.reference.tables import ASSETS, IDENTITIES, OBSERVABLE_TABLES
from lake.ocsf.context.plan import GEOIP, ReferenceInventory

_NAMES = {ASSETS: "asset_names", IDENTITIES: "identity_names"}


def kept_places(views: Iterable[str]) -> list[str]:
    """Return statements that make what a run keeps in memory of each GeoIP table, before its first model.

    `<table>_versions` and `<table>_index` (the first address of every block): what every model starts from.
    `<table>_found`: what models have found of an address at an hour (`lake/ocsf/context/places.py`); empty at first.
    """
    held = set(views)
    return [statement for table in GEOIP if table in held for statement in _kept(table)]


def _kept(table: str) -> tuple[str, str, str]:
    index = "block, ip_version, start_high, start_low, end_high, end_low, valid_from, valid_to"
    return (
        f"create or replace table reference.{table}_versions as"
        f" select distinct version, ip_version, valid_from, valid_to from reference.{table}_blocks",
        f"create or replace table reference.{table}_index as select version, ip_version, block,"
        f" (start_high::uhugeint << 64 | start_low::uhugeint) as start_key from reference.{table}_blocks order by all",
        f"create or replace table reference.{table}_found as select null::varchar as ip, null::timestamp as event_hour,"
        f" * exclude ({index}) from reference.{table} limit 0",
    )


def held_by(connection: duckdb.DuckDBPyConnection) -> ReferenceInventory:
    """Return what the tables and views of schema `reference` hold. One that is not there holds nothing."""
    found = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'reference'"
    ).fetchall()
    views = {name for (name,) in found}
    observables = {table: _kinds(connection, table) for table in OBSERVABLE_TABLES if table in views}
    entities = {table: _prefixes(connection, names) for table, names in _NAMES.items() if names in views}
    places = {table for table in GEOIP if f"{table}_blocks" in views and _has_rows(connection, f"{table}_blocks")}
    called = {table for table in entities if _has_rows(connection, _NAMES[table])}
    return ReferenceInventory(
        {table: kinds for table, kinds in observables.items() if kinds}, frozenset(places | called), entities
    )


def _kinds(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, tuple[int, ...]]:
    sql = f"select kind, list(distinct prefix order by prefix) from reference.{table} group by kind order by kind"
    return {kind: tuple(prefixes) for kind, prefixes in connection.execute(sql).fetchall()}


def _prefixes(connection: duckdb.DuckDBPyConnection, names: str) -> tuple[int, ...]:
    sql = f"select distinct prefix from reference.{names} where kind = 'ip' order by 1"
    return tuple(prefix for (prefix,) in connection.execute(sql).fetchall())


def _has_rows(connection: duckdb.DuckDBPyConnection, view: str) -> bool:
    return bool(connection.execute(f"select 1 from reference.{view} limit 1").fetchall())
