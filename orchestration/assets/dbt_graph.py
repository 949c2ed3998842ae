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
from functools import cache
from pathlib import Path
from typing import Any

from orchestration.settings import PROJECT

Manifest = Mapping[str, Any]
VIEW = "view"
_READ_BY_DBT = ("dbt_project.yml", "profiles.yml", "models/**/*", "macros/**/*", "seeds/*", "tests/**/*")


_log = logging.getLogger(__name__)


class ManifestFailed(RuntimeError):
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


def sources_read(manifest: Manifest, unique_id: str) -> frozenset[str]:
    """Return the names of the bronze sources that a model reads, directly or through other models."""
    return _sources_read(_Parents(manifest), unique_id)


def models_of(manifest: Manifest, source: str) -> list[str]:
    """Return the ids of the models that read this source and no other, class views aside."""
    return [each for each, reads in _model_reads(manifest) if reads == {source} and not is_class_view(manifest, each)]


def shared_models(manifest: Manifest, sources: frozenset[str]) -> list[str]:
    """Return the ids of the models that belong to no single source: class views and what reads several sources."""
    return [
        each
        for each, reads in _model_reads(manifest)
        if is_class_view(manifest, each) or not (len(reads) == 1 and reads <= sources)
    ]


def is_class_view(manifest: Manifest, unique_id: str) -> bool:
    """Whether a model is the view over all sources of one class: a view among the silver tables."""
    node = manifest["nodes"][unique_id]
    return node["fqn"][1] == "silver" and node["config"]["materialized"] == VIEW


def _model_reads(manifest: Manifest) -> list[tuple[str, frozenset[str]]]:
    models = [each for each, node in manifest["nodes"].items() if node["resource_type"] == "model"]
    parents = _Parents(manifest)
    return [(each, _sources_read(parents, each)) for each in sorted(models)]


class _Parents:
    """What each model reads; compared by identity, so that answers can be kept."""

    def __init__(self, manifest: Manifest) -> None:
        self.of = manifest["parent_map"]


@cache
def _sources_read(parents: _Parents, unique_id: str) -> frozenset[str]:
    if unique_id.startswith("source."):
        return frozenset({unique_id.rsplit(".", 1)[1]})
    return frozenset().union(*(_sources_read(parents, each) for each in parents.of.get(unique_id, ())))


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
