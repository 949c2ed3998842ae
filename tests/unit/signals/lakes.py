"""A lake with findings of a product, as the build leaves them."""

import json
from datetime import datetime
from pathlib import Path

import duckdb

from lake import ledger
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.storage import paths
from lake.storage.publish import Change, publish
from lake.storage.store import LocalStore

PRODUCT = "lateral_movement"


def lake(root: Path, *findings: tuple[str, str, list[str]]) -> LocalStore:
    """Return a lake with findings: (uid, time, uids of the events that it rests on), all of one hour each."""
    store = LocalStore(root)
    for uid, at, events in findings:
        moment = datetime.fromisoformat(at)
        key = f"{paths.GOLD}/{PRODUCT}/{paths.hour_folder(paths.floor_hour(moment))}/part.parquet"
        related = json.dumps([{"uid": event} for event in events])
        _write(
            store,
            key,
            f"""select timestamp '{at}' as time_dt, 'Sentence.' as message, 'High' as severity, 80 as risk_score,
            {{'uid': '{uid}', 'related_events': from_json('{related}', '[{{"uid": "VARCHAR"}}]')}} as finding_info,
            {{'logged_time': epoch_ms(timestamp '{at}' + interval 5 minutes)}} as metadata""",
        )
    return store


def funnel(store: LocalStore, hour: str, raw: int, candidates: int, signals: int) -> None:
    """Add what a product made of an hour."""
    moment = datetime.fromisoformat(hour)
    key = f"{paths.GOLD}/signal_funnel/{paths.hour_folder(moment)}/part.parquet"
    _write(
        store,
        key,
        f"select timestamp '{moment}' as _event_at, '{PRODUCT}' as product, {raw}::bigint as raw_events,"
        f" {candidates * 2}::bigint as matches, {candidates}::bigint as candidates, {signals}::bigint as signals",
    )


def built(store: LocalStore, hour: str, at: str) -> None:
    """Add the receipt that says when the findings of an hour were published."""
    file = f"{paths.GOLD}/{PRODUCT}/{paths.hour_folder(ledger.hour(hour))}/part.parquet"
    told = {"model": PRODUCT, "source": "", "table": PRODUCT, "inputs": (), "mapping": "", "built_at": at}
    receipt = BuildReceipt(**told, hour=hour, rows=1, bytes=1, file=file)  # type: ignore[arg-type]
    publish(store, lambda: Change(receipts=tuple(build_receipts.merged_days(store, PRODUCT, [receipt]))))


def _write(store: LocalStore, key: str, sql: str) -> None:
    path = Path(store.url(key))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        sql = f"from read_parquet('{path}', hive_partitioning = false) union all {sql}"
    duckdb.execute(f"copy (from ({sql})) to '{path}.new' (format parquet)")
    Path(f"{path}.new").rename(path)
