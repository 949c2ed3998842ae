"""An Iceberg table follows the builds: what changed is one snapshot, what did not is none."""

from dataclasses import replace
from pathlib import Path

import pytest

from lake import ledger
from lake.build.run import retire
from lake.iceberg import IcebergError, Place, TableName, publish_tables, table_status
from lake.iceberg.publishing import BUILDS
from lake.ledger import build_receipts
from tests.integration.iceberg.built import COLUMNS, Lake, data_files, footer_ids, receipts
from tests.integration.iceberg.conftest import read, table

HOURS = ("2026-03-02T04", "2026-03-02T05", "2026-03-03T00")


@pytest.fixture
def published(lake: Lake, place: Place) -> Lake:
    for at, hour in enumerate(HOURS):
        lake.build(hour, [10 * at, 10 * at + 1])
    lake.build(HOURS[0], [77], source="aws_cloudtrail")
    (done,) = publish_tables(lake.store, place)
    assert (2, 4, 7) == (len(done.snapshots), len(done.hours), done.rows)
    return lake


def test_the_table_holds_the_rows_of_every_source_and_hour(published: Lake, place: Place) -> None:
    assert published.expected() == read(place)


def test_publishing_again_makes_no_snapshot(published: Lake, place: Place) -> None:
    before = table(place).metadata_location
    told: list[tuple[str, int, int]] = []
    (done,) = publish_tables(published.store, place, told=lambda *what: told.append(what))
    assert [("publishing silver/authentication, tables", 0, 1)] == told
    assert ((), (), before) == (done.snapshots, done.hours, table(place).metadata_location)


