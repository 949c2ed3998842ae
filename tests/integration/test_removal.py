"""Removing any one source, or any one destination, breaks nothing else: no list names them.

A copy of the tree loses a source and a destination at once, as far as there are both: loading one takes seconds.
With a source go its folder, its models (staging, events, one per class, dispositions), its macros, its line in
the views of its classes and its rows in the routing seed: what adding it cost.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from ingest.contracts import load_contracts
from lake.base import plugins
from lake.export import destinations
from tests.integration.parsed import parsed

TOP = Path(__file__).resolve().parents[2]
PROJECT = TOP / "dbt_project"
LOADER = Path(__file__).with_name("removal.py")
MACROS = [*PROJECT.glob("macros/*.sql")]
ROOMS = ("ingest", "lake", "orchestration", "dbt_project")
SOURCES, DESTINATIONS = sorted(load_contracts()), plugins.names(destinations)
WHOLE = "nothing"
PAIRS = [*zip_longest(SOURCES, DESTINATIONS)]


def test_no_mapping_calls_a_macro_of_another_source() -> None:
    mine = {path.stem: set(re.findall(r"macro (\w+)", path.read_text())) for path in MACROS if path.stem in SOURCES}
    others = [each for each in (*MACROS, *(PROJECT / "models").rglob("*.sql"))]
    calls = [
        f"{path.name} calls {name} of {source}"
        for source, names in mine.items()
        for path in others
        if not _is_of(path, source)
        for name in names.intersection(re.findall(r"\b(\w+)\(", path.read_text()))
    ]
    assert [] == calls


def _is_of(path: Path, source: str) -> bool:
    return path.stem in (source, _staging(source)) or path.stem.endswith(f"__{source}")


def _staging(source: str) -> str:
    return f"stg_{source.replace('_', '__', 1)}"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What is left after each removal, by the name of what was removed; `nothing`: of the whole tree."""
    place = tmp_path_factory.mktemp("removed")
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER", "DAGSTER", "DBT"))}
    bare |= {"PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "", "HOME": str(place / "home")}

    def load(*names: str) -> dict[str, dict[str, Any]]:
        words = [sys.executable, "-P", str(LOADER), *(str(place / name) for name in names)]
        done = subprocess.run(words, cwd=place, env=bare, capture_output=True, text=True)
        assert 0 == done.returncode, done.stderr[-4000:]
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        return dict(zip(names, map(json.loads, lines), strict=True))

    for room in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__", "target", "logs")
        shutil.copytree(TOP / room, place / WHOLE / room, ignore=ignored)
    (place / WHOLE / "pyproject.toml").touch()  # as in a checkout: dbt may write beside its project
    parsed(place / WHOLE / "dbt_project")
    whole = load(WHOLE)
    copies = {source or kind: (source, kind) for source, kind in PAIRS}
    for name, (source, kind) in copies.items():
        shutil.copytree(place / WHOLE, place / name)  # with what Python compiled and dbt parsed
        if source:
            remove_source(place / name, source)
        if kind:
            remove_destination(place / name, kind)
    left = load(*copies)
    return whole | left | {kind: left[source or kind] for source, kind in PAIRS if kind}


def remove_source(top: Path, source: str) -> None:
    """Remove a source and what was added with it."""
    shutil.rmtree(top / "ingest/sources" / source)
    project = top / "dbt_project"
    models = project / "models"
    for path in [
        *models.rglob(f"*__{source}.*"),
        *models.glob(f"events/{source}.*"),
        *models.rglob(f"{_staging(source)}.*"),
    ]:
        path.unlink()
    (project / "macros" / f"{source}.sql").unlink(missing_ok=True)
    for view in models.glob("silver/*/*.sql"):
        view.write_text(re.sub(rf'\n *ref\("\w+__{source}"\),', "", view.read_text()))
    seed = project / "seeds/ocsf_routing.csv"
    rows = [row for row in csv.reader(seed.read_text().splitlines()) if row[0] != source]
    with seed.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows(rows)


def remove_destination(top: Path, kind: str) -> None:
    """Remove a destination: its file or folder."""
    path = top / "lake/export/destinations" / kind
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.with_suffix(".py").unlink()


@pytest.mark.parametrize("source", SOURCES)
def test_without_a_source_everything_else_loads(source: str, found: dict[str, dict[str, Any]]) -> None:
    whole, left = found[WHOLE], found[source]
    assert "problem" not in left, left["problem"]
    assert [each for each in SOURCES if each != source] == left["sources"]
    assert [each for each in whole["signed"] if each != source] == left["signed"]
    assert whole["commands"] == left["commands"]
    for kind in ("models", "assets"):
        ours = [each for each in whole[kind] if source in each or each.endswith(_staging(source))]
        assert ours and [each for each in whole[kind] if each not in ours] == left[kind]


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_without_a_destination_everything_else_loads(kind: str, found: dict[str, dict[str, Any]]) -> None:
    whole, left = found[WHOLE], found[kind]
    assert "problem" not in left, left["problem"]
    assert [each for each in DESTINATIONS if each != kind] == left["kinds"]
    assert whole["commands"] == left["commands"]
