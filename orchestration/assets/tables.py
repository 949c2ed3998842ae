"""dbt's models as assets: one definition per source, so that a broken mapping of one source stops no other; one of all
marts, since they are made of each other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from lake import ledger
from lake.build.run import Plan
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.storage.store import Store
from orchestration.assets.hours import hour_texts, key_of_hour
from orchestration.assets.keys import RECEIPT, receipt_mark
from orchestration.assets.landing_metadata import table
from orchestration.dbt.failing_hours import in_sentences
from orchestration.dbt.project import load_project
from orchestration.dbt.request import Request
from orchestration.dbt.run import BuildFailed, run_models
from orchestration.graph import BuiltTable, Graph
from orchestration.settings import load_settings, open_lake

_Planned = Callable[[Sequence[str], tuple[str, ...]], Plan]  # from chosen models and hours to the plan of a dbt run


def definitions(graph: Graph) -> dg.Definitions:
    """Return the tables of silver and gold, and dbt's views, which nothing runs: nothing is stored for them."""
    silver = [
        _assets(graph, f"build_{source}", tables, lambda _, hours, source=source: Plan({source: hours}))  # type: ignore[misc]
        for source, tables in graph.tables.items()
    ]
    marts = [_assets(graph, "build_marts", graph.marts, _plan_of_marts)] if graph.marts else []
    views = [graph.translator.spec(each) for each in graph.views]
    return dg.Definitions(assets=[*silver, *marts, *views])


def _plan_of_marts(models: Sequence[str], hours: tuple[str, ...]) -> Plan:
    return Plan(marts=dict.fromkeys(models, hours))


def _assets(graph: Graph, name: str, tables: Sequence[BuiltTable], plan: _Planned) -> dg.AssetsDefinition:
    """Return the assets of tables that one step builds. A range of hours is one dbt run."""
    project, translator = graph.project, graph.translator
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
        ran = run_models(request, [*chosen.values()], quiet=False)
        failures = ran.failures
        for sentence in in_sentences(ran.kept_out):
            context.log.warning(sentence)
        for key, model in chosen.items():
            if model not in failures:
                for hour, metadata in build_metadata(store, model, hours).items():
                    context.add_asset_metadata(metadata, asset_key=key, partition_key=key_of_hour(hour))
                yield dg.MaterializeResult(asset_key=key)
        if failures:
            raise BuildFailed(failures, settings.memory_bytes)

    return build


def build_metadata(store: Store, model: str, hours: tuple[str, ...]) -> dict[datetime, dict[str, Any]]:
    """Return, by event hour (naive UTC), the receipts of one model as metadata."""
    days = {day: build_receipts.day_of(store, model, day) for day in {ledger.hour(hour).date() for hour in hours}}
    found = {ledger.hour(hour): days[ledger.hour(hour).date()].get(hour) for hour in hours}
    return {hour: receipts_metadata(receipt) for hour, receipt in found.items() if receipt is not None}


def receipts_metadata(receipt: BuildReceipt) -> dict[str, Any]:
    """Return what building one hour did, as metadata. An hour that has expired has no rows any more."""
    rows = 0 if receipt.expired_at else receipt.rows
    metadata: dict[str, Any] = {
        "rows": rows,
        "bytes": receipt.bytes,
        **_made_of(receipt),
        "code_version": receipt.mapping,
        "built_at": dg.MetadataValue.timestamp(datetime.fromisoformat(receipt.built_at)),
        "file": receipt.file or "none: the hour has no rows",
        "dagster/partition_row_count": rows,
        RECEIPT: receipt_mark(receipt.built_at, receipt.mapping, receipt.rows, receipt.file, receipt.expired_at),
    }
    if receipt.expired_at:
        metadata |= {"expired_at": receipt.expired_at, "rows_before_it_expired": receipt.rows}
    metadata |= {f"events_{name}": number for name, number in receipt.counts.items()}
    if receipt.invalid:
        broken = [(rule, number, receipt.samples.get(rule, "")) for rule, number in receipt.invalid.items()]
        metadata["ocsf_rules_broken"] = dg.MetadataValue.md(table(("rule", "rows", "metadata.uid of one"), broken))
    if receipt.context:
        metadata["reference_tables"] = dg.MetadataValue.json(receipt.context)
    return metadata


def _made_of(receipt: BuildReceipt) -> Mapping[str, Any]:
    """Return how many bronze files a table was made of, or of a mart what it read, with the hours before and after."""
    if receipt.source:
        return {"bronze_files": len(receipt.inputs)}
    return {"reads": ", ".join(name for name, _ in receipt.inputs)}
