"""Exports as assets: one per table and destination, over the same event hours as the tables they are made of.

Only destinations that the settings name have assets.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from lake import ledger
from lake.export.declaration import Export
from lake.export.destination import Delivery, Destination, Held, Partition
from lake.export.errors import BadDeclaration, DestinationDenied, ExportError
from lake.export.push import Pushed, push_hours
from lake.export.rows import Reader
from lake.ledger.export_receipts import ExportReceipt, exported_day
from lake.storage.store import Store
from orchestration.assets.export_metadata import (
    CHECKS,
    changed_there,
    definition_metadata,
    described,
    one_line,
    receipt_metadata,
    results,
)
from orchestration.assets.hours import hour_texts, key_of_hour
from orchestration.assets.landing_metadata import table
from orchestration.graph import BuiltTable, Graph
from orchestration.settings import Settings, load_settings, open_lake
from orchestration.steps.exports import destinations_of, limits_of, opened

ROOM = "export"
_MOST_REASONS = 10
_RETRY = dg.RetryPolicy(max_retries=3, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


def definitions(graph: Graph) -> dg.Definitions:
    """Return the exports to destinations that the settings name."""
    return dg.Definitions(assets=export_assets(graph.settings, graph.exports, graph.published, graph.partitions))


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
        description=described(export, kind),
        metadata=definition_metadata(export, kind),
        check_specs=[dg.AssetCheckSpec(name, asset=key, description=said) for name, said in CHECKS.items()],
    )
    def deliver(context: dg.AssetExecutionContext) -> Iterator[Any]:
        settings = load_settings()
        store = open_lake(settings)
        hours = hour_texts(context.partition_keys)
        done: list[Pushed] = []
        began = datetime.now(UTC).replace(microsecond=0)
        try:
            with opened(settings, store, export.destination) as destination:
                watched = _Watched(destination, store, export)
                for each in push_hours(store, watched, export, hours, limits_of(settings), verify=True):
                    done.append(each)
                    if each.receipt is not None:
                        context.log.info(one_line(each.receipt, _is_of_now(each.receipt, began)))
                    if each.hour in watched.changed:
                        context.log.warning(f"{each.hour}: {changed_there(*watched.changed[each.hour])}")
        except (BadDeclaration, ExportError) as problem:  # it cannot even be opened
            raise dg.Failure(str(problem), allow_retries=not _is_lasting(problem)) from None
        if failed := [each for each in done if each.failed]:
            yield from _what_went(key, done, began)
            raise _failure(failed, len(hours))
        for hour, metadata in metadata_of(done).items():
            context.add_asset_metadata(metadata, asset_key=key, partition_key=key_of_hour(hour))
        receipts = [each.receipt for each in done if each.receipt is not None]
        yield dg.MaterializeResult(check_results=[*results(key, receipts, len(done), watched.changed)])

    return deliver


class _Watched:
    """A destination that remembers which delivered hours were found changed when it was asked for them again."""

    def __init__(self, destination: Destination, store: Store, export: Export) -> None:
        self._destination, self._store, self._export = destination, store, export
        self.changed: dict[str, tuple[ExportReceipt, Held]] = {}

    @property
    def identity(self) -> str:
        return self._destination.identity

    def push(self, table: str, partition: Partition, reader: Reader) -> Delivery:
        return self._destination.push(table, partition, reader)

    def read_back(self, table: str, partition: Partition) -> Held | None:
        held = self._destination.read_back(table, partition)
        hour = str(partition)
        receipt = exported_day(self._store, self._export.destination, table, hour[:10]).get(hour)
        if held and receipt and (held.rows, held.checksum) != (receipt.held_rows, receipt.held_checksum):
            self.changed[hour] = receipt, held
        return held

    def close(self) -> None:
        self._destination.close()


def metadata_of(done: Sequence[Pushed]) -> dict[datetime, dict[str, Any]]:
    """Return what the receipts of some hours say, by hour (naive UTC), as metadata."""
    return {ledger.hour(each.hour): receipt_metadata(each.receipt) for each in done if each.receipt is not None}


def _is_of_now(receipt: ExportReceipt, began: datetime) -> bool:
    return datetime.fromisoformat(receipt.pushed_at) >= began


def _is_lasting(problem: Exception) -> bool:
    return isinstance(problem, BadDeclaration | DestinationDenied)


def _what_went(key: dg.AssetKey, done: Sequence[Pushed], began: datetime) -> Iterator[dg.AssetMaterialization]:
    """Tell Dagster of the hours that this run delivered before it fails: they are there, and need no other run."""
    went = [each for each in done if each.receipt is not None and _is_of_now(each.receipt, began)]
    for hour, metadata in metadata_of(went).items():
        yield dg.AssetMaterialization(key, partition=key_of_hour(hour), metadata=metadata)


def _failure(failed: Sequence[Pushed], of: int) -> dg.Failure:
    """Return what a run fails with; it is tried again unless somebody has to change something first."""
    head = f"{len(failed)} of {of} hours were not delivered. They are in the lake, and stay behind"
    reasons = {each.failed.removeprefix("not tried: "): None for each in failed}
    lines = "\n".join([*reasons][:_MOST_REASONS])
    return dg.Failure(
        f"{head}:\n{lines}",
        metadata={"not_delivered": dg.MetadataValue.md(table(("hour", "why"), [(e.hour, e.failed) for e in failed]))},
        allow_retries=not any(each.lasting for each in failed),
    )
