"""Retention of marts: an hour of a mart goes when all that it was made of has gone, or by the mart's own retention.

A mart's properties may say `config.meta.retention_days`. Without it an hour is kept as long as a table that it reads of
the hour itself has rows. The receipt stays and says that the hour has expired, so it is not built again.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from lake import ledger
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.marts.declaration import Mart, Marts
from lake.marts.staleness import Tables, own_hours
from lake.storage import paths
from lake.storage.publish import Change, publish
from lake.storage.store import Store


def expired_hours(store: Store, mart: Mart, now: datetime) -> list[BuildReceipt]:
    """Return the receipts of the hours of a mart that have expired and are still there, oldest first."""
    tables, found = Tables(store), []
    newest = _newest(mart, now)
    for hour, receipt in tables.slots(mart.name).receipts.items():
        if not receipt.expired_at and (hour <= newest if newest else _all_gone(mart, tables, hour)):
            found.append(receipt)
    return sorted(found, key=lambda each: each.hour)


def expire_marts(store: Store, marts: Marts, now: datetime, apply: bool) -> dict[str, list[str]]:
    """Return, by mart, the hours that have expired; with `apply` their rows are removed."""
    found = {}
    for name, mart in marts.by_name.items():
        expired = expired_hours(store, mart, now)
        if expired:
            found[name] = [each.hour for each in expired]
            if apply:
                publish(store, lambda name=name, expired=expired: _change(store, name, expired, now))  # type: ignore[misc]
    return found


def _change(store: Store, mart: str, expired: Iterable[BuildReceipt], now: datetime) -> Change:
    at = now.astimezone(UTC).isoformat(timespec="seconds")
    news = [
        msgspec.structs.replace(each, file="", inputs=(), samples={}, content=each.rows_mark, expired_at=at)
        for each in expired
    ]
    deletes = tuple(
        f"{paths.gold_folder(mart)}/{paths.hour_folder(ledger.hour(each.hour))}/part.parquet" for each in news
    )
    return Change(deletes=deletes, receipts=tuple(build_receipts.merged_days(store, mart, news)))


def _newest(mart: Mart, now: datetime) -> str:
    if not mart.retention_days:
        return ""
    return ledger.hour_text(paths.floor_hour(now - timedelta(days=mart.retention_days)) - timedelta(hours=1))


def _all_gone(mart: Mart, tables: Tables, hour: str) -> bool:
    hours = own_hours(mart, hour)
    found = (tables.slots(model).receipts.get(each) for model in mart.own_models for each in hours)
    held = [each for each in found if each is not None and each.rows]
    return bool(held) and all(each.expired_at for each in held)
