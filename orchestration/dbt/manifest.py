"""Where dbt's manifests lie, which of them can be used, and of which files each was made."""

import atexit
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lake.base.errors import HeadwaterError
from orchestration.settings import PROJECT, TOP

Manifest = Mapping[str, Any]
_READ_BY_DBT = ("dbt_project.yml", "profiles.yml", "models/**/*", "macros/**/*", "seeds/*", "tests/**/*")
PARSED = "partial_parse.msgpack"  # what dbt goes on from, so that it parses only files that have changed
_NODE = {"name", "resource_type", "config", "fqn", "depends_on", "original_file_path"}  # what is read of every node


class ManifestFailed(HeadwaterError):
    """`dbt parse` did not accept the project; the message holds dbt's own words."""


def read_manifest(file: Path) -> Manifest | None:
    """Return a manifest that this dbt has written; None for a file that is none, or of another shape."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    parts = ("metadata", "nodes", "sources", "macros", "parent_map")
    if not isinstance(found, dict) or not all(isinstance(found.get(each), dict) for each in parts):
        return None
    whole = all(isinstance(each, dict) and each.keys() >= _NODE for each in found["nodes"].values())
    return found if whole and "project_name" in found["metadata"] else None


def targets(folder: Path) -> Iterator[Path]:
    """Yield where a manifest may lie: dbt's target folder, or where that is not to be written to the user's cache."""
    if given := os.environ.get("DBT_TARGET_PATH"):
        yield folder / given
    if folder != PROJECT or (TOP / "pyproject.toml").exists():
        yield folder / "target"
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    with suppress(RuntimeError):  # a user without a home
        yield Path.home() / ".cache/headwater" / name
    yield _own_folder() / name


@lru_cache(maxsize=1)
def _own_folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="headwater-dbt-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


@contextmanager
def new_folder(folder: Path) -> Iterator[str]:
    """Make a folder while the block runs, where manifests can be written to; it holds what dbt parsed before."""
    problem: OSError | None = None
    for target in targets(folder):
        try:
            target.mkdir(parents=True, exist_ok=True)
            made = tempfile.TemporaryDirectory(prefix=".parse-", dir=target)
        except OSError as refused:
            problem = problem or refused
            continue
        with made as place:
            held = next((each / PARSED for each in targets(folder) if (each / PARSED).exists()), None)
            if held is not None:
                Path(place, PARSED).write_bytes(held.read_bytes())
            yield place
        return
    raise ManifestFailed(f"there is no place for dbt's manifest: {problem}")


def digest_of(folder: Path) -> str:
    """Return a digest of what dbt reads, and of dbt's version; wherever the project lies."""
    whole = hashlib.sha256(_dbt_version().encode())
    for pattern in _READ_BY_DBT:
        for path in sorted(folder.glob(pattern)):
            if path.is_file():
                whole.update(f"\0{path.relative_to(folder)}\0".encode() + _bytes(path))
    return whole.hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        return str(problem).encode()


@lru_cache(maxsize=1)
def _dbt_version() -> str:
    return version("dbt-core")
