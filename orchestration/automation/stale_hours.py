"""What is built when: a sensor that asks the lake which event hours are stale and requests their build.

An hour is requested once per state of its bronze files and mappings. If its run fails, it stays stale and is not
requested again until one of them changes; run it again from the UI, or by `headwater build`.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import dagster as dg

from lake.build.requests import MOST_HOURS, MOST_RUNS, StaleHour, choose, stale_marts_now, stale_now
from lake.storage.paths import GOLD
from lake.storage.publish import recover
from orchestration.assets.hours import key_of_hour
from orchestration.dbt.project import load_project
from orchestration.graph import Graph
from orchestration.settings import load_settings, open_lake

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def definitions(graph: Graph) -> dg.Definitions:
    """Return the sensor."""
    keys = {each.model: each.key for found in (*graph.tables.values(), graph.marts) for each in found}
    if not keys:
        return dg.Definitions()
    return dg.Definitions(sensors=[stale_sensor(keys, graph.tables, graph.project.folder, graph.start)])


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
        held = load_project(project)
        found: list[StaleHour] = []
        for source in names:
            found += _within_partitions(context, source, stale_now(store, held.mappings, source), start)
        waiting = {each.stale.hour for each in found}
        marts = [each for each in stale_marts_now(store, held.mappings, held.marts) if each.stale.hour not in waiting]
        found += _within_partitions(context, GOLD, marts, start)
        runs, requested = choose(found, json.loads(context.cursor or "{}"))
        reason = f"{len(found)} stale hours, all requested already" if found else "nothing is stale"
        return dg.SensorResult(
            run_requests=[_request(each, keys) for each in runs],
            skip_reason=None if runs else dg.SkipReason(reason),
            cursor=json.dumps(requested),
        )

    return stale_hours_sensor


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
