"""Exports of the project and the settings: what dbt's meta declares, and where it goes.

What belongs here: from manifest and settings to exports and open destinations, and pushing what is behind. What does
not: how an hour is delivered (`lake.delivery`), Dagster's assets (`orchestration.assets.exports`).
"""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lake.curated import wanted
from lake.delivery.declaration import Export, exports_of, unique
from lake.delivery.destination import Destination, Place
from lake.delivery.errors import BadDeclaration, ExportError
from lake.delivery.kinds import Configured, configured
from lake.delivery.pushing import Limits, Pushed, push_hours
from lake.delivery.standing import Standing, in_range, standing
from lake.publish import Workplace
from lake.store import Store
from orchestration.assets.dbt_graph import Manifest, read_manifest
from orchestration.settings import PROJECT, Settings

_MEMORY_SHARE = 2  # of the settings' memory: DuckDB while it reads the rows, the client while it sends them


@dataclass(frozen=True)
class Stood:
    """How one declared export stands; `standing` is None where its destination is not configured or cannot be opened.

    `identity` says where its destination is, `failed` why it cannot be opened.
    """

    export: Export
    kind: str = ""
    identity: str = ""
    standing: Standing | None = None
    failed: str = ""


def declared_exports(manifest: Manifest | None = None, project: Path = PROJECT) -> Sequence[Export]:
    """Return all exports that models declare, in order.

    Raises:
        BadDeclaration, ManifestFailed: naming the model and what to change.
    """
    read = manifest if manifest is not None else read_manifest(project)
    found: list[Export] = []
    for node in read["nodes"].values():
        said = node["resource_type"] == "model" and node["config"].get("meta", {}).get("exports")
        if said:
            found += exports_of(node["name"], str(node["fqn"][1]), said)
    return unique(found)


def destinations_of(settings: Settings) -> dict[str, Configured]:
    """Return the configured destinations by name."""
    return {name: configured(name, options) for name, options in settings.destinations.items()}


@contextmanager
def opened(settings: Settings, store: Store, name: str) -> Iterator[Destination]:
    """Open a destination while the block runs. Raises ExportError; BadDeclaration when no such is configured."""
    found = destinations_of(settings).get(name)
    if found is None:
        raise BadDeclaration(f"destination {name!r} is not configured: add it under `destinations` in the settings")
    limits = limits_of(settings)
    with Workplace(store, "exporting") as work:
        destination = found.open(Place(store, work.path, limits.memory_bytes, limits.threads))
        try:
            yield destination
        finally:
            destination.close()


def limits_of(settings: Settings) -> Limits:
    """Return what one push may take of this machine."""
    return Limits(settings.memory_bytes // _MEMORY_SHARE, settings.threads)


def stood(
    settings: Settings, store: Store, exports: Sequence[Export], names: Collection[str] | None = None
) -> list[Stood]:
    """Return how declared exports stand, of all destinations or those named. A failing destination stops no other."""
    builds = wanted(store, {each.held.table for each in exports})
    found = []
    known = destinations_of(settings)
    for name in sorted({each.destination for each in exports}):
        mine = [each for each in exports if each.destination == name and (names is None or name in names)]
        if name not in known:
            found += [Stood(each) for each in mine]
            continue
        kind = known[name].kind
        try:
            with opened(settings, store, name) as destination:
                identity = destination.identity
        except ExportError as problem:
            found += [Stood(each, kind, failed=str(problem)) for each in mine]
            continue
        found += [Stood(each, kind, identity, standing(store, builds, each, identity)) for each in mine]
    return found


def push_behind(
    settings: Settings,
    store: Store,
    exports: Sequence[Export],
    first: str | None = None,
    last: str | None = None,
    again: bool = False,
) -> Iterator[tuple[Export, Pushed]]:
    """Push what is behind of the hours from `first` to `last`; with `again`, every hour that the lake has of them.

    Several tables at once, each hour by hour. Exports whose destination is not configured are passed over; one that
    cannot be opened stops no other.
    """
    mine = [each for each in exports if each.destination in settings.destinations]
    builds = wanted(store, {each.held.table for each in mine})
    at_once = max(1, min(settings.threads, len(mine)))
    limits = Limits(limits_of(settings).memory_bytes // at_once, max(1, settings.threads // at_once))

    def push(export: Export) -> list[Pushed]:
        try:
            with opened(settings, store, export.destination) as destination:
                found = standing(store, builds, export, destination.identity, again)
                hours = [each.hour for each in in_range(found.behind, first, last)]
                return list(push_hours(store, destination, export, hours, limits, again))
        except (ExportError, BadDeclaration) as problem:
            return [Pushed("", failed=str(problem))]

    with ThreadPoolExecutor(at_once) as pool:
        for export, done in zip(mine, pool.map(push, mine), strict=True):
            for pushed in done:
                yield export, pushed
