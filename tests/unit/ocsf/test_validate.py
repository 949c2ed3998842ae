from pathlib import Path

import pytest

from lake.ocsf.attributes import declared_classes
from lake.ocsf.validate import validate_table
from tests.unit.ocsf.events import Event, full_event, minimal_event, table_of

AUTHENTICATION = declared_classes()["authentication"]


def numbered(event: Event, number: int) -> Event:
    return event | {"metadata": event["metadata"] | {"uid": f"uid-{number}"}}


def events(count: int) -> list[Event]:
    return [numbered(minimal_event(AUTHENTICATION), number) for number in range(count)]


def test_a_valid_table_is_valid_with_all_its_columns_and_types() -> None:
    connection = table_of(AUTHENTICATION, [full_event(AUTHENTICATION), minimal_event(AUTHENTICATION)])
    report = validate_table(connection.table("event"), "authentication")
    assert (report.rows, report.checked, report.invalid, report.examples) == (2, 2, 0, [])


def test_an_invalid_row_is_counted_by_rule_and_shown_with_its_uid() -> None:
    wrong = minimal_event(AUTHENTICATION) | {
        "severity_id": 77,
        "src_endpoint": {"ip": "s3.amazonaws.com", "port": 65536},
        "observables": [{"name": "no type_id"}],
        "service": None,
    }
    connection = table_of(AUTHENTICATION, [*events(3), numbered(wrong, 9)])
    report = validate_table(connection.table("event"), "authentication")
    expected = {
        "at_least_one(event)",
        "enum(severity_id)",
        "format(src_endpoint.ip)",
        "range(src_endpoint.port)",
        "required(observables[].type_id)",
    }
    assert (report.rows, report.invalid, dict(report.by_rule)) == (4, 1, dict.fromkeys(expected, 1))
    assert report.examples[0].uid == "uid-9"
    assert {finding.rule for finding in report.examples[0].findings} == expected


def test_a_profile_that_a_row_does_not_name_does_not_allow_its_attributes() -> None:
    event = full_event(AUTHENTICATION)
    event["metadata"]["profiles"] = ["cloud", "host", "osint", "security_control"]
    report = validate_table(table_of(AUTHENTICATION, [event]).table("event"), "authentication")
    assert dict(report.by_rule) == {"unknown(time_dt)": 1}


def test_a_column_that_ocsf_does_not_know_is_invalid_and_the_pipelines_own_are_not_looked_at() -> None:
    relation = table_of(AUTHENTICATION, events(1)).sql("select *, 'b' as _batch, 1 as surprise from event")
    assert dict(validate_table(relation, "authentication").by_rule) == {"unknown(surprise)": 1}


@pytest.mark.parametrize("version", [None, "9.9.9"])
def test_a_row_of_no_known_version_is_invalid(version: str | None) -> None:
    event = minimal_event(AUTHENTICATION)
    event["metadata"]["version"] = version
    report = validate_table(table_of(AUTHENTICATION, [event]).table("event"), "authentication")
    assert dict(report.by_rule) == {"version(metadata.version)": 1}


def test_a_share_is_the_same_rows_every_time_and_about_as_many_as_asked_for() -> None:
    wrong = [event | {"severity_id": 77} for event in events(400)]
    table = table_of(AUTHENTICATION, wrong).table("event")
    first, second = (validate_table(table, "authentication", share=0.25, examples=400) for _ in range(2))
    assert (400, first.checked) == (first.rows, first.invalid)
    assert 60 < first.checked < 140
    assert first.examples == second.examples


def test_rows_without_a_uid_are_always_in_the_sample() -> None:
    event = minimal_event(AUTHENTICATION)
    del event["metadata"]["uid"]
    assert validate_table(table_of(AUTHENTICATION, [event]).table("event"), "authentication", share=0).checked == 1


def test_a_share_beyond_the_whole_is_refused() -> None:
    with pytest.raises(ValueError, match="found 5"):
        validate_table("nowhere.parquet", "authentication", share=5)


def test_parquet_files_in_partition_folders_are_read_without_the_folders_names(tmp_path: Path) -> None:
    connection = table_of(AUTHENTICATION, [full_event(AUTHENTICATION)])
    folder = tmp_path / "source=okta_system_log" / "date=2026-01-02" / "hour=03"
    folder.mkdir(parents=True)
    connection.execute(f"copy event to '{folder}/part.parquet'")
    for table in (f"{tmp_path}/**/*.parquet", [folder / "part.parquet"]):
        report = validate_table(table, "authentication")
        assert (report.checked, report.invalid) == (1, 0)


def test_open_json_that_only_duckdb_reads_is_still_checked() -> None:
    table = table_of(AUTHENTICATION, events(1)).sql(
        """select * replace ('{"left": NaN}'::json as unmapped) from event"""
    )
    assert validate_table(table, "authentication").invalid == 0
