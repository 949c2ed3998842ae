"""A contract that cannot be used stops its own source alone: it is named with file and reason."""

import logging
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from ingest.contracts import ContractError, load_contracts, read_contracts
from ingest.contracts.generate import drift
from ingest.sources import BrokenModule, api_of
from orchestration.cli.app import contract
from orchestration.settings import load_settings
from tests.unit.ingest.test_contracts import GOOD as DOCUMENT

GOOD = yaml.safe_dump(DOCUMENT)


def edited(*path: str | int, value: object) -> bytes:
    """The good contract with another value in one place."""
    document = place = deepcopy(DOCUMENT)
    for step in path[:-1]:
        place = place[step]  # type: ignore[index]
    place[path[-1]] = value  # type: ignore[index]
    return yaml.safe_dump(document).encode()


def a_folder(path: Path) -> None:
    path.mkdir()


BROKEN: dict[str, tuple[bytes | Callable[[Path], None], str]] = {
    "not YAML": (b"name: [flow\nversion: 1", "contract: not YAML: "),
    "tabs": (b"name:\tflow\n\tversion: 1", "contract: not YAML: "),
    "a list": (b"- name: flow\n", "found a list"),
    "a text": (b"flow\n", "found a str"),
    "empty": (b"", "contract: is empty"),
    "a comment": (b"# to do\n", "contract: is empty"),
    "not UTF-8": (GOOD.encode().replace(b"ada@", b"\xff@", 1), "is not UTF-8 at byte"),
    "NUL": (b"name: a\0b", "contract: not YAML: "),
    "no such date": (b"name: door_log\nversion: 2026-13-45\n", "contract: "),
    "a folder": (a_folder, "contract: cannot be read: Is a directory"),
    "numbers as keys": (b"1: 2\n", "contract: not ODCS"),
    "another kind": (edited("kind", value="Other"), "expected kind DataContract"),
    "unknown key": (edited("versions", value="1"), "not ODCS"),
    "unknown type": (edited("schema", 0, "properties", 0, "logicalType", value="blob"), "unknown type 'blob'"),
    "no fields": (edited("schema", value=[]), "schema: expected one object"),
    "fields that are a text": (edited("schema", 0, "properties", value="all"), "not ODCS"),
    "a field that is nothing": (edited("schema", 0, "properties", 0, value=None), "not ODCS"),
    "a version that is a list": (edited("version", value=[1]), "version: not ODCS"),
    "a custom property that is a text": (edited("customProperties", 0, value="eventTime"), "not ODCS"),
    "of another folder": (edited("name", value="other"), "name: found 'other', expected the folder's name 'broken'"),
    "format without kind": (edited("customProperties", value=[{"property": "format", "value": {}}]), "broken"),
}


def sources(place: Path, contents: bytes | Callable[[Path], None]) -> Path:
    """Two sources: a good one, and `broken`."""
    for name in ("door_log", "broken"):
        (place / name).mkdir()
    (place / "door_log/contract.yaml").write_text(GOOD)
    file = place / "broken/contract.yaml"
    file.write_bytes(contents) if isinstance(contents, bytes) else contents(file)
    return place


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_contract_stops_its_source_alone(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    contents, why = BROKEN[kind]
    place = sources(tmp_path, contents)
    good, problems = read_contracts(place)
    assert (["door_log"], ["broken"]) == (list(good), list(problems))
    said = str(problems["broken"])
    assert said.startswith(f"{place}/broken/contract.yaml: ") and why in said and "\n" not in said
    with caplog.at_level(logging.WARNING):
        assert good == load_contracts(place) == load_contracts(place)
    assert [f"{said}; source broken is left out until that is corrected"] == caplog.messages, "it is told once"


def test_a_shape_that_nobody_has_thought_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object, __: object) -> None:
        raise KeyError("volatile")

    monkeypatch.setattr("ingest.contracts.odcs._read", fail)
    _, problems = read_contracts(sources(tmp_path, GOOD.replace("version:", "version: ", 1).encode()))
    assert all("contract: cannot be used: KeyError: 'volatile'" in str(each) for each in problems.values())
    assert problems


def test_a_command_that_names_the_source_ends_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.contracts.odcs.SOURCES", sources(tmp_path, b""))
    assert "door_log" == contract("door_log").source
    with pytest.raises(ContractError, match="is empty") as caught:
        contract("broken")
    assert 2 == caught.value.exit_code


def test_nothing_is_generated_without_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tables would vanish from the dbt project."""
    monkeypatch.setattr("ingest.contracts.odcs.SOURCES", sources(tmp_path, b""))
    with pytest.raises(ContractError, match="is empty"):
        drift()


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (SyntaxError("invalid syntax"), "cannot be imported: SyntaxError: invalid syntax"),
        (ModuleNotFoundError("No module named 'x'"), "cannot be imported: ModuleNotFoundError: No module named 'x'"),
        (ZeroDivisionError(), "cannot be imported: ZeroDivisionError:"),
        (ModuleType("source"), "lacks Place, EXAMPLE, SETTLE, SWEEP, fetch"),
    ],
)
def test_a_module_of_a_source_that_cannot_be_imported_is_named(
    module: Exception | ModuleType, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The settings of the source are left out; the other sources stay."""

    def imported(_: str) -> ModuleType:
        if isinstance(module, Exception):
            raise module
        return module

    (tmp_path / "headwater.yml").write_text(
        "sources: {okta_system_log: {base_url: 'https://x.okta.com'}, aws_vpc_flow: {root: logs}}"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ingest.sources._FOLDER", tmp_path)
    (tmp_path / "okta_system_log").mkdir()
    (tmp_path / "okta_system_log" / "source.py").touch()
    monkeypatch.setattr("ingest.sources.importlib.import_module", imported)
    with pytest.raises(BrokenModule) as caught:
        api_of("okta_system_log")
    assert f"okta_system_log/source.py: {why}" in str(caught.value)
    used = load_settings()
    assert ["aws_vpc_flow"] == [*used.sources] and why in used.left_out["sources.okta_system_log"]
