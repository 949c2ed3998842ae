"""Following one event back: OCSF row → event outcome → bronze record → batch, and where it came from."""

import json
from typing import Any

import duckdb

from lake import ledger
from lake.base.sql import literal, quoted
from lake.storage.store import Store

_PARTITION = ("source", "date", "hour")  # where the row lies, no part of the event
_RECORD = ("batch", "object", "row", "event_at", "arrived_at", "raw")
_RECEIPT = ("status", "landed_at", "read", "landed", "quarantined", "contract_version")


def trace(con: duckdb.DuckDBPyConnection, store: Store, uid: str) -> dict[str, Any]:
    """Return what the lake has of an event: its `events` in silver, its `records` in bronze, their `batches`.

    `con` reads the lake: see `lake.query.session`.
    """
    events = _published(con, uid)
    records = _records(con, uid)
    batches = sorted({(record["source"], record["batch"]) for record in records})
    return {"uid": uid, "events": events, "records": records, "batches": [_batch(store, *each) for each in batches]}


def _published(con: duckdb.DuckDBPyConnection, uid: str) -> list[dict[str, Any]]:
    found = []
    for table in _tables(con, "silver"):
        rows = con.execute(
            "select source, _batch, _source_object, _source_row, to_json(event)::varchar"
            f" from silver.{quoted(table)} as event where metadata.uid = {literal(uid)}"
        ).fetchall()
        for *where, event in rows:
            told = dict(zip(("source", "batch", "object", "row"), where, strict=True))
            found.append({"class": table, **told, "event": _event(event)})
    return found


def _tables(con: duckdb.DuckDBPyConnection, schema: str) -> list[str]:
    found = con.execute("select view_name from duckdb_views() where schema_name = ? order by 1", [schema]).fetchall()
    return [row[0] for row in found]


def _event(text: str) -> Any:
    return _without_nulls(
        {key: value for key, value in json.loads(text).items() if not key.startswith("_") and key not in _PARTITION}
    )


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_nulls(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _records(con: duckdb.DuckDBPyConnection, uid: str) -> list[dict[str, Any]]:
    has_dispositions = "dispositions" in _tables(con, "ledger")
    found = []
    for source in _tables(con, "bronze"):
        rows = con.execute(
            "select _batch, _source_object, _source_row, _event_at::varchar, _arrived_at::varchar, _raw, date, hour"
            f" from bronze.{quoted(source)} where _event_key = {literal(uid)} order by 5, 1, 2, 3"
        ).fetchall()
        for *told, date, hour in rows:
            became = "not built"
            if has_dispositions:
                row = con.execute(
                    "select disposition || case when collision then ' (key collision)' else '' end"
                    " || coalesce(' by ' || filter, '') || coalesce(': ' || error, '')"
                    " from ledger.dispositions where source = ? and date = ? and hour = ? and _batch = ?"
                    " and _source_object = ? and _source_row = ?",
                    [source, date, hour, *told[:3]],
                ).fetchone()
                became = row[0] if row else became
            found.append({"source": source, "disposition": became, **dict(zip(_RECORD, told, strict=True))})
    return found


def _batch(store: Store, source: str, batch: str) -> dict[str, Any]:
    receipt = ledger.landing(store, source, batch)
    if receipt is None:
        return {"source": source, "batch": batch}
    told = {name: getattr(receipt, name) for name in _RECEIPT}
    return {"source": source, "batch": batch, **told, "objects": len(receipt.objects)}