def test_what_is_current_is_found_without_listing_the_tables_files(
    published: Lake, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.build(HOURS[2], [])
    retire(published.store, "authentication__aws_cloudtrail")
    publish_tables(published.store, place)

    def refused(*_: object) -> None:
        raise AssertionError("listed")

    monkeypatch.setattr("lake.iceberg.data_files._files", refused)
    assert () == publish_tables(published.store, place)[0].snapshots
    published.build(HOURS[2], [1])
    with pytest.raises(AssertionError, match="listed"):
        publish_tables(published.store, place)


def test_what_another_program_added_leaves_when_the_lake_is_published(published: Lake, place: Place) -> None:
    now = table(place)
    now.append(now.scan(row_filter="hour == '05'").to_arrow())
    assert published.expected() != read(place)
    assert 1 == len(publish_tables(published.store, place)[0].snapshots)
    assert published.expected() == read(place)


def test_a_rebuilt_hour_is_one_snapshot_and_the_one_before_it_reads_as_before(published: Lake, place: Place) -> None:
    old, rows = table(place).current_snapshot(), published.expected()
    assert old is not None
    published.build(HOURS[1], [500, 501, 502])
    (done,) = publish_tables(published.store, place)
    assert 1 == len(done.snapshots) == len(done.hours)
    assert old.snapshot_id == table(place).snapshot_by_id(done.snapshots[0]).parent_snapshot_id
    assert published.expected() == read(place)
    assert rows == read(place, snapshot_id=old.snapshot_id) != published.expected()


def test_a_rebuilt_hour_leaves_the_files_of_other_hours_as_they_are(
    published: Lake, place: Place, tmp_path: Path
) -> None:
    before = data_files(tmp_path)
    published.build(HOURS[1], [500])
    publish_tables(published.store, place)
    assert set(before) < set(data_files(tmp_path)) and len(before) + 1 == len(data_files(tmp_path))
    summary = table(place).current_snapshot().summary
    assert ("1", "1", "6") == tuple(summary[key] for key in ("added-data-files", "deleted-data-files", "total-records"))


def test_a_snapshot_says_which_builds_it_holds(published: Lake, place: Place) -> None:
    built = published.build(HOURS[1], [500])
    publish_tables(published.store, place)
    said = table(place).current_snapshot().summary[BUILDS]
    assert said.startswith("okta_system_log/2026-03-02T05=") and "," not in said
    told = receipts(Path(published.store.root))["silver/authentication/okta_system_log/2026-03-02T05"]
    assert (said.split("=")[1], built.rows) == (told["mark"], told["rows"])
    assert table(place).current_snapshot().snapshot_id == told["snapshot_id"]


def test_an_hour_that_became_empty_leaves(published: Lake, place: Place) -> None:
    published.build(HOURS[1], [])
    (done,) = publish_tables(published.store, place)
    assert (1, 0) == (len(done.snapshots), done.rows)
    assert published.expected() == read(place)
    assert () == publish_tables(published.store, place)[0].snapshots


def test_hours_that_no_build_knows_any_more_leave(published: Lake, place: Place) -> None:
    retire(published.store, "authentication__okta_system_log")
    publish_tables(published.store, place)
    assert [("aws_cloudtrail", HOURS[0], 77)] == read(place)
    retire(published.store, "authentication__aws_cloudtrail")
    publish_tables(published.store, place)
    assert [] == read(place)


def test_compaction_of_what_an_hour_was_made_of_publishes_nothing(published: Lake, place: Place) -> None:
    day = ledger.hour(HOURS[0]).date()
    held = build_receipts.day_of(published.store, "authentication__okta_system_log", day)[HOURS[0]]
    moved = replace_inputs(held)
    ((key, text),) = build_receipts.merged_days(published.store, "authentication__okta_system_log", [moved])
    published.store.write(key, text.encode())
    assert () == publish_tables(published.store, place)[0].snapshots


def replace_inputs(receipt: build_receipts.BuildReceipt) -> build_receipts.BuildReceipt:
    import msgspec

    return msgspec.structs.replace(receipt, inputs=tuple((f"elsewhere/{key}", mark) for key, mark in receipt.inputs))


def test_a_range_publishes_only_its_hours(lake: Lake, place: Place) -> None:
    for hour in HOURS:
        lake.build(hour, [1])
    publish_tables(lake.store, place, ["authentication"], HOURS[1], HOURS[1])
    assert [("okta_system_log", HOURS[1], 1)] == read(place)
    (found,) = table_status(lake.store, place)
    assert (2, 1, "silver.authentication") == (found.stale_hours, found.rows, found.name)
    publish_tables(lake.store, place)
    assert lake.expected() == read(place)


def test_a_later_mapping_adds_columns_whose_ids_stay(published: Lake, place: Place, tmp_path: Path) -> None:
    ids = {field.name: field.field_id for field in table(place).schema().fields}
    later = COLUMNS.replace("'labels'", "'tenant': 't', 'labels'") + ", {'x': [1::bigint]} as added"
    published.build(HOURS[1], [5], columns=later)
    publish_tables(published.store, place)
    fields = {field.name: field.field_id for field in table(place).schema().fields}
    assert ids.items() < fields.items() and {"added"} == fields.keys() - ids.keys()
    rows = {row["time"]: row for row in table(place).scan().to_arrow().to_pylist()}
    assert ({"x": [1]}, "t") == (rows[5]["added"], rows[5]["metadata"]["tenant"])
    assert (None, None) == (rows[0]["added"], rows[0]["metadata"]["tenant"])
    published.build(HOURS[1], [6])
    publish_tables(published.store, place)
    assert published.expected() == read(place) and fields == {
        field.name: field.field_id for field in table(place).schema().fields
    }


def test_a_wider_number_widens_its_column(lake: Lake, place: Place) -> None:
    narrow = f"{COLUMNS}, 1::integer as n"
    lake.build(HOURS[0], [1], columns=narrow)
    publish_tables(lake.store, place)
    lake.build(HOURS[1], [2], columns=narrow.replace("1::integer", "(1::bigint << 40)"))
    lake.build(HOURS[2], [3], columns=narrow)
    publish_tables(lake.store, place)
    assert [1, 1 << 40, 1] == [
        row["n"] for row in sorted(table(place).scan().to_arrow().to_pylist(), key=lambda row: row["time"])
    ]


def test_a_column_of_another_type_is_named_and_stops_no_other_table(lake: Lake, place: Place) -> None:
    lake.build(HOURS[0], [1])
    lake.build(HOURS[0], [2], table="silver/user_access")
    publish_tables(lake.store, place)
    lake.build(HOURS[1], [1], columns=COLUMNS.replace("'u' || uid)::varchar", "uid)::double"))
    lake.build(HOURS[1], [2], table="silver/user_access")
    first, second = publish_tables(lake.store, place)
    assert "message" in first.failed and "changed its type" in first.failed
    assert [("okta_system_log", HOURS[0], 1)] == read(place)
    assert ("", 1) == (second.failed, len(second.snapshots))


def test_an_hour_whose_file_is_not_the_one_of_its_receipt_waits(published: Lake, place: Place, tmp_path: Path) -> None:
    built = published.build(HOURS[1], [500, 501])
    file = Path(published.store.url(built.file))
    kept = file.read_bytes()
    file.write_bytes(kept + b"x")
    (done,) = publish_tables(published.store, place)
    assert () == done.snapshots and [HOURS[1]] == [slot.hour for slot in done.left]
    file.write_bytes(kept)
    publish_tables(published.store, place)
    assert published.expected() == read(place)


def test_gold_is_published_by_date_and_hour(lake: Lake, place: Place) -> None:
    lake.build(HOURS[0], [1, 2], table="gold/logins_by_hour", source="")
    (done,) = publish_tables(lake.store, place)
    name = TableName("gold", "logins_by_hour")
    assert name == done.name and lake.expected("gold/logins_by_hour") == read(place, name)
    assert ["date", "hour"] == [field.name for field in table(place, name).spec().fields]


def test_files_carry_the_ids_of_the_tables_columns(published: Lake, place: Place, tmp_path: Path) -> None:
    file = next((tmp_path / "lake/iceberg").rglob("data/**/*.parquet"))
    assert {field.name: str(field.field_id) for field in table(place).schema().fields} == footer_ids(file)


def test_no_value_of_an_event_stands_in_the_metadata_but_its_time(published: Lake, place: Place) -> None:
    now = table(place)
    times = {now.schema().find_field(name).field_id for name in ("time", "time_dt")}
    files = now.inspect.files().to_pylist()
    assert 4 == len(files)
    for each in files:
        assert times == {bound for bound, _ in each["lower_bounds"]} == {bound for bound, _ in each["upper_bounds"]}


def test_a_name_that_is_no_table_is_told_with_those_there_are(published: Lake, place: Place) -> None:
    with pytest.raises(IcebergError, match=r"no table 'nowhere' .* silver/authentication"):
        publish_tables(published.store, place, ["nowhere"])


def test_namespaces_are_as_the_setting_says(published: Lake, place: Place) -> None:
    named = replace(place, namespace="headwater_{layer}", folder="other")
    publish_tables(published.store, named)
    assert ("headwater_silver", "authentication") == table(named).name()
