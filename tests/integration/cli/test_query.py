"""Questions: how many rows are shown and told, formats, files, what can be asked, the prompt."""

import csv
import json
import os
import pty
import select
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestration.cli.commands import shell
from orchestration.settings import load_settings, open_lake
from orchestration.steps.query import table_names
from tests.integration.lakes import headwater
from tests.integration.okta_logs import SOURCE

EVENTS = f"select uuid, actor, _event_at, to_json(actor) as said from bronze.{SOURCE} order by 1, _batch, _source_row"


def test_a_table_says_of_how_many_rows_it_is(okta_lake: Path) -> None:
    said = headwater("query", f"select uuid from bronze.{SOURCE}", "--limit", "2")
    assert len(said.out.splitlines()) == 3
    assert said.err == "first 2 of 19 rows; --limit 0 for all\n"
    many = headwater("query", "select range as n from range(34012)")
    assert (len(many.out.splitlines()), many.err) == (101, "first 100 of 34,012 rows; --limit 0 for all\n")
    whole = headwater("query", "select range as n from range(2500)", "--limit", "0")
    assert (len(whole.out.splitlines()), whole.err) == (2501, "")


def test_programs_get_all_rows_unless_they_say_how_many(okta_lake: Path) -> None:
    question = "select range as n from range(2500)"
    assert [each["n"] for each in headwater("query", question, "--json").json] == [*range(2500)]
    some = headwater("query", question, "--format", "ndjson", "--limit", "3")
    assert (some.out, some.err) == ('{"n":0}\n{"n":1}\n{"n":2}\n', "first 3 of 2,500 rows; --limit 0 for all\n")


