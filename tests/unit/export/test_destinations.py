"""Destinations are found by folder: each has what it needs, and nothing outside a destination names one."""

import ast
from pathlib import Path

import pytest

import lake.export.destinations
from lake.base import plugins
from lake.export.destination import configured, kinds, module_of
from lake.export.errors import BadDeclaration, SchemaConflict

ROOT = Path(__file__).parents[3]
PACKAGE = "lake.export.destinations"


def imports(path: Path) -> set[str]:
    """The destinations that a module imports, wherever it does."""
    found: set[str] = set()
    text = path.read_text()
    for node in ast.walk(ast.parse(text)) if PACKAGE in text else ():
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [f"{node.module}.{each.name}" for each in node.names] if isinstance(node, ast.ImportFrom) else []
        names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
        found |= {name.split(".")[3] for name in names if name.startswith(f"{PACKAGE}.")}
    return found & set(kinds())


def test_no_module_of_the_product_imports_a_destination_that_it_is_not_a_part_of() -> None:
    """So removing any one of them breaks nothing else."""
    folder = ROOT / "lake/export/destinations"
    modules = [path for room in ("lake", "ingest", "orchestration") for path in (ROOT / room).rglob("*.py")]
    assert 100 < len(modules)
    for path in modules:
        own = {path.relative_to(folder).parts[0].removesuffix(".py")} if path.is_relative_to(folder) else set()
        assert imports(path) <= own, path


@pytest.mark.parametrize("gone", kinds())
def test_without_any_one_destination_the_others_are_found_and_open(gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = plugins.names
    monkeypatch.setattr(plugins, "names", lambda package: [each for each in found(package) if each != gone])
    assert gone not in kinds() and len(kinds()) == len(found(lake.export.destinations)) - 1
    for kind in kinds():
        assert module_of(kind).TYPES
    with pytest.raises(BadDeclaration, match=rf"destinations\.x: '{gone}' is no type \(known: [^)]+\)"):
        configured("x", {"type": gone})


def test_errors_carry_the_exit_code_of_the_command_line() -> None:
    assert (1, 2) == (SchemaConflict.exit_code, BadDeclaration.exit_code)
