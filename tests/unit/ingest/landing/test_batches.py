"""Batches: landing again, sets that grow, objects and contracts that change, and sets of unusual size."""

import io
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

import pytest

from ingest.landing import LandingError, NoneReadable, ObjectsGone, land, land_files
from ingest.objects import ObjectRefused, RawObject
from lake import ledger
from lake.ledger.balance import balance
from lake.query.quarantine import page, successors, summary
from lake.storage.publish import open_store, recover
from lake.storage.store import Store
from tests.unit.ingest.landing.landed import GOOD, few, files_of, lines, raw, watched


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "lake")


def test_the_same_files_again_are_neither_read_nor_written(store: Store) -> None:
    opened: list[str] = []
    objects = [watched(lines(GOOD), name, opened) for name in ("a", "b")]
    first = land_files(few(), objects, store)
    before = files_of(store)
    again = land_files(few(), objects, store)
    assert ([each.unchanged for each in first], [each.unchanged for each in again]) == ([False], [True])
    assert again[0].counted() == {"read": 2, "landed": 2, "quarantined": 0}
    assert opened == ["a", "b"]
    assert files_of(store) == before


def test_the_same_batch_again_leaves_bronze_and_quarantine_as_they_are(store: Store) -> None:
    objects = [raw(lines(GOOD, "nonsense"))]
    land(few(), objects, store, "b")
    before = files_of(store)
    land(few(), objects, store, "b")
    after = files_of(store)
    receipt = "ledger/landing/strange/b.json"
    assert {**after, receipt: None} == {**before, receipt: None}


def test_of_a_set_that_grew_only_the_new_object_is_read(store: Store) -> None:
    opened: list[str] = []
    land_files(few(), [watched(lines(GOOD), "a", opened)], store)
    both = [watched(lines(GOOD), name, opened) for name in ("a", "b")]
    found = land_files(few(), both, store)
    assert opened == ["a", "b"]
    assert [(each.unchanged, each.counted()["landed"]) for each in found] == [(True, 1), (False, 1)]


def test_a_changed_object_takes_the_place_of_what_it_was(store: Store) -> None:
    later = {**GOOD, "at": "2026-03-02T07:00:00Z"}
    land_files(few(), [raw(lines(GOOD, GOOD), "a", "1")], store)
    land_files(few(), [raw(lines(later), "a", "2")], store)
    bronze = [entry.key for entry in store.list("bronze")]
    assert len(bronze) == 1
    assert "hour=07" in bronze[0]
    assert [receipt.landed for receipt in ledger.landings(store, "strange")] == [1]


def test_a_changed_contract_replaces_exactly_the_batch_s_own_files(store: Store, tmp_path: Path) -> None:
    data = lines(GOOD, {**GOOD, "at": "2026-03-02T05:30:00"})
    land(few(), [raw(data)], store, "b")
    land(few(), [raw(lines(GOOD), "other")], store, "c")
    before = files_of(store)

    def naive(text: str) -> str:
        return text.replace("path: at, format: iso8601", "path: at, format: iso8601, naiveIsUtc: true")

    receipt = land(few(naive, tmp_path), [raw(data)], store, "b")
    after = files_of(store)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert (receipt.landed, receipt.quarantined) == (2, 0)
    assert changed == {
        "bronze/strange/date=2026-03-02/hour=05/b.parquet",
        "quarantine/strange/date=2026-03-02/hour=06/b.parquet",
        "ledger/landing/strange/b.json",
    }
    assert not any(key.startswith("quarantine/") for key in after)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"[]", b'{"Records": []}'], ids=["empty", "blank", "list", "envelope"])
def test_an_object_without_records_leaves_a_receipt_and_no_file(store: Store, data: bytes) -> None:
    receipt = land(few(), [raw(data)], store, "b")
    assert (receipt.read, receipt.landed, receipt.quarantined, receipt.conserved) == (0, 0, 0, True)
    assert [entry.key for entry in store.list()] == ["ledger/landing/strange/b.json"]


