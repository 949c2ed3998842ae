"""Exports of the project and the settings: what dbt's meta declares, and where it goes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import random
from threading import Event

from lake.base.errors import warn_once
from lake.export.declaration import Export, exports_of, unique
from lake.export.destination import Configured, Destination, Place, altered_files, configured
from lake.export.errors import BadDeclaration, ExportError
from lake.export.push import Limits, Pushed, failure_text, push_hours
from lake.export.status import ExportStatus, export_status, in_range
from lake.ledger import BrokenReceipt
from lake.ledger.export_receipts import ExportReceipt, exported
from lake.ledger.published_tables import newest_builds
from lake.storage import paths
from lake.storage.publish import Workplace
from lake.storage.store import Store
from lake.upkeep.broken_receipts import CHANGED, MISSING, UNREADABLE, Damage
from lake.upkeep.damage import Looked
from orchestration.dbt.project import Project, load_project
from orchestration.settings import Settings

_LEAST_BYTES = (
    256 << 20
)  # of memory for one table: of the curated classes, none could be read with 64 MiB, all with 128
_MEMORY_SHARE = 2  # of the settings' memory: DuckDB while it reads the rows, the client while it sends them


@dataclass(frozen=True)
class ExportState:
    """How one declared export stands; `status` is None where its destination is not configured or cannot be opened.

    `identity` says where its destination is, `failed` why it cannot be opened, `lacking` what pushing would miss.
    """

    export: Export
    kind: str = ""
    identity: str = ""
    status: ExportStatus | None = None
    failed: str = ""
    lacking: tuple[str, ...] = ()


def declared_exports(project: Project | None = None) -> Sequence[Export]:
    """Return all exports that models declare, in order; those of a model that cannot be used are left out.

    Raises ManifestFailed.
    """
    exports, problems = read_exports(project or load_project())
    for problem in problems:
        warn_once(f"{problem}; nothing of it is exported until that is corrected")
    return exports


def read_exports(project: Project) -> tuple[Sequence[Export], list[BadDeclaration]]:
    """Return the exports that models declare, in order, and what is wrong with the declarations of others."""
    found: list[Export] = []
    problems = []
    for name, layer, entries in project.declared("exports"):
        try:
            found = [*unique([*found, *exports_of(name, layer, entries)])]
        except BadDeclaration as problem:
            problems.append(problem)
    return found, problems


def destinations_of(settings: Settings) -> dict[str, Configured]:
    """Return the configured destinations by name."""
    return {name: configured(name, options) for name, options in settings.destinations.items()}


@contextmanager
def opened(settings: Settings, store: Store, name: str, limits: Limits | None = None) -> Iterator[Destination]:
    """Open a destination while the block runs; `limits` are those of one push, by default of the only one.

    Raises ExportError; BadDeclaration when no such is configured.
    """
    settings.refuse(f"destinations.{name}")
    found = destinations_of(settings).get(name)
    if found is None:
        raise BadDeclaration(f"destination {name!r} is not configured: add it under `destinations` in the settings")
    limits = limits or limits_of(settings)
    with Workplace(store, "exporting") as work:
        destination = found.open(
            Place(store, work.path, limits.memory_bytes, limits.threads, settings.csv_escape_formulas)
        )
        try:
            yield destination
        finally:
            destination.close()


def limits_of(settings: Settings) -> Limits:
    """Return what one push may take of this machine."""
    return Limits(settings.memory_bytes // _MEMORY_SHARE, settings.threads)


def pushing_again(receipt: ExportReceipt) -> str:
    """Return what to do about an hour that is not what was delivered."""
    return (
        f"push it again: headwater export push --again --destination {receipt.destination} --table {receipt.table}"
        f" --from {receipt.hour} --to {receipt.hour}"
    )


def damaged_exports(settings: Settings, store: Store, share: float, looked: Looked) -> Iterator[Damage]:
    """Yield the files at destinations of the settings that are not as they were delivered, of a share of the hours.

    Those of receipts without digests, and those at a place that the settings no longer name, are not checked.
    """
    for name in settings.destinations:
        held: list[ExportReceipt] = []
        for table in store.folders(f"{paths.LEDGER}/export/{name}"):
            with suppress(BrokenReceipt):  # it is told by itself
                held += [each for each in exported(store, name, table).values() if each.proof == "file" and each.rows]
        if not held:
            continue
        try:
            with opened(settings, store, name) as there:
                for each in held:
                    yield from _damaged_files(there, each, share, looked)
        except ExportError as problem:
            yield Damage(name, _FILE, UNREADABLE, f"cannot be asked: {problem}", "verify again when it can be read")


_FILE = "exported file"


def _damaged_files(there: Destination, receipt: ExportReceipt, share: float, looked: Looked) -> Iterator[Damage]:
    looked.add(looked.files, _FILE, max(len(receipt.digests), 1))
    looked.add(looked.bytes, _FILE, receipt.bytes_pushed)
    if not receipt.digests or receipt.identity != there.identity:
        looked.add(looked.not_checked, _FILE, max(len(receipt.digests), 1))
    elif share >= 1 or random() < share:
        looked.add(looked.read, _FILE, len(receipt.digests))
        for file, found in altered_files(there, receipt.digests).items():
            state = MISSING if found == "is missing" else CHANGED
            yield Damage(file, _FILE, state, found, pushing_again(receipt))


def export_states(
    settings: Settings, store: Store, exports: Sequence[Export], names: Collection[str] | None = None
) -> list[ExportState]:
    """Return how declared exports stand, of all destinations or those named.

    A destination that cannot be opened stops no other, nor does a table with a receipt that cannot be read.
    """
    mine = [each for each in exports if names is None or each.destination in names]
    unset = [each for each in mine if each.destination not in settings.destinations]
    found = [ExportState(each, failed=settings.left_out.get(f"destinations.{each.destination}", "")) for each in unset]
    where = {name: _where(settings, store, name) for name in {each.destination for each in mine}}
    for held in sorted({each.held for each in mine}):  # the builds of one table at a time: those of years are many
        of_table = [each for each in mine if each.held == held and each.destination in settings.destinations]
        found += _states_of(store, of_table, held.table, where)
    return sorted(found, key=lambda each: str(each.export))


@dataclass(frozen=True)
class _Where:
    kind: str = ""
    identity: str = ""
    failed: str = ""
    lacking: tuple[str, ...] = ()


def _where(settings: Settings, store: Store, name: str) -> _Where:
    """Return where a destination is, or why it cannot be opened; nothing when it is not configured."""
    known = destinations_of(settings).get(name)
    if known is None:
        return _Where()
    try:
        with opened(settings, store, name) as destination:
            return _Where(known.kind, destination.identity, lacking=tuple(known.lacking))
    except ExportError as problem:
        return _Where(known.kind, failed=str(problem))


def _states_of(
    store: Store, exports: Sequence[Export], table: str, where: Mapping[str, _Where]
) -> Iterator[ExportState]:
    try:
        builds, broken = newest_builds(store, {table}) if exports else {}, ""
    except BrokenReceipt as problem:
        builds, broken = {}, str(problem)
    for each in exports:
        there = where[each.destination]
        held, failed = None, there.failed or broken
        try:
            held = None if failed else export_status(store, builds, each, there.identity)
        except BrokenReceipt as problem:
            failed = str(problem)
        yield ExportState(each, there.kind, there.identity, held, failed, there.lacking)


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
    fails, in whatever way, or whose destination has settings that cannot be used, stops no other. When the caller
    stops, each table ends with the hour that it is at.
    """
    for export in exports:
        if why := settings.left_out.get(f"destinations.{export.destination}"):
            yield export, Pushed("", failed=why, lasting=True)
    mine = [each for each in exports if each.destination in settings.destinations]
    memory = limits_of(settings).memory_bytes
    at_once = max(1, min(settings.threads, len(mine), memory // _LEAST_BYTES))
    limits = Limits(memory // at_once, max(1, settings.threads // at_once))
    ending = Event()

    def push(export: Export) -> list[Pushed]:
        try:
            return list(_pushed(settings, store, export, (first, last), again, limits, ending))
        except (ExportError, BadDeclaration, BrokenReceipt) as problem:
            return [Pushed("", failed=str(problem), lasting=not isinstance(problem, ExportError))]
        except OSError as problem:
            return [Pushed("", failed=failure_text(problem))]

    with ThreadPoolExecutor(at_once) as pool:
        running = [(export, pool.submit(push, export)) for export in mine]
        try:
            for export, each in running:
                for pushed in each.result() if each.exception() is None else ():
                    yield export, pushed
        finally:
            ending.set()
            pool.shutdown(cancel_futures=True)
    for _, each in running:
        each.result()  # raises what nobody expected, once the others are done


def _pushed(
    settings: Settings,
    store: Store,
    export: Export,
    span: tuple[str | None, str | None],
    again: bool,
    limits: Limits,
    ending: Event,
) -> Iterator[Pushed]:
    if ending.is_set():
        return
    with opened(settings, store, export.destination, limits) as destination:
        builds = newest_builds(store, {export.held.table})
        found = export_status(store, builds, export, destination.identity, again)
        hours = [each.hour for each in in_range(found.behind, *span)]
        for pushed in push_hours(store, destination, export, hours, limits, again):
            yield pushed
            if ending.is_set():
                return
