"""Compaction changes no row, whatever landed before, between and after, and wherever it is killed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from ingest.contracts import Contract
from lake import ledger
from lake.ledger.balance import UNBALANCED, balance
from lake.ledger.live_files import by_hour, live_files
from lake.ledger.staleness import bronze_inputs, row_marks
from lake.storage import paths
from lake.storage.store import LocalStore, Store
from lake.upkeep.compaction import Compacted, Policy, compact, due
from lake.upkeep.merging import Resources
from lake.upkeep.orphan_files import compactions
from tests.unit.ingest.landing.landed import few
from tests.unit.lake.held import SOURCE, copy, expected, keys, landing, shown

NOW = datetime(2026, 3, 4, tzinfo=UTC)
EAGER = Policy(settle=timedelta(0), most_files=1)


def compacted(store: Store, policy: Policy = EAGER, now: datetime = NOW) -> Compacted:
    return compact(store, [SOURCE], due(store, SOURCE, policy, now), Resources(1 << 30, 1))


def marks(store: Store) -> dict[str, list[str]]:
    """What staleness compares, by event hour."""
    inputs = bronze_inputs(ledger.landings(store, SOURCE))
    return {hour: row_marks(files) for hour, files in inputs.items()}


def no_file_too_many(store: Store) -> None:
    named = [file.key for room in ("bronze", "quarantine") for file in live_files(ledger.landings(store, SOURCE), room)]
    assert keys(store, "bronze", "quarantine") == sorted(named)


def three_batches(folder: Path) -> LocalStore:
    """A lake with three batches of two hours, one of them without broken records."""
    made = LocalStore(folder)
    for name in ("a", "b", "c"):
        landing(made, name, [(4, f"{name}1"), (5, f"{name}2"), (5, f"{name}3")], broken=name != "c")
    return made


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return three_batches(tmp_path_factory.mktemp("landed"))


@pytest.fixture
def store(landed: LocalStore, tmp_path: Path) -> LocalStore:
    return copy(landed, tmp_path / "lake")


def test_the_files_of_an_hour_become_one_of_the_same_rows(store: LocalStore) -> None:
    before = shown(store), shown(store, paths.QUARANTINE), marks(store)
    done = compacted(store)
    assert (shown(store), shown(store, paths.QUARANTINE), marks(store)) == before
    assert [len(files) for files in by_hour(live_files(ledger.landings(store, SOURCE))).values()] == [1, 1]
    assert sorted((each.room, each.hour[-2:], each.files_before, each.rows) for each in done.merged) == [
        ("bronze", "04", 3, 3),
        ("bronze", "05", 3, 6),
        ("quarantine", "06", 2, 2),
    ]
    assert all(each.rows_checksum_before == each.rows_checksum_after for each in done.merged)
    assert (len(done.removed), done.left) == (8, {})
    assert {each.file for each in compactions(store, SOURCE)} == {each.file for each in done.merged}
    assert balance(store).sources[0].state != UNBALANCED
    no_file_too_many(store)


def test_compacting_again_finds_nothing(store: LocalStore) -> None:
    compacted(store)
    before = {key: store.info(key) for key in keys(store, "bronze", "ledger")}
    assert compacted(store) == Compacted()
    assert {key: store.info(key) for key in keys(store, "bronze", "ledger")} == before


def test_a_batch_that_lands_the_same_again_stays_in_the_shared_file(store: LocalStore) -> None:
    compacted(store)
    before = keys(store, "bronze", "quarantine"), shown(store)
    again = landing(store, "a", [(4, "a1"), (5, "a2"), (5, "a3")], broken=1)
    assert all(mark.shared for mark in (*again.files, *again.quarantine_files))
    assert (keys(store, "bronze", "quarantine"), shown(store)) == before


def test_a_batch_that_lands_other_rows_leaves_dead_ones_that_nobody_reads(store: LocalStore) -> None:
    compacted(store)
    landing(store, "a", [(4, "a1"), (5, "new")])
    rows = {
        "a": [(4, "a1"), (5, "new")],
        "b": [(4, "b1"), (5, "b2"), (5, "b3")],
        "c": [(4, "c1"), (5, "c2"), (5, "c3")],
    }
    assert shown(store) == expected(rows)
    assert [file.whole for file in live_files(ledger.landings(store, SOURCE))] == [True, True, False]
    done = compacted(store, Policy(settle=timedelta(0)))
    assert [(each.hour[-2:], each.room, each.left_behind, each.rows) for each in done.merged] == [
        ("05", "bronze", 2, 5),
        ("06", "quarantine", 1, 1),
    ]
    assert shown(store) == expected(rows)
    no_file_too_many(store)


def test_an_hour_rests_before_it_is_merged_and_a_late_file_makes_it_due_again(store: LocalStore) -> None:
    policy = Policy(settle=timedelta(hours=6))
    assert due(store, SOURCE, policy, datetime(2026, 3, 2, 10, 59, tzinfo=UTC)) == []
    rested = due(store, SOURCE, policy, datetime(2026, 3, 2, 11, tzinfo=UTC))
    assert [(each.room, each.hour) for each in rested] == [("bronze", "2026-03-02T04")]
    compacted(store)
    assert due(store, SOURCE, EAGER, NOW) == []
    landing(store, "late", [(4, "late")])
    assert [(each.hour, len(each.files)) for each in due(store, SOURCE, EAGER, NOW)] == [("2026-03-02T04", 2)]
    compacted(store)
    assert shown(store)["late", "late"] == 1
    no_file_too_many(store)


def test_only_many_or_small_or_dead_files_are_worth_a_merge(store: LocalStore) -> None:
    size = max(file.bytes for file in live_files(ledger.landings(store, SOURCE)))
    few = Policy(settle=timedelta(0), most_files=3, small_bytes=size)
    assert [each for each in due(store, SOURCE, few, NOW) if each.room == "bronze"] == []
    assert len(due(store, SOURCE, Policy(settle=timedelta(0), most_files=2, small_bytes=0), NOW)) == 2
    assert due(store, SOURCE, Policy(settle=timedelta(0), most_files=1, large_bytes=1), NOW) == []
    assert len(due(store, SOURCE, few, NOW, "2026-03-02T05", "2026-03-02T05")) == 0
    assert [each.hour for each in due(store, SOURCE, EAGER, NOW, "2026-03-02T05", "2026-03-02T05")] == ["2026-03-02T05"]


def other_contract(folder: Path, change: tuple[str, str]) -> Contract:
    folder.mkdir()
    return few(lambda text: text.replace("version: 1.0.0", "version: 1.1.0").replace(*change), folder)


def test_batches_of_contracts_with_more_columns_are_merged_by_name(store: LocalStore, tmp_path: Path) -> None:
    added = "      - {name: count, logicalType: integer"
    more = other_contract(tmp_path / "more", (added, "      - {name: added, logicalType: string}\n" + added))
    landing(store, "d", [(4, "d1"), (5, "d2")], more)
    before = shown(store)
    compacted(store)
    assert [len(files) for files in by_hour(live_files(ledger.landings(store, SOURCE))).values()] == [1, 1]
    assert shown(store) == before


def test_batches_whose_columns_have_other_types_stay_apart(store: LocalStore, tmp_path: Path) -> None:
    other = other_contract(
        tmp_path / "other", ("name: count, logicalType: integer", "name: count, logicalType: string")
    )
    landing(store, "d", [(4, "d1")], other)
    landing(store, "e", [(4, "e1")], other)
    before = shown(store)
    compacted(store)
    assert [len(file.batches) for file in by_hour(live_files(ledger.landings(store, SOURCE)))["2026-03-02T04"]] in (
        [2, 3],
        [3, 2],
    )
    assert shown(store) == before
    assert compacted(store).merged == []


def test_a_file_that_is_not_what_its_receipt_says_is_left_alone(store: LocalStore) -> None:
    key = f"bronze/{SOURCE}/date=2026-03-02/hour=04/a.parquet"
    with duckdb.connect() as con:
        file = store.url(key)
        con.execute(
            f"copy (select * replace (hash('other') as _content_hash) from '{file}') to '{file}.new' (format parquet)"
        )
    (store.path / f"{key}.new").replace(store.path / key)
    before = shown(store)
    done = compacted(store)
    assert list(done.left) == [f"bronze/{SOURCE} 2026-03-02T04"]
    assert "batch a" in done.left[f"bronze/{SOURCE} 2026-03-02T04"]
    assert {each.hour for each in done.merged if each.room == "bronze"} == {"2026-03-02T05"}
    assert (shown(store), store.info(key) is not None) == (before, True)


def test_a_batch_that_lands_while_its_files_are_merged_wins(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import lake.upkeep.compaction

    publish = lake.upkeep.compaction.publish_merges

    def late(store: Store, merges: object) -> object:
        landing(store, "a", [(4, "other"), (5, "a2"), (5, "a3")], broken=1)
        return publish(store, merges)  # type: ignore[arg-type]

    monkeypatch.setattr(lake.upkeep.compaction, "publish_merges", late)
    done = compacted(store)
    assert list(done.left) == [f"bronze/{SOURCE} 2026-03-02T04"]
    monkeypatch.undo()
    assert shown(store)["a", "other"] == 1 and shown(store)["a", "a1"] == 0
    assert len(compacted(store).merged) == 1
    no_file_too_many(store)
