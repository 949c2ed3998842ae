"""Retention removes what has expired and nothing else, and the receipts explain what went."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lake import ledger
from lake.ledger.balance import EXPIRED, balance
from lake.storage import paths
from lake.storage.publish import recover
from lake.storage.store import LocalStore, Store
from lake.upkeep.retention import expire, expired_days, newest_expired
from tests.unit.lake.held import SOURCE, build, copy, expected, keys, landing, receipts_without_times, shown, stale
from tests.unit.lake.mortal import Killed, Mortal
from tests.unit.lake.test_compaction import compacted

DAYS = timedelta(days=1)
ROOMS = ("bronze", "quarantine", "silver", "ledger/dispositions")
ROWS = {
    "a": [(3, "a1"), (4, "a2"), (5, "a3")],
    "b": [(3, "b1"), (5, "b2")],
    "late": [(3, "l1")],
}


def at(hour: float) -> datetime:
    """The moment at which a retention of ten days reaches an hour of 2026-03-02."""
    return datetime(2026, 3, 12, tzinfo=UTC) + timedelta(hours=hour)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """Three built batches of three hours, with broken records that arrived in hour 6."""
    made = LocalStore(tmp_path_factory.mktemp("built"))
    for batch, records in ROWS.items():
        landing(made, batch, records, broken=1)
    build(made)
    return made


@pytest.fixture
def store(built: LocalStore, tmp_path: Path) -> LocalStore:
    return copy(built, tmp_path / "lake")


def files(store: Store) -> dict[str, str]:
    return {key: found.fingerprint for key in keys(store, *ROOMS) if (found := store.info(key))}


def hours(store: Store) -> dict[str, tuple[int, int, int, str]]:
    sheet = balance(store, [SOURCE])
    assert sheet.balanced
    return {row.hour[-2:]: (row.read, row.landed, row.expired, row.state) for row in sheet.hours}


@pytest.mark.parametrize(
    ("moment", "newest"),
    [(at(4.99), "2026-03-02T03"), (at(5), "2026-03-02T04"), (at(5.01), "2026-03-02T04"), (at(6), "2026-03-02T05")],
)
def test_an_hour_expires_when_its_end_is_as_old_as_the_retention(moment: datetime, newest: str) -> None:
    assert newest_expired(10 * DAYS, moment) == newest


def test_expired_hours_go_and_the_sheet_still_explains_every_event(store: LocalStore) -> None:
    before = files(store)
    went = expire(store, SOURCE, 10 * DAYS, at(5))
    assert [(str(day.day), day.rows, day.files) for day in went] == [("2026-03-02", 4, 4 + 2 * 2)]
    assert files(store) == {key: mark for key, mark in before.items() if "hour=03" not in key and "hour=04" not in key}
    assert hours(store) == {
        "03": (3, 0, 3, EXPIRED),
        "04": (1, 0, 1, EXPIRED),
        "05": (2, 2, 0, "balanced"),
        "06": (3, 0, 0, "balanced"),
    }
    total = balance(store, [SOURCE]).total
    assert (total.read, total.landed, total.quarantined, total.expired, total.published) == (9, 2, 3, 4, 2)
    assert all(receipt.conserved for receipt in ledger.landings(store, SOURCE))
    assert stale(store) == []


def test_a_retention_run_twice_writes_nothing(store: LocalStore) -> None:
    expire(store, SOURCE, 10 * DAYS, at(5))
    before = {key: store.info(key) for key in keys(store, "")}
    assert expire(store, SOURCE, 10 * DAYS, at(5)) == []
    assert {key: store.info(key) for key in keys(store, "")} == before


def test_quarantine_expires_by_arrival_hour_and_samples_go_along(store: LocalStore) -> None:
    receipt = ledger.landing(store, SOURCE, "a")
    assert receipt and [each.sample for each in receipt.violations] != [""]
    expire(store, SOURCE, 10 * DAYS, at(7))
    assert keys(store, *ROOMS) == []
    assert hours(store)["06"] == (3, 0, 3, EXPIRED)
    for receipt in ledger.landings(store, SOURCE):
        assert [(each.sample, each.found) for each in receipt.violations] == [("", "")]
        assert all(each.sample == "" for each in receipt.drift)


def test_compacted_hours_expire_with_every_batch_in_them(store: LocalStore) -> None:
    compacted(store)
    landing(store, "b", [(4, "other")])
    expire(store, SOURCE, 10 * DAYS, at(5))
    assert [key for key in keys(store, "bronze") if "hour=05" not in key] == []
    assert shown(store) == expected({"a": [(5, "a3")]})
    assert all(receipt.conserved for receipt in ledger.landings(store, SOURCE))


def test_records_that_land_again_beyond_the_retention_go_with_the_next_run(store: LocalStore) -> None:
    expire(store, SOURCE, 10 * DAYS, at(5))
    landing(store, "b", ROWS["b"], broken=1)
    landing(store, "found in an archive".replace(" ", "-"), [(4, "old")])
    assert stale(store) == ["2026-03-02T03", "2026-03-02T04"]
    build(store, stale(store))
    assert hours(store)["03"] == (3, 1, 2, "balanced")
    assert hours(store)["04"] == (2, 1, 1, "balanced")
    expire(store, SOURCE, 10 * DAYS, at(5))
    assert (stale(store), [key for key in keys(store, "bronze", "silver") if "hour=05" not in key]) == ([], [])
    assert hours(store)["03"] == (3, 0, 3, EXPIRED)


def test_nothing_is_removed_by_looking(store: LocalStore) -> None:
    before = {key: store.info(key) for key in keys(store, "")}
    assert [day.files for day in expired_days(store, SOURCE, 10 * DAYS, at(5))] == [8]
    assert {key: store.info(key) for key in keys(store, "")} == before


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_ages_only_what_has_expired_goes(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    store = LocalStore(tmp_path)
    batches = {name: [(chance.randrange(0, 6), f"{name}{n}") for n in range(chance.randrange(1, 5))] for name in "abcd"}
    for name, records in batches.items():
        landing(store, name, records, broken=chance.randrange(0, 2))
    if chance.random() < 0.5:
        compacted(store)
    build(store)
    for moment in sorted(at(chance.uniform(0, 9)) for _ in range(3)):
        before = files(store)
        expire(store, SOURCE, 10 * DAYS, moment)
        young = {key: mark for key, mark in before.items() if _ended(key) + 10 * DAYS > moment}
        assert files(store) == young
        assert all(receipt.conserved for receipt in ledger.landings(store, SOURCE))
        sheet = balance(store, [SOURCE])
        assert (sheet.balanced, sheet.total.read) == (True, sum(r.read for r in ledger.landings(store, SOURCE)))
        assert stale(store) == []


def _ended(key: str) -> datetime:
    hour = paths.hour_of(key)
    assert hour
    return hour.replace(tzinfo=UTC) + timedelta(hours=1)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_act_and_run_again_it_ends_as_if_never_killed(
    store: LocalStore, tmp_path: Path, after: bool
) -> None:
    whole = Mortal(copy(store, tmp_path / "whole").path)
    expire(whole, SOURCE, 10 * DAYS, at(7))
    expected_state = files(whole), receipts_without_times(whole)
    assert whole.acts > 10
    for act in sorted(random.Random(after).sample(range(1, whole.acts + 1), min(whole.acts, 12))):
        lake = copy(store, tmp_path / f"killed-{act}")
        with pytest.raises(Killed):
            expire(Mortal(lake.path, act, after=after), SOURCE, 10 * DAYS, at(7))
        again = LocalStore(lake.path)
        recover(again)
        assert balance(again, [SOURCE]).balanced
        expire(again, SOURCE, 10 * DAYS, at(7))
        assert (files(again), receipts_without_times(again)) == expected_state
        assert keys(again, "_journal") == []
