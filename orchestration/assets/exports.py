"""Exports as assets: one per table and destination, over the same event hours as the tables they are made of.

What belongs here: the assets, their check, what is told of them. What does not: delivering (`lake.delivery`), when it
is asked for (`orchestration.export_sensor`). Only destinations that the settings name have assets.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from lake import ledger
from lake.delivery.declaration import Export, plain
from lake.delivery.errors import BadDeclaration, DestinationDenied
from lake.delivery.pushing import Pushed, push_hours
from lake.delivery.receipts import ExportReceipt
from orchestration.assets.hours import hour_texts, key_of_hour
from orchestration.assets.landing_told import table
from orchestration.checks.building import BuiltTable
from orchestration.exports import destinations_of, limits_of, opened
from orchestration.lakes import open_lake
from orchestration.settings import Settings, load_settings

ROOM, DELIVERED, REFUSED = "export", "delivered", "nothing_refused"
_RETRY = dg.RetryPolicy(max_retries=3, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


class NotDelivered(RuntimeError):
    """Some hours were not delivered: they are in the lake, and stay behind. Each is named with why."""


def export_key(export: Export) -> dg.AssetKey:
    """Return the key of an export's asset."""
    return dg.AssetKey([ROOM, export.destination, export.table])


def export_assets(
    settings: Settings,
    exports: Sequence[Export],
    tables: Mapping[str, Sequence[BuiltTable]],
    partitions: dg.HourlyPartitionsDefinition,
) -> list[dg.AssetsDefinition]:
    """Return the assets of the exports whose destination is configured; `tables` are the built ones by source."""
    kinds = {name: each.kind for name, each in destinations_of(settings).items()}
    return [
        _asset(each, kinds[each.destination], _made_of(each, tables), partitions)
        for each in exports
        if each.destination in kinds
    ]


def _made_of(export: Export, tables: Mapping[str, Sequence[BuiltTable]]) -> list[dg.AssetKey]:
    built = [each for source, found in tables.items() if export.source in ("", source) for each in found]
    return [each.key for each in built if each.table == export.held.table and each.key.path[0] == export.held.layer]


def _asset(
    export: Export, kind: str, deps: Sequence[dg.AssetKey], partitions: dg.HourlyPartitionsDefinition
) -> dg.AssetsDefinition:
    key = export_key(export)

    @dg.asset(
        key=key,
        deps=list(deps),
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=_RETRY,
        pool=f"export_{export.destination}",
        group_name=f"export_{export.destination}",
        kinds={kind},
        tags={"layer": ROOM, "destination": export.destination},
        description=f"`{export.held}` at `{export.destination}`, hour by hour; declared by `{export.model}`.",
        metadata={"declaration": dg.MetadataValue.json(plain(export.declared))},
        check_specs=[
            dg.AssetCheckSpec(
                DELIVERED,
                asset=key,
                description="Per event hour, the destination holds the rows that were pushed: count and checksum.",
            ),
            dg.AssetCheckSpec(REFUSED, asset=key, description="No row was refused by the destination by itself."),
        ],
    )
    def deliver(context: dg.AssetExecutionContext) -> Iterator[Any]:
        settings = load_settings()
        store = open_lake(settings)
        hours = hour_texts(context.partition_keys)
        try:
            with opened(settings, store, export.destination) as destination:
                done = list(push_hours(store, destination, export, hours, limits_of(settings), verify=True))
        except (BadDeclaration, DestinationDenied) as problem:  # it cannot even be opened
            raise dg.Failure(str(problem), allow_retries=False) from problem
        for hour, receipt in told_of(done).items():
            context.add_asset_metadata(receipt, asset_key=key, partition_key=key_of_hour(hour))
        failed = [each for each in done if each.failed]
        if failed:
            lines = "\n".join(f"{each.hour}: {each.failed}" for each in failed)
            told = f"{len(failed)} of {len(done)} hours were not delivered:\n{lines}"
            if any(each.lasting for each in failed):
                raise dg.Failure(told, allow_retries=False)
            raise NotDelivered(told)
        receipts = [each.receipt for each in done if each.receipt is not None]
        yield dg.MaterializeResult(check_results=[*_checks(key, receipts, len(done))])

    return deliver


def told_of(done: Sequence[Pushed]) -> dict[datetime, dict[str, Any]]:
    """Return what the receipts of some hours say, by hour (naive UTC), as metadata."""
    return {ledger.hour(each.hour): _told(each.receipt) for each in done if each.receipt is not None}


def _told(receipt: ExportReceipt) -> dict[str, Any]:
    told: dict[str, Any] = {
        "rows": receipt.rows,
        "rows_at_destination": receipt.held_rows,
        "sent": receipt.sent,
        "proof": receipt.proof,
        "bytes_before": receipt.bytes_before,
        "bytes_after_reduction": receipt.bytes_after,
        "bytes_pushed": receipt.bytes_pushed,
        "seconds": receipt.seconds,
        "pushed_at": receipt.pushed_at,
        "dagster/partition_row_count": receipt.held_rows,
    }
    names = ("published", "filtered", "dropped", "sampled_out", "merged", "rows", "refused")
    rows = [(source, *(getattr(each, name) for name in names)) for source, each in receipt.counted.items()]
    told["by_source"] = dg.MetadataValue.md(table(("source", *names), rows))
    if receipt.refused:
        told["refused_by_code"] = dg.MetadataValue.md(table(("code", "rows"), sorted(receipt.refused_by_code.items())))
    if receipt.remote:
        told["at_the_destination"] = dg.MetadataValue.json(receipt.remote)
    if receipt.notes:
        told["notes"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in receipt.notes))
    return told


def _checks(key: dg.AssetKey, receipts: Sequence[ExportReceipt], hours: int) -> Iterator[dg.AssetCheckResult]:
    wrong = [(each.hour, each.mismatch) for each in receipts if not each.matches]
    rows = sum(each.held_rows for each in receipts)
    proofs = ", ".join(sorted({each.proof for each in receipts})) or "nothing to push"
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=DELIVERED,
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            "; ".join(f"{hour}: {why}" for hour, why in wrong[:5])
            if wrong
            else f"{rows:,} rows in {hours} hours are there, and are the ones that were pushed ({proofs})"
        ),
        metadata={"rows": rows, "mismatches": len(wrong)},
    )
    refused: dict[str, int] = {}
    for each in receipts:
        for code, number in each.refused_by_code.items():
            refused[code] = refused.get(code, 0) + number
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=REFUSED,
        passed=not refused,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"refused, and kept whole in the lake's folder refused/: {refused}" if refused else "nothing was refused"
        ),
        metadata={"refused": sum(refused.values())},
    )
