"""The job that reads files of the lake again and holds them against their receipts, with its schedule. Off at first."""

import dagster as dg

from orchestration.graph import Graph
from orchestration.settings import load_settings, open_lake
from orchestration.steps.verify import verify_lake

_DAILY, _SHARE = "10 4 * * *", 0.02  # UTC, after compaction and retention; a file is read every 50 days on average
_NAMED = 20


class Sample(dg.Config):
    """Which share of the files is read again, from 0 to 1; sizes of all are compared."""

    share: float = 1.0


@dg.op(description="Hold the files of the lake against their receipts: all sizes, a share of the bytes. Damage fails.")
def verify_files(context: dg.OpExecutionContext, config: Sample) -> None:
    """Read a share of the files again, and tell."""
    settings = load_settings()
    report = verify_lake(open_lake(settings), config.share, settings=settings)
    looked = report.looked
    context.add_output_metadata(
        {
            "files": sum(looked.files.values()),
            "bytes": sum(looked.bytes.values()),
            "files read again": sum(looked.read.values()),
            "of these without checksum": sum(looked.not_checked.values()),
            "damaged, missing or unknown": len(report.damage),
            "put aside, to be built again": len(report.marked),
        }
    )
    for each in report.damage[:_NAMED]:
        context.log.error(f"{each}" + (f" (now {report.marked[each.key]})" if each.key in report.marked else ""))
    if report.damage:
        first = report.damage[0]
        raise dg.Failure(
            f"{len(report.damage):,} files are damaged, missing or unknown (first: {first}); `headwater verify lake`"
            " names all of them",
            allow_retries=False,
        )


@dg.job(description="Hold the lake's files against their receipts: sizes of all, bytes of a share.")
def verify_lake_files() -> None:
    """Verify the lake."""
    verify_files()


def definitions(graph: Graph) -> dg.Definitions:
    """Return the job and its schedule."""
    daily = dg.ScheduleDefinition(
        name="verify_lake_daily",
        job=verify_lake_files,
        cron_schedule=_DAILY,
        execution_timezone="UTC",
        run_config={"ops": {"verify_files": {"config": {"share": _SHARE}}}},
        description=f"Reads {_SHARE:.0%} of the lake's files again. Off until turned on; see headwater verify lake.",
    )
    return dg.Definitions(jobs=[verify_lake_files], schedules=[daily])
