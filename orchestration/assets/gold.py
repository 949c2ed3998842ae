"""The marts of gold as assets: one definition for all of them, since they are made of each other.

What belongs here: running the selected marts over the run's event hours by one dbt run. What does not: SQL, which hours
are stale (`lake.marts.staleness`), how dbt is run (`silver`).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets

from lake.build.run import Plan
from orchestration.assets.hours import hour_texts
from orchestration.assets.silver import run_plan
from orchestration.checks.building import BuiltTable
from orchestration.dbt.project import Manifest, marts
from orchestration.dbt.translator import LakeTranslator


def gold_tables(manifest: Manifest, translator: LakeTranslator) -> list[BuiltTable]:
    """Return the marts."""
    nodes = [manifest["nodes"][each] for each in marts(manifest)]
    return [
        BuiltTable(translator.get_asset_key(node), node["name"], node["config"].get("meta", {}).get("ocsf_class", ""))
        for node in nodes
    ]


def gold_assets(
    tables: Sequence[BuiltTable],
    manifest: Manifest,
    translator: LakeTranslator,
    partitions: dg.HourlyPartitionsDefinition,
) -> list[dg.AssetsDefinition]:
    """Return the assets of the marts; none when the project has none. A range of hours is one dbt run."""
    models = {each.key: each.model for each in tables}
    if not models:
        return []

    @dbt_assets(
        name="build_marts",
        manifest=manifest,
        select=" ".join(models.values()),
        dagster_dbt_translator=translator,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="build_marts",
    )
    def build(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        hours = hour_texts(context.partition_keys)
        chosen = [models[key] for key in context.selected_asset_keys if key in models]
        yield from run_plan(context, dbt, Plan(marts=dict.fromkeys(chosen, hours)), models, hours)

    return [build]
