"""Which mapping made a table: a fingerprint over the dbt files that decide what a model's rows are.

What belongs here: reading the dbt project as text. What does not: dbt itself; a changed mapping must be seen without
starting it.

A model's fingerprint covers its own file, the staging and events files of its source, all macros, and the rows
of each seed that name its source (a seed without a `source` column counts whole); that of a source's dispositions
also the files of its mappings that declare filters. So an edit makes stale what it can change: a mapping its own
table, a filter its table and the dispositions, a staging model its source, a routing row its source, a macro
everything. A mart's covers its own file, all macros, and the seeds and views that it reads.
"""

import csv
import hashlib
import io
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from lake.marts.declaration import Marts

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast


class Mappings:
    """The dbt project's files, read once."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.marts = Marts(project)
        self._macros = _digest(*(path.read_bytes() for path in sorted(project.glob("macros/**/*.sql"))))
        self._shared = {
            path.stem: path.read_bytes()
            for folder in ("staging", "events")
            for path in sorted(project.glob(f"models/{folder}/**/*.sql"))
        }
        self._models = {path.stem: path for path in sorted(project.glob("models/**/*.sql"))}
        self._staging = [_declared(path.read_bytes()) for path in sorted(project.glob("models/staging/**/*.yml"))]
        self._seeds = [path.read_text() for path in sorted(project.glob("seeds/*.csv"))]
        self.fingerprint = lru_cache(maxsize=None)(self._fingerprint)

    def models_of(self, source: str) -> list[str]:
        """Return the names of the models that are built per event hour of a source: `<table>__<source>`."""
        return sorted(name for name in self._models if name.endswith(f"__{source}") and not name.startswith("stg_"))

    def _fingerprint(self, model: str) -> str:
        if "__" not in model:
            mart = self.marts.by_name[model]
            seeds = [(self.project / "seeds" / f"{name}.csv").read_bytes() for name in mart.seeds]
            views = [self._models[name].read_bytes() for name in mart.views]
            return _digest(self._macros.encode(), self._text(model), *seeds, *views)[:16]
        source = model.split("__", 1)[1]
        own = [text for name, text in self._shared.items() if name.removeprefix("stg_").replace("__", "_") == source]
        own += [_volatile_fields(declared, source) for declared in self._staging]
        if model.startswith("dispositions__"):
            own += [text for name in self.models_of(source) if b"filters" in (text := self._text(name))]
        seeds = [_seed_rows(text, source) for text in self._seeds]
        return _digest(self._macros.encode(), self._text(model), *own, *seeds)[:16]

    def _text(self, model: str) -> bytes:
        path = self._models[model]
        properties = path.with_suffix(".yml")
        return path.read_bytes() + (properties.read_bytes() if properties.exists() else b"")


@lru_cache(maxsize=64)  # a process asks again and again, and the files hardly ever change meanwhile
def _declared(text: bytes) -> Mapping[str, Any]:
    return yaml.load(text, _Loader) or {}


def _volatile_fields(declared: Mapping[str, Any], source: str) -> bytes:
    """Return the fields that are ignored when two records of one key are compared, as a `sources` YAML gives them."""
    tables = [table for each in declared.get("sources", []) for table in each.get("tables", [])]
    found = [table.get("config", {}).get("meta", {}).get("volatile", []) for table in tables if table["name"] == source]
    return repr(found).encode() if any(found) else b""


def _seed_rows(text: str, source: str) -> bytes:
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or "source" not in rows[0]:
        return text.encode()
    return "\n".join(str(sorted(row.items())) for row in rows if row["source"] == source).encode()


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()
