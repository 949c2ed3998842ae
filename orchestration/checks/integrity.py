"""Check of what a vendor signed: log files are the ones that were delivered, none missing, none altered.

It never blocks landing, for an hour's digests come up to two hours after it.
"""

from collections.abc import Iterator

import dagster as dg

from ingest.contracts import Contract
from ingest.sources import Report
from orchestration.assets.hours import hour_texts
from orchestration.assets.keys import bronze_key
from orchestration.assets.landing_metadata import table
from orchestration.graph import Graph
from orchestration.settings import load_settings, open_lake
from orchestration.steps.collect import SourceNotConfigured
from orchestration.steps.verify import newest_settled, verifiable, verify_hours

INTEGRITY = "log_file_integrity"
_MINUTE = 20
_CONFIG = "Arrival hour, YYYY-MM-DDTHH, included. Without: the run's partitions, or the newest hour that is provable."
_NAMED, _SHOWN = 5, 200  # findings in the description, and in the table


def definitions(graph: Graph) -> dg.Definitions:
    """Return the check and the schedule of each source whose vendor signs what it delivers."""
    signed = {source: graph.contracts[source] for source in verifiable(graph.contracts)}
    checks = {source: integrity_check(bronze_key(source), contract) for source, contract in signed.items()}
    return dg.Definitions.merge(
        dg.Definitions(asset_checks=[*checks.values()]),
        *(integrity_schedule(contract, checks[source]) for source, contract in signed.items()),
    )


def integrity_check(key: dg.AssetKey, contract: Contract) -> dg.AssetChecksDefinition:
    """Return the check of a source's raw asset, over the run's arrival hours, or those that its config names."""
    words = (
        "Every log file that the vendor's signed digests name is there and unaltered, no other file lies among them,"
        " and the lake holds the files that were verified. Hours whose digests are not due yet are left out."
    )

    @dg.multi_asset_check(
        name=f"log_files_{contract.source}",
        specs=[dg.AssetCheckSpec(INTEGRITY, asset=key, description=words)],
        can_subset=True,
        config_schema={each: dg.Field(str, is_required=False, description=_CONFIG) for each in ("first", "last")},
    )
    def verify_log_files(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        hours = _hours(context, contract.source)
        if not hours:
            context.log.info("the digests of these hours are not due yet; nothing was verified")
            return
        settings = load_settings()
        try:
            yield told(key, verify_hours(settings, contract, open_lake(settings), min(hours), max(hours)))
        except SourceNotConfigured as problem:
            context.log.info(f"nothing was verified: {problem}")

    return verify_log_files


def told(key: dg.AssetKey, report: Report) -> dg.AssetCheckResult:
    """Return a report as the result of the check: the worst severity, the files by name, all findings as a table."""
    metadata: dict[str, dg.MetadataValue | int] = {
        name: getattr(report, name) for name in ("digests", "log_files", "intact", "proven", "landed", "bytes")
    }
    rows = [(each.severity, each.kind, each.file, each.why, ", ".join(each.batches)) for each in report.findings]
    if rows:
        columns = ("severity", "finding", "file", "why", "batches")
        metadata["findings"] = dg.MetadataValue.md(table(columns, rows[:_SHOWN]))
    chains = [(each.chain, each.digests, each.proven, each.first, each.last) for each in report.chains]
    metadata["chains"] = dg.MetadataValue.md(table(("chain", "digests", "proven", "from", "to"), chains))
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=INTEGRITY,
        passed=report.sound,
        severity=dg.AssetCheckSeverity.ERROR if report.severity == "error" else dg.AssetCheckSeverity.WARN,
        description=_description(report),
        metadata=metadata,
    )


def _description(report: Report) -> str:
    span = report.first if report.first == report.last else f"{report.first} to {report.last}"
    if report.sound:
        return (
            f"{span}: {report.log_files:,} log files are as they were signed, by {report.digests:,} digests;"
            f" {report.landed:,} of them landed"
        )
    worst = sorted(report.findings, key=lambda each: each.severity != "error")
    more = f"; and {len(worst) - _NAMED} more" if len(worst) > _NAMED else ""
    return f"{span}: " + "; ".join(f"{each.file}: {each.meaning}" for each in worst[:_NAMED]) + more


def _hours(context: dg.AssetCheckExecutionContext, source: str) -> list[str]:
    op, settled = context.op_execution_context, newest_settled(source)
    first, last = (op.op_config.get(each) for each in ("first", "last"))
    if first or last:
        return sorted({first or last, last or first})
    if op.has_partition_key or op.has_partition_key_range:
        return [each for each in hour_texts(op.partition_keys) if each <= settled]
    return [settled]


def integrity_schedule(contract: Contract, checks: dg.AssetChecksDefinition) -> dg.Definitions:
    """Return the job that verifies arrival hours, and its schedule: each hour, the hour whose digests are due."""
    job = dg.define_asset_job(
        f"verify_{contract.source}",
        selection=dg.AssetSelection.checks(checks),
        description="Verify the log files of an arrival hour by what their vendor signed.",
        tags={"source": contract.source},
    )

    @dg.schedule(
        name=f"verify_{contract.source}_hourly",
        job=job,
        cron_schedule=f"{_MINUTE} * * * *",
        execution_timezone="UTC",
        description="Verifies the newest arrival hour whose digests must be there. Off until turned on.",
    )
    def verify_hourly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        hour = newest_settled(contract.source, context.scheduled_execution_time)
        return dg.RunRequest(
            run_key=hour, run_config={"ops": {checks.node_def.name: {"config": {"first": hour, "last": hour}}}}
        )

    return dg.Definitions(jobs=[job], schedules=[verify_hourly])
