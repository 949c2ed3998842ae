"""Lateness and volume are added up from receipts, and are tables of `headwater query`."""

from pathlib import Path

import pytest

from lake.ledger import FileMark, LandingReceipt, ObjectMark, encode
from lake.ledger.frames import arrival_hour, lateness, volume
from lake.query.session import ask, connect
from lake.storage import paths
from lake.storage.store import LocalStore


def receipt(batch: str, *rows: tuple[str, int], arrived_at: str = "") -> LandingReceipt:
    landed = sum(number for _, number in rows)
    return LandingReceipt(
        source="okta",
        batch=batch,
        status="published",
        read=landed + 1,
        landed=landed,
        quarantined=1,
        quarantined_by_reason={"not_json": 1},
        first_landed_at="2026-03-02T09:59:00+00:00",
        landed_at="2026-03-02T10:00:00+00:00",
        bytes_read=10,
        bytes_decoded=100,
        lateness_seconds={},
        contract_version="1",
        contract_fingerprint="f",
        files=tuple(FileMark(f"bronze/okta/{hour}/{batch}", hour, number, 9, "1") for hour, number in rows),
        quarantine_files=(FileMark(f"quarantine/okta/{batch}", "2026-03-02T06", 1, 9, "1"),),
        objects=(ObjectMark("o", 1, "f", arrived_at, 1, 0),) if arrived_at else (),
    )


RECEIPTS = [
    receipt("20260302T05", ("2026-03-02T05", 3), ("2026-03-02T04", 2), ("2026-03-01T23", 1)),
    receipt("q-7", ("2026-03-02T04", 4), arrived_at="2026-03-02T05:40:00+00:00"),
    receipt("20260302T06", ("2026-03-02T05", 5)),
]
LATENESS = [
    ("okta", "2026-03-01T23", "2026-03-02T05", 6, 1),
    ("okta", "2026-03-02T04", "2026-03-02T05", 1, 6),
    ("okta", "2026-03-02T05", "2026-03-02T05", 0, 3),
    ("okta", "2026-03-02T05", "2026-03-02T06", 1, 5),
]
VOLUME = [
    ("okta", "2026-03-02T05", 2, 12, 10, 2, 0, 0, 20, 200),
    ("okta", "2026-03-02T06", 1, 6, 5, 1, 0, 0, 10, 100),
]


def test_rows_are_counted_by_event_hour_and_arrival_hour() -> None:
    assert lateness(RECEIPTS).rows() == LATENESS


def test_what_arrived_is_counted_by_source_and_hour() -> None:
    assert volume(RECEIPTS).rows() == VOLUME


@pytest.mark.parametrize(
    ("batch", "arrived_at", "hour"),
    [
        ("20260302T05", "2026-03-02T07:40:00+00:00", "2026-03-02T05"),
        ("q-7", "2026-03-02T07:40:00+00:00", "2026-03-02T07"),
        ("q-7", "", "2026-03-02T09"),
    ],
)
def test_a_batch_arrives_when_its_name_says_else_its_objects_else_its_landing(
    batch: str, arrived_at: str, hour: str
) -> None:
    assert arrival_hour(receipt(batch, arrived_at=arrived_at)) == hour


def test_no_receipts_are_no_rows() -> None:
    assert (lateness([]).rows(), volume([]).rows()) == ([], [])


def test_both_are_tables_of_the_ledger(tmp_path: Path) -> None:
    lake_store = LocalStore(tmp_path)
    for each in RECEIPTS:
        lake_store.write(paths.landing_receipt(each.source, each.batch), encode(each).encode())
    with connect(lake_store, {}, {}, "from ledger.lateness, ledger.volume") as con:
        assert ask(con, "from ledger.lateness order by all")[1] == LATENESS
        names, rows = ask(con, "from ledger.volume order by all")
    assert (names[:4], rows) == (["source", "arrival_hour", "batches", "read"], VOLUME)
