"""Health: what is wrong with settings, lake, sources, reference data and destinations, and what to do."""

import platform
import shutil
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from threading import Thread

import msgspec

from ingest.contracts import ContractError, load_contracts, read_contracts
from ingest.contracts import generate as contract_artifacts
from ingest.lookups.attributes import unknown_attributes
from ingest.lookups.pending import lookup_status
from ingest.objects import is_bucket_url
from ingest.reference.feeds import newest_load
from ingest.reference.geoip.load import CONFIGURED
from ingest.reference.geoip.records import TABLES
from ingest.reference.geoip.versions import read_receipts
from ingest.transports.bucket_object import bucket_place
from ingest.transports.queue import Queue
from lake import ledger
from lake.export.declaration import Export
from lake.export.destination import Partition
from lake.export.errors import BadDeclaration, ExportError
from lake.ledger import BrokenReceipt
from lake.ocsf import generate
from lake.ocsf.attributes import declared_classes
from lake.storage import paths
from lake.storage.publish import recover
from lake.storage.store import ABSENT, Conflict, LocalStore, Store
from lake.upkeep.broken_receipts import CHANGED, UNKNOWN, Damage
from lake.upkeep.damage import examine as damage
from lake.upkeep.repair import Repaired
from lake.upkeep.repair import repair as repair_lake
from orchestration.settings import (
    ObjectSource,
    Settings,
    access_of,
    config_file,
    load_settings,
    lookups_of,
    open_lake,
)
from orchestration.steps.check import problems
from orchestration.steps.exports import declared_exports, export_states, opened
from orchestration.steps.feeds import duration

