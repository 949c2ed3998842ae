"""What is built when: a sensor that asks the lake which event hours are stale and requests their build.

An hour is requested once per state of its bronze files and mappings. If its run fails, it stays stale and is not
requested again until one of them changes; run it again from the UI, or by `headwater build`.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg

from lake import ledger
from lake.ledger.lookup_answers import versions
from lake.ledger.staleness import ANSWERED, Stale, bronze_inputs, row_marks, stale_hours
from lake.marts.staleness import Tables, stale_mart
from lake.storage.paths import GOLD
from lake.storage.publish import recover
from lake.storage.store import Store
from orchestration.assets.hours import key_of_hour, runs_of_hours
from orchestration.dbt.project import load_project
from orchestration.graph import Graph
from orchestration.settings import load_settings, open_lake

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
MOST_RUNS, MOST_HOURS = 6, 168  # of one tick, and of one run: a week of hours is one dbt run

Requested = dict[str, dict[str, str]]  # source → hour → mark of the state in which its build was requested


def definitions(graph: Graph) -> dg.Definitions:
    """Return the sensor."""
    keys = {each.model: each.key for found in (*graph.tables.values(), graph.marts) for each in found}
    return dg.Definitions(sensors=[stale_sensor(keys, graph.tables, graph.project.folder, graph.start)])


@dataclass(frozen=True)
class StaleHour:
    """A stale hour with a mark of the state that makes it stale: its bronze files and its models' mappings."""

    stale: Stale
    mark: str

    @property
    def hour(self) -> datetime:
        """Return the hour (naive UTC)."""
        return ledger.hour(self.stale.hour)


def stale_sensor(
    keys: Mapping[str, dg.AssetKey], sources: Iterable[str], project: Path, start: datetime
) -> dg.SensorDefinition:
    """Return the sensor; `keys` are the assets by model, `start` is the first hour that is a partition."""
    names = sorted(sources)

    @dg.sensor(
        name="stale_hours_sensor",
        asset_selection=dg.AssetSelection.assets(*keys.values()),
        minimum_interval_seconds=60,
        description=(
            "Builds event hours whose bronze files or mappings have changed since they were built: new hours, and old"
            " ones that late events reopened; then the marts of gold that are made of them."
            f" At most {MOST_RUNS} runs a tick, each of up to {MOST_HOURS} hours. Off"
            " until turned on."
        ),
    )
    def stale_hours_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        store = open_lake(load_settings())
        recover(store)
        found: list[StaleHour] = []
        for source in names:
            found += _within_partitions(context, source, stale_now(store, project, source), start)
        waiting = {each.stale.hour for each in found}
        marts = [each for each in stale_marts_now(store, project) if each.stale.hour not in waiting]
        found += _within_partitions(context, GOLD, marts, start)
        runs, requested = choose(found, json.loads(context.cursor or "{}"))
        reason = f"{len(found)} stale hours, all requested already" if found else "nothing is stale"
        return dg.SensorResult(
            run_requests=[_request(each, keys) for each in runs],
            skip_reason=None if runs else dg.SkipReason(reason),
            cursor=json.dumps(requested),
        )

    return stale_hours_sensor


def stale_now(store: Store, project: Path, source: str) -> list[StaleHour]:
    """Return the stale hours of a source, oldest first."""
    mappings = load_project(project).mappings
    inputs = bronze_inputs(ledger.landings(store, source))
    found = []
    for each in stale_hours(store, mappings, source):
        state: list[object] = [row_marks(inputs.get(each.hour, []))]
        state.append([(model, mappings.fingerprint(model)) for model in each.models])
        if each.why == ANSWERED:
            state.append(versions(store))
        found.append(StaleHour(each, hashlib.sha256(json.dumps(state).encode()).hexdigest()[:12]))
    return found


def stale_marts_now(store: Store, project: Path) -> list[StaleHour]:
    """Return the hours in which marts are stale, oldest first. They are asked for once what they read is built."""
    held, tables = load_project(project), Tables(store)
    mappings, marts = held.mappings, held.marts.by_name
    by_hour: dict[str, dict[str, str]] = {}
    for name, mart in marts.items():
        for each in stale_mart(store, mappings, mart, tables):
            by_hour.setdefault(each.hour, {})[name] = each.why
    found = []
    for hour, whys in sorted(by_hour.items()):
        made_of = [(name, mappings.fingerprint(name), tables.inputs(marts[name], hour)) for name in whys]
        state = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
        found.append(StaleHour(Stale(GOLD, hour, tuple(sorted(whys)), next(iter(whys.values()))), state))
    return found


def choose(found: Iterable[StaleHour], before: Requested) -> tuple[list[list[StaleHour]], Requested]:
    """Return the runs to request now, each of hours without a gap and of the same models; and what is requested then.

    What was requested before, and is stale in the same state still, is not requested again.
    """
    requested: Requested = {}
    groups: dict[tuple[str, tuple[str, ...]], dict[datetime, StaleHour]] = {}
    for each in found:
        source, hour = each.stale.source, each.stale.hour
        if before.get(source, {}).get(hour) == each.mark:
            requested.setdefault(source, {})[hour] = each.mark
        else:
            groups.setdefault((source, each.stale.models), {})[each.hour] = each
    runs = [[group[hour] for hour in run] for group in groups.values() for run in runs_of_hours(group, MOST_HOURS)]
    runs = sorted(runs, key=lambda run: (run[0].stale.hour, run[0].stale.source))[:MOST_RUNS]
    for each in (each for run in runs for each in run):
        requested.setdefault(each.stale.source, {})[each.stale.hour] = each.mark
    return runs, requested


def _request(run: Sequence[StaleHour], keys: Mapping[str, dg.AssetKey]) -> dg.RunRequest:
    first, last = run[0], run[-1]
    marks = hashlib.sha256("".join(each.mark for each in run).encode()).hexdigest()[:12]
    hours = {} if len(run) == 1 else {RANGE_START: key_of_hour(first.hour), RANGE_END: key_of_hour(last.hour)}
    return dg.RunRequest(
        run_key=f"{first.stale.source}/{first.stale.hour}/{last.stale.hour}/{marks}",
        asset_selection=[keys[model] for model in first.stale.models if model in keys],
        partition_key=key_of_hour(first.hour) if len(run) == 1 else None,
        tags={**hours, "source": first.stale.source, "headwater/why": first.stale.why},
    )


def _within_partitions(
    context: dg.SensorEvaluationContext, source: str, found: Sequence[StaleHour], start: datetime
) -> list[StaleHour]:
    early = [each.stale.hour for each in found if each.hour < start]
    if early:
        of = "" if source == GOLD else f" --source {source}"
        context.log.warning(
            f"{source}: {len(early)} stale hours lie before the first partition ({early[0]} to {early[-1]}) and are not"
            f" built here; build them with: headwater build{of} --to {early[-1]}"
        )
    return [each for each in found if each.hour >= start]
