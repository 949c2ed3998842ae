"""A row of a seed that cannot be used stops itself alone: it is named with its line, and the others count."""

from pathlib import Path

import duckdb
import pytest

from orchestration.dbt.seeds import bad_routes, read_seed

TYPES = {"class_uid": "integer", "activity_id": "integer"}
HEAD = "source,event_type,class_uid,activity_id,note\n"
FIRST, LAST = "okta,user.session.start,3002,1,sign-in\n", 'windows,"4624",3002,1,"a, b"\n'

BAD_ROWS = {
    "okta,too,3002": "line 3 has 3 values, expected 5 (source, event_type, class_uid, activity_id, note)",
    "okta,many,3002,1,a,b": "line 3 has 6 values",
    'okta,"open,3002,1,': "line 3 is no row of CSV",
    "okta,a,sign-in,1,": "line 3 class_uid 'sign-in' is not a whole number",
    "okta,a,3002.5,1,": "line 3 class_uid '3002.5' is not a whole number",
    "okta,a,30020000000,1,": "line 3 class_uid '30020000000' is not a whole number",
    "okta,a,3002,one,": "line 3 activity_id 'one' is not a whole number",
    "okta,\udcff,3002,1,": "line 3 is not UTF-8",
}
BAD_ROUTES = {
    "okat,a,3002,1,": "line 3 there is no source 'okat'; is okta meant?",
    "okta,a,9999,1,": "line 3 class_uid '9999' is no class of ocsf/attributes.yml",
    "okta,a,,1,": "line 3 class_uid '' is no class",
    "okta,a,1001,1,": "line 3 class_uid 1001: okta has no model file_activity__okta",
    "okta,user.session.start,3002,2,": "line 3 user.session.start of okta has a route already, in line 2",
    "okta,*.start,3002,2,": "line 3 event_type '*.start': expected a name, which may end in *",
    "okta,,3002,2,": "line 3 event_type ''",
}


def seed(place: Path, *rows: str) -> Path:
    file = place / "ocsf_routing.csv"
    file.write_bytes("".join(rows).encode(errors="surrogateescape"))
    return file


def read(select: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as con:
        return con.execute(select).fetchall()


@pytest.mark.parametrize("row", [*BAD_ROWS, *BAD_ROUTES])
def test_a_bad_row_is_left_out_and_named(row: str, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    found = read_seed(seed(tmp_path, HEAD, FIRST, f"{row}\n", LAST), TYPES)
    models = {f"authentication__{source}" for source in ("okta", "windows")}
    found = bad_routes(found, {"okta", "windows"}, {3002: "authentication", 1001: "file_activity"}, models)
    assert ([2, 4], [3]) == ([*found.rows], [*found.problems])
    assert f"{tmp_path}/ocsf_routing.csv: {(BAD_ROWS | BAD_ROUTES)[row]}" in found.sentence
    kept = [("okta", "user.session.start", 3002, 1, "sign-in"), ("windows", "4624", 3002, 1, "a, b")]
    assert kept == read(found.select(tmp_path / "copy"))


def test_a_sound_seed_is_read_where_it_is(tmp_path: Path) -> None:
    found = read_seed(seed(tmp_path, "\ufeff", HEAD, FIRST, "\n", "okta,b,3002,,\n", LAST), TYPES)
    assert {} == found.problems and str(found.file) in found.select(Path("/nowhere"))
    assert ("okta", "b", 3002, None, None) in read(found.select(Path("/nowhere")))


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "line 1 is empty"), ("source,source\n", "line 1 expected the names of the columns, each once")],
)
def test_a_seed_without_columns_has_no_rows(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    found = read_seed(seed(tmp_path, text), TYPES)
    assert why in found.sentence and [] == read(found.select(tmp_path / "copy"))


def test_a_column_that_is_missing_is_empty(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    found = read_seed(seed(tmp_path, "source,class_uid\nokta,3002\n"), TYPES)
    assert "line 1 lacks the column activity_id" in found.sentence
    assert [("okta", 3002, None)] == read(found.select(tmp_path / "copy"))


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    found = read_seed(seed(tmp_path, HEAD, *["a,b\n"] * 10), TYPES)
    assert "line 4 has 2 values" in found.sentence and "and 7 more rows" in found.sentence
