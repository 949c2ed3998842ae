"""The history of one thing in the reference tables: who said what of it, from when to when, and when it was learned."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest.reference.geoip.records import TABLES as GEOIP_TABLES
from ingest.reference.observables import KINDS, NotObservable, ObservableKey, network_of, observable_key
from ingest.reference.tables import NAME_VIEWS, PAYLOADS, TABLES
from ingest.reference.views import reference_views
from lake.base.sql import literal, quoted
from lake.storage import duck
from lake.storage.store import Store


@dataclass(frozen=True)
class Statement:
    """What one feed says of one entry for a time; times are naive UTC. `learned_at`, `closed_at`: see `tables`."""

    feed: str
    provider: str
    version: str
    entry: str
    value: str  # the observable; of an asset or identity the names by which it was found, if any
    valid_from: datetime
    valid_to: datetime
    learned_at: datetime
    closed_at: datetime | None
    says: dict[str, Any]


def history_of(store: Store, table: str, value: str) -> list[Statement]:
    """Return what a table has of a value: an observable, an entry's id, or a name of an asset or identity.

    For an address that includes the networks that contain it. Most specific first, then by feed and time. Of a GeoIP
    table: what each version has of an address, in the order of their validity.

    Raises:
        ValueError: there is no such table.
    """
    if table in GEOIP_TABLES:
        return _ranges(store, table, value)
    if table not in TABLES:
        raise ValueError(f"no table {table!r} (known: {', '.join((*TABLES, *GEOIP_TABLES))})")
    views = reference_views(store)
    with duck.connect(store) as con:
        con.execute("create schema reference")
        for name in (table, NAME_VIEWS.get(table)):
            if name:
                con.execute(f"create view reference.{name} as {views[name]}")
        cursor = con.execute(_entities(table, value) if table in NAME_VIEWS else _observables(table, value))
        names = [column[0] for column in cursor.description or ()]
        return [_statement(table, dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _statement(table: str, row: dict[str, Any]) -> Statement:
    says = {name: row[name] for name in PAYLOADS[table] if row[name] is not None}
    own = {name: row[name] for name in Statement.__dataclass_fields__ if name != "says"}
    return Statement(**own, says=says)


def _ranges(store: Store, table: str, value: str) -> list[Statement]:
    """A version that was never the one to ask has no validity, and is left out."""
    try:
        key = observable_key("ip", value)
    except NotObservable:
        return []
    with duck.connect(store) as con:
        cursor = con.execute(f"""
            select * from ({reference_views(store)[table]})
            where (start_high, start_low) <= ({key.high}::ubigint, {key.low}::ubigint)
                and ({key.high}::ubigint, {key.low}::ubigint) <= (end_high, end_low) and valid_from is not null
            order by valid_from""")
        names = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [_range(table, row) for row in rows]


def _range(table: str, row: dict[str, Any]) -> Statement:
    ends = [network_of(ObservableKey("ip", "", 128, row[f"{at}_high"], row[f"{at}_low"])) for at in ("start", "end")]
    between = " to ".join(str(end.network_address) for end in ends)
    same = {name: row[name] for name in ("version", "valid_from", "valid_to", "learned_at")}
    kind = row["database_type"]
    says = {name: row[name] for name in GEOIP_TABLES[table] if row[name] is not None}
    return Statement(feed=kind, provider=kind, entry=between, value="", closed_at=None, says=says, **same)


def _observables(table: str, value: str) -> str:
    return (
        f"select * from reference.{table} where {_among(value, KINDS)} or entry = {literal(value)}"
        " order by prefix desc, feed, entry, valid_from, learned_at"
    )


def _entities(table: str, value: str) -> str:
    return f"""
        with named as (
            select feed, entry, max(prefix) as prefix, string_agg(distinct value, ', ' order by value) as value
            from reference.{NAME_VIEWS[table]} where {_among(value, ("ip", "name"))} group by feed, entry
            union all
            select distinct feed, entry, 128, '' from reference.{table} where entry = {literal(value)}
        )
        select t.*, n.value
        from reference.{table} t
        join (select feed, entry, max(prefix) as prefix, max(value) as value from named group by all) n
            on t.feed = n.feed and t.entry = n.entry
        order by n.prefix desc, t.feed, t.entry, t.valid_from, t.learned_at"""


def _among(value: str, kinds: tuple[str, ...]) -> str:
    keys = ", ".join(
        f"({literal(key.kind)}, {key.prefix}, {key.high}, {key.low})" for kind in kinds for key in _keys(kind, value)
    )
    columns = ", ".join(map(quoted, ("kind", "prefix", "key_high", "key_low")))
    return f"({columns}) in ({keys})" if keys else "false"


def _keys(kind: str, value: str) -> Iterator[ObservableKey]:
    """The key of a value as one kind, and of an address those of all networks that contain it."""
    try:
        key = observable_key(kind, value)
    except NotObservable:
        return
    yield key
    number = key.high << 64 | key.low
    shortest = 96 if number >> 32 == 0xFFFF else 0  # an IPv4 address lies in networks of IPv4 alone
    for prefix in range(shortest, key.prefix) if kind == "ip" else ():
        start = number >> 128 - prefix << 128 - prefix
        yield ObservableKey(kind, key.value, prefix, start >> 64, start & (1 << 64) - 1)
