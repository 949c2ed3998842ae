"""The Dagster form of `headwater disposition`: a job that takes dispositions typed into its launchpad, or a file."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from lake.signals import verdicts
from lake.signals.verdicts import VALUES, Verdict, parse_moment, read_verdicts
from lake.storage.publish import recover
from orchestration.graph import Graph
from orchestration.settings import load_settings, open_lake
from orchestration.steps.products import product_names


class Said(dg.Config):
    """What is said of one finding."""

    finding_uid: str = Field(description="finding_info.uid of the finding.")
    disposition: str = Field(description=f"One of {', '.join(VALUES)}.")
    by: str = Field(default="", description="Who says so.")
    note: str = Field(default="", description="Why.")
    at: str = Field(default="", description="When it was decided (ISO 8601, UTC); left out: now.")


class Dispositions(dg.Config):
    """Dispositions to add: typed here, or in a CSV or NDJSON file that the machine of the run can read, or both."""

    said: list[Said] = Field(default=[], description="One entry a finding.")
    file: str = Field(default="", description="Path of a file with finding_uid, disposition, and by, note, at.")


@dg.op(description="Add what analysts say of findings. The last one counts; what was said before is kept.")
def record_dispositions(context: dg.OpExecutionContext, config: Dispositions) -> None:
    """Add what is given; fail, after adding the rest, when something cannot be taken."""
    given = [_verdict(each, f"said[{number}]") for number, each in enumerate(config.said)]
    given += read_verdicts(Path(config.file)) if config.file else []
    store = open_lake(load_settings())
    recover(store)
    done = verdicts.add_verdicts(store, given, product_names(), Path(config.file).name if config.file else "Dagster")
    context.add_output_metadata(
        {"added": len(done.added), "unchanged": len(done.unchanged), "refused": len(done.refused)}
    )
    for refused in done.refused:
        context.log.error(f"{refused.verdict.where}: {refused.reason}")
    if done.refused:
        raise dg.Failure(f"{len(done.refused)} dispositions were not taken; {len(done.added)} were added")


@dg.job(description="Say what came of findings: true, false, benign, duplicate or inconclusive.")
def add_dispositions() -> None:
    """Add dispositions."""
    record_dispositions()


def definitions(graph: Graph) -> dg.Definitions:
    """Return the job."""
    return dg.Definitions(jobs=[add_dispositions])


def _verdict(said: Said, where: str) -> Verdict:
    at = parse_moment(said.at, where) if said.at else None
    return Verdict(said.finding_uid, said.disposition, said.by, said.note, at, where)
