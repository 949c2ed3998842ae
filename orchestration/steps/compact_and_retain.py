"""Keeping the lake in shape: what compaction, retention and erasure need of settings, contracts and the dbt project."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest.contracts import load_contracts, read_contracts
from lake import ledger
from lake.base.errors import tell_omission
from lake.ledger import BrokenReceipt
from lake.marts.retention import expire_marts
from lake.storage.store import Store
from lake.upkeep.compaction import Compacted, Due, Policy, compact, due
from lake.upkeep.merging import Resources
from lake.upkeep.retention import ExpiredDay, expire, expired_days, newest_expired
from orchestration.dbt.project import load_project
from orchestration.dbt.run import unbuilt_hours
from orchestration.settings import Settings


def resources(settings: Settings) -> Resources:
    """Return what rewriting files may use."""
    return Resources(settings.memory_bytes, settings.threads)


def due_hours(
    store: Store,
    sources: Iterable[str],
    policy: Policy,
    first: str | None = None,
    last: str | None = None,
    unbuilt: bool = False,
) -> tuple[list[Due], int]:
    """Return the hours whose files should be merged, and how many are left alone because they wait to be built.

    A build may be reading those: they are merged once they are built, or with `unbuilt`.
    """
    found: list[Due] = []
    left = 0
    for source in sources:
        try:
            of_source = due(store, source, policy, datetime.now(UTC), first, last)
        except BrokenReceipt as problem:
            tell_omission(f"{problem}; nothing of {source} is merged until then")
            continue
        waiting = set() if unbuilt or not of_source else unbuilt_hours(store, source)
        found += [each for each in of_source if not each.waits(waiting)]
        left += sum(each.waits(waiting) for each in of_source)
    return found, left


def compact_lake(
    store: Store,
    settings: Settings,
    sources: Iterable[str],
    wanted: list[Due],
    told: Callable[[Due], None] = lambda _: None,
) -> Compacted:
    """Merge what is due."""
    return compact(store, sources, wanted, resources(settings), told)


@dataclass(frozen=True)
class Retained:
    """What has expired of one source: its retention, the newest expired hour, and the days; none without retention."""

    source: str
    retention: timedelta | None
    newest: str
    days: list[ExpiredDay]
    note: str = ""


def retain_lake(
    store: Store, sources: Iterable[str], apply: bool, told: Callable[[ExpiredDay], None] = lambda _: None
) -> list[Retained]:
    """Return what has expired of sources; with `apply` it is removed."""
    (contracts, problems), now = read_contracts(), datetime.now(UTC)
    found = []
    for source in sources:
        held = contracts.get(source)
        retention = held.retention if held else None
        if retention is None:
            note = "its contract has no retention" if held else "it has no contract"
            note = f"{problems[source]}: nothing expires until then" if source in problems else f"{note}: kept for ever"
            found.append(Retained(source, None, "", [], note))
            continue
        try:
            days = expire(store, source, retention, now, told) if apply else expired_days(store, source, retention, now)
        except BrokenReceipt as problem:
            tell_omission(f"{problem}; nothing of {source} expires until then")
            days = []
        found.append(Retained(source, retention, newest_expired(retention, now), days))
    return found


def retain_marts(store: Store, apply: bool) -> dict[str, list[str]]:
    """Return, by mart, the hours that have expired; with `apply` they are removed. Ask after the sources."""
    return expire_marts(store, load_project().marts, datetime.now(UTC), apply)


def known_sources(store: Store) -> list[str]:
    """Return the sources that have a contract or ever landed anything."""
    return sorted({*load_contracts(), *ledger.sources(store)})
