"""Receipts are found again as they were written."""

from datetime import date
from pathlib import Path

import pytest

from lake import ledger
from lake.ledger import Drift, FileMark, LandingReceipt, Violations, build_receipts, encode
from lake.ledger.build_receipts import BuildReceipt
from lake.storage import paths
from lake.storage.publish import Change, open_store, publish
from lake.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def landing(batch: str, source: str = "okta", read: int = 3) -> LandingReceipt:
    return LandingReceipt(
        source=source,
        batch=batch,
        status="published",
        read=read,
        landed=2,
        quarantined=1,
        quarantined_by_reason={"not_json": 1},
        first_landed_at="2026-03-02T06:00:00+00:00",
        landed_at="2026-03-02T06:00:00+00:00",
        bytes_read=10,
        bytes_decoded=20,
        lateness_seconds={"p50": 1.0},
        contract_version="1.0.0",
        contract_fingerprint="f",
        files=(FileMark("bronze/okta/date=2026-03-02/hour=05/b.parquet", "2026-03-02T05", 2, 9, "sum"),),
        violations=(Violations("not_json", "", "one JSON value", "x", 1, "quarantine"),),
        drift=(Drift("new", 1, "é"),),
    )


def build(hour: str, rows: int) -> BuildReceipt:
    return BuildReceipt(
        model="m",
        source="okta",
        table="t",
        hour=hour,
        rows=rows,
        bytes=1,
        inputs=(("k", "c"),),
        mapping="f",
        built_at="",
    )


def test_a_landing_receipt_is_read_as_it_was_written(store: Store) -> None:
    for receipt in (landing("b"), landing("c"), landing("b", "aws")):
        store.write(paths.landing_receipt(receipt.source, receipt.batch), encode(receipt).encode())
    assert ledger.landing(store, "okta", "b") == landing("b")
    assert ledger.landing(store, "okta", "x") is None
    assert [receipt.batch for receipt in ledger.landings(store, "okta")] == ["b", "c"]
    assert len(list(ledger.landings(store))) == 3
    assert ledger.sources(store) == ["aws", "okta"]


def test_one_source_is_not_taken_for_another_that_begins_alike(store: Store) -> None:
    store.write(paths.landing_receipt("okta_two", "b"), encode(landing("b", "okta_two")).encode())
    assert list(ledger.landings(store, "okta")) == []


@pytest.mark.parametrize(("read", "conserved"), [(3, True), (4, False)])
def test_a_batch_is_conserved_when_all_it_read_is_somewhere(read: int, conserved: bool) -> None:
    assert landing("b", read=read).conserved is conserved


def test_build_receipts_of_one_day_share_a_file_and_replace_their_own_hour(store: Store) -> None:
    first, same_day, again = build("2026-03-02T05", 1), build("2026-03-02T06", 3), build("2026-03-02T05", 4)
    for receipts in ([first, build("2026-03-03T00", 2)], [same_day], [again]):
        written = build_receipts.merged_days(store, "m", receipts)
        publish(store, lambda written=written: Change(receipts=tuple(written)))  # type: ignore[misc]
    assert {hour: receipt.rows for hour, receipt in build_receipts.of_model(store, "m").items()} == {
        "2026-03-02T05": 4,
        "2026-03-02T06": 3,
        "2026-03-03T00": 2,
    }
    assert [entry.key for entry in store.list("ledger/build")] == [
        "ledger/build/m/date=2026-03-02.json",
        "ledger/build/m/date=2026-03-03.json",
    ]
    assert list(build_receipts.day_of(store, "m", date(2026, 3, 2))) == ["2026-03-02T05", "2026-03-02T06"]
    assert build_receipts.models(store) == ["m"]
    assert build_receipts.day_of(store, "m", date(2026, 1, 1)) == {}


def test_an_hour_s_text_leads_back_to_the_hour() -> None:
    assert ledger.hour_text(ledger.hour("2026-03-02T05")) == "2026-03-02T05"
