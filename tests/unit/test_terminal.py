"""What a terminal is given: text of others as text, every column, every value."""

import importlib
import io
import json
import re
from typing import Any

import duckdb
import pytest

from lake.base.text import no_formula, shown, shown_json
from lake.query.formats import text_lines
from orchestration.cli.app import Terminal, print_rows, print_table, progress

terminal = importlib.import_module("orchestration.cli.app")  # its package has the application under this name
ACTS = "\x1b[31m\x07\x9b2J\u202e\u2066\u200b\ufeff\udcff\r\b\x7f\U000e0041"
ROW = """
select 1772412074000 as time, timestamp '2026-03-02 00:41:14' as time_dt, 65535 as port,
  {'name': 'ann', 'uid': null, 'org': {'name': 'Ärzte'}} as user, [{'ip': '192.0.2.1'}, {'ip': '192.0.2.2'}] as ends,
  '{"a": {"b": [1, 2]}}'::json as unmapped, null as nothing, '' as empty, 'NULL' as said, true as is_mfa,
""" + ", ".join(f"'{'x' * 30}' as text_{n}" for n in range(12))


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> io.StringIO:
    """What stands on a screen of 80 columns, or of as many as the parameter says."""
    width = getattr(request, "param", 80)
    held = Terminal(width=width)
    held.file = io.StringIO()
    monkeypatch.setattr(terminal, "out", held)
    return held.file


def asked(question: str) -> tuple[list[str], list[Any], list[tuple[Any, ...]]]:
    cursor = duckdb.execute(question)
    told = cursor.description or ()
    return [each[0] for each in told], [each[1] for each in told], cursor.fetchall()


def test_what_acts_on_a_terminal_is_shown_as_its_code() -> None:
    said = shown(f"{ACTS}\n:smile: [red]x[/red]")
    assert said.isprintable()
    assert said.startswith(r"\x1b[31m\x07\x9b2J\u202e\u2066\u200b\ufeff\udcff\r\x08\x7f\U000e0041\n:smile: [red]x")
    assert shown("Grüße, 你好 🙂\n", lines=True) == "Grüße, 你好 🙂\n"


def test_json_on_a_terminal_has_the_same_value() -> None:
    text = shown_json(json.dumps({ACTS: ACTS}, ensure_ascii=False))
    assert text.isprintable()
    assert json.loads(text) == {ACTS: ACTS}


def test_a_console_takes_no_markup_and_no_names_of_pictures(screen: io.StringIO) -> None:
    evil = f":smile: [red]x[/red] [link=http://evil]y[/link] {ACTS}"
    terminal.out.print(evil, soft_wrap=True)
    print_table("", [evil], [[evil]])
    print_rows([evil], ["VARCHAR"], [(evil,)])
    said = screen.getvalue()
    assert set(said) - {"\n"} == {each for each in said if each.isprintable()}
    assert said.count(":smile:") == 5 and "[red]x[/red]" in said


@pytest.mark.parametrize("screen", [80, 160], indirect=True)
def test_a_row_that_does_not_fit_is_shown_whole(screen: io.StringIO) -> None:
    names, types, rows = asked(ROW)
    print_rows(names, types, rows)
    lines = [line.strip() for line in screen.getvalue().splitlines()]
    found = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert lines[0] == "row 1"
    assert {name: found[name] for name in list(found)[1:11]} == {
        "time": "1772412074000", "time_dt": "2026-03-02 00:41:14Z", "port": "65535", "user.name": "ann",
        "user.org.name": "Ärzte", "ends[1].ip": "192.0.2.1", "ends[2].ip": "192.0.2.2", "unmapped.a.b": "[1, 2]",
        "empty": "''", "said": "'NULL'",
    }  # fmt: skip
    assert found["NULL"] == "nothing" and all(found[f"text_{n}"] == "x" * 30 for n in range(12))


def test_rows_that_fit_are_a_table_without_separators_in_numbers(screen: io.StringIO) -> None:
    print_rows(*asked("select 1772412074000 as time, {'a': 1, 'b': null, 'c': [1]} as o, null as n, 'x' as x"))
    head, row = (line.split() for line in screen.getvalue().splitlines())
    assert head == ["time", "o", "n", "x"]
    assert row == ["1772412074000", "{a:", "1,", "c:", "[1]}", "NULL", "x"]


