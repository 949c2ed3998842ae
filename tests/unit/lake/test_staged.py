"""What a model has staged is made valid hour by hour; the file of all its rows is not read after that."""

from pathlib import Path

import duckdb

from lake.base.sql import literal
from lake.build.staged import kept_select, repair_hours, staged_rows, unsorted_rows
from lake.ocsf.attributes import declared_classes
from lake.ocsf.validate import validate_table
from tests.unit.ocsf.test_repair import everything, nothing, rows_of

CLASS = declared_classes()["authorize_session"]


def test_the_rows_of_an_hour_are_made_valid_where_they_are_staged(tmp_path: Path) -> None:
    hour = tmp_path / "date=2026-03-02/hour=05"
    hour.mkdir(parents=True)
    assert staged_rows(tmp_path) is None
    with duckdb.connect(config={"threads": 1}) as con:
        rows = f"({rows_of(CLASS, everything)}) union all by name ({rows_of(CLASS, nothing)})"
        for file in (hour / "part.parquet", unsorted_rows(tmp_path)):
            con.execute(f"copy ({rows}) to {literal(str(file))} (format parquet)")
        assert str(unsorted_rows(tmp_path)) in (staged_rows(tmp_path) or "")
        types = {name: type_ for name, type_, *_ in con.execute(f"describe {rows}").fetchall()}
        assert {"2026-03-02T05": 2} == repair_hours(
            con, CLASS, types, tmp_path, ["2026-03-02T05"], "row_group_size 2048"
        )
        assert str(unsorted_rows(tmp_path)) not in (staged_rows(tmp_path) or "")
        assert [hour / "part.parquet"] == [path for path in tmp_path.rglob("*") if path.is_file()]
        report = validate_table(con.read_parquet(str(hour / "part.parquet"), hive_partitioning=False), CLASS.name)
        assert (0, 2) == (report.invalid, report.checked), report.examples


def test_what_was_computed_once_for_the_run_is_read_in_the_columns_that_are_asked_for(tmp_path: Path) -> None:
    assert [] == duckdb.sql(kept_select(tmp_path, [("a", "BIGINT")])).fetchall()
    (tmp_path / "class_uid=3001").mkdir()
    file = tmp_path / "class_uid=3001/part.parquet"
    duckdb.execute(f"copy (select 1 as a, 'x' as _raw) to {literal(str(file))} (format parquet)")
    assert [(3001, 1, "x")] == duckdb.sql(
        kept_select(tmp_path, [("class_uid", "INTEGER"), ("a", "BIGINT"), ("_raw", "VARCHAR")])
    ).fetchall()
