"""The rules of the house: who may import whom, how rooms stand on each other, how large a folder is, and one of each.

Held by reading the code; nothing is imported.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
ROOMS = ("ingest", "lake", "orchestration")
FORBIDDEN = {
    "lake": {"ingest", "orchestration", "dagster", "dagster_dbt", "dbt"},
    "ingest": {"orchestration", "dagster", "dagster_dbt", "dbt"},
    "orchestration": {"tests"},
}
MOST_FLOORS, MOST_MODULES, MOST_LOOSE = 6, 14, {"lake": 0, "orchestration": 5}

# Folders that are a list of things found by their name: the listing is the reference manual, however long it gets.
LISTS = {
    "ingest/lookups/providers",
    "ingest/reference/formats",
    "ingest/sources",
    "lake/export/destinations",
    "orchestration/cli/commands",
}
ONE_OF_EACH = {
    "a quoted SQL text or name": (r"""replace\(("'"|'"'), ?("''"|'""')\)""", "lake/base/sql.py"),
    "a finder of plugins": (r"pkgutil\.iter_modules", "lake/base/plugins.py"),
    "a session of HTTP requests": (r"requests\.(Session|request|get|post)\(", "lake/base/http.py"),
    "a write to the environment": (r"os\.environ(\[[^]]+\] *=[^=]|\.(update|setdefault|pop)\()", ""),
}
# Where another one is right, with the reason.
ALSO = {
    "lake/export/destinations/snowflake/sql.py",  # Snowflake's texts also escape backslashes
    "lake/ocsf/generate.py",  # in Jinja that is generated
    "orchestration/demo/simulators/bigquery/service.py",  # runs in the emulator's environment, without the product
}


def files(room: str) -> list[Path]:
    return sorted(file for file in (TOP / room).rglob("*.py") if "dbt_packages" not in file.parts)


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(TOP).with_suffix("").parts).removesuffix(".__init__")


@cache
def imported(file: Path) -> list[tuple[str, int]]:
    """Return everything a file imports, at its top, in functions and for types, with the line."""
    found: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{file}: relative imports are not used here"
            found += ((f"{node.module}.{name.name}", node.lineno) for name in node.names)
    return found


@cache
def graph() -> dict[str, set[str]]:
    """Return the modules of the product that each module imports."""
    modules = {name_of(file): file for room in ROOMS for file in files(room)}
    found: dict[str, set[str]] = {}
    for module, file in modules.items():
        names = (name if name in modules else name.rpartition(".")[0] for name, _ in imported(file))
        found[module] = {name for name in names if name in modules and name != module}
    return found


def cycle_in(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the nodes of one cycle, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as problem:
        return list(problem.args[1])
    return []


def rooms_of_lake() -> dict[str, set[str]]:
    """Return the rooms of `lake` that each of them stands on."""
    found: dict[str, set[str]] = {}
    for module, names in graph().items():
        if module.startswith("lake."):
            room = module.split(".")[1]
            others = {name.split(".")[1] for name in names if name.startswith("lake.")}
            found.setdefault(room, set()).update(others - {room})
    return found


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_a_room_imports_none_of_its_callers(room: str) -> None:
    broken = [
        f"{file.relative_to(TOP)}:{line} imports {name}"
        for file in files(room)
        for name, line in imported(file)
        if name.split(".")[0] in FORBIDDEN[room] | {"tests"}
    ]
    assert broken == []


@pytest.mark.parametrize("room", ["ingest", "lake"])
def test_the_linter_refuses_what_a_room_must_not_import(room: str) -> None:
    code = "".join(f"import {name}\n" for name in sorted(FORBIDDEN[room]))
    linter = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--output-format", "concise"]
    found = subprocess.run(
        [*linter, "--stdin-filename", str(TOP / room / "new_module.py"), "-"],
        input=code,
        capture_output=True,
        text=True,
    )
    assert found.stdout.count("TID251") == len(FORBIDDEN[room]), found.stdout + found.stderr


def test_no_modules_import_each_other() -> None:
    assert cycle_in(graph()) == []


def test_rooms_of_the_lake_stand_on_each_other_and_on_few_floors() -> None:
    rooms = rooms_of_lake()
    assert cycle_in(rooms) == []
    floors: dict[str, int] = {}
    for room in TopologicalSorter(rooms).static_order():
        floors[room] = 1 + max((floors[each] for each in rooms[room]), default=0)
    assert max(floors.values()) <= MOST_FLOORS, floors
    assert (floors["base"], floors["storage"], floors["ledger"]) == (1, 2, 3)


@pytest.mark.parametrize("room", sorted(MOST_LOOSE))
def test_few_modules_stand_loose(room: str) -> None:
    loose = [file.name for file in (TOP / room).glob("*.py") if file.name != "__init__.py"]
    assert len(loose) <= MOST_LOOSE[room], loose


def test_a_folder_is_read_at_a_glance() -> None:
    sizes: dict[str, int] = {}
    for file in (file for room in ROOMS for file in files(room) if file.name != "__init__.py"):
        folder = file.parent.relative_to(TOP).as_posix()
        sizes[folder] = sizes.get(folder, 0) + 1
    assert {folder: size for folder, size in sizes.items() if size > MOST_MODULES and folder not in LISTS} == {}


@pytest.mark.parametrize("what", sorted(ONE_OF_EACH))
def test_there_is_one_of_each(what: str) -> None:
    pattern, place = ONE_OF_EACH[what]
    found = {
        file.relative_to(TOP).as_posix()
        for room in ROOMS
        for file in files(room)
        if re.search(pattern, file.read_text())
    }
    assert found - ALSO - {place} == set()
