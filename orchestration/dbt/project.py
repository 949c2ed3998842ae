"""The dbt project as Dagster reads it: its manifest, and which source each model belongs to.

What belongs here: reading the manifest, made by `dbt parse` where there is none or it is older than the project.
What does not: keys and descriptions (`translator`), running (`silver`). No model is named here.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lake.base.errors import HeadwaterError
from lake.storage.paths import GOLD
from orchestration.settings import PROJECT

Manifest = Mapping[str, Any]
VIEW = "view"
_READ_BY_DBT = ("dbt_project.yml", "profiles.yml", "models/**/*", "macros/**/*", "seeds/*", "tests/**/*")


_log = logging.getLogger(__name__)


class ManifestFailed(HeadwaterError):
    """`dbt parse` did not accept the project; the message holds dbt's own words."""


def dbt_command() -> str:
    """Return the dbt of this environment, also when the environment is not active."""
    beside = Path(sys.executable).with_name("dbt")
    return str(beside) if beside.exists() else "dbt"


def read_manifest(project: Path = PROJECT) -> Manifest:
    """Return the project's manifest, parsing the project first when it has changed.

    Parsing opens no connection, needs no settings and takes about 5 s; an unchanged project is only read. While the
    project cannot be parsed, the last manifest serves: a mapping that is being edited must not stop the landing.

    Raises:
        ManifestFailed: the project cannot be parsed and never was.
    """
    path = project / "target" / "manifest.json"
    if not path.exists() or path.stat().st_mtime < _changed_at(project):
        try:
            _parse(project)
        except ManifestFailed as problem:
            if not path.exists():
                raise
            _log.warning("%s\nThe manifest from before is used.", problem)
    found: Manifest = json.loads(path.read_text())
    return found


def tables_of(manifest: Manifest, source: str) -> list[str]:
    """Return the ids of the tables that read this source and no other."""
    tables = [each for each in _models(manifest) if not is_view(manifest, each) and not is_mart(manifest, each)]
    return [each for each in tables if sources_read(manifest, each) == {source}]


def marts(manifest: Manifest) -> list[str]:
    """Return the ids of the marts: the tables of gold."""
    return [each for each in _models(manifest) if is_mart(manifest, each)]


def is_mart(manifest: Manifest, unique_id: str) -> bool:
    """Whether a model is a table of gold."""
    return manifest["nodes"][unique_id]["fqn"][1] == GOLD and not is_view(manifest, unique_id)


def views(manifest: Manifest) -> list[str]:
    """Return the ids of all views."""
    return [each for each in _models(manifest) if is_view(manifest, each)]


def is_view(manifest: Manifest, unique_id: str) -> bool:
    """Whether a model is a view: nothing is stored for it. False for what is no model."""
    node = manifest["nodes"].get(unique_id)
    return node is not None and node["resource_type"] == "model" and node["config"]["materialized"] == VIEW


def tables_read(manifest: Manifest, unique_id: str) -> list[str]:
    """Return the ids of the sources and tables that a model reads, directly or through views; no seeds."""
    found: set[str] = set()
    for each in manifest["parent_map"].get(unique_id, ()):
        if is_view(manifest, each):
            found.update(tables_read(manifest, each))
        elif each.startswith(("source.", "model.")):
            found.add(each)
    return sorted(found)


def sources_read(manifest: Manifest, unique_id: str) -> frozenset[str]:
    """Return the names of the bronze sources that a model reads, directly or through other models."""
    if unique_id.startswith("source."):
        return frozenset({unique_id.rsplit(".", 1)[1]})
    parents = manifest["parent_map"].get(unique_id, ())
    return frozenset().union(*(sources_read(manifest, each) for each in parents))


def _models(manifest: Manifest) -> list[str]:
    return sorted(each for each, node in manifest["nodes"].items() if node["resource_type"] == "model")


def _changed_at(project: Path) -> float:
    return max(path.stat().st_mtime for pattern in _READ_BY_DBT for path in project.glob(pattern))


def _parse(project: Path) -> None:
    """Parse into a folder of its own, then put the results in place: others may be reading them."""
    target = project / "target"
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".parse-", dir=target) as folder:
        words = [dbt_command(), "--quiet", "parse", "--project-dir", str(project), "--profiles-dir", str(project)]
        words += ["--target-path", folder, "--log-path", folder, "--no-partial-parse"]
        environment = os.environ | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        done = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise ManifestFailed(f"dbt parse failed in {project}:\n{(done.stdout + done.stderr).strip()}")
        for name in ("partial_parse.msgpack", "manifest.json"):
            (Path(folder) / name).replace(target / name)
