"""Pushed to Snowflake and read back with its own client: values, partitions, columns, rows that it cannot take."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lake.export.destination import Held, Partition
from lake.export.errors import SchemaConflict
from tests.integration.export.snowflake_there import PASSWORD, SnowflakeThere
from tests.unit.export.lakes import HOUR, KINDS, KINDS_ROWS, SmallLake, event_ids, export, held_of, rows_of

PLAIN = "began as time_dt, {'uid': 'm' || n} as metadata"


@pytest.mark.parametrize("fewest_rows", [2_048, 1 << 60], ids=["together", "some at once, as of large rows"])
def test_every_value_comes_back_as_it_went(
    lake: SmallLake, snowflake_there: SnowflakeThere, monkeypatch: pytest.MonkeyPatch, fewest_rows: int
) -> None:
    monkeypatch.setattr("lake.export.destinations.snowflake.files._FEWEST_ROWS", fewest_rows)
    lake.silver(rows=KINDS_ROWS, columns=KINDS, table="kinds")
    went = rows_of(lake.read(export("kinds")))

    receipt = lake.push(snowflake_there.open(lake), export("kinds"))

    assert receipt.matches
    names = [name for name in went[0] if name != "time_dt"]
    columns = ", ".join(f'"{name.upper()}"' for name in names)
    came = snowflake_there.ask(f'select {columns} from KINDS order by "ORDER"')
    assert [[_as_it_stands(value) for value in row] for row in came] == [
        [dict(row["tags"]) if name == "tags" and row["tags"] is not None else _as_expected(row[name]) for name in names]
        for row in went
    ]
    # Apart, for the counterpart's answers hold no NULL instants; and as it divides in floating point, that of the year
    # 2262 is a microsecond off there.
    instants = dict(snowflake_there.ask('select "ORDER", time_dt from KINDS where time_dt is not null'))
    expected = {number: row["time_dt"] for number, row in enumerate(went) if row["time_dt"] is not None}
    assert abs(instants.pop(4) - expected.pop(4)) <= timedelta(microseconds=1)
    assert instants == expected


def _as_expected(value: Any) -> Any:
    """What a value that went is like there: objects, lists and maps as the documentation says of VARIANT."""
    if isinstance(value, list | dict):
        return _in_variant(value)
    if isinstance(value, str) and value[:1] in ("{", "[", '"'):  # JSON
        return json.loads(value)
    return value


def _in_variant(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _in_variant(held) for name, held in value.items() if held is not None}
    if isinstance(value, list):
        # NULL fields stay in the objects of a list: see lake.export.json_sql.
        return [
            {name: _in_variant(held) for name, held in each.items()} if isinstance(each, dict) else _in_variant(each)
            for each in value
        ]
    return value.isoformat(timespec="microseconds") + "Z" if isinstance(value, datetime) else value


def _as_it_stands(value: Any) -> Any:
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, str) and value[:1] in ("{", "[", '"'):
        return json.loads(value)
    return value


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


def test_pushing_twice_is_pushing_once(lake: SmallLake, snowflake_there: SnowflakeThere) -> None:
    lake.silver(rows=10)
    there = snowflake_there.open(lake)

    first = lake.push(there, export())
    second = lake.push(there, export(), again=True)

    assert first.matches and second.matches
    assert sorted(event_ids(lake.read(export()))) == snowflake_there.ids()
    assert held_of(second) == there.read_back("authentication", Partition.of(HOUR))
    assert {"copy", "insert", "delete", "commit"} >= set(second.remote)
    assert second.bytes_pushed > 0 and second.proof == "query"


def test_an_hour_is_replaced_as_a_whole_and_no_other(lake: SmallLake, snowflake_there: SnowflakeThere) -> None:
    there, later = snowflake_there.open(lake), "2026-03-02T05"
    lake.silver(rows=10)
    lake.silver(later, rows=3)
    lake.push(there, export())
    lake.push(there, export(), later)
    lake.silver(rows=[1, 20])

    lake.push(there, export())

    assert ["okta_system_log:m1", "okta_system_log:m20"] == snowflake_there.ids()
    assert 3 == len(snowflake_there.ids(hour=5))
    lake.silver(rows=0)
    receipt = lake.push(there, export())
    assert receipt.matches and receipt.held_rows == 0
    assert [] == snowflake_there.ids()
    assert 3 == len(snowflake_there.ids(hour=5))


def test_of_a_table_that_is_not_there_nothing_is_held(lake: SmallLake, snowflake_there: SnowflakeThere) -> None:
    there = snowflake_there.open(lake)

    assert Held(rows=0, checksum=0) == there.read_back("authentication", Partition.of(HOUR))


def test_what_was_changed_behind_its_back_shows(lake: SmallLake, snowflake_there: SnowflakeThere) -> None:
    lake.silver(rows=10)
    there = snowflake_there.open(lake)
    receipt = lake.push(there, export())

    snowflake_there.ask("update AUTHENTICATION set _EVENT_ID = 'another' where _EVENT_ID = 'okta_system_log:m3'")

    found = there.read_back("authentication", Partition.of(HOUR))
    assert found is not None
    assert found.rows == receipt.rows and found.checksum != receipt.checksum


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


def test_a_new_column_is_added_and_one_that_left_is_null(lake: SmallLake, snowflake_there: SnowflakeThere) -> None:
    there = snowflake_there.open(lake)
    lake.silver(rows=1, columns=f"{PLAIN}, 'old' as message")
    lake.push(there, export())
    lake.silver("2026-03-02T05", rows=1, columns=f"{PLAIN}, {{'name': 'new'}} as user")

    lake.push(there, export(), "2026-03-02T05")

    rows = snowflake_there.ask('select message, "USER":name::varchar from AUTHENTICATION order by "HOUR"')
    assert [("old", None), (None, "new")] == rows


def test_a_narrower_type_is_widened(lake: SmallLake, snowflake_there: SnowflakeThere) -> None:
    there = snowflake_there.open(lake)
    lake.silver(rows=1, columns=f"{PLAIN}, 1.25::decimal(6,2) as cost, 1::integer as many")
    lake.push(there, export())
    lake.silver(rows=1, columns=f"{PLAIN}, 123456789012.25::decimal(18,2) as cost, 9223372036854775807::bigint as many")

    receipt = lake.push(there, export())

    assert receipt.matches
    assert "NUMBER(18,2)" == snowflake_there.types()["COST"]
    assert [("123456789012.25", 2**63 - 1)] == snowflake_there.ask("select cost::varchar, many from AUTHENTICATION")


def test_any_other_change_of_a_type_stops_the_export_and_changes_nothing(
    lake: SmallLake, snowflake_there: SnowflakeThere
) -> None:
    there = snowflake_there.open(lake)
    lake.silver(rows=2, columns=f"{PLAIN}, 1 as many")
    lake.push(there, export())
    before = snowflake_there.types()
    lake.silver(rows=3, columns=f"{PLAIN}, 'one' as many, 'x' as further")

    with pytest.raises(SchemaConflict, match=r"MANY is NUMBER\(38,0\) there and VARCHAR here") as told:
        lake.push(there, export())

    assert "Nothing was changed" in str(told.value)
    assert before == snowflake_there.types()
    assert 2 == len(snowflake_there.ids())


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
