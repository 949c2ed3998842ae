"""Draining queues between the hours: for each source with a queue, a job and a schedule that is off until turned on.

The hourly run of a source drains its queue too; this is for those who want events within minutes.
"""

from collections.abc import Iterable

import dagster as dg

from ingest.contracts import Contract
from ingest.landing import LandingError, LandingSettings
from ingest.landing.queue import one_drainer
from lake.storage.publish import recover
from orchestration.graph import Graph
from orchestration.settings import ObjectSource, Settings, in_zone, load_settings, open_lake
from orchestration.steps.collect import drain_queue

EVERY_MINUTES = 5


def definitions(graph: Graph) -> dg.Definitions:
    """Return the jobs and schedules of sources with a queue."""
    return queue_schedules(graph.settings, graph.contracts.values())


def queue_schedules(settings: Settings, contracts: Iterable[Contract]) -> dg.Definitions:
    """Return the job and schedule of every source whose settings name a queue."""
    jobs, schedules = [], []
    for contract in contracts:
        place = settings.sources.get(contract.source)
        if isinstance(place, ObjectSource) and place.queue:
            job = _job(contract)
            jobs.append(job)
            schedules.append(
                dg.ScheduleDefinition(
                    name=f"{job.name}_often",
                    job=job,
                    cron_schedule=f"*/{EVERY_MINUTES} * * * *",
                    execution_timezone="UTC",
                    description=f"Lands what the queue of {contract.source} announces. Off until turned on.",
                )
            )
    return dg.Definitions(jobs=jobs, schedules=schedules)


def _job(contract: Contract) -> dg.JobDefinition:
    name = f"drain_{contract.source}"

    @dg.op(
        name=name, pool=f"land_{contract.vendor}", description=f"Land what the queue of {contract.source} announces."
    )
    def drain_one(context: dg.OpExecutionContext) -> None:
        settings = load_settings()
        place = settings.sources.get(contract.source)
        if not isinstance(place, ObjectSource):
            raise LandingError(f"{contract.source} has no queue any more: reload the code location")
        store = open_lake(settings)
        recover(store)
        limits = LandingSettings(memory_bytes=settings.memory_bytes, threads=settings.threads)
        with one_drainer(store, contract.source):
            done = drain_queue(settings, in_zone(settings, contract), place, store, limits)
        for receipt in done.receipts:
            context.log.info(
                f"batch {receipt.batch}: {receipt.read:,} read = {receipt.landed:,} landed +"
                f" {receipt.quarantined:,} quarantined, {len(receipt.objects)} objects"
            )
        for number, note in enumerate(done.notes()):
            (context.log.warning if number else context.log.info)(note)
        if done.refused:
            raise LandingError(f"{contract.source}: {done.refusal()}")

    @dg.job(name=name, tags={"source": contract.source}, description=f"Land what {contract.source}'s queue announces.")
    def drain_job() -> None:
        drain_one()

    return drain_job