def test_json_inside_of_objects_is_read_as_json_columns_are(screen: io.StringIO) -> None:
    held = '\'{"x": [1, {"y": null}]}\'::json'
    print_rows(
        *asked(f"select {held} as j, {{'a': {held}, 'b': 'l'}} as o, [{held}, null] as l, map {{'k': {held}}} as m")
    )
    said = "{x: [1, {}]}"
    assert [said, f"{{a: {said}, b: l}}", f"[{said}, NULL]", f"{{k: {said}}}"] == re.split(
        "  +", screen.getvalue().splitlines()[-1].strip()
    )


@pytest.mark.parametrize("screen", [40, 80, 200], indirect=True)
@pytest.mark.parametrize("rows", [1, 30])
def test_a_table_of_a_command_has_every_column_and_breaks_no_number(screen: io.StringIO, rows: int) -> None:
    heads = ["product", *(f"events\nof kind {n}" for n in range(12))]
    print_table("", heads, [["lateral_movement", *([12_345_678] * 12)]] * rows)
    said = screen.getvalue()
    assert said.count("12,345,678") == 12 * rows
    assert said.count("lateral_movement") >= rows
    assert max(map(len, said.splitlines())) <= terminal.out.width


def test_words_are_broken_last(screen: io.StringIO) -> None:
    print_table(
        "", ["table", "about"], [["silver.authorize_session_activity", "What a session was allowed to do. " * 9]]
    )
    assert "silver.authorize_session_activity " in screen.getvalue()


@pytest.mark.parametrize("screen", [60, 80, 120], indirect=True)
def test_a_table_of_many_rows_is_split_before_a_name_is_broken(screen: io.StringIO) -> None:
    names = [f"silver.{name}" for name in ("authentication", "dns_activity", "user_access", "windows_service_activity")]
    heads = ["table", "source", "hours", "rows", "newest hour", "description"]
    about = ["okta_system_log", 3, 15, "2026-03-02T05", "Windows Service Activity"]
    print_table("", heads, [[name, *about] for name in names])
    assert [name for name in names if f"{name} " not in screen.getvalue()] == []


def test_in_a_pipe_a_step_says_how_far_it_is_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Terminal()
    held.file = io.StringIO()
    monkeypatch.setattr(terminal, "err", held)
    monkeypatch.setattr(terminal, "_FIRST_SECONDS", 0.01)
    with progress("building") as tell:
        tell("building, tables", 3, 1200)
        while "3 of 1,200" not in held.file.getvalue():
            pass
    assert held.file.getvalue().count("\n") <= 2
    with progress("building", hidden=True) as tell:
        tell("nobody hears this", 1)
    assert "nobody" not in held.file.getvalue()


def test_csv_has_exact_values_and_no_formulas() -> None:
    names, types, rows = asked(
        """select * from (values ('=1+1', -5, '-5', ''), ('@x', 6, '+1e3', null), ('a,"b', 7, '-cmd', 'c'))
        t(a, "=b", c, d)"""
    )
    text = "".join(text_lines("csv", names, types, rows))
    assert text == 'a,\'=b,c,d\n\'=1+1,-5,-5,""\n\'@x,6,+1e3,\n"a,""b",7,\'-cmd,c\n'
    assert "".join(text_lines("csv", names, types, rows, no_formulas=False)).startswith("a,=b,c,d\n=1+1,-5,")
    assert [no_formula(each) for each in ("\tx", "\rx", "+49 170", "＝x", "x=1", "+49")] == [
        "'\tx", "'\rx", "'+49 170", "'＝x", "x=1", "+49",
    ]  # fmt: skip


def test_json_columns_are_json_and_objects_are_objects() -> None:
    names, types, rows = asked(
        """select '{"n": 12345678901234567890.10}'::json as j, {'a': '[1]'::json, 'b': [null, 2]} as o,
        170141183460469231731687303715884105727::hugeint as h, 1.50::decimal(4, 2) as d, map {'k': 1} as m, 1 as j"""
    )
    lines = "".join(text_lines("ndjson", names, types, rows))
    assert lines == (
        '{"j":{"n": 12345678901234567890.10},"o":{"a":[1],"b":[null,2]},'
        '"h":170141183460469231731687303715884105727,"d":1.50,"m":{"k":1},"j_1":1}\n'
    )
    assert json.loads("".join(text_lines("json", names, types, rows * 2)))[1]["o"] == {"a": [1], "b": [None, 2]}
    assert "".join(text_lines("json", names, types, [])) == "[]\n"
