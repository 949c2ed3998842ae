"""The Dagster graph as text, for the committed snapshot: `python -m tests.integration.dagster.graph` writes it anew.

dbt's models are left out: they follow from files, and a test holds them against the files. An analyst who adds a model
edits no Python and no snapshot.
"""

import os
import tempfile
from pathlib import Path

import dagster as dg

from ingest.contracts import load_contracts

FILE = Path(__file__).with_name("graph.txt")


def graph_text(defs: dg.Definitions) -> str:
    """Return one line per raw asset, check, job, schedule, sensor and resource."""
    graph = defs.resolve_asset_graph()
    raw = [node for node in graph.asset_nodes if node.key.path[0] == "bronze"]
    lines = [
        f"asset {node.key.to_user_string()} group={node.group_name} owner={','.join(node.owners)}"
        f" pools={_pools(defs, node)} kinds={','.join(sorted(node.kinds))} {_partitions(node.partitions_def)}"
        for node in raw
    ]
    keys = {node.key for node in raw}
    lines += [
        f"check {each.asset_key.to_user_string()} {each.name}"
        for each in graph.asset_check_keys
        if each.asset_key in keys
    ]
    repository = defs.get_repository_def()
    lines += [f"job {job.name}" for job in repository.get_all_jobs() if not job.name.startswith("__")]
    lines += [
        f"schedule {each.name} {each.cron_schedule} {each.default_status.value}" for each in repository.schedule_defs
    ]
    lines += [f"sensor {each.name} {each.default_status.value}" for each in repository.sensor_defs]
    return "\n".join(sorted(lines)) + "\n"


def _partitions(partitions: dg.PartitionsDefinition | None) -> str:
    if not isinstance(partitions, dg.HourlyPartitionsDefinition):
        return "none"
    return f"hourly {partitions.timezone} from {partitions.get_first_partition_key()}"


def _pools(defs: dg.Definitions, node: object) -> str:
    return ",".join(sorted(defs.resolve_assets_def(node.key).op.pools))  # type: ignore[attr-defined]


def land_every_source(folder: Path) -> None:
    """Make a lake below a folder look as if every source had landed there: others are no assets."""
    for source in load_contracts():
        (folder / ".headwater/lake/ledger/landing" / source).mkdir(parents=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        land_every_source(Path(folder))
        os.chdir(folder)
        from orchestration.definitions import definitions

        FILE.write_text(graph_text(definitions()))
