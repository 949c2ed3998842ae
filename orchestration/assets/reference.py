"""Reference feeds as assets: one per feed, loaded by its own schedule, with a check of its age.

They have no partitions: a feed's table has every time in it, and what is to be loaded follows from what is there.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from ingest.reference.feeds import LoadReceipt, newest_load
from lake.storage.paths import LEDGER
from lake.storage.publish import recover
from lake.storage.store import Store
from orchestration.assets.keys import RECEIPT, receipt_mark
from orchestration.graph import Graph
from orchestration.settings import ReferenceFeed, Settings, load_settings, open_lake
from orchestration.steps.feeds import duration, load_configured, load_databases

GROUP, FRESH = "reference", "newest_snapshot_is_young"
GEOIP = f"{LEDGER}/{GROUP}/geoip_"  # what the folders of the receipts of GeoIP begin with
_GEOIP_SCHEDULE = "20 5 * * *"  # UTC; MaxMind builds on Tuesdays and Fridays, at no fixed hour


def definitions(graph: Graph) -> dg.Definitions:
    """Return the feeds and databases of the reference tables."""
    return reference_assets(graph.settings)


def feed_key(name: str, table: str) -> dg.AssetKey:
    """Return the key of a feed's asset."""
    return dg.AssetKey([GROUP, table, name])


def reference_assets(settings: Settings) -> dg.Definitions:
    """Return asset, check, job and schedule of every feed of the settings, and of GeoIP if it is configured."""
    parts = [_feed(name, given) for name, given in settings.reference.feeds.items()]
    if any(settings.geoip.databases.values()):
        parts.append(_scheduled(_geoip_asset(), "load_geoip_databases", _GEOIP_SCHEDULE, "the GeoIP databases"))
    return dg.Definitions.merge(*parts) if parts else dg.Definitions()


def _feed(name: str, given: ReferenceFeed) -> dg.Definitions:
    asset = _feed_asset(name, given)
    return _scheduled(asset, f"load_{name}", given.refresh, f"what is new of the feed {name}")


def _scheduled(asset: dg.AssetsDefinition, job_name: str, cron: str, what: str) -> dg.Definitions:
    job = dg.define_asset_job(job_name, selection=dg.AssetSelection.assets(asset), description=f"Load {what}.")
    schedule = dg.ScheduleDefinition(
        name=f"{job_name}_on_time",
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        description=f"Loads {what}. Off until turned on.",
    )
    return dg.Definitions(assets=[asset], jobs=[job], schedules=[schedule])


def _feed_asset(name: str, given: ReferenceFeed) -> dg.AssetsDefinition:
    key = feed_key(name, given.table)
    fresh = dg.AssetCheckSpec(FRESH, asset=key, description="The newest snapshot is no older than the feed declares.")

    @dg.asset(
        key=key,
        group_name=GROUP,
        kinds={"parquet", GROUP},
        description=f"Feed {name} ({given.format}) of reference.{given.table}: rows with the times they held.",
        pool=f"reference_{name}",
        check_specs=[fresh] if given.max_age_hours else [],
    )
    def feed(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        used = load_settings()
        store = open_lake(used)
        recover(store)
        for loaded in load_configured(used, store, name):
            context.log.info(f"{loaded.snapshot.place or given.format}: {_counts(loaded.receipt)}")
        yield dg.MaterializeResult(asset_key=key, metadata=load_metadata(newest_load(store, given.table, name)))
        if given.max_age_hours:
            yield age_check(key, store, name, given.table, given.max_age_hours)

    return feed


def _counts(receipt: LoadReceipt) -> str:
    kinds = ("opened", "changed", "closed", "extended", "unchanged", "duplicates")
    rejected = sum(receipt.rejected.values())
    return ", ".join([*(f"{getattr(receipt, kind):,} {kind}" for kind in kinds), f"{rejected:,} rejected"])


def load_metadata(receipt: LoadReceipt | None) -> dict[str, Any]:
    """Return the newest load of a feed as metadata; nothing of a feed that was never loaded."""
    if receipt is None:
        return {}
    kinds = ("version", "read", "opened", "changed", "closed", "extended", "unchanged", "duplicates", "rows_open")
    return {
        **{kind: getattr(receipt, kind) for kind in kinds},
        "rejected": sum(receipt.rejected.values()),
        "rejected_by_reason": receipt.rejected,
        "as_of": receipt.as_of,
        "source": receipt.source,
        RECEIPT: receipt_mark(receipt.version, receipt.loaded_at, receipt.read, receipt.rows_open),
    }


def age_check(key: dg.AssetKey, store: Store, name: str, table: str, most_hours: float) -> dg.AssetCheckResult:
    """Return whether a feed's newest snapshot is no older than it may be."""
    receipt = newest_load(store, table, name)
    age = datetime.now(UTC).replace(tzinfo=None) - receipt.newest if receipt else None
    found = "never loaded" if age is None else f"{duration(age)} old"
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=FRESH,
        passed=age is not None and age <= timedelta(hours=most_hours),
        severity=dg.AssetCheckSeverity.WARN,
        description=f"the newest snapshot is {found}, expected at most {duration(timedelta(hours=most_hours))}",
    )


def geoip_key() -> dg.AssetKey:
    """Return the key of the asset of GeoIP."""
    return dg.AssetKey([GROUP, "geoip"])


def geoip_metadata(store: Store) -> dict[str, Any]:
    """Return the versions of GeoIP databases that the lake holds, as metadata."""
    held = sorted(
        each.key.removeprefix(GEOIP) for each in store.list(f"{LEDGER}/{GROUP}") if each.key.startswith(GEOIP)
    )
    names = [each.removesuffix(".json") for each in held]
    return {"versions_in_the_lake": dg.MetadataValue.json(names), RECEIPT: receipt_mark(*names)}


def _geoip_asset() -> dg.AssetsDefinition:
    key = geoip_key()

    @dg.asset(
        key=key,
        group_name=GROUP,
        kinds={"parquet", GROUP},
        description="MaxMind-format databases as reference.geoip_*: whole versions, each valid from its build date.",
        pool="reference_geoip",
    )
    def geoip() -> dg.MaterializeResult[None]:
        used = load_settings()
        store = open_lake(used)
        recover(store)
        receipts, failed = load_databases(used, store)
        loaded = {f"{each.table} {each.database_type}": each.version for each in receipts}
        if failed:
            raise dg.Failure("; ".join(failed.values()), metadata={"versions": loaded}, allow_retries=False)
        return dg.MaterializeResult(asset_key=key, metadata={"versions": loaded, **geoip_metadata(store)})

    return geoip
