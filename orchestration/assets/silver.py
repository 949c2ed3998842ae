"""dbt's models as assets: one definition per source, so that a broken mapping of one source stops no other.

What belongs here: running the selected models over the run's event hours by one dbt run, and telling which failed.
What does not: SQL, the lake's files (`lake.build.run`), what an asset looks like (`translator`).
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation, DbtCliResource, dbt_assets

from lake.base.errors import HeadwaterError
from lake.build.run import Plan
from lake.storage.store import Store
from orchestration.assets.build_metadata import building_metadata
from orchestration.assets.hours import hour_texts, key_of_hour
from orchestration.checks.building import BuiltTable
from orchestration.dbt.project import Manifest, tables_of, views
from orchestration.dbt.run import planned
from orchestration.dbt.translator import LakeTranslator
from orchestration.settings import FILE_VARIABLE, Settings, config_file, load_settings, open_lake


class ModelsFailed(HeadwaterError):
    """Some models failed; the others are published. The events of the failed ones are in bronze, their hours stale."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        lines = "\n".join(f"  {model}: {why}" for model, why in failures.items())
        super().__init__(f"{len(failures)} models failed (the others are published, these hours stay stale):\n{lines}")


def built_tables(source: str, manifest: Manifest, translator: LakeTranslator) -> list[BuiltTable]:
    """Return the tables that are built from one source alone."""
    nodes = [manifest["nodes"][each] for each in tables_of(manifest, source)]
    return [BuiltTable(translator.get_asset_key(node), node["name"]) for node in nodes]


def silver_assets(
    source: str,
    tables: Sequence[BuiltTable],
    manifest: Manifest,
    translator: LakeTranslator,
    partitions: dg.HourlyPartitionsDefinition,
) -> dg.AssetsDefinition:
    """Return the assets of a source's tables. A range of hours is one dbt run."""
    models = {each.key: each.model for each in tables}

    @dbt_assets(
        name=f"build_{source}",
        manifest=manifest,
        select=" ".join(models.values()),
        dagster_dbt_translator=translator,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=f"build_{source}",
    )
    def build(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        hours = hour_texts(context.partition_keys)
        yield from run_plan(context, dbt, Plan({source: hours}), models, hours)

    return build


def run_plan(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    plan: Plan,
    models: Mapping[dg.AssetKey, str],
    hours: tuple[str, ...],
) -> Iterator[Any]:
    """Run the selected models by one dbt run over a plan, and yield what Dagster is to know.

    Raises:
        ModelsFailed: some could not be built; the others are.
    """
    settings = load_settings()
    with ExitStack() as stack:
        target = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-dbt-")))
        stack.enter_context(planned(plan))
        stack.enter_context(_same_settings(settings))
        run = dbt.cli(["run"], context=context, target_path=target, raise_on_error=False)
        yield from _published(context, open_lake(settings), run, models, hours)
        failures = failed_models(run)
    if failures:
        raise ModelsFailed(failures)
    if run.process.returncode:
        raise ModelsFailed({"dbt": str(run.get_error() or "ended without saying why; see the log of the step")})


def view_specs(manifest: Manifest, translator: LakeTranslator) -> list[dg.AssetSpec]:
    """Return dbt's views, which show the way of the data; nothing is stored for them, so nothing runs them."""
    return [translator.get_asset_spec(manifest, each, None) for each in views(manifest)]


def failed_models(run: DbtCliInvocation) -> dict[str, str]:
    """Return the models that a finished dbt run could not build, with the first lines of why."""
    try:
        results = run.get_artifact("run_results.json")["results"]
    except (OSError, ValueError):
        return {}
    return {
        result["unique_id"].rsplit(".", 1)[1]: " ".join((result["message"] or result["status"]).split())[:500]
        for result in results
        if result["status"] not in ("success", "pass", "warn", "no-op")
    }


def _published(
    context: dg.AssetExecutionContext,
    store: Store,
    run: DbtCliInvocation,
    models: Mapping[dg.AssetKey, str],
    hours: tuple[str, ...],
) -> Iterator[Any]:
    """Yield dbt's events; each built table gets, per event hour, what its receipt says."""
    for event in run.stream():
        if isinstance(event, dg.Output):
            key = context.asset_key_for_output(event.output_name)
            for hour, told in building_metadata(store, models[key], hours).items():
                context.add_asset_metadata(told, asset_key=key, partition_key=key_of_hour(hour))
        yield event


@contextmanager
def _same_settings(settings: Settings) -> Iterator[None]:
    """Let dbt, which runs in the project's folder, find the settings that this process uses."""
    file = config_file()
    given = {FILE_VARIABLE: str(file.resolve())} if file else {"HEADWATER_LAKE": settings.lake}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
