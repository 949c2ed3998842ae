"""Batches of unusual size: very many objects, and more event hours than memory can hold open."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ingest.landing import LandingSettings, land
from lake.storage.publish import open_store
from lake.storage.store import Store
from tests.unit.ingest.landing.landed import GOOD, lines, raw, strange, watched


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "lake")


def test_ten_thousand_small_objects_are_one_batch(store: Store) -> None:
    objects = [raw(lines({**GOOD, "number": n}), f"{n:05}") for n in range(10_000)]
    receipt = land(strange(), objects, store, "b")
    assert (receipt.read, receipt.landed, len(receipt.objects), len(receipt.files)) == (10_000, 10_000, 10_000, 1)
    assert receipt.seconds < 30  # 1.5 s on two idle cores


HOURS = 448  # more than `open_hours` of the memory below


def test_more_event_hours_than_memory_can_hold_open_are_sorted_in_a_second_pass(store: Store, tmp_path: Path) -> None:
    hours = [datetime(2026, 1, 1) + timedelta(hours=n) for n in range(HOURS)]
    records = [{**GOOD, "number": n, "at": f"{hours[n % HOURS]}Z"} for n in range(5 * HOURS)]
    data = lines(*records, "nonsense")
    little, much = LandingSettings(memory_bytes=800 << 20), LandingSettings()
    opened: list[str] = []
    found = land(strange(), [watched(data, "o", opened)], store, "b", little)
    assert opened == ["o", "o"]  # the first pass ended when too many hours were open, else this shows nothing
    expected = land(strange(), [raw(data, "o")], open_store(tmp_path / "other"), "b", much)
    assert [(mark.key, mark.rows, mark.checksum) for mark in found.files] == [
        (mark.key, mark.rows, mark.checksum) for mark in expected.files
    ]
    assert (found.read, found.landed, found.quarantined, len(found.files)) == (5 * HOURS + 1, 5 * HOURS, 1, HOURS)
