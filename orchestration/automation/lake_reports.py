"""The lake's truth in Dagster: what others landed, built, matched and delivered is reported as materializations.

The command line, the demo, a queue or another machine leave receipts in the ledger, and Dagster knows nothing of them.
A sensor compares the ledger with what was reported, and reports each partition as its receipts are now, newest days
first. What is reported is remembered day by day in Dagster's own storage (a digest of the ledger's files of the day):
a day whose files are the same is not read again, and a partition whose newest materialization is of the same receipts,
because a run wrote them, is not reported again.

Dagster's storage cannot wipe a partition: of an hour that has expired or was erased, the newest materialization says
so, with no rows.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import dagster as dg
import msgspec

from ingest.contracts import Contract
from ingest.reference.feeds import newest_load
from lake import ledger
from lake.base.errors import HeadwaterError
from lake.export.declaration import Export
from lake.ledger import LandingReceipt, build_receipts
from lake.ledger.export_receipts import exported_day
from lake.matching.matches import TABLE as MATCHES
from lake.storage import paths
from lake.storage.store import Store
from orchestration.assets.export_metadata import receipt_metadata
from orchestration.assets.exports import export_key
from orchestration.assets.hours import key_of_hour
from orchestration.assets.keys import RECEIPT, match_key
from orchestration.assets.landing_metadata import hour_metadata
from orchestration.assets.reference import GEOIP, feed_key, geoip_key, geoip_metadata, load_metadata
from orchestration.assets.tables import receipts_metadata
from orchestration.assets.threat_matches import matches_metadata
from orchestration.graph import Graph
from orchestration.settings import PROJECT, Settings, load_settings, open_lake

_REPORTED = "reported"  # beside the days of an asset of which Dagster has got something
SECONDS = 20.0  # of one tick: a sensor may take a minute, and an event takes about 15 ms on SQLite
AT_START = 60.0
_DAYS_OF_OBJECTS = 2  # how many days after an object arrived a queue may announce it
_ROOMS = tuple(f"{paths.LEDGER}/{room}" for room in ("landing", "build", "export", paths.REFERENCE))
_ANY = ""  # the group of files whose names tell no day

Groups = Mapping[str, Mapping[str, str]]  # day → key of the ledger's file → fingerprint
Hours = Mapping[datetime | None, Mapping[str, Any]]  # partition (naive UTC; None: the asset has none) → metadata


class LedgerAsset(NamedTuple):
    """An asset, the folder of its receipts, and what reads those of one day of it."""

    key: dg.AssetKey
    folder: str
    read: Callable[[Store, Groups, str], Hours]


@dataclass
class Reported:
    """What one call did: how many partitions it reported, and what it left.

    `left` are days that wait for the next call, `early` hours before the first partition, `new` sources that landed and
    have no asset yet; `failed` are sentences.
    """

    events: int = 0
    left: int = 0
    early: int = 0
    new: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """Return it in words."""
        said = [f"{self.events:,} partitions were reported" if self.events else "nothing new to report"]
        if self.left:
            said.append(f"the receipts of {self.left:,} days of assets follow with the next ticks")
        if self.early:
            said.append(f"{self.early:,} hours lie before the first partition (`partitions_start`)")
        if self.new:
            said.append(f"{', '.join(self.new)} landed since the code location was loaded: reload it to see the assets")
        return "; ".join([*said, *self.failed])


def definitions(graph: Graph) -> dg.Definitions:
    """Return the sensor."""
    assets = ledger_assets(graph)

    @dg.sensor(
        name="lake_reports_sensor",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Reports what the command line, the demo, a queue or another machine landed, built, matched and delivered,"
            " as materializations of their partitions, the newest days first. It runs nothing and changes nothing in"
            " the lake, so it is on from the start."
        ),
    )
    def lake_reports_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            done = report(context.instance, open_lake(load_settings()), assets, graph.start)
        except (HeadwaterError, OSError) as problem:
            return dg.SkipReason(f"the lake cannot be read: {problem}")
        for line in done.failed:
            context.log.warning(line)
        return dg.SkipReason(done.sentence)

    return dg.Definitions(sensors=[lake_reports_sensor])


def ledger_assets(graph: Graph) -> list[LedgerAsset]:
    """Return the assets whose receipts are in the ledger, each after those that it is made of."""
    built = [each for found in (*graph.tables.values(), graph.marts) for each in found]
    exports = [each for each in graph.exports if each.destination in graph.settings.destinations]
    return [
        *_feeds(graph.settings),
        *(LedgerAsset(key, f"{_ROOMS[0]}/{each.source}", _landed(each)) for key, each in graph.raw.items()),
        *(LedgerAsset(each.key, f"{_ROOMS[1]}/{each.model}", _built(each.model)) for each in built),
        LedgerAsset(match_key(), f"{_ROOMS[1]}/{MATCHES}", lambda store, *_: {None: matches_metadata(store)}),
        *(LedgerAsset(export_key(each), paths.export_receipts(*_place(each)), _delivered(each)) for each in exports),
    ]


def _place(export: Export) -> tuple[str, str]:
    return export.destination, export.table


def _feeds(settings: Settings) -> Iterator[LedgerAsset]:
    for name, given in settings.reference.feeds.items():

        def read(store: Store, *_: Any, table: str = given.table, feed: str = name) -> Hours:
            return {None: load_metadata(newest_load(store, table, feed))}

        yield LedgerAsset(feed_key(name, given.table), f"{_ROOMS[3]}/{given.table}/{name}", read)
    if any(settings.geoip.databases.values()):
        yield LedgerAsset(geoip_key(), GEOIP, lambda store, *_: {None: geoip_metadata(store)})


def _built(model: str) -> Callable[[Store, Groups, str], Hours]:
    def read(store: Store, groups: Groups, day: str) -> Hours:
        found = build_receipts.day_of(store, model, datetime.fromisoformat(day).date())
        return {ledger.hour(hour): receipts_metadata(receipt) for hour, receipt in found.items()}

    return read


def _delivered(export: Export) -> Callable[[Store, Groups, str], Hours]:
    def read(store: Store, groups: Groups, day: str) -> Hours:
        found = exported_day(store, *_place(export), day)
        return {ledger.hour(hour): receipt_metadata(receipt) for hour, receipt in found.items()}

    return read


def _landed(contract: Contract) -> Callable[[Store, Groups, str], Hours]:
    """Return what reads arrival hours: the batch of each, and its objects in batches of files and of queues."""

    def read(store: Store, groups: Groups, day: str) -> Hours:
        held: dict[str, LandingReceipt] = {}

        def receipts(days: Iterable[str]) -> Iterator[LandingReceipt]:
            for name in sorted(name for each in days for name in groups.get(each, ())):
                batch = name.rsplit("/", 1)[-1].removesuffix(".json")
                if batch not in held and (found := ledger.landing(store, contract.source, batch)):
                    held[batch] = found
                if batch in held:
                    yield held[batch]

        wanted = {hour for each in receipts([day]) for hour in ledger.arrival_hours(each)}
        days = {f"{hour + timedelta(days=n):%Y-%m-%d}" for hour in wanted for n in range(_DAYS_OF_OBJECTS + 1)}
        parts: dict[datetime, list[LandingReceipt]] = {hour: [] for hour in wanted}
        for each in receipts(sorted({_ANY, day, *days})):
            for hour in wanted.intersection(ledger.arrival_hours(each)):
                parts[hour].append(each)
        return {hour: hour_metadata(contract, hour, found) for hour, found in parts.items()}

    return read


def report(
    instance: dg.DagsterInstance,
    store: Store,
    assets: Sequence[LedgerAsset],
    start: datetime,
    seconds: float = SECONDS,
    now: datetime | None = None,
) -> Reported:
    """Report what was not reported yet, newest days first, for about so many seconds. `start` is the first partition.

    Hours that are not over are no partitions yet, and wait. So do assets that a run is making now: it reports them.
    """
    over = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None) - timedelta(hours=1)
    until = time.monotonic() + seconds
    folders = _listed(store)
    busy = _running(instance)
    there = {each: _place_of(store, each) for each in assets if each.folder in folders and each.key not in busy}
    held = instance.daemon_cursor_storage.get_cursor_values(set(there.values()))
    known_keys = {*instance.all_asset_keys()}
    told = {each: _Told(instance, each.key, place, held.get(place, "{}")) for each, place in there.items()}
    for of_asset in told.values():
        of_asset.forget_if_wiped(known_keys)
    waiting = [
        (day, order, each)
        for order, each in enumerate(told)
        for day, files in folders[each.folder].items()
        if told[each].days.get(day) != _digest(files)
    ]
    known, room = {each.folder for each in assets}, f"{_ROOMS[0]}/"
    done = Reported(new=sorted(each.removeprefix(room) for each in folders.keys() - known if each.startswith(room)))
    for day, _, each in sorted(waiting, key=lambda item: (item[0] == _ANY, item[0], -item[1]), reverse=True):
        if time.monotonic() > until:
            done.left += 1
            continue
        try:
            hours = each.read(store, folders[each.folder], day)
        except HeadwaterError as problem:  # a receipt that is damaged costs its own day
            done.failed.append(f"{each.key.to_user_string()}: {problem}")
            continue
        done.early += sum(1 for hour in hours if hour is not None and hour < start)
        fit = {hour: metadata for hour, metadata in hours.items() if hour is None or start <= hour <= over}
        done.events += told[each].report(fit)
        if all(hour is None or hour <= over for hour in hours):
            told[each].days[day] = _digest(folders[each.folder][day])
    if changed := {each.place: each.text for each in told.values() if each.changed}:
        instance.daemon_cursor_storage.set_cursor_values(changed)
    return done


def _running(instance: dg.DagsterInstance) -> set[dg.AssetKey]:
    """Return the assets that runs are making now."""
    under_way = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    found: set[dg.AssetKey] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=under_way)):
        planned = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        events = (each.dagster_event for each in planned)
        found.update(each.asset_key for each in events if each and each.asset_key)
    return found


def _place_of(store: Store, asset: LedgerAsset) -> str:
    """Return the name under which Dagster's storage remembers what was reported of an asset of a lake."""
    return f"headwater/{hashlib.sha256(f'{store.root} {asset.key.to_user_string()}'.encode()).hexdigest()[:24]}"


