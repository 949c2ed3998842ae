"""Verifying: log files of arrival hours against what their vendor signed, and the lake's files against its receipts."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from ingest.contracts import Contract, load_contracts
from ingest.contracts.known import known_record
from ingest.sources import BrokenModule, Report, integrity_of
from lake.base.errors import WRONG_CALL, HeadwaterError, warn_once
from lake.ocsf.attributes import declared_classes
from lake.query.values import Shares, count_values, kind_of, values_of
from lake.storage import paths
from lake.storage.publish import sweep
from lake.storage.store import Store
from lake.upkeep.broken_receipts import CHANGED, UNREADABLE, Damage
from lake.upkeep.damage import Looked, examine
from lake.upkeep.repair import aside
from orchestration.dbt.project import load_project
from orchestration.settings import ObjectSource, Settings, access_of
from orchestration.steps.collect import SourceNotConfigured
from orchestration.steps.exports import damaged_exports
from orchestration.steps.query import reading


class NotSigned(HeadwaterError):
    """The vendor of a source signs nothing."""

    exit_code = WRONG_CALL


def verifiable(sources: Iterable[str]) -> list[str]:
    """Return the sources whose log files can be verified, without those whose `integrity.py` is broken."""
    return [each for each in sorted(sources) if _can_verify(each)]


def _can_verify(source: str) -> bool:
    try:
        return integrity_of(source) is not None
    except BrokenModule as problem:
        warn_once(f"{problem}; log files of {source} are not verified until that is corrected")
        return False


def verify_hours(
    settings: Settings,
    contract: Contract,
    store: Store,
    first: str,
    last: str,
    now: datetime | None = None,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Report:
    """Verify the log files that arrived in hours `YYYY-MM-DDTHH`, both included, as of `now` (UTC, aware).

    `told` gets how many log files of how many were read.

    Raises:
        NotSigned: see there.
        SourceNotConfigured: the settings do not say in which folder or bucket the log files are.
        PublicKeyError, OSError: see the source's `integrity.py`.
    """
    module = integrity_of(contract.source)
    if module is None:
        raise NotSigned(f"log files of {contract.source} carry no signatures")
    place, used = settings.sources.get(contract.source), settings.cloudtrail_integrity
    root = (place.root if isinstance(place, ObjectSource) else None) or used.digests  # a queue does not say where
    if place is None or root is None:
        raise SourceNotConfigured(contract)
    access, at = access_of(settings, contract.source), now or datetime.now(UTC)
    return module.verify_hours(store, root, used.digests, used.public_keys, access, first, last, at, told)


def newest_settled(source: str, now: datetime | None = None) -> str:
    """Return the newest arrival hour (`YYYY-MM-DDTHH`) of a source that can be verified by now."""
    module = integrity_of(source)
    settled = module.SETTLED if module else timedelta(0)
    return f"{(now or datetime.now(UTC)) - settled - timedelta(hours=1):%Y-%m-%dT%H}"


@dataclass(frozen=True)
class LakeReport:
    """What reading the lake's files again has found: counts by kind, damage, and what was marked stale (key → now)."""

    looked: Looked
    damage: tuple[Damage, ...]
    marked: dict[str, str]


def verify_lake(
    store: Store,
    share: float = 1.0,
    sources: Collection[str] | None = None,
    told: Callable[[int], None] = lambda _: None,
    settings: Settings | None = None,
) -> LakeReport:
    """Hold the lake's files against its receipts, reading a share of them again.

    With `settings`, and of all sources, also the files that were delivered to its destinations.

    Files of silver, gold and event outcomes that are not as they were written are put aside, so that their hours are
    stale and the next build makes them again. All others are left as they are.
    """
    sweep(store)
    looked, marked = Looked(), dict[str, str]()
    found = tuple(examine(store, sources, share, looked, told))
    if settings is not None and sources is None:
        found += tuple(damaged_exports(settings, store, share, looked))
    for each in found:
        if (
            each.state in (CHANGED, UNREADABLE)
            and each.key.startswith(_MADE_BY_BUILDS)
            and each.key.endswith(".parquet")
        ):
            marked[each.key] = aside(store, each.key)
    return LakeReport(looked, found, marked)


_MADE_BY_BUILDS = (paths.SILVER, paths.GOLD, paths.INDEX, f"{paths.LEDGER}/{paths.OUTCOMES}")


def event_values(con: duckdb.DuckDBPyConnection, source: str, table: str, uid: str) -> list[list[dict[str, Any]]]:
    """Return, of each published row of a uid, its record's values: path, value, kind (`lake.query.values`), where."""
    contract = load_contracts().get(source)
    if contract is None:
        return []
    found = values_of(con, source, known_record(contract), declared_classes()[table], uid)
    return [
        [{"path": each.path, "value": each.value, "kind": kind_of(each), "where": each.where} for each in row]
        for row in found
    ]


def reader_of_values(store: Store, source: str) -> duckdb.DuckDBPyConnection:
    """Return a connection that reads the records of a source and what was published of them; it takes 0.3 s to make."""
    return reading(store, f"silver bronze.{source}")


def values_of_source(
    store: Store,
    source: str,
    share: float = 1.0,
    hours: Sequence[str] = (),
    table: str = "",
    told: Callable[[int], None] = lambda rows: None,
    con: duckdb.DuckDBPyConnection | None = None,
) -> Shares:
    """Hold published rows of a source against their records: all of its classes, or one; a share of the rows.

    `told` gets how many rows were. `con` is what `reader_of_values` gives, for several calls.
    """
    found, con = Shares(), con or reader_of_values(store, source)
    record, classes = known_record(load_contracts()[source]), declared_classes()
    names = [table] if table else [each.partition("__")[0] for each in load_project().mappings.models_of(source)]
    for name in names:
        if name in classes:
            count_values(con, source, record, classes[name], share, hours, found, told)
    return found
