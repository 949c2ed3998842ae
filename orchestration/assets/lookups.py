"""Lookup providers as assets: one each, with a job that asks them all and its hourly schedule, off until turned on.

Only providers that the settings name have assets. A provider that is down fails nothing: its events are published, and
wait.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from ingest.lookups.ask import Asked, ask_pending
from ingest.lookups.pending import LookupStatus, lookup_status
from ingest.lookups.provider import Lookup
from lake.storage.publish import recover
from orchestration.graph import BuiltTable, Graph
from orchestration.settings import Settings, load_settings, lookups_of, open_lake

ROOM = "lookups"
WAITS = "pending_not_older_than_a_day"
_LONGEST_WAIT = timedelta(days=1)
_MOST_SECONDS = 50 * 60.0  # the next run of the hour goes on
_MINUTE = 20


def definitions(graph: Graph) -> dg.Definitions:
    """Return the lookup providers that the settings name."""
    return lookup_assets(graph.settings, graph.tables)


def lookup_key(name: str) -> dg.AssetKey:
    """Return the key of a provider's asset."""
    return dg.AssetKey([ROOM, name])


def lookup_assets(settings: Settings, tables: Mapping[str, Sequence[BuiltTable]]) -> dg.Definitions:
    """Return assets, job and schedule of the settings' providers; nothing where there are none.

    `tables` are the built ones by source: a provider's asset depends on those that it is asked about.
    """
    found = lookups_of(settings)
    if not found:
        return dg.Definitions()
    job = dg.define_asset_job(
        "look_up",
        selection=dg.AssetSelection.assets(*map(lookup_key, found)),
        description="Ask the lookup providers about what events wait for, within their budgets.",
    )
    schedule = dg.ScheduleDefinition(
        name="look_up_hourly",
        job=job,
        cron_schedule=f"{_MINUTE} * * * *",
        execution_timezone="UTC",
        description=(
            "Asks about what events wait for. Off until turned on. Answers make hours stale; turn on stale_hours_sensor"
            " to have these built again."
        ),
    )
    assets = [_asset(each, _asked_of(each, tables)) for each in found.values()]
    return dg.Definitions(assets=assets, jobs=[job], schedules=[schedule])


def _asked_of(lookup: Lookup, tables: Mapping[str, Sequence[BuiltTable]]) -> list[dg.AssetKey]:
    names = {each.table for each in lookup.options.attributes}
    return [each.key for built in tables.values() for each in built if each.model.split("__")[0] in names]


def _asset(lookup: Lookup, deps: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    key = lookup_key(lookup.name)

    @dg.asset(
        key=key,
        deps=list(deps),
        pool=f"lookup_{lookup.name}",
        group_name=ROOM,
        kinds={lookup.kind},
        tags={"layer": "reference"},
        description=(
            f"Answers of {lookup.name} ({lookup.kind}) about {', '.join(lookup.options.ask_about) or 'nothing yet'}:"
            " each observable is asked once in the lifetime of its answer."
        ),
        check_specs=[
            dg.AssetCheckSpec(WAITS, asset=key, description="No event waits for an answer for longer than a day.")
        ],
    )
    def ask(context: dg.AssetExecutionContext) -> Iterator[Any]:
        now = load_settings()
        store, asked_for = open_lake(now), lookups_of(now)[lookup.name]
        recover(store)
        done = ask_pending(store, asked_for, most_seconds=_MOST_SECONDS, told=context.log.info)
        for line in done.failures:
            context.log.warning(line)
        if done.needs_look:
            said = done.stopped or done.failures[0]
            raise dg.Failure(f"{said}. Events are published, and wait", allow_retries=False)
        stands = lookup_status(store, asked_for, time.time())
        yield dg.MaterializeResult(metadata=_metadata(done, stands), check_results=[_waits(key, stands)])

    return ask


def _metadata(done: Asked, stands: LookupStatus) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "answered": done.answered,
        "requests": done.requests,
        "still waiting": stands.waiting,
        "answers held": stands.answers,
        **{f"answers {status}": number for status, number in done.by_status.items()},
        **{f"budget left of the {name}": number for name, number in stands.left.items() if number is not None},
    }
    return metadata | ({"stopped": done.stopped} if done.stopped else {})


def _waits(key: dg.AssetKey, stands: LookupStatus) -> dg.AssetCheckResult:
    age = datetime.now(UTC) - datetime.fromisoformat(stands.since) if stands.since else timedelta(0)
    said = "; ".join(stands.said)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=WAITS,
        passed=age <= _LONGEST_WAIT,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "waiting": stands.waiting,
            "events": stands.events,
            **({"oldest since": stands.since} if stands.since else {}),
            **({"why": said} if said else {}),
        },
    )