def unreadable(name: str, problem: OSError) -> RawObject:
    """An object whose reading fails at the second byte, or, when it is refused, at once."""

    class Breaking(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            if self.tell():
                raise problem
            return super().read(1)

    def opening() -> BinaryIO:
        if isinstance(problem, ObjectRefused):
            raise problem
        return Breaking(b"{}")

    return replace(raw(b"", name), open=opening)


@pytest.mark.parametrize("problem", [ObjectRefused("s3://b/k was denied"), OSError("broke off")])
def test_an_object_that_cannot_be_read_is_left_out_and_named(store: Store, problem: OSError) -> None:
    first, last = raw(lines(GOOD), "a"), raw(lines({**GOOD, "number": 2}, "nonsense"), "z")
    receipt = land(few(), [first, unreadable("x", problem), last], store, "b")
    assert (3, 2, 1, ["a", "z"]) == (
        receipt.read,
        receipt.landed,
        receipt.quarantined,
        [mark.name for mark in receipt.objects],
    )
    ((name, why),) = receipt.unreadable
    assert ("x", True) == (name, str(problem) in why)
    assert f"1 objects could not be read and are in no batch (first: {why})" in balance(store).sources[0].why
    land(few(), [raw(lines(GOOD), "x")], store, "c")  # it can be read now
    assert "could not be read" not in balance(store).sources[0].why


def test_a_batch_of_which_nothing_can_be_read_publishes_nothing(store: Store) -> None:
    with pytest.raises(NoneReadable, match="none of its 1 objects could be read; the first: denied"):
        land(few(), [unreadable("x", ObjectRefused("denied"))], store, "b")
    with pytest.raises(LandingError, match=r"was not landed: x: cannot be read at byte 1: broke off"):
        land(few(), [unreadable("x", OSError("broke off"))], store, "b")
    assert [each.key for each in store.list()] == ["ledger/not_landed/strange/b.json"]


def test_what_was_quarantined_of_an_object_is_superseded_by_its_whole_successor(store: Store) -> None:
    cut, other = raw(lines(GOOD, "cut o"), "a", "1"), raw(lines(GOOD, "nonsense"), "z")
    (first,) = land_files(few(), [cut, other], store)
    assert [0] == [row["superseded"] for row in summary(store)]
    land_files(few(), [raw(lines(GOOD, "cut off"), "a", "2"), other], store)  # broken as well
    assert {} == successors(store, "strange")
    (_, whole) = land_files(few(), [raw(lines(GOOD, GOOD), "a", "3"), other], store)
    assert [(2, 1)] == [(row["records"], row["superseded"]) for row in summary(store)]
    told = {(row["_source_object"], row["_landed_since"]) for row in page(store, "strange", None, 9)}
    assert {("a", whole.receipt.batch), ("z", None)} == told
    assert first.receipt.conserved and whole.receipt.conserved


def test_a_store_out_of_reach_is_no_matter_of_single_objects(store: Store) -> None:
    objects = [raw(lines(GOOD)), *(unreadable(f"x{n}", OSError("no answer")) for n in range(9))]
    with pytest.raises(LandingError, match=r"was not landed: x0: .*no answer"):
        land(few(), objects, store, "b")
    assert [each.key for each in store.list()] == ["ledger/not_landed/strange/b.json"]


def test_a_batch_keeps_what_it_landed_of_an_object_that_is_refused_now(store: Store) -> None:
    before = land(few(), [raw(lines(GOOD), "a"), raw(lines(GOOD), "x")], store, "b")
    with pytest.raises(ObjectsGone, match=r"holds 1 objects that cannot be read any more \(first: denied\)"):
        land(few(), [raw(lines(GOOD), "a"), unreadable("x", ObjectRefused("denied"))], store, "b")
    assert before == ledger.landing(store, "strange", "b")


def test_pages_of_an_answer_land_all_or_none(store: Store) -> None:
    for problem in (ObjectRefused("denied"), OSError("broke off")):
        with pytest.raises(LandingError, match=f"was not landed: .*{problem}"):
            land(few(), [raw(lines(GOOD)), unreadable("x", problem)], store, "b", may_shrink=False)
    assert [each.key for each in store.list()] == ["ledger/not_landed/strange/b.json"]


def test_a_whole_day_is_filed_by_hour(store: Store) -> None:
    records = [{**GOOD, "number": n, "at": f"2026-03-01T{n % 24:02}:30:00Z"} for n in range(240)]
    receipt = land(few(), [raw(lines(*records))], store, "b")
    assert [(mark.hour, mark.rows) for mark in receipt.files] == [(f"2026-03-01T{hour:02}", 10) for hour in range(24)]


def test_a_batch_that_does_not_land_stands_in_the_balance_until_its_objects_do(store: Store) -> None:
    with pytest.raises(LandingError, match="no answer") as failed:
        land(few(), [replace(raw(lines(GOOD), "x"), open=_no_answer)], store, "b")
    assert failed.value.exit_code == 3
    (told,) = balance(store).sources
    assert (told.state, told.balanced, told.read) == ("not landed", False, 0)
    assert "batch b did not land: strange: batch b was not landed: x" in told.why
    assert "delete ledger/not_landed/strange/b.json" in told.why
    land(few(), [raw(lines(GOOD), "x")], store, "elsewhere")
    assert balance(store).sources[0].state == "not built"
    land(few(), [raw(lines(GOOD), "x")], store, "b")
    assert not list(store.list("ledger/not_landed"))


@pytest.mark.parametrize(("act", "recorded"), [("move_many", 1), ("delete_many", 0)])
def test_a_journaled_batch_that_failed_has_landed_when_the_lake_was_opened_again(
    act: str, recorded: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("refused")

    with monkeypatch.context() as patch:
        patch.setattr(store, act, refuse)
        with pytest.raises(LandingError, match="refused"):
            land(few(), [raw(lines(GOOD), "x")], store, "b")
    assert len(list(store.list("ledger/not_landed"))) == recorded
    recover(store)
    (told,) = balance(store).sources
    assert (told.state, told.landed) == ("not built", 1)


def test_a_batch_that_fails_stops_no_other_batch_of_the_call(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("ingest.landing.land"), "BATCH_BYTES", 1)
    objects = [replace(raw(lines(GOOD), "a"), open=_no_answer), raw(lines(GOOD), "b")]
    with pytest.raises(LandingError, match=r"a: .*no answer") as failed:
        land_files(few(), objects, store)
    assert [["b"]] == [[mark.name for mark in each.receipt.objects] for each in failed.value.landed]


def test_an_error_of_the_code_is_a_batch_that_did_not_land(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise AssertionError("no such thing")

    monkeypatch.setattr(import_module("ingest.landing.land"), "receipt_of", broken)
    with pytest.raises(LandingError, match=r"batch b was not landed: no such thing\. The records"):
        land(few(), [raw(lines(GOOD), "x")], store, "b")


def _no_answer() -> BinaryIO:
    raise OSError("no answer")
