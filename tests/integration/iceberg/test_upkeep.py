"""What leaves an Iceberg table's past: old snapshots, and files that nothing needs any more."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lake.iceberg import IcebergError, Place, forget_history, publish_tables
from lake.iceberg.upkeep import expire_by_age
from lake.upkeep.damage import examine
from lake.upkeep.repair import repair
from tests.integration.iceberg.built import Lake, data_files
from tests.integration.iceberg.conftest import AUTHENTICATION, read, table

HOURS = ("2026-03-02T04", "2026-03-02T05")


@pytest.fixture
def rebuilt(lake: Lake, place: Place) -> Lake:
    """Two hours, of which the second was published twice."""
    for uids in ([1, 2], [3]):
        lake.build(HOURS[0], [9])
        lake.build(HOURS[1], uids)
        publish_tables(lake.store, place)
    return lake


def test_forgetting_leaves_the_current_rows_and_their_files_alone(rebuilt: Lake, place: Place, tmp_path: Path) -> None:
    assert 4 == len(data_files(tmp_path))
    assert {AUTHENTICATION: 1} == forget_history(rebuilt.store, place)
    assert 1 == len(table(place).snapshots())
    assert rebuilt.expected() == read(place)
    assert {file["file_path"].rsplit("/", 1)[-1] for file in table(place).inspect.files().to_pylist()} == set(
        data_files(tmp_path)
    )


def test_a_tag_keeps_its_snapshot_and_forgetting_says_so(rebuilt: Lake, place: Place) -> None:
    first = table(place).snapshots()[0].snapshot_id
    table(place).manage_snapshots().create_tag(first, "audit").commit()
    with pytest.raises(IcebergError, match="audit keeps an older snapshot"):
        forget_history(rebuilt.store, place)
    assert 3 == len(read(place, snapshot_id=first))
    table(place).manage_snapshots().remove_tag("audit").commit()
    assert {AUTHENTICATION: 1} == forget_history(rebuilt.store, place)


@pytest.mark.parametrize(("days", "ended"), [(4, 0), (5.5, 0), (6.5, 1)])
def test_old_snapshots_end_when_they_are_older_than_kept_and_at_most_once_a_day(
    rebuilt: Lake, place: Place, days: float, ended: int
) -> None:
    assert ended == expire_by_age(place, table(place), datetime.now(UTC) + timedelta(days=days))
    assert 2 - ended == len(table(place).snapshots())
    assert rebuilt.expected() == read(place)


def test_files_of_other_programs_are_left_alone(rebuilt: Lake, place: Place, tmp_path: Path) -> None:
    foreign = tmp_path / "lake/iceberg/silver/authentication/data/spark-00000.parquet"
    foreign.write_bytes(b"in the middle of a commit")
    forget_history(rebuilt.store, place)
    assert foreign.exists()


def test_a_metadata_file_in_use_is_not_removed(rebuilt: Lake, place: Place, tmp_path: Path) -> None:
    manifest = tmp_path / "lake/iceberg/silver/authentication/metadata/rival-m0.avro"
    manifest.write_bytes(b"of a commit that is just being made")
    forget_history(rebuilt.store, place)
    assert manifest.exists()


@pytest.mark.parametrize("damaged", ["data/*/*/*/*.parquet", "metadata/*-m0.avro", "../../catalog.db"])
@pytest.mark.parametrize("damage", [lambda whole: whole[: len(whole) // 2], lambda whole: bytes(len(whole)), None])
def test_a_damaged_table_is_told_put_aside_and_published_anew(
    lake: Lake, place: Place, tmp_path: Path, damaged: str, damage: Callable[[bytes], bytes] | None
) -> None:
    lake.build(HOURS[0], [1, 2])
    publish_tables(lake.store, place)
    assert not [*examine(lake.store, share=1)]
    file = next((tmp_path / "lake/iceberg/silver/authentication").glob(damaged)).resolve()
    whole = file.read_bytes()
    file.unlink()
    if damage:
        file.write_bytes(damage(whole))
    if file.suffix != ".db" or damage:  # without a catalogue all tables are published anew
        assert [file.name] == [each.key.rsplit("/", 1)[-1] for each in examine(lake.store, share=1)]
        assert all(each.mended for each in repair(lake.store))
    publish_tables(lake.store, place)
    assert not [*examine(lake.store, share=1)]
    assert lake.expected() == read(place)
