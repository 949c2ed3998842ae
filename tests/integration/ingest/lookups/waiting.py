"""A lake with published events that wait for answers of lookup providers, made by hand: no dbt, no bronze.

What belongs here: silver files with `pending` entries, and their receipts. What does not: expectations.
"""

import json
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from ingest.lookups.ask import Asked, ask_pending
from ingest.lookups.provider import Lookup, configured
from ingest.reference.observables import observable_key
from lake.base.http import Clock
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.lookup_answers import answers_sql, versions
from lake.storage.duck import connect
from lake.storage.publish import Change, publish
from lake.storage.store import Store

AT = datetime(2026, 3, 2, 5, 10)
NOW = 1_772_500_000.0  # 2026-03-03T01:06:40Z
KEY, KEY_ENV = "k3y-0f-the-simulators", "A_LOOKUP_KEY"
MODEL = "authentication__okta_system_log"


class Time:
    """A clock that stands still until somebody sleeps or it is set on."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.slept += seconds


def lookup(kind: str, url: str, name: str = "", **options: Any) -> Lookup:
    """Return a provider as the settings would name it."""
    keyed = {"key_env": KEY_ENV} if kind != "rdap" else {}
    return configured(name or kind, {"type": kind, "base_url": url, **keyed, **options})


def ask(store: Store, provider: Lookup, time: Time, limit: int | None = None) -> Asked:
    """Ask by a clock of its own."""
    return ask_pending(store, provider, limit, Clock(lambda: time.now, time.sleep))


def publish_waiting(
    store: Store, provider: str, values: Iterable[str], kind: str = "ip", at: datetime = AT, model: str = MODEL
) -> str:
    """Publish an hour of a model whose events wait for answers about `values`; return its file."""
    table, source = model.split("__", 1)
    key = f"silver/{table}/source={source}/date={at:%Y-%m-%d}/hour={at:%H}/part.parquet"
    millis = int(at.replace(tzinfo=UTC).timestamp() * 1000)
    rows = [(millis, [_entry(provider, kind, value)]) for value in values]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.parquet"
        _write(path, rows)
        store.put(path, key)
        size = path.stat().st_size
    receipt = BuildReceipt(
        model=model,
        source=source,
        table=table,
        hour=f"{at:%Y-%m-%dT%H}",
        rows=len(rows),
        bytes=size,
        inputs=(),
        mapping="m",
        built_at="2026-03-02T06:00:00+00:00",
        file=key,
        counts={f"pending:{provider}": len(rows)},
        context=versions(store),
    )
    publish(store, lambda: Change(receipts=tuple(build_receipts.merged_days(store, model, [receipt]))))
    return key


def _write(path: Path, rows: list[tuple[int, list[dict[str, str]]]]) -> None:
    with duckdb.connect() as con:
        con.execute(
            "create table t (time bigint,"
            " enrichments struct(name varchar, value varchar, type varchar, provider varchar, data json)[])"
        )
        con.executemany("insert into t values (?, ?)", rows)
        con.execute(f"copy t to '{path}' (format parquet)")


def _entry(provider: str, kind: str, value: str) -> dict[str, str]:
    key = observable_key(kind, value)
    data = json.dumps({"status": "pending", "kind": kind, "key": key.hex})
    return {"name": "src_endpoint.ip", "value": value, "type": "pending", "provider": provider, "data": data}


def answers(store: Store) -> list[dict[str, Any]]:
    """Return all answers of a lake, oldest first."""
    with connect(store) as con:
        found = con.execute(f"select * from ({answers_sql(store)}) order by asked_at, value")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def everything(root: Path) -> bytes:
    """Return the bytes of every file below a folder, and their names."""
    return b"\n".join(str(path).encode() + b"\n" + path.read_bytes() for path in root.rglob("*") if path.is_file())
