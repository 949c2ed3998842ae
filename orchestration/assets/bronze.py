"""Raw assets: one per contract, each partition an arrival hour landed as one batch."""

from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from ingest.contracts import Contract
from lake.base.errors import HeadwaterError
from lake.ledger import LandingReceipt
from orchestration.assets.hours import hour_of_key
from orchestration.assets.keys import bronze_key
from orchestration.assets.landing_metadata import landing_metadata
from orchestration.checks.landing import landing_check_specs, landing_checks
from orchestration.graph import Graph
from orchestration.settings import Settings, load_settings, open_lake
from orchestration.steps.collect import AnnouncedUnreadable, PartlyFetched, SourceNotConfigured, land_hour


def definitions(graph: Graph) -> dg.Definitions:
    """Return the raw assets, one per contract. Of a broken contract it says why, and nothing lands it."""
    landed = [bronze_asset(each, graph.partitions) for each in graph.contracts.values()]
    return dg.Definitions(assets=[*landed, *(_broken_asset(*each) for each in graph.broken.items())])


def _broken_asset(source: str, why: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        bronze_key(source),
        group_name=source,
        description=f"**Broken, and not landed until it is corrected:** {why}",
        kinds={"bronze"},
        tags={"source": source, "broken": "contract"},
        metadata={"problem": why},
    )


class HoursFailed(HeadwaterError):
    """Some hours of a run could not be landed; the others are landed."""


def bronze_asset(contract: Contract, partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    """Return the raw asset of a source. A range of hours is landed by one run, hour by hour."""
    key = bronze_key(contract.source)

    @dg.asset(
        key=key,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=contract.source,
        description=_description(contract),
        owners=[f"team:{contract.owner}"],
        kinds={"parquet", "bronze"},
        tags={"transport": contract.transport, "source": contract.source},
        metadata={"contract_version": contract.version, "alert_channel": contract.alert_channel},
        code_version=contract.fingerprint[:12],
        pool=f"land_{contract.vendor}",
        check_specs=landing_check_specs(key, contract),
        output_required=False,
    )
    def bronze(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        settings = load_settings()
        receipts, failures = _land_all(context, settings, contract)
        store = open_lake(settings)
        landed = {hour: landing_metadata(store, contract, receipt) for hour, receipt in receipts.items()}
        if failures:
            for hour, metadata in landed.items():
                context.log_event(dg.AssetMaterialization(key, partition=hour, metadata=metadata))
            raise HoursFailed("\n".join(f"{hour}: {why}" for hour, why in failures.items()))
        for hour, metadata in landed.items():
            context.add_asset_metadata(metadata, asset_key=key, partition_key=hour)
        yield dg.MaterializeResult(asset_key=key)
        yield from landing_checks(key, store, contract, list(receipts.values()))

    return bronze


def _land_all(
    context: dg.AssetExecutionContext, settings: Settings, contract: Contract
) -> tuple[dict[str, LandingReceipt], dict[str, str]]:
    receipts: dict[str, LandingReceipt] = {}
    failures: dict[str, str] = {}
    for key in context.partition_keys:
        try:
            receipts[key] = _land_one(context, settings, contract, hour_of_key(key))
        except SourceNotConfigured:
            raise
        except (AnnouncedUnreadable, PartlyFetched) as problem:
            receipts[key] = problem.receipt
            failures[key] = str(problem)
            context.log.error(failures[key])
        except Exception as problem:  # one hour that cannot be landed does not keep the others from landing
            failures[key] = f"{type(problem).__name__}: {problem}"
            context.log.error(f"{contract.source} {key}: {problem}")
    return receipts, failures


def _land_one(
    context: dg.AssetExecutionContext, settings: Settings, contract: Contract, hour: datetime
) -> LandingReceipt:
    receipt = land_hour(settings, contract, hour)
    context.log.info(
        f"{contract.source} batch {receipt.batch}: {receipt.read:,} read = {receipt.landed:,} landed +"
        f" {receipt.quarantined:,} quarantined, {len(receipt.objects)} objects, {receipt.seconds:.1f} s"
    )
    return receipt


def _description(contract: Contract) -> str:
    parts = [
        f"**{contract.title}**. {contract.description}",
        "A partition is an *arrival* hour (UTC): what was delivered in it is landed as one batch. Bronze files"
        " are filed by *event* hour, so late events reopen older hours.",
        f"Owner {contract.owner}, alerts to {contract.alert_channel}.",
    ]
    if contract.limitations:
        parts.append(f"Know: {contract.limitations}")
    return "\n\n".join(parts)
