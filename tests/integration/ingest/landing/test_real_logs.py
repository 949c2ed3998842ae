"""Real logs land whole: the counts of the data's own description, and the duplicates that are really in them."""

from pathlib import Path

import duckdb
import pytest

from ingest.contracts import load_contracts
from ingest.landing import land_files
from ingest.objects import list_objects
from lake.ledger import LandingReceipt
from lake.storage.publish import open_store
from lake.storage.store import Store


def landed(source: str, place: Path, folder: Path) -> tuple[Store, LandingReceipt]:
    contract = load_contracts()[source]
    store = open_store(folder / "lake")
    listing = list_objects(contract, [place])
    (only,) = land_files(contract, listing.objects, store, ignored=listing.ignored)
    assert only.receipt.conserved
    return store, only.receipt


def test_every_cloudtrail_record_lands(shared_data: Path, tmp_path: Path) -> None:
    _, receipt = landed("aws_cloudtrail", shared_data / "aws_dataset", tmp_path)
    assert (receipt.read, receipt.landed, receipt.quarantined) == (2900, 2900, 0)
    assert receipt.drift == ()


def test_okta_samples_with_lower_case_names_fill_the_same_columns(shared_data: Path, tmp_path: Path) -> None:
    store, receipt = landed("okta_system_log", shared_data / "panther_samples" / "Okta.SystemLog.ndjson", tmp_path)
    assert receipt.read == 56
    assert set(receipt.quarantined_by_reason) == {"bad_event_time", "missing_field"}  # the samples are redacted
    files = [store.url(mark.key) for mark in receipt.files]
    rows = duckdb.sql(f"select count(*) from read_parquet({files!r}) where eventType is null").fetchone()
    assert rows == (0,)


def test_windows_events_land_with_their_exact_duplicates(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "Security-Datasets" / "datasets" / "atomic" / "windows"
    if not folder.is_dir():
        pytest.skip("Security-Datasets is absent")
    store, receipt = landed("windows_event", folder, tmp_path)
    files = [store.url(mark.key) for mark in receipt.files]
    (copies,) = duckdb.sql(
        "select sum(copies - 1) from (select count(*) as copies from"
        f" read_parquet({files!r}, hive_partitioning = true) group by _event_key, _content_hash, date, hour)"
    ).fetchone() or (None,)
    assert (receipt.read, copies) == (108_159, 6_766)