class _Told:
    """What Dagster knows of one asset: the days that were reported, and which partitions have a materialization."""

    def __init__(self, instance: dg.DagsterInstance, key: dg.AssetKey, place: str, text: str) -> None:
        self._instance, self._key, self.place, self._before = instance, key, place, text
        self.days: dict[str, str] = json.loads(text)
        self._ids: Mapping[str, int] | None = None
        self._now: dict[str | None, Any] = {}  # marks of what this call has reported

    @property
    def text(self) -> str:
        return json.dumps(self.days)

    @property
    def changed(self) -> bool:
        return self.text != self._before

    def forget_if_wiped(self, known: Collection[dg.AssetKey]) -> None:
        """Forget what was reported when somebody has wiped the asset in Dagster: all of it is reported again."""
        if self.days.get(_REPORTED) and self._key not in known:
            self.days = {}

    def report(self, hours: Hours) -> int:
        """Report partitions whose newest materialization is of other receipts; return how many."""
        texts = {key_of_hour(hour) if hour else None: metadata for hour, metadata in hours.items() if metadata}
        known = self._marks(texts) | self._now
        fresh = {key: metadata for key, metadata in texts.items() if known.get(key) != metadata[RECEIPT]}
        for key, metadata in sorted(fresh.items(), key=lambda item: item[0] or ""):
            self._instance.report_runless_asset_event(
                dg.AssetMaterialization(self._key, partition=key, metadata=metadata)
            )
            self._now[key] = metadata[RECEIPT]
            self.days[_REPORTED] = "yes"
        return len(fresh)

    def _marks(self, keys: Iterable[str | None]) -> dict[str | None, Any]:
        """Return the marks of the newest materializations of some partitions."""
        if self._ids is None:
            kind = dg.DagsterEventType.ASSET_MATERIALIZATION
            self._ids = self._instance.event_log_storage.get_latest_storage_id_by_partition(self._key, kind)
        ids = [self._ids[key] for key in keys if key is not None and key in self._ids]
        found: list[dg.AssetMaterialization | None] = []
        if ids:
            records = self._instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=self._key, storage_ids=ids), limit=len(ids)
            ).records
            found = [each.event_log_entry.asset_materialization for each in records]
        if None in keys and (newest := self._instance.get_latest_materialization_event(self._key)):
            found.append(newest.asset_materialization)
        return {each.partition: each.metadata[RECEIPT].value for each in found if each and RECEIPT in each.metadata}


