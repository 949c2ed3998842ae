"""How late events arrive, by event hour and arrival hour, computed from the receipts of landing."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl

from lake.ledger import LandingReceipt
from lake.storage import paths

_HOUR, _MINUTE = timedelta(hours=1), "%Y-%m-%dT%H:%M"


class Lateness(msgspec.Struct, frozen=True, kw_only=True):
    """How late a source's events arrived: hours from the end of their hour to that of their arrival.

    `cells` are (event hour, arrival hour, events), the newest first. `worst_seconds` is the latest single event, where
    receipts have it. `found_late` are records that an API had when an hour was asked for again and not before, out of
    `swept`, those of all hours that were.
    """

    cells: tuple[tuple[str, str, int], ...]
    events: int
    p50: float
    p99: float
    most: float
    worst_seconds: float
    swept: int = 0
    found_late: int = 0


def lateness_of(receipts: Iterable[LandingReceipt]) -> Lateness:
    """Return the lateness of a source's events. Batches of files, which somebody landed by hand, tell no arrival."""
    rows, worst, swept, found_late = list[tuple[str, str, int]](), 0.0, 0, 0
    for receipt in receipts:
        hour = paths.hour_named(receipt.batch)
        if hour is None:
            continue
        worst = max(worst, receipt.lateness_seconds.get("max", 0.0))
        late = {} if not receipt.swept else _late(receipt, hour)
        swept += receipt.read if receipt.swept else 0
        found_late += sum(late.values())
        for mark in receipt.files:
            mine = {f"{hour:%Y-%m-%dT%H}": mark.rows}
            if mark.hour == f"{hour:%Y-%m-%dT%H}" and late:
                mine = {mark.hour: max(0, mark.rows - sum(late.values())), **late}
            rows += [(mark.hour, arrival, events) for arrival, events in mine.items() if events]
    schema = {"event": pl.String, "arrival": pl.String, "events": pl.Int64}
    cells = pl.DataFrame(rows, schema, orient="row").group_by("event", "arrival").sum()
    event, arrival = ((pl.col(name) + ":00").str.to_datetime(_MINUTE) for name in ("event", "arrival"))
    times = cells.with_columns(hours=(arrival - event).dt.total_hours().clip(0)).sort("hours")
    counted = times.with_columns(share=pl.col("events").cum_sum() / pl.col("events").sum())

    def at(share: float) -> float:
        return float(min(counted.filter(pl.col("share") >= share)["hours"].to_list(), default=0))

    return Lateness(
        cells=tuple(cells.sort("event", "arrival", descending=True).iter_rows()),
        events=int(cells["events"].sum()),
        p50=at(0.5),
        p99=at(0.99),
        most=at(1.0 - 1e-12),
        worst_seconds=worst,
        swept=swept,
        found_late=found_late,
    )


def _late(receipt: LandingReceipt, hour: datetime) -> dict[str, int]:
    """Return how many records more each sweep found, by the hour in which it asked."""
    found: dict[str, int] = {}
    for each in receipt.swept:
        asked = paths.floor_hour(datetime.fromisoformat(each.at).astimezone(UTC))
        if each.added > 0 and asked > hour + _HOUR:
            name = f"{asked:%Y-%m-%dT%H}"
            found[name] = found.get(name, 0) + each.added
    return found
