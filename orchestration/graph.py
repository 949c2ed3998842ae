"""What the Dagster definitions are made of: read once, and given to every file that contributes some.

A file of `assets/`, `checks/` or `automation/` contributes by `definitions(graph)`, and is found by its folder.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg

from ingest.contracts import Contract, load_contracts, read_contracts
from lake import ledger
from lake.base.errors import warn_once
from lake.export.declaration import Export
from lake.matching.matches import TABLE as MATCHES
from lake.storage import paths
from orchestration.assets.hours import hourly
from orchestration.assets.keys import bronze_key, match_key
from orchestration.dbt.project import Project, load_project
from orchestration.dbt.translator import LakeTranslator
from orchestration.settings import PROJECT, Settings, load_settings, open_lake
from orchestration.steps.exports import declared_exports
from orchestration.steps.generic_models import make_missing_models


@dataclass(frozen=True)
class BuiltTable:
    """One asset that dbt builds: its key, its model (`<table>__<source>`, or a mart), and the OCSF class of a mart."""

    key: dg.AssetKey
    model: str
    ocsf_class: str = ""

    @property
    def table(self) -> str:
        """Return the table's name: the class, `dispositions`, or the mart."""
        return self.model.split("__", 1)[0]

    @property
    def class_name(self) -> str:
        """Return the OCSF class of its rows."""
        return self.ocsf_class or self.table


def match_table() -> BuiltTable:
    """Return the table as what exports and Iceberg tables are made of."""
    return BuiltTable(match_key(), MATCHES)


def _source_tables(project: Project, translator: LakeTranslator, source: str) -> list[BuiltTable]:
    """Return the tables that are built from one source alone."""
    return [_built_table(project, translator, each) for each in project.tables_of(source)]


def used_sources(settings: Settings) -> set[str]:
    """Return the sources that the settings name, well or not, and those that have landed in the lake.

    A lake that cannot be reached within a few seconds names none: that is said, and the definitions load without it.
    """
    named = set(settings.sources) | {
        place.removeprefix("sources.") for place in settings.left_out if place.startswith("sources.")
    }
    try:
        return named | set(ledger.sources(open_lake(settings, hasty=True)))
    except Exception as problem:  # whatever keeps it from being read: credentials, network, the store's own errors
        why = " ".join(str(problem).split())
        warn_once(
            f"the lake {settings.lake} cannot be read ({type(problem).__name__}: {why}): only the sources that the"
            " settings name are assets; reload the code location when it can be read"
        )
        return named


def _made_of_absent(project: Project, absent: Collection[str], present: Collection[str]) -> set[str]:
    """Return the ids of the sources and models that are made of absent sources alone."""
    reads = {each: project.sources_read(each) for each in (*project.models, *project.manifest["sources"])}
    return {each for each, read in reads.items() if read & set(absent) and not read & set(present)}


def _is_made(export: Export, there: Collection[tuple[str, str, str]]) -> bool:
    """Whether any table that is there makes the rows of an export; tables are (source or `gold`, layer, name)."""
    return any(
        (layer, table) == (export.held.layer, export.held.table) and export.source in ("", source)
        for source, layer, table in there
    )


def _built_table(project: Project, translator: LakeTranslator, unique_id: str) -> BuiltTable:
    props = project.manifest["nodes"][unique_id]
    ocsf_class = props["config"].get("meta", {}).get("ocsf_class", "")
    return BuiltTable(translator.get_asset_key(props), props["name"], ocsf_class)


@dataclass(frozen=True)
class Graph:
    """Settings, contracts and the dbt project, and what follows from them.

    What is broken is left out, and a warning in the log names it; `broken` are the sources whose contracts cannot be
    used, with why. A model that is broken keeps its asset, whose description and runs say why.

    Only sources that the settings name, or that have landed in this lake, are here, and what is made of them:
    `contracts`; `raw`, the contracts by the key of their asset; `tables`, what dbt builds, by source; `views`, the ids
    of dbt's views; `marts`, the tables of gold that dbt builds; `exports`, what the project declares.
    """

    settings: Settings
    contracts: Mapping[str, Contract]
    project: Project
    translator: LakeTranslator
    partitions: dg.HourlyPartitionsDefinition
    raw: Mapping[dg.AssetKey, Contract]
    tables: Mapping[str, Sequence[BuiltTable]]
    views: Sequence[str]
    marts: Sequence[BuiltTable]
    exports: Sequence[Export]
    broken: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path) -> "Graph":
        """Read the settings, the contracts and the dbt project in a folder.

        Raises:
            SettingsError, ManifestFailed: each says what to change.
        """
        settings, known = load_settings(), load_contracts()
        used = used_sources(settings)
        for source, why in (make_missing_models(used) if folder == PROJECT else {}).items():
            warn_once(f"{source}: its events are not published: {why}")
        project = load_project(folder)
        contracts = {source: contract for source, contract in known.items() if source in used}
        for seed in project.seeds.values():
            if seed.problems:
                warn_once(seed.sentence)
        partitions = hourly(settings.partitions_start)
        absent = _made_of_absent(project, known.keys() - used, contracts.keys())
        translator = LakeTranslator(project, contracts, partitions, absent)
        built = {source: _source_tables(project, translator, source) for source in contracts}
        tables = {source: found for source, found in built.items() if found}
        marts = [_built_table(project, translator, each) for each in project.mart_ids if each not in absent]
        there = {(source, each.key.path[0], each.table) for source, found in tables.items() for each in found}
        there |= {(paths.GOLD, paths.GOLD, each.table) for each in (*marts, match_table())}
        return cls(
            settings=settings,
            contracts=contracts,
            project=project,
            translator=translator,
            partitions=partitions,
            raw={bronze_key(source): contract for source, contract in contracts.items()},
            tables=tables,
            views=[each for each in project.views if each not in absent],
            marts=marts,
            exports=[each for each in declared_exports(project) if _is_made(each, there)],
            broken={source: str(problem) for source, problem in read_contracts()[1].items()},
        )

    @property
    def start(self) -> datetime:
        """Return the first hour of Dagster's partitions (naive UTC)."""
        return ledger.hour(self.settings.partitions_start)

    @property
    def published(self) -> dict[str, Sequence[BuiltTable]]:
        """Return every table that is exported or published: by source, and those of gold."""
        return {**self.tables, paths.GOLD: [*self.marts, match_table()]}
