"""The Dagster definitions: what every file of `assets/`, `checks/` and `automation/` contributes, found by folder.

Loading them reads the settings, the contracts and dbt's manifest; it touches no network, no lake and no secret.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from lake.base import plugins
from orchestration import assets, automation, checks
from orchestration.graph import Graph
from orchestration.settings import PROJECT

warnings.filterwarnings("ignore", category=dg.BetaWarning)  # backfill policies and pools, which this lake needs

# A process each costs seconds a step, for what it imports and for dbt's start, and `memory` is that of one process.
_PRELOADED = {"start_method": {"forkserver": {"preload_modules": ["orchestration.definitions"]}}}
_STEPS = {"process_each": dg.Field(bool, default_value=False, description="Run every step in a process of its own.")}


def definitions(folder: Path = PROJECT) -> dg.Definitions:
    """Return the definitions over a dbt project.

    Raises:
        SettingsError, ManifestFailed: each says what to change.
    """
    graph = Graph.read(folder)
    modules = [plugins.load(room, name) for room in (assets, checks, automation) for name in plugins.names(room)]
    executor = dg.multi_or_in_process_executor.configured(_where_steps_run, config_schema=_STEPS)
    return dg.Definitions.merge(
        dg.Definitions(executor=executor),
        *(module.definitions(graph) for module in modules if hasattr(module, "definitions")),
    )


def _where_steps_run(given: Mapping[str, bool]) -> dict[str, object]:
    return {"multiprocess": _PRELOADED} if given["process_each"] else {"in_process": {}}


defs = definitions()
