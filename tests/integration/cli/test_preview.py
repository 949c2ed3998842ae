"""Trying an edit: `headwater preview` and `headwater test` on a small lake. Nothing of the lake changes by it."""

import re
import shutil
from pathlib import Path

import pytest

from lake.storage.store import LocalStore
from orchestration.cli.commands import test as unit_tests
from tests.integration import okta_logs
from tests.integration.lakes import Said, headwater, leftovers, marks

MODEL, HOUR = f"base_event__{okta_logs.SOURCE}", "2026-03-02T05"
SIGN_INS = f"authentication__{okta_logs.SOURCE}"


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_WARM_SECONDS", "0")


@pytest.fixture
def project(okta_lake: Path, okta_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project that the lake was built with."""
    copy = Path(shutil.copytree(okta_project, tmp_path / "project"))
    monkeypatch.setattr("orchestration.dbt.project.PROJECT", copy)
    return copy


def file_of(project: Path, model: str) -> Path:
    return next(project.glob(f"models/**/{model}.sql"))


def counted(said: Said) -> tuple[int, int, int, int]:
    """Return the rows that were made, and how many were added, removed and changed."""
    found = said.json["difference"]
    return said.json["made"], found["added"], found["removed"], found["changed"]


def test_without_an_edit_no_row_differs_and_the_lake_is_left_as_it_was(okta_lake: Path, project: Path) -> None:
    before = marks(okta_lake, ".")
    with LocalStore(okta_lake).lock("publish"):  # as a build beside it would hold
        said = headwater("preview", "authentication", "--source", okta_logs.SOURCE, "--hour", HOUR)
    assert said.code == 0, said.err
    assert said.out == f"{SIGN_INS} {HOUR}: 6 rows; published 6; no row differs\n"
    assert (marks(okta_lake, "."), leftovers(okta_lake)) == (before, [])


def test_an_edit_is_told_by_column_and_row(okta_lake: Path, project: Path) -> None:
    file = file_of(project, SIGN_INS)
    file.write_text(
        f"select * replace (case when metadata.uid = 'torn' then 'edited' else message end as message)"
        f" from ({file.read_text()}\n) where metadata.uid not like 'in-%'"
    )
    said = headwater("preview", SIGN_INS, "--hour", HOUR)
    assert said.code == 0, said.err
    first, *lines = said.out.splitlines()
    assert first == f"{SIGN_INS} {HOUR}: 2 rows; published 6; 4 removed, 2 changed"
    assert lines[0].split() == ["column", "rows", "that", "differ", "where"]
    assert [line.split() for line in lines[1:3]] == [["message", "2"], ["unmapped", "2"]]  # it keeps the logged text
    assert "    message   User login to Okta → edited" in lines
    assert '    unmapped  NULL → {"displayMessage":"User login to Okta"}' in lines
    assert sum(line.startswith("removed in-") for line in lines) == 4
    told = headwater("preview", SIGN_INS, "--hour", HOUR, "--rows", "1", "--json")
    assert counted(told) == (2, 0, 4, 2)
    assert told.json["rows"][0]["message"] == "edited"


def test_a_broken_rule_is_told_with_exit_code_1(project: Path) -> None:
    file = file_of(project, MODEL)
    file.write_text(f"select * replace (77 as severity_id) from ({file.read_text()}\n)")
    said = headwater("preview", MODEL)
    assert said.code == 1
    assert re.match(
        rf"{MODEL} {HOUR}: (\d) rows?; published \1; \1 changed\nbroken rule enum\(severity_id\): \1 row", said.out
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("authentification",), "there is no model authentification; near it: authentication__okta_system_log"),
        (("authentication", "--source", "okta"), "there is no model authentication__okta"),
        ((MODEL, "--hour", "2026-03-02T09"), "nothing of the hour 2026-03-02T09 has landed; there are 3 hours"),
        ((MODEL, "--hour", "2026-03-02"), "'2026-03-02' is no hour"),
    ],
)
def test_a_wrong_name_or_hour_is_a_wrong_call(project: Path, words: tuple[str, ...], told: str) -> None:
    said = headwater("preview", *words)
    assert said.code == 2
    assert told in said.err


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("select nothing_such, * from ({})", 'Referenced column "nothing_such" not found'),
        ("select {{{{ no_such_macro() }}}} from ({})", "'no_such_macro' is undefined"),
        ("select {{{{ no_such_macro( }}}} from ({})", "unexpected '}', expected ')'"),
        ("select *, 1 as no_attribute from ({})", "the class declares no column 'no_attribute'"),
    ],
)
def test_a_model_that_fails_is_told_in_few_words(project: Path, sql: str, told: str) -> None:
    file = file_of(project, MODEL)
    file.write_text(sql.format(file.read_text() + "\n"))
    said = headwater("preview", MODEL)
    assert said.code == 1
    assert told in said.err
    assert len(said.err.splitlines()) <= 8


@pytest.mark.parametrize("view", ["stg_okta__system_log", okta_logs.SOURCE])
def test_a_view_is_counted_and_shown(project: Path, view: str) -> None:
    said = headwater("preview", view, "--hour", HOUR, "--rows", "9", "--json")
    assert said.code == 0, said.err
    assert said.json["difference"] is None
    assert said.json["made"] == len(said.json["rows"]) > 6
    assert {okta_logs.SIGN_IN, okta_logs.UNROUTED} <= {row["event_type"] for row in said.json["rows"]}


def test_the_unit_tests_of_a_model_run(project: Path) -> None:
    tests = file_of(project, SIGN_INS).with_suffix(".yml")
    given = "{input: ref('okta_system_log'), rows: [{class_uid: 3002, activity_id: 1}]}"
    for name, activity in (("right", 1), ("wrong", 2)):
        test = f"{{name: {name}, model: {SIGN_INS}, given: [{given}], expect: {{rows: [{{activity_id: {activity}}}]}}}}"
        tests.write_text(f"unit_tests: [{test}]\n")
        said = headwater("test", SIGN_INS)
        assert said.code == (name == "wrong"), said.err
        assert said.out.splitlines()[-1] == f"{2 - activity} of 1 unit tests pass"
    assert "actual differs from expected" in said.out


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            '@@,user,n\n→,"{""uid"": ""u1"", ""name"": null}",3→1\n,x,1',
            ["expected → actual", '{"uid": "u1"}', "3 → 1"],
        ),
        ("@@ ,n\n+++,1\n...,...", ["not expected", "1"]),
        ('@@ ,n\n---,"a, ""b"""', ["missing", 'a, "b"']),
        ("!,n,+++\n@@,n,m", ["!,n,+++"]),  # other columns: as dbt says it
    ],
)
def test_rows_that_differ_are_a_table(message: str, told: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    unit_tests._tell(f"actual differs from expected:\n\n{message}\n")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "actual differs from expected:"
    assert told in [re.split("  +", line.strip()) for line in said]
    assert not any(line.strip().startswith("x") for line in said)


def test_a_model_without_unit_tests_says_so(project: Path) -> None:
    said = headwater("test", MODEL)
    assert said.code == 1
    assert f"{MODEL} has no unit tests" in said.err
