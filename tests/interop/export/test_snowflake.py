"""What is special to Snowflake, read back with its own client; the rest is the contract's."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lake.export.errors import SchemaConflict
from tests.interop.export.snowflake_there import PASSWORD, SnowflakeThere
from tests.unit.export.lakes import KINDS, KINDS_ROWS, SmallLake, export

pytestmark = pytest.mark.interop

PLAIN = "began as time_dt, {'uid': 'm' || n} as metadata"


def test_rows_so_large_that_they_are_written_some_at_once_arrive_as_the_others(
    lake: SmallLake, snowflake_there: SnowflakeThere, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.silver(rows=KINDS_ROWS, columns=KINDS)
    there, columns = snowflake_there.open(lake), "message, unmapped, labels, raw_data, long_id, score"

    lake.push(there, export())
    together = snowflake_there.ask(f'select {columns} from AUTHENTICATION order by "ORDER"')
    monkeypatch.setattr("lake.export.destinations.snowflake.files._FEWEST_ROWS", 1 << 60)
    assert lake.push(there, export(), again=True).matches

    assert together == snowflake_there.ask(f'select {columns} from AUTHENTICATION order by "ORDER"')


def test_the_table_is_clustered_and_names_need_no_quotes(lake: SmallLake, snowflake_there: SnowflakeThere) -> None:
    lake.silver(rows=KINDS_ROWS, columns=KINDS, table="kinds")

    lake.push(snowflake_there.open(lake), export("kinds"))

    assert [(date(2026, 3, 2), 4, 3)] == snowflake_there.ask(
        "select Date, Hour, camelcase from kinds where hour between 4 and 4 and camelCase = 3"
    )
    assert {
        "TIME_DT": "TIMESTAMP_NTZ",
        "LONG_ID": "NUMBER(38,0)",
        "SCORE": "FLOAT",
        "MESSAGE": "VARCHAR",
        "RAW_DATA": "BINARY",
        "UNMAPPED": "VARIANT",
        "USER": "VARIANT",
        "LABELS": "VARIANT",
        "TAGS": "VARIANT",
        "DAY": "DATE",
        "IS_ALERT": "BOOLEAN",
        "DATE": "DATE",
        "HOUR": "NUMBER(38,0)",
    }.items() <= {
        name: type_ if type_.startswith("NUMBER") else type_.partition("(")[0]
        for name, type_ in snowflake_there.types("KINDS").items()
    }.items()


def test_values_of_16_mb_go_and_a_larger_text_refuses_its_row_alone(
    lake: SmallLake, snowflake_there: SnowflakeThere
) -> None:
    megabytes = 1 << 24
    lake.silver(
        rows=2,
        columns=f"{PLAIN}, repeat('é', {megabytes // 2} + n) as raw_data,"
        f" {{'data': case n when 0 then repeat('x', {megabytes}) end}} as unmapped",
    )
    there = snowflake_there.open(lake)

    receipt = lake.push(there, export())

    assert receipt.matches and receipt.refused == 1
    assert {"value_too_large": 1} == receipt.refused_by_code
    assert ["okta_system_log:m0"] == snowflake_there.ids()
    sizes = "length(raw_data), length(unmapped:data::varchar)"
    assert [(megabytes // 2, megabytes)] == snowflake_there.ask(f"select {sizes} from AUTHENTICATION")
    (refused,) = _refused(lake)
    assert refused["_event_id"] == "okta_system_log:m1" and refused["source"] == "okta_system_log"
    assert refused["said"] == "RAW_DATA has 16,777,218 bytes; VARCHAR takes 16,777,216"


def _refused(lake: SmallLake) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    (file,) = Path(lake.store.url("")).rglob("*efused*/**/*.parquet")
    rows: list[dict[str, Any]] = pq.read_table(file, columns=["_event_id", "source", "said"]).to_pylist()
    return rows


def test_a_narrower_type_is_widened(lake: SmallLake, snowflake_there: SnowflakeThere) -> None:
    there = snowflake_there.open(lake)
    lake.silver(rows=1, columns=f"{PLAIN}, 1.25::decimal(6,2) as cost, 1::integer as many")
    lake.push(there, export())
    lake.silver(rows=1, columns=f"{PLAIN}, 123456789012.25::decimal(18,2) as cost, 9223372036854775807::bigint as many")

    receipt = lake.push(there, export())

    assert receipt.matches
    assert "NUMBER(18,2)" == snowflake_there.types()["COST"]
    assert [("123456789012.25", 2**63 - 1)] == snowflake_there.ask("select cost::varchar, many from AUTHENTICATION")


def test_a_table_of_another_maker_is_left_alone(lake: SmallLake, snowflake_there: SnowflakeThere) -> None:
    snowflake_there.ask("create table AUTHENTICATION (ID varchar)", "insert into AUTHENTICATION values ('theirs')")
    lake.silver(rows=1)

    with pytest.raises(SchemaConflict, match="no column _EVENT_ID, DATE, HOUR, so Headwater did not make it"):
        lake.push(snowflake_there.open(lake), export())

    assert [("theirs",)] == snowflake_there.ask("select * from AUTHENTICATION")


def test_a_column_named_as_the_partition_is_an_error_that_names_it(
    lake: SmallLake, snowflake_there: SnowflakeThere
) -> None:
    lake.silver(rows=1, columns=f"{PLAIN}, 'x' as hour")

    with pytest.raises(SchemaConflict, match="'hour' and the event hour that Headwater adds are one name"):
        lake.push(snowflake_there.open(lake), export())

    assert lake.push(snowflake_there.open(lake), export(without=["hour"])).matches


def test_a_push_leaves_no_table_no_file_and_no_secret(
    lake: SmallLake, snowflake_there: SnowflakeThere, tmp_path: Path
) -> None:
    lake.silver(rows=10)
    there = snowflake_there.open(lake)

    receipt = lake.push(there, export())

    assert ["AUTHENTICATION"] == [row[1] for row in snowflake_there.ask("show tables")]
    assert [] == [path for path in tmp_path.rglob("*push_*")]
    assert PASSWORD not in f"{receipt} {there!r} {vars(there)} {there.identity}"
    assert f"snowflake ACME-PROD {snowflake_there.database}.CURATED" == there.identity


def test_an_instant_counts_microseconds_in_utc(lake: SmallLake, snowflake_there: SnowflakeThere) -> None:
    lake.silver(rows=1, columns="{'uid': 'm'} as metadata, began + to_microseconds(999999) as time_dt")

    lake.push(snowflake_there.open(lake), export())

    ((found,),) = snowflake_there.ask("select time_dt from AUTHENTICATION")
    assert datetime(2026, 3, 2, 4, 0, 0, 999_999) == found
    assert found.replace(tzinfo=UTC) - datetime(2026, 3, 2, 4, tzinfo=UTC) == timedelta(microseconds=999_999)
