"""An erasure from beginning to end: the lake's part, then building the hours again, Iceberg's past, and the proof."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ingest.contracts import load_contracts
from ingest.landing.publish import bronze_columns
from lake.export.declaration import Export
from lake.ledger.export_receipts import DeliveredHour, delivered_hours, exported, exporting
from lake.storage import paths
from lake.storage.store import Store
from lake.upkeep.erasure import Found, Request, begin, erase, finish, search
from lake.upkeep.erasure_proof import Proof, fingerprints, forget_versions
from lake.upkeep.receipts import ErasureReceipt
from orchestration.dbt.run import Built, build
from orchestration.settings import Settings, iceberg_place
from orchestration.steps.compact_and_retain import resources
from orchestration.steps.exports import declared_exports, push_behind
from orchestration.steps.match import matched_again


@dataclass(frozen=True)
class Erased:
    """What an erasure did: its receipt, the proof, the hours that were built again, and what remains elsewhere."""

    receipt: ErasureReceipt
    proof: Proof
    built: tuple[str, ...]
    remains: tuple[str, ...]


def requested(
    source: str, condition: str, reason: str, asked_by: str, hours: tuple[str | None, str | None], **flags: bool
) -> Request:
    """Return a request over the columns of a source's bronze. Raises BadCondition."""
    first, last = hours
    columns = bronze_columns(load_contracts()[source])
    request = Request(source, condition, columns, reason, asked_by, first or "", last or "", **flags)
    assert request.asked
    return request


def look(store: Store, settings: Settings, request: Request) -> Found:
    """Return what matches; nothing is changed."""
    return search(store, request, resources(settings))


def carry_out(store: Store, settings: Settings, request: Request, found: Found, told: Callable[[str], None]) -> Erased:
    """Erase, build the hours again, and prove it.

    Raises:
        NotErased, BuildFailed: some of it is done and on record; the same call goes on from there.
    """
    used = resources(settings)
    before = fingerprints(store, request.source)
    receipt = begin(store, request, found)
    receipt = erase(store, request, receipt, used, lambda match: told(f"rewriting {match.key}"))
    hours = tuple(sorted({file.hour for file in receipt.files if file.room == paths.BRONZE}))
    told("building the hours again")
    done = build(settings, store, [request.source], only=hours) if hours else Built()
    built = done.hours.get(request.source, ())
    marts = {**done.marts, **matched_again(store, settings, hours)}
    told("looking for what is left")
    iceberg = _iceberg(store, settings)
    proof = finish(store, request, receipt, before, used)
    told("letting destinations follow")
    exports = _exports(store, settings, request.source, hours, marts)
    return Erased(receipt, proof, built, (*iceberg, *exports, *forget_versions(store, receipt)))


def _iceberg(store: Store, settings: Settings) -> tuple[str, ...]:
    """Let Iceberg tables follow, past included; return what keeps an older state."""
    if not settings.iceberg.publish and not store.folders("iceberg"):
        return ()
    from lake.iceberg import IcebergError, forget_history, publish_tables

    place = iceberg_place(settings, store)
    try:
        failed = [f"Iceberg table {each.name}: {each.failed}" for each in publish_tables(store, place) if each.failed]
        forget_history(store, place)
    except IcebergError as problem:
        return (f"Iceberg tables: {problem}",)
    return tuple(failed)


def _exports(
    store: Store, settings: Settings, source: str, hours: Sequence[str], marts: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Push the hours that lost rows to whoever holds them; return, in words, where erased rows remain."""
    held = delivered_hours(store, source, hours)
    if not held and not (marts and exporting(store)):
        return ()
    declared = {str(each): each for each in declared_exports()}
    held += _of_marts(store, declared.values(), marts)
    remains = []
    for each in held:
        name = f"{each.destination}/{each.table}"
        remains += _followed(store, settings, declared.get(name), name, each.hour)
    return tuple(remains)


def _of_marts(store: Store, declared: Iterable[Export], marts: Mapping[str, Sequence[str]]) -> list[DeliveredHour]:
    """Return the hours of marts that were built again and that destinations hold."""
    return [
        DeliveredHour(each.destination, each.table, hour)
        for each in declared
        if each.held.layer == paths.GOLD and each.held.table in marts
        for hour in exported(store, each.destination, each.table)
        if hour in set(marts[each.held.table])
    ]


def _followed(store: Store, settings: Settings, export: Export | None, name: str, hour: str) -> list[str]:
    """Push one hour; return a line when erased rows remain at the destination, or may."""
    wrong = export is not None and f"destinations.{export.destination}" in settings.left_out
    if export is None or (export.destination not in settings.destinations and not wrong):
        return [f"{name} {hour}: is delivered no longer, and holds what it was sent; remove it there"]
    lines = []
    for _, done in push_behind(settings, store, [export], hour, hour):
        if done.failed:
            lines.append(f"{name} {hour}: holds what it was sent until it is pushed: {done.failed}")
        elif done.receipt is not None and done.receipt.left_behind:
            rows = done.receipt.left_behind
            lines.append(
                f"{name} {hour}: {rows:,} rows were sent and cannot be removed by Headwater; delete them there"
            )
    return lines
