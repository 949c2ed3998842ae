"""The files generated from the contracts: they agree with them, and an edit is noticed."""

from pathlib import Path

import duckdb
import jinja2
import pytest
import yaml

from ingest.contracts import load_contracts
from ingest.contracts.generate import drift, main, render_all, types_macro, write_all
from ingest.contracts.model import pipeline_columns

REPOSITORY = Path(__file__).parents[3]


def test_the_repository_holds_what_the_contracts_say() -> None:
    """Fails when a contract was changed without `python -m ingest.contracts.generate`, or a generated file by hand."""
    assert [] == drift()


def test_edited_and_missing_files_are_named_and_repaired(tmp_path: Path) -> None:
    """One changed character is enough."""
    written = write_all(tmp_path)
    missing, *edited = written
    (tmp_path / missing).unlink()
    for path in edited:
        text = (tmp_path / path).read_text()
        (tmp_path / path).write_text(text.replace("ventT", "ventt", 1) if "ventT" in text else f"{text} ")
    assert written == drift(tmp_path) == write_all(tmp_path)
    assert [] == drift(tmp_path)


def test_check_fails_and_names_the_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The command that `make check` runs."""
    assert 0 == main(["--check"])
    monkeypatch.setattr("ingest.contracts.generate.drift", lambda: ["dbt_project/x.yml"])
    assert 1 == main(["--check"])
    assert "dbt_project/x.yml" in capsys.readouterr().out


def test_dbt_source_has_one_table_per_contract_with_every_column() -> None:
    """Columns of the contract in order, then the pipeline's; names that SQL cannot bear unquoted are quoted."""
    text = render_all()[Path("dbt_project/models/staging/_sources.yml")]
    tables = {each["name"]: each for each in yaml.safe_load(text)["sources"][0]["tables"]}
    for source, contract in load_contracts().items():
        names = [each.name for each in contract.fields] + [each.name for each in pipeline_columns]
        assert names == [each["name"] for each in tables[source]["columns"]]
        assert contract.owner == tables[source]["config"]["meta"]["owner"]
        assert all(each["description"] for each in tables[source]["columns"])
    columns = {each["name"]: each for each in tables["windows_event"]["columns"]}
    assert columns["@timestamp"]["quote"] is True
    assert "sensitive" == columns["CommandLine"]["config"]["meta"]["classification"]


def test_classification_of_nested_fields_is_on_their_column() -> None:
    """A column that holds personal data deep inside says where."""
    text = render_all()[Path("dbt_project/models/staging/_sources.yml")]
    tables = {each["name"]: each for each in yaml.safe_load(text)["sources"][0]["tables"]}
    identity = next(each for each in tables["aws_cloudtrail"]["columns"] if each["name"] == "userIdentity")
    inside = identity["config"]["meta"]["classification_inside"]
    assert {"userIdentity.userName": "pii", "userIdentity.accessKeyId": "sensitive"}.items() <= inside.items()


def test_types_macro_gives_types_that_duckdb_knows() -> None:
    """The macro, rendered as dbt does, builds an empty table of each source."""
    returned: list[dict[str, list[list[str]]]] = []
    environment = jinja2.Environment()
    environment.globals["return"] = returned.append
    environment.from_string(types_macro(load_contracts().values()) + "{{ bronze_types() }}").render()
    connection = duckdb.connect()
    for source, columns in returned[0].items():
        declared = ", ".join(f'"{name}" {kind}' for name, kind in columns)
        connection.execute(f"create table {source} ({declared})")
    assert set(load_contracts()) == set(returned[0])


def test_field_table_lists_nested_fields() -> None:
    """One row per field at any depth."""
    page = render_all()[Path("ingest/sources/okta_system_log/FIELDS.md")]
    for path in ("uuid", "client.geographicalContext.geolocation.lat", "request.ipChain[*].ip"):
        assert f"| `{path}` |" in page
