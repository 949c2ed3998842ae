"""Nobody changes the lake, or reads beside it, by asking."""

from pathlib import Path

import pytest

from tests.integration.lakes import files, headwater
from tests.integration.okta_logs import SOURCE


@pytest.mark.parametrize(
    "statement",
    [
        "copy (select 1) to '{lake}/new.parquet'",
        "explain analyze copy (select 1) to '{lake}/new.parquet'",
        "/* how long */ explain analyze copy (select 1) to '{lake}/new.parquet'",
        "explain (analyze) create table memory.main.t as select 1",
        "create table t as select 1",
        "insert into bronze.okta_system_log select * from bronze.okta_system_log",
        "delete from bronze.okta_system_log",
        "drop view silver.authentication",
        "attach '{lake}/new.db' as other",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "reset lock_configuration",
        "pragma enable_external_access",
        "call pragma_version()",
        "checkpoint",
        "export database '{lake}/out'",
        "select 1; select 2",
        "select 1; copy (select 1) to '{lake}/new.parquet'",
        "",
    ],
)
def test_what_is_no_question_is_refused(statement: str, okta_lake: Path) -> None:
    before = files(okta_lake, ".")
    answer = headwater("query", statement.format(lake=okta_lake))
    assert answer.code in (1, 2) and answer.out == "" and "Traceback" not in answer.err
    assert files(okta_lake, ".") == before


@pytest.mark.parametrize(
    "question",
    [
        "select * from read_text('{beside}/secret.txt')",
        "select * from '{beside}/secret.csv'",
        "select * from read_csv('{lake}/../secret.csv')",
        "select * from read_text('{lake}-beside/secret.txt')",
        "select * from glob('{beside}/*')",
        "select * from read_parquet('https://example.com/x.parquet')",
    ],
)
def test_files_outside_of_the_lake_cannot_be_read(question: str, okta_lake: Path) -> None:
    beside = okta_lake.with_name("lake-beside")
    beside.mkdir(exist_ok=True)
    for place in (beside / "secret.txt", beside / "secret.csv", okta_lake.parent / "secret.csv"):
        place.write_text("secret\n")
    answer = headwater("query", "--json", question.format(lake=okta_lake, beside=beside))
    assert answer.code == 1, answer.out
    assert "secret\\n" not in answer.out


@pytest.mark.parametrize(
    "question",
    [
        f"from bronze.{SOURCE}",
        f"describe bronze.{SOURCE}",
        f"summarize select _event_key from bronze.{SOURCE}",
        "show all tables",
        "explain select 1",
        "explain analyze select count(*) from silver.authentication",
        "with x as (select 1 as one) select * from x",
        "values (1), (2)",
    ],
)
def test_questions_are_answered(question: str, okta_lake: Path) -> None:
    answer = headwater("query", question)
    assert answer.code == 0, answer.err
    assert answer.out.strip()
