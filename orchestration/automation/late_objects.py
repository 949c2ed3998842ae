"""Objects that arrive after their hour was landed: a sensor that has the hour landed again."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

import dagster as dg

from ingest.contracts import Contract
from orchestration.assets.hours import key_of_hour
from orchestration.graph import Graph
from orchestration.settings import load_settings
from orchestration.steps.collect import late_objects

MOST_RUNS = 24  # of one tick


def definitions(graph: Graph) -> dg.Definitions:
    """Return the sensor."""
    return dg.Definitions(sensors=[late_objects_sensor(graph.raw, graph.start)] if graph.raw else [])


def late_objects_sensor(sources: Mapping[dg.AssetKey, Contract], start: datetime) -> dg.SensorDefinition:
    """Return the sensor over the raw assets; `start` is the first hour that is a partition."""

    @dg.sensor(
        name="late_objects_sensor",
        asset_selection=dg.AssetSelection.assets(*sources),
        minimum_interval_seconds=300,
        description=(
            "Lands an arrival hour again when objects have appeared in its source's folder after it was landed, so"
            " that a slow copy costs no event; and every hour while objects of it cannot be read. Off until turned on."
        ),
    )
    def late_objects_of_all(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        settings, requests = load_settings(), []
        for key, contract in sources.items():
            late = late_objects(settings, contract)
            for note in late.notes:
                context.log.warning(f"{contract.source}: {note}")
            for hour, names in late.hours.items():
                if hour < start:
                    context.log.warning(
                        f"{contract.source}: {len(names)} objects of {hour:%Y-%m-%dT%H} lie before the first partition;"
                        f" land them with: headwater land {contract.source} {names[0]} …"
                    )
                    continue
                again = [f"{datetime.now(UTC):%Y%m%dT%H}"] if late.unread.get(hour) == set(names) else []
                mark = hashlib.sha256("\n".join([*names, *again]).encode()).hexdigest()[:12]
                requests.append(
                    dg.RunRequest(
                        run_key=f"{contract.source}/{hour:%Y%m%dT%H}/{mark}",
                        asset_selection=[key],
                        partition_key=key_of_hour(hour),
                        tags={"source": contract.source, "headwater/why": f"{len(names)} late objects"},
                    )
                )
        return dg.SensorResult(
            run_requests=requests[:MOST_RUNS],
            skip_reason=None if requests else dg.SkipReason("no object came after its hour was landed"),
        )

    return late_objects_of_all