_PACKAGES = ("headwater", "duckdb", "dbt-core", "dbt-duckdb", "dagster", "pyarrow", "polars", "ocsf-json-schema")
_LITTLE_SPACE = 5 << 30
_MOST_DAMAGED = 10  # files of a kind that are named
_ANSWER_SECONDS = 20.0  # a destination that takes longer counts as one that does not answer
_ANY_HOUR = "2000-01-01T00"  # nothing is there: it is asked for to see whether the destination answers


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at: `state` is ok, note, warning or error; `advice` says what to do."""

    subject: str
    state: str
    found: str
    advice: str = ""


def examine(repair: bool = False) -> Iterator[Finding]:
    """Yield what was found, from the machine up to the data; `repair` mends the lake first. Raises SettingsError."""
    yield Finding("versions", "ok", f"Python {platform.python_version()}, " + ", ".join(_versions()))
    used = load_settings()
    wrong = list(problems())
    yield from (Finding(f"{each.kind} {each.file}", "error", each.reason, each.advice) for each in wrong)
    if not wrong:
        yield Finding("what is declared", "ok", "settings, contracts, products, models and routes are sound")
    file = config_file()
    yield Finding("settings", "ok", f"{file}" if file else "defaults and HEADWATER_* variables (no headwater.yml here)")
    store = open_lake(used)
    found = list(_lake(store))
    yield from found
    if any(each.state == "error" for each in found):
        return
    if repair:
        yield from (_repaired(each) for each in repair_lake(store))
    yield from _damaged(store)
    yield from _readable("sources", _sources(used, store))
    configured = [name for name, files in used.geoip.databases.items() if files]
    yield from _readable(
        "reference", _reference(store, {table for name in configured for table in CONFIGURED[name][:1]})
    )
    yield from _readable("feeds", feeds_found(used, store))
    yield from _readable("lookups", _lookups(used, store))
    yield from _readable("destinations", _destinations(used, store))
    yield from _generated()


def _damaged(store: Store) -> Iterator[Finding]:
    """Yield what can be seen of damage without reading every file: `headwater verify lake` reads them."""
    kinds: dict[str, list[Damage]] = {}
    for each in damage(store):
        kinds.setdefault(each.kind, []).append(each)
    for kind, found in kinds.items():
        for each in found[:_MOST_DAMAGED]:
            state = "warning" if each.state == UNKNOWN else "error"
            yield Finding(kind, state, f"{each.key} {each.found}", each.advice)
        if len(found) > _MOST_DAMAGED:
            yield Finding(
                kind, "error", f"and {len(found) - _MOST_DAMAGED:,} more", "`headwater verify lake` names all"
            )
    if not kinds:
        found_ = "every file that a receipt names is there, with its size"
        yield Finding("files of the lake", "ok", f"{found_}; `headwater verify lake` reads them")


def _repaired(done: Repaired) -> Finding:
    advice = "" if done.mended and done.damage.state != CHANGED else done.damage.advice
    state = "note" if done.mended else "error"
    return Finding(
        f"repair of {done.damage.kind}", state, f"{done.damage.key} {done.damage.found}; it {done.done}", advice
    )


def _readable(subject: str, found: Iterator[Finding]) -> Iterator[Finding]:
    """Yield findings; what a damaged file keeps from being looked at is one more."""
    try:
        yield from found
    except BrokenReceipt as problem:
        yield Finding(subject, "error", str(problem))


def _versions() -> list[str]:
    return [f"{name} {version(name)}" for name in _PACKAGES]


def _lake(store: Store) -> Iterator[Finding]:
    if not isinstance(store, LocalStore) and (refused := _refusal(store)):
        yield refused
        return
    healed = recover(store)
    if healed:
        yield Finding("lake", "note", f"finished {healed} changes that a killed step had left")
    if not isinstance(store, LocalStore):
        yield Finding("lake", "ok", f"{store.root}, read and written; of two writers one is told")
        return
    try:
        with store.lock("publish"):
            store.write(f"{paths.STAGING}/doctor", b"")
            store.delete(f"{paths.STAGING}/doctor")
    except OSError as problem:
        yield Finding("lake", "error", f"{store.root} cannot be written: {problem}", "check the path and its owner")
        return
    free = shutil.disk_usage(store.root).free
    yield Finding(
        "lake",
        "warning" if free < _LITTLE_SPACE else "ok",
        f"{store.root}, {free / 2**30:,.0f} GiB free",
        "land less at once or make room" if free < _LITTLE_SPACE else "",
    )


def _refusal(store: Store) -> Finding | None:
    """Return what keeps a bucket from being a lake, or None: it must be read, written, and keep conditions."""
    probe = f".lock-doctor-{uuid.uuid4().hex[:8]}"
    try:
        next(iter(store.list(paths.LEDGER)), None)
        store.write(probe, b"1", ABSENT)
        try:
            store.write(probe, b"2", ABSENT)
        except Conflict:
            return None
        finally:
            store.delete_many([probe])
    except OSError as problem:
        return Finding("lake", "error", f"{store.root}: {problem}", "see orchestration/deploy/README.md, IAM policies")
    advice = "set s3.conditional_writes: false, and let only one machine write at a time"
    return Finding("lake", "error", f"{store.root} replaces objects against If-None-Match", advice)


def _sources(used: Settings, store: Store) -> Iterator[Finding]:
    contracts = load_contracts()
    for name in used.sources.keys() - contracts.keys() - read_contracts()[1].keys():
        yield Finding(f"source {name}", "error", "there is no contract of this name", "see `headwater sources`")
    unused: list[str] = []
    for name in sorted(contracts):
        place, receipts = used.sources.get(name), list(ledger.landings(store, name, []))
        stalled = [receipt.batch for receipt in receipts if receipt.status == "stalled"]
        if stalled:
            advice = "decide with `headwater land … --on-stall quarantine` or `null`"
            yield Finding(f"source {name}", "error", f"stalled batches: {', '.join(stalled[:5])}", advice)
        emptied: dict[str, int] = {}
        for each in (each for receipt in receipts for each in ledger.emptied_fields(receipt)):
            emptied[each.field] = emptied.get(each.field, 0) + each.records
        if emptied:
            most = sorted(emptied, key=lambda field: -emptied[field])[:5]
            told = ", ".join(f"{field} ({emptied[field]:,} records)" for field in most)
            advice = "correct the type in the contract, or add it to `accepts`, and land again; `_raw` has the values"
            yield Finding(f"source {name}", "warning", f"fields of another type than the contract says: {told}", advice)
        if place is None or (isinstance(place, ObjectSource) and not place.address):
            if not receipts:
                unused.append(name)
                continue
            advice = f"set sources.{name} for hourly runs; `headwater land {name} PATH` works without"
            yield Finding(f"source {name}", "note", f"not configured, {len(receipts)} batches landed", advice)
            continue
        if isinstance(place, ObjectSource):
            shown = " and ".join(filter(None, (place.root, place.queue)))
            wrong = _why_unreachable(used, name, place)
            yield Finding(f"source {name}", "error" if wrong else "ok", *(wrong or (shown, "")))
        else:
            yield Finding(f"source {name}", "warning" if place.lacking else "ok", place.address, place.lacking)
    if unused:
        advice = "`headwater sources --available` says what each of them needs"
        yield Finding("other sources", "note", f"{len(unused)} are neither configured nor landed", advice)


def _why_unreachable(settings: Settings, source: str, place: ObjectSource) -> tuple[str, str] | None:
    """Return what is wrong and what to do about it; None when the source can be read."""
    access = access_of(settings, source)
    try:
        if place.root and is_bucket_url(place.root):
            bucket_place(place.root, access).check()
        elif place.root and not Path(place.root).is_dir():
            return place.root, f"create the folder or correct sources.{source}.root"
        if place.queue:
            Queue(place.queue, access).check()
    except OSError as problem:
        return str(problem), f"correct sources.{source}, or allow what the message names"
    return None


def _reference(store: Store, configured: set[str]) -> Iterator[Finding]:
    """`configured`: the tables that some database is configured for."""
    for table in TABLES:
        receipts = read_receipts(store, table)
        if receipts:
            newest = max(receipt.version for receipt in receipts)
            yield Finding(table, "ok", f"{len(receipts)} versions, newest {newest}")
        elif table in configured:
            yield Finding(table, "warning", "configured but not loaded yet", "run `headwater build`")
        elif table in ("geoip_city", "geoip_asn"):  # the others are extras, and nobody misses them
            advice = "set geoip.city and geoip.asn to MaxMind-format files; until then locations stay empty"
            yield Finding(table, "note", "no database is configured", advice)


def feeds_found(used: Settings, store: Store) -> Iterator[Finding]:
    """Yield what is found of the reference feeds: loaded, young enough, and whole."""
    for name, given in used.reference.feeds.items():
        subject, advice = f"feed {name}", f"run `headwater reference load {name}`, or turn on load_{name}_on_time"
        told = newest_load(store, given.table, name)
        if told is None:
            yield Finding(subject, "warning", "configured but not loaded yet", advice)
            continue
        age = (datetime.now(UTC).replace(tzinfo=None) - told.newest) / timedelta(hours=1)
        found = f"{told.rows_open:,} open rows of reference.{given.table}, as of {told.as_of}Z ({_ago(age)})"
        if age < -24:
            advice = f"correct the name or time of the file, then run `headwater reference load {name} --anew`"
            yield Finding(subject, "warning", f"{found}: until then every snapshot counts as an older one", advice)
        elif given.max_age_hours is not None and age > given.max_age_hours:
            yield Finding(
                subject,
                "warning",
                f"{found}, expected at most {duration(timedelta(hours=given.max_age_hours))}",
                advice,
            )
        elif rejected := sum(told.rejected.values()):
            advice = f"look at them: `headwater reference rejects {name}`"
            yield Finding(subject, "note", f"{found}; {rejected:,} pieces of the newest snapshot are rejected", advice)
        else:
            yield Finding(subject, "ok", found)


def _ago(hours: float) -> str:
    told = duration(timedelta(hours=hours))
    return f"{told} ago" if hours >= 0 else f"in {told}"


def _lookups(used: Settings, store: Store) -> Iterator[Finding]:
    for name, each in lookups_of(used).items():
        if wrong := unknown_attributes(each.options.attributes, declared_classes()):
            advice = f"correct lookups.{name}.ask_about"
            yield Finding(f"lookup {name}", "error", wrong[0], advice)
            continue
        stands = lookup_status(store, each, time.time())
        found = f"{stands.answers:,} answers, {stands.waiting:,} observables wait"
        advice = "run `headwater lookup`, or turn on look_up_hourly" if stands.waiting else ""
        if stands.said:
            yield Finding(f"lookup {name}", "warning", f"{found}; {stands.said[0]}", "" if each.lacking else advice)
        elif not each.options.ask_about:
            yield Finding(f"lookup {name}", "note", "is asked about nothing", f"set lookups.{name}.ask_about")
        else:
            yield Finding(f"lookup {name}", "note" if stands.waiting else "ok", found, advice)


def _destinations(used: Settings, store: Store) -> Iterator[Finding]:
    exports = declared_exports()
    for name in sorted(used.destinations.keys() - {each.destination for each in exports}):
        yield Finding(f"destination {name}", "warning", "no model exports to it", "name it in a model's meta.exports")
    for name in sorted({each.destination for each in exports}):
        mine = [each for each in exports if each.destination == name]
        if name not in used.destinations:
            meant = get_close_matches(name, used.destinations, 1)
            advice = f"is {meant[0]} meant? Else set" if meant else "set"
            found, advice = f"{len(mine)} tables are declared for it", f"{advice} destinations.{name} to export them"
            yield Finding(f"destination {name}", "note", f"not configured; {found}", advice)
            continue
        stands = export_states(used, store, mine)
        failed = next((each.failed for each in stands if each.failed), "")
        wrong = sum(len(each.status.mismatches) for each in stands if each.status)
        behind = sum(len(each.status.behind) for each in stands if each.status)
        failed = failed or "; ".join(stands[0].lacking) or _unanswered(used, store, mine[0])
        if failed:
            advice = "nothing is lost: its hours stay behind; then run `headwater export push`" if behind else ""
            yield Finding(f"destination {name}", "error", failed, advice)
        elif wrong:
            found = f"{wrong} hours hold other rows than were pushed"
            yield Finding(f"destination {name}", "error", found, f"run `headwater export push --destination {name}`")
        else:
            advice = "run `headwater export push`, or turn on exports_behind_sensor" if behind else ""
            found = f"{len(mine)} tables, {behind:,} hours behind"
            yield Finding(f"destination {name}", "note" if behind else "ok", found, advice)


def _unanswered(settings: Settings, store: Store, export: Export, seconds: float = _ANSWER_SECONDS) -> str:
    """Return why an export's destination cannot be asked what it holds, or "". Nothing is changed there."""
    told = [f"no answer within {seconds:.0f} seconds"]

    def ask() -> None:
        try:
            with opened(settings, store, export.destination) as destination:
                destination.read_back(export.table, Partition.of(_ANY_HOUR))
        except (ExportError, BadDeclaration, OSError) as problem:
            told[0] = str(problem)
        else:
            told[0] = ""

    asking = Thread(target=ask, daemon=True)  # one that waits for longer does not keep the command
    asking.start()
    asking.join(seconds)
    return told[0]


def _generated() -> Iterator[Finding]:
    try:
        drifted = [*map(str, contract_artifacts.drift()), *map(str, generate.drift())]
    except ContractError as problem:
        yield Finding("generated files", "note", f"cannot be compared: {problem}", "correct the contract first")
        return
    if drifted:
        advice = "run `python -m ingest.contracts.generate` and `python -m lake.ocsf.generate`"
        yield Finding("generated files", "error", f"differ from their sources: {', '.join(drifted)}", advice)
    else:
        yield Finding("generated files", "ok", "as their contracts and attributes.yml say")
