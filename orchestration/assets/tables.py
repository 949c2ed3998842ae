"""dbt's models as assets: one definition per source, so that a broken mapping of one source stops no other; one of all
marts, since they are made of each other.

What belongs here: running the selected models over the run's event hours, and what Dagster shows of them. What does
not: what an asset looks like (`orchestration.dbt.translator`), running dbt (`orchestration.dbt.run`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from lake import ledger
from lake.build.run import Plan
from lake.ledger.receipts import BuildReceipt
from lake.storage.store import Store
from orchestration.assets.hours import hour_texts, key_of_hour
from orchestration.assets.landing_metadata import table
from orchestration.dbt.project import Project, load_project
from orchestration.dbt.request import Request
from orchestration.dbt.run import BuildFailed, run_dbt
from orchestration.dbt.translator import LakeTranslator
from orchestration.graph import BuiltTable, Graph
from orchestration.settings import load_settings, open_lake


def definitions(graph: Graph) -> dg.Definitions:
    """Return the tables and views of silver and gold."""
    silver = [silver_assets(source, found, graph.project, graph.translator) for source, found in graph.tables.items()]
    gold = gold_assets(graph.marts, graph.project, graph.translator)
    return dg.Definitions(assets=[*silver, *gold, *view_specs(graph.project, graph.translator)])


def silver_assets(
    source: str, tables: Sequence[BuiltTable], project: Project, translator: LakeTranslator
) -> dg.AssetsDefinition:
    """Return the assets of a source's tables. A range of hours is one dbt run."""
    return _assets(f"build_{source}", tables, project, translator, lambda _, hours: Plan({source: hours}))


def gold_assets(marts: Sequence[BuiltTable], project: Project, translator: LakeTranslator) -> list[dg.AssetsDefinition]:
    """Return the assets of the marts; none when the project has none. A range of hours is one dbt run."""

    def plan(models: Sequence[str], hours: tuple[str, ...]) -> Plan:
        return Plan(marts=dict.fromkeys(models, hours))

    return [_assets("build_marts", marts, project, translator, plan)] if marts else []


def view_specs(project: Project, translator: LakeTranslator) -> list[dg.AssetSpec]:
    """Return dbt's views, which show the way of the data; nothing is stored for them, so nothing runs them."""
    return [translator.spec(each) for each in project.views]


def _assets(
    name: str,
    tables: Sequence[BuiltTable],
    project: Project,
    translator: LakeTranslator,
    plan: Callable[[Sequence[str], tuple[str, ...]], Plan],
) -> dg.AssetsDefinition:
    models = {each.key: each.model for each in tables}
    ids = {project.name(each): each for each in project.models}

    @dg.multi_asset(
        name=name,
        specs=[translator.spec(ids[model]).replace_attributes(skippable=True) for model in models.values()],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=name,
    )
    def build(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        hours = hour_texts(context.partition_keys)
        chosen = {key: models[key] for key in sorted(context.selected_asset_keys)}
        settings = load_settings()
        store = open_lake(settings)
        request = Request(settings, store, load_project(project.folder), plan([*chosen.values()], hours))
        failures = run_dbt(request, [*chosen.values()], quiet=False)
        for key, model in chosen.items():
            if model not in failures:
                for hour, metadata in build_metadata(store, model, hours).items():
                    context.add_asset_metadata(metadata, asset_key=key, partition_key=key_of_hour(hour))
                yield dg.MaterializeResult(asset_key=key)
        if failures:
            raise BuildFailed(failures)

    return build


def build_metadata(store: Store, model: str, hours: tuple[str, ...]) -> dict[datetime, dict[str, Any]]:
    """Return, by event hour (naive UTC), the receipts of one model as metadata."""
    days = {day: ledger.build_day(store, model, day) for day in {ledger.hour(hour).date() for hour in hours}}
    found = {ledger.hour(hour): days[ledger.hour(hour).date()].get(hour) for hour in hours}
    return {hour: _metadata(receipt) for hour, receipt in found.items() if receipt is not None}


def _metadata(receipt: BuildReceipt) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "rows": receipt.rows,
        "bytes": receipt.bytes,
        **_made_of(receipt),
        "mapping": receipt.mapping,
        "file": receipt.file or "none: the hour has no rows",
        "dagster/partition_row_count": receipt.rows,
    }
    metadata |= {f"events_{name}": number for name, number in receipt.counts.items()}
    if receipt.invalid:
        rows = [(rule, number, receipt.samples.get(rule, "")) for rule, number in receipt.invalid.items()]
        metadata["ocsf_rules_broken"] = dg.MetadataValue.md(table(("rule", "rows", "metadata.uid of one"), rows))
    if receipt.context:
        metadata["reference_tables"] = dg.MetadataValue.json(receipt.context)
    return metadata


def _made_of(receipt: BuildReceipt) -> Mapping[str, Any]:
    """Return how many bronze files a table was made of, or of a mart what it read, with the hours before and after."""
    if receipt.source:
        return {"bronze_files": len(receipt.inputs)}
    return {"reads": ", ".join(name for name, _ in receipt.inputs)}