@pytest.mark.parametrize("form", ["csv", "json", "ndjson", "parquet"])
def test_every_format_has_the_same_rows(form: str, okta_lake: Path, tmp_path: Path) -> None:
    file = tmp_path / f"rows.{form}"
    said = headwater("query", EVENTS, "--output", file)
    assert (said.code, said.out) == (0, "") and "19 rows written to" in said.err
    assert [path.name for path in tmp_path.iterdir() if "rows" in path.name] == [file.name]
    if form == "parquet":
        rows = pq.read_table(file).to_pylist()
    elif form == "csv":
        rows = [*csv.DictReader(file.open(newline=""))]
        rows = [{**row, "actor": json.loads(row["actor"]) if row["actor"] else None} for row in rows]
    else:
        text = file.read_text()
        assert headwater("query", EVENTS, "--format", form).out == text
        rows = json.loads(text) if form == "json" else [json.loads(line) for line in text.splitlines()]
    whole = headwater("query", EVENTS, "--json").json
    assert [row["uuid"] for row in rows] == [row["uuid"] for row in whole]
    assert [row["actor"] for row in rows] == [row["actor"] for row in whole]
    assert [row["actor"] for row in rows] == [row["said"] for row in whole]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("select 1", "--format", "xml"), 2, "expected table, csv, json, ndjson, parquet"),
        (("select 1", "--format", "parquet"), 2, "--format parquet needs --output FILE"),
        (("select 1", "--output", "rows.txt"), 2, "add --format"),
        (("select 1", "--output", "nowhere/rows.csv"), 1, "No such file or directory"),
        (("select usr from silver.authentication",), 1, 'there is no column "usr"; near it: "user"'),
        (("select user.nme from silver.authentication",), 1, 'there is no "nme" in that object; near it: "name"'),
        (("select * from silver.authenticaton",), 1, "there is no table authenticaton; near it: silver.authentication"),
        (("select * from okta",), 1, f"bronze.{SOURCE}"),
        (("select * from read_csv('/etc/passwd')",), 1, "/etc/passwd is outside of the lake"),
        (("select * from os",), 1, "there is no table os"),  # no variable of this program
        (("from enable_logging(storage := 'file', storage_path := '{lake}/x')",), 2, "does more than to read"),
        (("from query('from ' || 'enable_' || 'logging()')",), 2, "does more than to read"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(words: tuple[str, ...], code: int, said: str, okta_lake: Path) -> None:
    before = sorted(okta_lake.iterdir())
    found = headwater("query", *(each.format(lake=okta_lake) for each in words))
    assert (found.code, found.out, found.err.count("\n")) == (code, "", 1)
    assert said in found.err
    assert sorted(okta_lake.iterdir()) == before


def test_tables_tell_what_can_be_asked(okta_lake: Path) -> None:
    found = {each["name"]: each for each in headwater("tables", "--json").json}
    assert (found[f"bronze.{SOURCE}"]["rows"], found[f"quarantine.{SOURCE}"]["rows"]) == (19, 3)
    (row,) = headwater(
        "query", "--json", "select count(*)::int as rows, max(date || 'T' || hour) as newest from silver.authentication"
    ).json
    assert {name: found["silver.authentication"][name] for name in row} == row
    assert set(found) <= set(table_names(open_lake(load_settings())))
    shown = headwater("tables").out
    assert f"bronze.{SOURCE} " in shown and "silver.dns_activity" not in shown and "--all lists them" in shown
    assert "silver.dns_activity" in headwater("tables", "--all").out


def test_a_table_tells_its_columns_and_a_question_that_works(okta_lake: Path) -> None:
    for name in (
        f"bronze.{SOURCE}",
        "silver.authentication",
        f"quarantine.{SOURCE}",
        "ledger.balance",
        "gold.dispositions",
    ):
        told = headwater("tables", name, "--json").json
        wanted = headwater("query", "--json", f"describe {name}").json
        assert [each["name"] for each in told["columns"]] == [each["column_name"] for each in wanted]
        assert headwater("query", told["example"]).code == 0, told["example"]
    parts = headwater("tables", "silver.authentication.user", "--json").json["columns"]
    assert {"name": "user.name", "type": "varchar", "description": "The username."}.items() <= parts[0].items()
    assert "near it: silver.authentication" in headwater("tables", "silver.authenticate").err


def test_a_prompt_takes_many_lines_and_completes(
    okta_lake: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    screen = _typed(
        "select count(*) as n\n",
        "from silver.authen\t;\n",
        "select 1; select 2;\n",
        ".no\n",
        ".quit\n",
    )
    assert "from silver.authentication" in screen  # what Tab made of it
    assert "expected one statement, found 2" in screen and ".no: no such word" in screen
    history = tmp_path / "state/headwater/history"
    assert history.stat().st_mode & 0o777 == 0o600 and history.parent.stat().st_mode & 0o777 == 0o700
    assert "select count(*) as n" in history.read_text()


def _typed(*lines: str) -> str:
    """Return the screen of a terminal on which somebody types lines at the prompt."""
    child, terminal = pty.fork()
    if not child:
        code = 1
        try:
            sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode) for n, mode in ((0, "r"), (1, "w"), (2, "w")))
            shell.shell()
            sys.stdout.flush()
            code = 0
        finally:
            os._exit(code)
    screen = ""
    for line in (*lines, ""):
        end = time.monotonic() + 20
        while not screen.endswith(("headwater> ", "-> ")) and time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    screen += os.read(terminal, 65536).decode()
                except OSError:  # the other side has ended
                    break
        if line:
            os.write(terminal, line.encode())
            screen += "\n"
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, screen
    return screen


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("select 1;", True),
        ("select 1; -- that is all", True),
        ("select 1", False),
        ("select ';", False),
        ("select ';'", False),
        ("select ';' as \"a;\";", True),
        ("select 1 -- ;", False),
        ("select 1 /* ;", False),
    ],
)
def test_a_question_ends_with_its_own_semicolon(text: str, whole: bool) -> None:
    assert shell.is_whole(text) is whole


def test_a_pipe_of_questions_is_answered(okta_lake: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "asked.sql").write_text("select 1 as one;\n.limit 1\nselect *\nfrom range(3);\nselect nothing")
    with (tmp_path / "asked.sql").open() as asked:
        monkeypatch.setattr(sys, "stdin", asked)
        said = headwater("shell")
    assert said.out.split() == ["one", "1", "range", "0"]
    assert said.code == 1 and "first 1 of 3 rows; .limit 0 for all" in said.err and '"nothing"' in said.err
