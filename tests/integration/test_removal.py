"""Removing any one source, or any one destination, breaks nothing else: no list names them.

Loading a copy of the tree takes ten seconds of a core, so that one copy loses every other one of them, and in storms a
second copy the rest. That none of them all needs another is what the first tests say of their text. With a source go
its folder, its models (staging, events, one per class, dispositions), its macros, its line in the views of its classes
and its rows in the routing seed: what adding it cost.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ingest.contracts import load_contracts
from lake.base import plugins
from lake.export import destinations
from tests.integration.parsed import parsed
from tests.storms import mostly_in_storms

TOP = Path(__file__).resolve().parents[2]
PROJECT = TOP / "dbt_project"
LOADER = Path(__file__).with_name("removal.py")
MACROS = [*PROJECT.glob("macros/*.sql")]
ROOMS = ("ingest", "lake", "orchestration", "dbt_project")
SOURCES, DESTINATIONS = sorted(load_contracts()), plugins.names(destinations)
WHOLE = "nothing"
COPIES = 2
# By the name of a copy: what it loses. Neighbours in the alphabet, which are often of one vendor, go apart.
LOST = {f"copy {n}": (SOURCES[n::COPIES], DESTINATIONS[n::COPIES]) for n in range(COPIES)}


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


def test_no_source_names_another_and_no_destination() -> None:
    """In its code, and in the SQL of its models."""
    ours = {source: [*(TOP / "ingest/sources" / source).rglob("*.py")] for source in SOURCES}
    for path in (PROJECT / "models").rglob("*.sql"):
        for source in SOURCES:
            ours[source] += [path] if _is_of(path, source) else []
    named = {
        f"{path.relative_to(TOP)} names {other}"
        for source, paths in ours.items()
        for path in paths
        for other in (*SOURCES, *DESTINATIONS)
        if other != source
        and re.search(rf"import.*\b{other}\b|\bsources\.{other}\b|(ref|source)\(.*{other}\"", path.read_text())
    }
    assert set() == named


def test_no_destination_imports_another() -> None:
    folder = TOP / "lake/export/destinations"
    imported = re.compile(r"^\s*(?:from|import) lake\.export\.destinations(?:\.(\w+)| import (\w+))", re.MULTILINE)
    named = {
        f"{path.relative_to(folder)} imports {module or name}"
        for path in folder.rglob("*.py")
        for module, name in imported.findall(path.read_text())
        if (module or name) not in path.relative_to(folder).with_suffix("").parts
    }
    assert set() == named


def _is_of(path: Path, source: str) -> bool:
    return path.stem in (source, _staging(source)) or path.stem.endswith(f"__{source}")


def _staging(source: str) -> str:
    return f"stg_{source.replace('_', '__', 1)}"


@pytest.fixture(scope="module")
def found(storm: bool, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
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
    copies = [*LOST] if storm else [*LOST][:1]
    for name in copies:
        sources, kinds = LOST[name]
        shutil.copytree(place / WHOLE, place / name)  # with what Python compiled and dbt parsed
        for source in sources:
            remove_source(place / name, source)
        for kind in kinds:
            remove_destination(place / name, kind)
    return whole | load(*copies)


def without(found: dict[str, dict[str, Any]], what: str) -> tuple[set[str], dict[str, Any]]:
    """Return all that went together with a source or a destination, and what is left."""
    (name,) = (name for name, (sources, kinds) in LOST.items() if what in (*sources, *kinds))
    return {each for part in LOST[name] for each in part}, found[name]


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


@pytest.mark.parametrize("source", mostly_in_storms(SOURCES, LOST["copy 0"][0]))
def test_without_a_source_everything_else_loads(source: str, found: dict[str, dict[str, Any]]) -> None:
    whole, (gone, left) = found[WHOLE], without(found, source)
    assert "problem" not in left, left["problem"]
    assert [each for each in SOURCES if each not in gone] == left["sources"]
    assert [each for each in whole["signed"] if each not in gone] == left["signed"]
    assert whole["commands"] == left["commands"]
    for kind in ("models", "assets"):
        ours = {each: [it for it in whole[kind] if each in it or it.endswith(_staging(each))] for each in SOURCES}
        lost = {it for each in gone & set(SOURCES) for it in ours[each]}
        assert ours[source] and [it for it in whole[kind] if it not in lost] == left[kind]


@pytest.mark.parametrize("kind", mostly_in_storms(DESTINATIONS, LOST["copy 0"][1]))
def test_without_a_destination_everything_else_loads(kind: str, found: dict[str, dict[str, Any]]) -> None:
    whole, (gone, left) = found[WHOLE], without(found, kind)
    assert "problem" not in left, left["problem"]
    assert [each for each in DESTINATIONS if each not in gone] == left["kinds"]
    assert whole["commands"] == left["commands"]
