"""Jobs that keep the lake in shape: compaction and retention, each with a schedule. All are off until turned on.

Erasures are asked for by a person, at the command line.
"""

import dagster as dg

from lake.storage.publish import recover
from lake.upkeep.compaction import Policy
from orchestration.graph import Graph
from orchestration.settings import load_settings, open_lake
from orchestration.steps.compact_and_retain import compact_lake, due_hours, known_sources, retain_lake, retain_marts

_DAILY_COMPACTION, _DAILY_RETENTION = "40 2 * * *", "20 3 * * *"  # UTC; away from the hour, when landing is busy


class Retention(dg.Config):
    """Whether expired hours are removed; without, the run only says what would go."""

    apply: bool = False


@dg.op(description="Merge the many small files of each settled hour into one. No row changes.")
def compact_hours(context: dg.OpExecutionContext) -> None:
    """Compact what is due, and tell."""
    settings = load_settings()
    store = open_lake(settings)
    recover(store)
    names = known_sources(store)
    wanted, waiting = due_hours(store, names, Policy())
    done = compact_lake(store, settings, names, wanted, lambda each: context.log.info(f"merging {each.where}"))
    context.add_output_metadata(
        {
            "merged files": len(done.merged),
            "of files": sum(each.files_before for each in done.merged),
            "bytes before": sum(each.bytes_before for each in done.merged),
            "bytes after": sum(each.bytes_after for each in done.merged),
            "hours that wait to be built": waiting,
        }
    )
    if done.left:
        where, why = next(iter(done.left.items()))
        context.log.warning(f"{len(done.left)} hours were left as they are (first: {where}: {why})")


@dg.op(description="Remove hours that are older than their contract's retention; receipts keep what they held.")
def expire_hours(context: dg.OpExecutionContext, config: Retention) -> None:
    """Say what has expired; with `apply`, remove it."""
    settings = load_settings()
    store = open_lake(settings)
    recover(store)
    found = retain_lake(store, known_sources(store), config.apply)
    for each in found:
        if each.days:
            rows, files = sum(day.rows for day in each.days), sum(day.files for day in each.days)
            done = "removed" if config.apply else "would be removed (set ops.expire_hours.config.apply)"
            context.log.info(f"{each.source}: {files} files with {rows} landed rows, up to {each.newest}, {done}")
    marts = retain_marts(store, config.apply)
    context.add_output_metadata(
        {
            "applied": config.apply,
            "mart hours": sum(map(len, marts.values())),
            "files": sum(day.files for each in found for day in each.days),
            "rows": sum(day.rows for each in found for day in each.days),
        }
    )


@dg.job(description="Merge the many small files of each settled hour into one. No row changes.")
def compact_lake_files() -> None:
    """Compact the lake."""
    compact_hours()


@dg.job(description="Say which hours have expired by their contracts; remove them with `apply: true`.")
def expire_lake_hours() -> None:
    """Apply the contracts' retention."""
    expire_hours()


def definitions(graph: Graph) -> dg.Definitions:
    """Return the jobs and their schedules."""
    compaction = dg.ScheduleDefinition(
        name="compact_daily",
        job=compact_lake_files,
        cron_schedule=_DAILY_COMPACTION,
        execution_timezone="UTC",
        description="Merges the files of hours that have settled. Off until turned on.",
    )
    retention = dg.ScheduleDefinition(
        name="expire_daily",
        job=expire_lake_hours,
        cron_schedule=_DAILY_RETENTION,
        execution_timezone="UTC",
        run_config={"ops": {"expire_hours": {"config": {"apply": True}}}},
        description="Removes hours beyond their contract's retention. Off until turned on; see headwater retain.",
    )
    return dg.Definitions(jobs=[compact_lake_files, expire_lake_hours], schedules=[compaction, retention])
