"""When exports are pushed: a sensor that asks the receipts which hours are behind and requests their delivery.

An hour is requested once per state of its builds and its declaration. If its run fails after its retries, it stays
behind and is requested again after some hours, for a destination that was away comes back; sooner from the UI, or by
`headwater export push`.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from lake import ledger
from lake.build.requests import MOST_HOURS, MOST_RUNS, runs_of_hours
from lake.export.declaration import Export
from lake.storage.publish import recover
from orchestration.assets.exports import export_key
from orchestration.assets.hours import key_of_hour
from orchestration.automation.stale_hours import RANGE_END, RANGE_START
from orchestration.graph import Graph
from orchestration.settings import Settings, load_settings, open_lake
from orchestration.steps.exports import ExportState, export_states

AGAIN_HOURS = 2  # after which what is still behind is requested again

Requested = dict[str, dict[str, str]]  # export → hour → mark of the state in which it was requested, and since when


def definitions(graph: Graph) -> dg.Definitions:
    """Return the sensor."""
    return export_sensor(graph.settings, graph.exports, graph.start)


def export_sensor(settings: Settings, exports: Sequence[Export], start: datetime) -> dg.Definitions:
    """Return the sensor over the configured exports; nothing where there are none. `start` is the first partition."""
    used = [each for each in exports if each.destination in settings.destinations]
    if not used:
        return dg.Definitions()

    @dg.sensor(
        name="exports_behind_sensor",
        asset_selection=dg.AssetSelection.assets(*map(export_key, used)),
        minimum_interval_seconds=60,
        description=(
            "Pushes event hours that were built, or declared otherwise, since they were delivered. At most"
            f" {MOST_RUNS} runs a tick, each of up to {MOST_HOURS} hours of one table; what is still behind after"
            f" {AGAIN_HOURS} hours is asked for again. Off until turned on."
        ),
    )
    def exports_behind_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = load_settings()
        store = open_lake(now)
        recover(store)
        found = export_states(now, store, used)
        runs, requested = choose(found, json.loads(context.cursor or "{}"), start, datetime.now(UTC))
        for line in failures(found):
            context.log.warning(line)
        return dg.SensorResult(
            run_requests=runs,
            skip_reason=None if runs else dg.SkipReason(_why_nothing(found, start)),
            cursor=json.dumps(requested),
        )

    return dg.Definitions(sensors=[exports_behind_sensor])


def failures(found: Sequence[ExportState]) -> list[str]:
    """Return which destinations cannot be looked at and why, one line for each reason."""
    return [*dict.fromkeys(f"{each.export.destination}: {each.failed}" for each in found if each.failed)]


def _why_nothing(found: Sequence[ExportState], start: datetime) -> str:
    hours = [ledger.hour(behind.hour) for each in found if each.status for behind in each.status.behind]
    early = sum(hour < start for hour in hours)
    said = [f"{len(hours) - early:,} hours are behind, all requested already"] if len(hours) > early else []
    if early:
        said.append(f"{early:,} hours behind are before the first partition: run `headwater export push`")
    return "; ".join([*said, *failures(found)]) or "nothing is behind"


def choose(
    found: Sequence[ExportState], before: Requested, start: datetime, now: datetime
) -> tuple[list[dg.RunRequest], Requested]:
    """Return the runs to request now, each of hours without a gap of one export; and what is requested then."""
    at = now.isoformat(timespec="seconds")
    runs: list[tuple[Export, list[datetime]]] = []
    requested: Requested = {}
    marks: dict[tuple[str, datetime], str] = {}
    for each in found:
        name, new = str(each.export), []
        for behind in each.status.behind if each.status else ():
            hour = ledger.hour(behind.hour)
            marks[name, hour] = _mark(behind.since, behind.why, each.export.fingerprint, each.identity)
            mark, _, since = before.get(name, {}).get(behind.hour, "").partition(" ")
            if mark == marks[name, hour] and _is_waited_for(since, now):
                requested.setdefault(name, {})[behind.hour] = f"{mark} {since or at}"
            elif hour >= start:
                new.append(hour)
        runs += [(each.export, run) for run in runs_of_hours(new, MOST_HOURS)]
    chosen = sorted(runs, key=lambda run: (run[1][0], str(run[0])))[:MOST_RUNS]
    for export, hours in chosen:
        for hour in hours:
            requested.setdefault(str(export), {})[ledger.hour_text(hour)] = f"{marks[str(export), hour]} {at}"
    window = str(int(now.timestamp()) // (AGAIN_HOURS * 3600))  # a tick that is repeated asks for the same runs
    return [_request(export, hours, marks, window) for export, hours in chosen], requested


def _is_waited_for(since: str, now: datetime) -> bool:
    return not since or now - datetime.fromisoformat(since) < timedelta(hours=AGAIN_HOURS)


def _mark(*said: str) -> str:
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:12]


def _request(
    export: Export, hours: Sequence[datetime], marks: dict[tuple[str, datetime], str], window: str
) -> dg.RunRequest:
    first, last = hours[0], hours[-1]
    mark = _mark(window, *(marks[str(export), hour] for hour in hours))
    span = {} if first == last else {RANGE_START: key_of_hour(first), RANGE_END: key_of_hour(last)}
    return dg.RunRequest(
        run_key=f"{export}/{ledger.hour_text(first)}/{ledger.hour_text(last)}/{mark}",
        asset_selection=[export_key(export)],
        partition_key=key_of_hour(first) if first == last else None,
        tags={**span, "destination": export.destination},
    )
