"""How a dbt model looks in Dagster: key, group, description, owners, tags and partitions, from dbt's own properties."""

from collections.abc import Collection, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from ingest.contracts import Contract
from lake.storage import paths
from lake.storage.paths import GOLD, LEDGER, SILVER
from orchestration.assets.keys import bronze_key
from orchestration.dbt.manifest import Manifest
from orchestration.dbt.project import Project

Props = Mapping[str, Any]


class LakeTranslator(DagsterDbtTranslator):
    """Keys are `<layer>/<model>`, as the graph shows a key's last part only; tables are grouped by class."""

    def __init__(
        self,
        project: Project,
        contracts: Mapping[str, Contract],
        partitions: dg.HourlyPartitionsDefinition,
        absent: Collection[str] = (),
    ) -> None:
        """Make it for the assets of some sources; `absent` are ids of what is made of others, and of no deps."""
        super().__init__(
            DagsterDbtTranslatorSettings(enable_asset_checks=False)
        )  # dbt tests read all hours: not hourly
        self._project = project
        self._contracts = contracts
        self._partitions = partitions
        self._absent = {self.get_asset_key(self.get_resource_props(project.manifest, each)) for each in absent}

    def get_asset_key(self, dbt_resource_props: Props) -> dg.AssetKey:
        """Return `bronze/<source>` for a dbt source, else the layer and name: `gold/<table>` of what no model makes."""
        if dbt_resource_props["resource_type"] == "source":
            name = dbt_resource_props["name"]
            return dg.AssetKey([GOLD, name]) if dbt_resource_props["source_name"] == GOLD else bronze_key(name)
        return dg.AssetKey([_layer(dbt_resource_props), dbt_resource_props["name"]])

    def spec(self, unique_id: str) -> dg.AssetSpec:
        """Return the spec of a model's asset."""
        return self.get_asset_spec(self._project.manifest, unique_id, None)

    def get_asset_spec(self, manifest: Manifest, unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """Return the spec without seeds, which no step makes, and for a table with the tables behind its views.

        Dagster does not look through views when it orders the runs of a backfill: without its own dependency a table
        would be built before the bronze that its views read.
        """
        spec = super().get_asset_spec(manifest, unique_id, project)
        deps = {each.asset_key: each for each in spec.deps if each.asset_key.path[0] != "seed"}
        if self._project.is_view(unique_id):
            spec = spec.replace_attributes(kinds={"dbt", "view"})
        else:
            read = (self.get_resource_props(manifest, each) for each in self._project.tables_read(unique_id))
            keys = [self.get_asset_key(each) for each in read]
            deps |= {key: dg.AssetDep(key) for key in keys}
        return spec.replace_attributes(deps=[each for key, each in deps.items() if key not in self._absent])

    def get_group_name(self, dbt_resource_props: Props) -> str:
        """Return the class of a table, the source of what leads to it, and `gold` for what is made of several."""
        if _layer(dbt_resource_props) == GOLD:
            return GOLD
        if _layer(dbt_resource_props) == SILVER:
            return str(dbt_resource_props["name"].split("__", 1)[0])
        return next(iter(self._sources(dbt_resource_props)), _layer(dbt_resource_props))

    def get_description(self, dbt_resource_props: Props) -> str:
        """Return the model's description, else the comment that its SQL opens with, and where its SQL is."""
        text = dbt_resource_props.get("description") or _opening_comment(dbt_resource_props.get("raw_code") or "")
        why = self._project.broken.get(dbt_resource_props["unique_id"], "")
        broken = f"**Broken, and not built until it is corrected:** {why}\n\n" if why else ""
        return f"{broken}{text}\n\nSQL: `dbt_project/{dbt_resource_props['original_file_path']}`".strip()

    def get_code_version(self, dbt_resource_props: Props) -> str | None:
        """Return the fingerprint of what a table is made by, as its receipts have it; of what is no table, dbt's."""
        of_tables = self._project.mappings.fingerprints
        return of_tables.get(dbt_resource_props["name"]) or super().get_code_version(dbt_resource_props)

    def get_owners(self, dbt_resource_props: Props) -> list[str]:
        """Return the model's owner by its meta, else the owners of the sources that it reads."""
        owner = dbt_resource_props.get("meta", {}).get("owner")
        found = [owner] if owner else [self._contracts[each].owner for each in self._sources(dbt_resource_props)]
        return [f"team:{each}" for each in dict.fromkeys(found)]

    def get_tags(self, dbt_resource_props: Props) -> Mapping[str, str]:
        """Return dbt's tags, the layer, and the source where there is one."""
        sources = self._sources(dbt_resource_props)
        layer = {"layer": _layer(dbt_resource_props)}
        return {
            **super().get_tags(dbt_resource_props),
            **layer,
            **({"source": sources[0]} if len(sources) == 1 else {}),
        }

    def get_partitions_def(self, dbt_resource_props: Props) -> dg.PartitionsDefinition | None:
        """Return the event hours, for tables; of a view nothing is stored, so it has no hours of its own."""
        return None if self._project.is_view(dbt_resource_props["unique_id"]) else self._partitions

    def _sources(self, props: Props) -> list[str]:
        if props["resource_type"] == "source":
            return [props["name"]] if props["source_name"] != GOLD else []
        return sorted(self._project.sources_read(props["unique_id"]) & self._contracts.keys())


def _layer(props: Props) -> str:
    """The folder below `models/` (or the kind of resource): staging, events, silver, gold, …

    Dispositions stand among the silver models, but in the lake they are part of the ledger.
    """
    if props["resource_type"] != "model":
        return str(props["resource_type"])
    return LEDGER if props["name"].split("__", 1)[0] == paths.OUTCOMES else str(props["fqn"][1])


def _opening_comment(sql: str) -> str:
    lines = []
    for line in sql.strip().splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return " ".join(lines)