def _listed(store: Store) -> dict[str, dict[str, dict[str, str]]]:
    """Return the files of receipts, by folder and day."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for room in _ROOMS:
        for each in store.list(room):
            folder, _, name = each.key.rpartition("/")
            folder = GEOIP if folder.startswith(GEOIP) else folder  # one asset, of several tables
            found.setdefault(folder, {}).setdefault(_day(folder, name), {})[each.key] = each.fingerprint
    return {folder: _whole(folder, days) for folder, days in found.items()}


def _whole(folder: str, days: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Return one group for a folder of an asset without partitions."""
    if folder.startswith(_ROOMS[3]) or folder == f"{_ROOMS[1]}/{MATCHES}":
        return {_ANY: {name: mark for files in days.values() for name, mark in files.items()}}
    return days


def _day(folder: str, name: str) -> str:
    """Return the day that a receipt's name tells: `date=2026-03-02.json`, `20260302T05.json`, `queue-20260302T…`."""
    text = name.removeprefix("date=").removeprefix("queue-")
    for length, form in ((10, "%Y-%m-%d"), (8, "%Y%m%d")):
        with suppress(ValueError):
            return f"{datetime.strptime(text[:length], form):%Y-%m-%d}"
    return _ANY


def _digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(msgspec.json.encode(sorted(files.items()))).hexdigest()[:12]


def main() -> int:
    """Report once, before the UI starts (`make dev`)."""
    graph = Graph.read(PROJECT)
    began = time.monotonic()
    with dg.DagsterInstance.get() as instance:
        done = report(instance, open_lake(graph.settings), ledger_assets(graph), graph.start, AT_START)
    sys.stderr.write(f"Dagster knows the lake: {done.sentence} ({time.monotonic() - began:.0f} s)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
