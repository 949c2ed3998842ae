"""Check of what did not come: the newest arrival hour that is over has landed.

Dagster's own freshness policy does not know partitions: a backfill of an old hour would make a source look fresh.
"""

from collections.abc import Iterator, Mapping

import dagster as dg

from ingest.contracts import Contract
from ingest.landing.land import HOUR_BATCH
from lake import ledger
from lake.storage import paths
from lake.storage.store import Store
from orchestration.assets.hours import newest_closed
from orchestration.automation.schedules import arrival_schedule
from orchestration.graph import Graph
from orchestration.settings import Settings, load_settings, open_lake
from orchestration.steps.collect import settle_of

NEWEST = "newest_closed_hour_present"


def definitions(graph: Graph) -> dg.Definitions:
    """Return the check and its schedule."""
    if not graph.raw:
        return dg.Definitions()
    check = arrival_checks(graph.raw)
    return dg.Definitions.merge(dg.Definitions(asset_checks=[check]), arrival_schedule(check))


def arrival_checks(sources: Mapping[dg.AssetKey, Contract]) -> dg.AssetChecksDefinition:
    """Return the check for every source; each may be run alone."""
    words = "The newest arrival hour that is over has landed. Also run hourly by itself, to notice when nothing comes."

    @dg.multi_asset_check(
        name="newest_hours",
        specs=[dg.AssetCheckSpec(NEWEST, asset=key, description=words) for key in sources],
        can_subset=True,
    )
    def newest_hours(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        settings = load_settings()
        store = open_lake(settings)
        for asked in sorted(context.selected_asset_check_keys, key=str):
            yield newest_check(asked, store, settings, sources[asked.asset_key])

    return newest_hours


def newest_check(asked: dg.AssetCheckKey, store: Store, settings: Settings, contract: Contract) -> dg.AssetCheckResult:
    """Return whether a source's newest closed hour is in the ledger, and which hour is the newest that is."""
    hour = newest_closed(settle_of(settings, contract))
    receipt = ledger.landing(store, contract.source, paths.hour_name(hour))
    passed = receipt is not None and receipt.status == "published"
    words = f"{ledger.hour_text(hour)} landed: {receipt.landed:,} records" if receipt else ""
    if receipt and passed and receipt.unreadable:
        passed = False
        words += f", without {len(receipt.unreadable):,} objects that could not be read: {receipt.unreadable[0][1]}"
    elif not passed:
        newest = newest_hour_batch(store, contract.source)
        words = (
            f"arrival hour {ledger.hour_text(hour)} (UTC) has not landed"
            + (f" (batch {receipt.status})" if receipt else "")
            + (f"; the newest that has is {newest}" if newest else "; no arrival hour has landed yet")
            + f". Expected while only history is landed; otherwise turn on the schedule land_{contract.source}_hourly"
            + ("" if contract.source in settings.sources else f" and configure sources.{contract.source}")
        )
    return dg.AssetCheckResult(
        asset_key=asked.asset_key,
        check_name=asked.name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=words,
    )


def newest_hour_batch(store: Store, source: str) -> str:
    """Return the newest arrival hour that landed as a batch (`YYYY-MM-DDTHH`), empty when none did."""
    names = (
        entry.key.rsplit("/", 1)[-1].removesuffix(".json") for entry in store.list(f"{paths.LEDGER}/landing/{source}")
    )
    newest = max((name for name in names if HOUR_BATCH.match(name)), default="")
    return f"{newest[:4]}-{newest[4:6]}-{newest[6:]}" if newest else ""
