"""Matching, for the command and for Dagster: the lists of the lake held against its past, by the settings."""

from collections.abc import Callable, Collection, Sequence

from ingest.reference.tables import INDICATORS
from ingest.reference.views import reference_versions, reference_views
from lake.ledger import build_receipts
from lake.matching.match import Limits, Matched, match
from lake.matching.matches import TABLE
from lake.ocsf.attributes import declared_classes
from lake.storage.publish import sweep
from lake.storage.store import Store
from orchestration.settings import Settings


def match_lake(
    store: Store,
    settings: Settings,
    *,
    feeds: Collection[str] = (),
    days: float | None = None,
    again: bool = False,
    dry_run: bool = False,
    report: Callable[[Matched], None] = lambda _: None,
) -> Matched:
    """Hold what is new in the lists against the lake, and what is new in the lake against the lists."""
    sweep(store)
    return match(
        store,
        reference_views(store)[INDICATORS],
        declared_classes(),
        days=settings.retro_days if days is None else days,
        feeds=feeds,
        again=again,
        dry_run=dry_run,
        limits=Limits(settings.memory_bytes, settings.threads),
        report=report,
    )


def lists_loaded(store: Store) -> dict[str, str]:
    """Return the lists of indicators that the lake has, with their versions."""
    found = reference_versions(store)
    return {
        name.removeprefix(f"{INDICATORS}/"): version
        for name, version in found.items()
        if name.startswith(f"{INDICATORS}/")
    }


def matched_again(store: Store, settings: Settings, hours: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Match hours again that were matched before and whose rows have changed; return them, by table."""
    held = build_receipts.of_model(store, TABLE)
    before = tuple(hour for hour in hours if hour in held)
    if before:
        match_lake(store, settings)
    return {TABLE: before} if before else {}
