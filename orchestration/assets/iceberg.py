"""Iceberg tables as assets: one per table, all published by one step, when the settings say so.

They have no partitions: what is to be published follows from the tables themselves, whichever hours were built since.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from lake.base.errors import HeadwaterError
from orchestration.graph import BuiltTable, Graph
from orchestration.settings import Settings, iceberg_place, load_settings, open_lake

ROOM, JOB = "iceberg", "publish_iceberg"
_LAYERS = ("silver", "gold")


def definitions(graph: Graph) -> dg.Definitions:
    """Return the Iceberg tables, when the settings say so."""
    return iceberg_tables(graph.settings, graph.published)


class TablesNotPublished(HeadwaterError):
    """Some tables were not published, or not wholly; the others are. Each is named with why."""


def iceberg_tables(settings: Settings, tables: Mapping[str, Sequence[BuiltTable]]) -> dg.Definitions:
    """Return the assets over the built tables of all sources, and what runs them; nothing when publishing is off."""
    if not settings.iceberg.publish:
        return dg.Definitions()
    made_of: dict[dg.AssetKey, list[dg.AssetKey]] = {}
    for each in (each for found in tables.values() for each in found):
        if each.key.path[0] in _LAYERS:
            key = dg.AssetKey([ROOM, each.key.path[0], each.model.split("__")[0]])
            made_of.setdefault(key, []).append(each.key)
    assets = _assets(made_of)
    job = dg.define_asset_job(JOB, selection=dg.AssetSelection.assets(assets), description="Publish what was built.")
    schedule = dg.ScheduleDefinition(
        name=f"{JOB}_hourly",
        job=job,
        cron_schedule="50 * * * *",
        execution_timezone="UTC",
        description="Publishes the event hours that were built since the last time. Off until turned on.",
    )
    return dg.Definitions(assets=[assets], jobs=[job], schedules=[schedule])


def _assets(made_of: Mapping[dg.AssetKey, Sequence[dg.AssetKey]]) -> dg.AssetsDefinition:
    specs = [
        dg.AssetSpec(key, deps=deps, skippable=True, group_name=ROOM, kinds={"iceberg"})
        for key, deps in sorted(made_of.items())
    ]

    @dg.multi_asset(specs=specs, name="publish_iceberg_tables", can_subset=True, pool=ROOM)
    def publish(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        from lake.iceberg import publish_tables, table_status  # pyiceberg takes seconds to import

        settings = load_settings()
        lake = open_lake(settings)
        place = iceberg_place(settings, lake)
        asked = {"/".join(key.path[1:]) for key in context.selected_asset_keys}
        names = [each.table for each in table_status(lake, place) if each.table in asked]
        wrong = []
        for done in publish_tables(lake, place, names):
            if done.snapshots:
                metadata: dict[str, Any] = {
                    "snapshots": [str(each) for each in done.snapshots],
                    "event_hours": len(done.hours),
                    "rows": done.rows,
                    "expired_snapshots": done.expired,
                }
                yield dg.MaterializeResult(asset_key=[ROOM, *str(done.name).split("/")], metadata=metadata)
            wrong += [f"{done.name}: {done.failed}"] if done.failed else []
            wrong += [f"{done.name} {slot.source} {slot.hour}: {why}" for slot, why in done.left.items()]
        if wrong:
            raise TablesNotPublished("\n".join(wrong))

    return publish
