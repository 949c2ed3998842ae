import re
import shutil
from pathlib import Path

import duckdb
import pytest

from lake.ocsf.attributes import DBT_PROJECT, DECLARATION, DeclarationError, declared_classes
from lake.ocsf.columns import columns
from lake.ocsf.generate import GENERATED, drift, generated_files, main, write

CLASS_UIDS = {
    "base_event": 0,
    "file_activity": 1001,
    "module_activity": 1005,
    "scheduled_job_activity": 1006,
    "process_activity": 1007,
    "script_activity": 1009,
    "detection_finding": 2004,
    "account_change": 3001,
    "authentication": 3002,
    "authorize_session": 3003,
    "user_access": 3005,
    "group_management": 3006,
    "network_activity": 4001,
    "dns_activity": 4003,
    "api_activity": 6003,
    "registry_key_activity": 201001,
    "registry_value_activity": 201002,
    "windows_service_activity": 201004,
}
SMALLEST = """\
version: 1.8.0
profiles: [datetime]
base:
  - time
  - activity_id
  - category_uid
  - class_uid
  - type_uid
  - severity_id
  - metadata.version
  - metadata.profiles[]
  - metadata.product.name
classes:
  base_event:
    - message
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / DECLARATION).parent.mkdir()
    (tmp_path / DECLARATION).write_text(SMALLEST, encoding="utf-8")
    return tmp_path


def declare(project: Path, old: str, new: str) -> None:
    assert old in SMALLEST
    (project / DECLARATION).write_text(SMALLEST.replace(old, new), encoding="utf-8")


def test_the_generated_macros_are_those_of_the_declaration() -> None:
    assert drift(DBT_PROJECT) == []


def test_the_published_classes_have_their_official_uids() -> None:
    found = {name: event_class.uid for name, event_class in declared_classes().items()}
    assert CLASS_UIDS.items() <= found.items()


def test_every_class_is_a_table_that_duckdb_can_create() -> None:
    connection = duckdb.connect()
    for name, event_class in declared_classes().items():
        described = ", ".join(f'"{column}" {type_}' for column, type_ in columns(event_class))
        connection.execute(f'create table "{name}" ({described})')


def test_ocsf_types_become_duckdb_types() -> None:
    types = dict(columns(declared_classes()["api_activity"]))
    assert tuple(types[name] for name in ("time", "time_dt", "severity_id", "unmapped")) == (
        "BIGINT",
        "TIMESTAMP",
        "INTEGER",
        "JSON",
    )
    assert '"lat" DOUBLE' in types["src_endpoint"]
    assert '"is_managed" BOOLEAN' in types["device"]
    assert '"data" JSON' in types["api"]
    assert types["resources"].endswith("[]")


def test_one_more_line_is_one_more_column(project: Path) -> None:
    declare(project, "    - message\n", "    - message\n    - status_code\n")
    names = [name for name, _ in columns(declared_classes(project)["base_event"])]
    assert names[-2:] == ["message", "status_code"]


def test_a_changed_declaration_is_drift_until_it_is_written(project: Path) -> None:
    write(project)
    assert drift(project) == []
    declare(project, "    - message\n", "    - message\n    - status_code\n")
    assert drift(project) == [GENERATED / "ocsf_types.sql"]
    assert main(["--check", "--project", str(project)]) == 1
    assert main(["--project", str(project)]) == 0
    assert main(["--check", "--project", str(project)]) == 0


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("- message", "- mesage", "base_event: mesage: OCSF 1.8.0 has no such attribute in Base Event"),
        ("- message", "- actor.app_name", "base_event: actor: belongs to the profile host"),
        ("- message", "- metadata.labels", "base_event: metadata.labels: is a list: write [] after it"),
        ("- message", "- message[]", "base_event: message[]: is no list"),
        ("- message", "- metadata.extension.name", "base_event: metadata.extension: is deprecated"),
        ("- message", "- observables[]", "base_event: observables[]: is an object (observable): list which"),
        ("- message", "- observables[].name", "base_event: observables[].type_id: is required by OCSF"),
        ("- message", "- message.text", "base_event: message: is a string_t and has no attributes below it"),
        ("- message", "- unmapped.a", "base_event: unmapped: is an open object"),
        ("- message", "- time", "base_event: time: declared twice"),
        ("- message", "- metadata: nobody", "base_event: metadata: there is no shape 'nobody'"),
        ("  - severity_id\n", "", "base_event: severity_id: is required by OCSF, but not declared"),
        ("  - metadata.product.name\n", "", "base_event: metadata.product: is required"),
        ("metadata.product.name", "metadata.product.version", "metadata.product: OCSF wants at_least_one of name, uid"),
        ("version: 1.8.0\n", "", "version missing"),
    ],
)
def test_a_wrong_declaration_says_where_and_what(project: Path, old: str, new: str, expected: str) -> None:
    declare(project, old, new)
    with pytest.raises(DeclarationError, match=re.escape(expected)):
        declared_classes(project)


def test_the_command_names_the_file_of_a_wrong_declaration(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(project, "base_event", "no_such_class")
    assert main(["--project", str(project)]) == 2
    assert capsys.readouterr().err == "ocsf/attributes.yml: no_such_class: OCSF 1.8.0 has no such class\n"


def test_generated_text_does_not_depend_on_where_the_project_lies(tmp_path: Path) -> None:
    shutil.copytree(DBT_PROJECT / "ocsf", tmp_path / "ocsf")
    assert generated_files(tmp_path) == generated_files(DBT_PROJECT)
