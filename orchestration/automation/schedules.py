"""When hours are landed and looked for: jobs and hourly schedules. All are off until somebody turns them on."""

import math
from collections.abc import Mapping
from datetime import timedelta

import dagster as dg

from ingest.contracts import Contract
from orchestration.checks.integrity import INTEGRITY
from orchestration.graph import Graph
from orchestration.settings import Settings
from orchestration.steps.collect import settle_of
from orchestration.steps.verify import verifiable

_LATEST_MINUTE = 55
_MINUTE = timedelta(minutes=1)


def definitions(graph: Graph) -> dg.Definitions:
    """Return the hourly landing of each source."""
    return landing_schedules(graph.settings, graph.raw)


def landing_schedules(settings: Settings, sources: Mapping[dg.AssetKey, Contract]) -> dg.Definitions:
    """Return, per source, the job that lands an arrival hour and its schedule, which lets the hour settle first."""
    jobs, schedules = [], []
    for key, contract in sources.items():
        job = dg.define_asset_job(
            f"land_{contract.source}",
            selection=_landing(key, contract),
            description=f"Land one arrival hour of {contract.source}, and check its batch.",
            tags={"source": contract.source},
        )
        minute = minute_after_hour(settle_of(settings, contract))
        schedules.append(
            dg.build_schedule_from_partitioned_job(
                job,
                name=f"land_{contract.source}_hourly",
                minute_of_hour=minute,
                description=(
                    f"Lands the hour that is over, at minute {minute}, when {contract.source} has settled. Off until"
                    " turned on. What lands makes event hours stale; turn on stale_hours_sensor to have them built."
                ),
            )
        )
        jobs.append(job)
    return dg.Definitions(jobs=jobs, schedules=schedules)


def _landing(key: dg.AssetKey, contract: Contract) -> dg.AssetSelection:
    """Return the raw asset and its checks, without the one whose hour is not provable yet when it lands."""
    landing = dg.AssetSelection.assets(key)
    if not verifiable([contract.source]):
        return landing
    return landing - dg.AssetSelection.checks(dg.AssetCheckKey(key, INTEGRITY))


def arrival_schedule(checks: dg.AssetChecksDefinition) -> dg.Definitions:
    """Return the job that looks for the newest closed hour of every source, and its schedule, late in each hour."""
    job = dg.define_asset_job(
        "look_for_newest_hours",
        selection=dg.AssetSelection.checks(checks),
        description="Look whether the newest closed arrival hour of every source has landed.",
    )
    schedule = dg.ScheduleDefinition(
        name="look_for_newest_hours_hourly",
        job=job,
        cron_schedule=f"{_LATEST_MINUTE} * * * *",
        execution_timezone="UTC",
        description="Notices when a source delivers nothing. Off until turned on.",
    )
    return dg.Definitions(jobs=[job], schedules=[schedule])


def minute_after_hour(settle: timedelta) -> int:
    """Return the minute of the hour at which an hour that takes `settle` to settle may be landed."""
    return min(math.ceil((settle + _MINUTE) / _MINUTE), _LATEST_MINUTE)
