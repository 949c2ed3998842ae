"""The Dagster definitions: what every file of `assets/`, `checks/` and `automation/` contributes, found by folder.

Loading them reads the settings, the contracts and dbt's manifest; it touches no network, no lake and no secret.
"""

import warnings
from pathlib import Path

import dagster as dg

from lake.base import plugins
from orchestration import assets, automation, checks
from orchestration.graph import Graph
from orchestration.settings import PROJECT

warnings.filterwarnings("ignore", category=dg.BetaWarning)  # backfill policies and pools, which this lake needs


def definitions(folder: Path = PROJECT) -> dg.Definitions:
    """Return the definitions over a dbt project.

    Raises:
        SettingsError, ManifestFailed: each says what to change.
    """
    graph = Graph.read(folder)
    modules = [plugins.load(room, name) for room in (assets, checks, automation) for name in plugins.names(room)]
    preloaded = {"start_method": {"forkserver": {"preload_modules": ["orchestration.definitions"]}}}
    return dg.Definitions.merge(
        dg.Definitions(executor=dg.multiprocess_executor.configured(preloaded)),
        *(module.definitions(graph) for module in modules if hasattr(module, "definitions")),
    )


defs = definitions()
