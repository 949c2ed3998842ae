"""An erasure takes every row that its condition is true of, wherever it lies, and touches nothing else."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from ingest.landing.publish import bronze_columns
from lake import ledger
from lake.ledger.balance import balance
from lake.marts.declaration import Marts
from lake.query.condition import BadCondition
from lake.storage import paths
from lake.storage.store import LocalStore, Store
from lake.upkeep.compaction import Policy
from lake.upkeep.erasure import Request, begin, end, erase, finish, search
from lake.upkeep.erasure_proof import Proof, fingerprints
from lake.upkeep.erasure_rules import erasure_rules
from lake.upkeep.merging import Resources
from lake.upkeep.receipts import ErasureReceipt
from tests.unit.ingest.landing.landed import few
from tests.unit.lake.held import SOURCE, build, copy, expected, keys, landing, shown, stale
from tests.unit.lake.test_compaction import compacted

ANN = "host = 'ann'"
ROWS = {
    "a": [(3, "ann"), (3, "bob"), (4, "carl")],
    "b": [(3, "dora"), (5, "ann")],
    "c": [(4, "ed"), (5, "fay")],
    "d": [(6, "gus")],
}
RESOURCES = Resources(1 << 30, 1)


def request(condition: str = ANN, **more: object) -> Request:
    columns = bronze_columns(few())
    return Request(SOURCE, condition, columns, "asked for on paper", "the desk", **more)  # type: ignore[arg-type]


def erased(store: Store, wanted: Request | None = None) -> tuple[ErasureReceipt, Proof]:
    """The whole way, with building in between."""
    wanted = wanted or request()
    before = fingerprints(store, SOURCE)
    begun = begin(store, wanted, search(store, wanted, RESOURCES))
    done = erase(store, wanted, begun, RESOURCES)
    build(store, stale(store))
    return done, finish(store, wanted, done, before, RESOURCES)


def bytes_of(store: LocalStore) -> dict[str, str]:
    """A hash of every file that holds rows."""
    rooms = ("bronze", "quarantine", "silver", "ledger/dispositions")
    return {key: hashlib.sha256(store.read(key)).hexdigest() for key in keys(store, *rooms)}


def says(store: LocalStore, text: str) -> list[str]:
    """The files of a lake in which a text can be read, in Parquet by its rows."""
    found = []
    for each in store.list():
        if each.key.endswith(".parquet"):
            rows = duckdb.execute(f"select held::varchar from read_parquet('{store.url(each.key)}') held").fetchall()
            if any(text in str(row[0]) for row in rows):
                found.append(each.key)
        elif text.encode() in store.read(each.key):
            found.append(each.key)
    return found


def four_batches(folder: Path) -> LocalStore:
    """A lake with four built batches of four hours; Ann is in two of the hours, in the files of two of the batches."""
    made = LocalStore(folder)
    for batch, records in ROWS.items():
        landing(made, batch, records, broken=batch == "c")
    build(made)
    return made


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return four_batches(tmp_path_factory.mktemp("built"))


@pytest.fixture
def store(built: LocalStore, tmp_path: Path) -> LocalStore:
    return copy(built, tmp_path / "lake")


def without_ann() -> dict[str, list[tuple[int, str]]]:
    return {batch: [(hour, label) for hour, label in records if label != "ann"] for batch, records in ROWS.items()}


def test_looking_changes_nothing_and_tells_each_file(store: LocalStore) -> None:
    before = {key: store.info(key) for key in keys(store, "")}
    found = search(store, request(), RESOURCES)
    assert [(each.key.split("/", 2)[2], each.rows, each.dead) for each in found.files] == [
        ("date=2026-03-02/hour=03/a.parquet", {"a": 1}, 0),
        ("date=2026-03-02/hour=05/b.parquet", {"b": 1}, 0),
    ]
    assert {key: store.info(key) for key in keys(store, "")} == before


def test_only_files_with_matching_rows_are_rewritten_and_the_sheet_stays_closed(store: LocalStore) -> None:
    before = bytes_of(store)
    receipt, proof = erased(store)
    assert shown(store) == expected(without_ann())
    after = bytes_of(store)
    changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    assert {key for key in changed if key.startswith("bronze")} == {
        f"bronze/{SOURCE}/date=2026-03-02/hour=03/a.parquet",
        f"bronze/{SOURCE}/date=2026-03-02/hour=05/b.parquet",
    }
    assert f"bronze/{SOURCE}/date=2026-03-02/hour=05/b.parquet" not in after, "a file without a row goes"
    assert {paths.hour_of(key).hour for key in changed} == {3, 5}  # type: ignore[union-attr]
    assert says(store, "ann") == [f"erasures/conditions/{SOURCE}/{receipt.erasure}.json"]
    assert (proof.holds, proof.changed, proof.counts["untouched_files"]) == (True, [], len(before) - 2 - 2 * 2)
    sheet = balance(store, [SOURCE])
    assert sheet.balanced
    assert (sheet.total.read, sheet.total.landed, sheet.total.quarantined, sheet.total.erased) == (9, 6, 1, 2)
    assert {row.hour[-2:]: row.erased for row in sheet.hours if row.erased} == {"03": 1, "05": 1}
    assert all(each.conserved for each in ledger.landings(store, SOURCE))


def test_the_record_tells_who_when_why_and_what_but_not_whom(store: LocalStore) -> None:
    receipt, _ = erased(store)
    text = store.read(paths.erasure_receipt(SOURCE, receipt.erasure)).decode()
    told = json.loads(text)
    assert "ann" not in text
    assert (told["status"], told["asked_by"], told["reason"]) == ("done", "the desk", "asked for on paper")
    assert [(each["erased"], each["left"]) for each in told["files"]] == [(1, 1), (1, 0)]
    assert all(each["checksum_before"] != each["checksum_after"] for each in told["files"])
    kept = erasure_rules(store, SOURCE)[0]
    assert hashlib.sha256(f"{kept.secret}{kept.condition}".encode()).hexdigest() == told["condition_hash"]
    assert keys(store, "erasures/rows") == []
    open_one, _ = erased(store, request("host = 'fay'", tell_condition=True))
    assert "fay" in store.read(paths.erasure_receipt(SOURCE, open_one.erasure)).decode()


def test_erased_records_do_not_come_back_when_they_land_again(store: LocalStore) -> None:
    erased(store)
    before = bytes_of(store)
    again = [landing(store, name, ROWS[name], broken=name == "c") for name in ("a", "b", "c")]
    assert [(each.read, each.landed, each.quarantined, each.erased) for each in again] == [
        (3, 2, 0, 1),
        (2, 1, 0, 1),
        (3, 2, 1, 0),
    ]
    assert bytes_of(store) == before and stale(store) == []
    new = landing(store, "new", [(7, "ann"), (7, "hal")])
    assert (new.landed, new.erased, new.conserved) == (1, 1, True)
    build(store, stale(store))
    assert balance(store, [SOURCE]).balanced
    receipt = erasure_rules(store, SOURCE)[0].erasure
    assert end(store, SOURCE, receipt).standing is False
    assert landing(store, "new", [(7, "ann"), (7, "hal")]).landed == 2
    with pytest.raises(LookupError, match="no erasure"):
        end(store, SOURCE, "another")


def test_an_erasure_asked_for_once_keeps_no_condition(store: LocalStore) -> None:
    _, proof = erased(store, request(once=True))
    assert proof.holds and keys(store, "erasures") == [] and says(store, "ann") == []
    assert landing(store, "a", ROWS["a"]).landed == 3


def test_shared_files_lose_the_rows_and_their_dead_ones(store: LocalStore) -> None:
    compacted(store)
    landing(store, "b", [(3, "dora")])
    assert says(store, "ann") != []
    receipt, proof = erased(store)
    assert (proof.holds, receipt.erased, sum(file.dead for file in receipt.files)) == (True, 1, 1)
    assert says(store, "ann") == [f"erasures/conditions/{SOURCE}/{receipt.erasure}.json"]
    rows = {**without_ann(), "b": [(3, "dora")]}
    assert shown(store) == expected(rows)
    compacted(store, Policy(timedelta(0), most_files=1))
    assert shown(store) == expected(rows) and stale(store) == []
    assert landing(store, "a", ROWS["a"]).erased == 1
    assert shown(store) == expected(rows) and stale(store) == []


def test_quarantine_is_erased_by_its_text_and_told_where_it_cannot_be_asked(store: LocalStore) -> None:
    assert "1 quarantined records" in search(store, request(), RESOURCES).not_looked_at[0]
    receipt, proof = erased(store, request("_raw like '%of c%'"))
    assert (proof.holds, shown(store, paths.QUARANTINE)) == (True, {})
    assert says(store, "of c") == [f"erasures/conditions/{SOURCE}/{receipt.erasure}.json"]
    sheet = balance(store, [SOURCE])
    assert (sheet.balanced, sheet.total.quarantined, sheet.total.erased) == (True, 0, 1)
    assert (again := landing(store, "c", ROWS["c"], broken=1)).erased == 1 and again.conserved


def test_a_range_of_hours_is_kept_to(store: LocalStore) -> None:
    erased(store, request(first="2026-03-02T05", last="2026-03-02T05"))
    assert shown(store)["a", "ann"] == 1 and shown(store)["b", "ann"] == 0
    assert landing(store, "late", [(5, "ann"), (6, "ann")]).landed == 1


def test_a_condition_that_does_not_fit_is_refused_before_anything_happens(store: LocalStore) -> None:
    with pytest.raises(BadCondition, match="nobody"):
        search(store, request("nobody = 'x'"), RESOURCES)
    assert keys(store, "erasures") == []


def test_a_build_that_read_the_rows_does_not_publish_them_afterwards(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lake.build.run import BuildRun, ErasedMeanwhile, Plan
    from lake.storage.publish import Workplace
    from tests.unit.lake.held import MAPPINGS

    with Workplace(store, "build") as place:
        plan = Plan({SOURCE: ("2026-03-02T03",)})
        run = BuildRun(store, MAPPINGS, Marts(()), plan, place)
        other = BuildRun(store, MAPPINGS, Marts(()), Plan({SOURCE: ("2026-03-02T06",)}), place)
        erased(store)
        with pytest.raises(ErasedMeanwhile, match="2026-03-02T03"):
            run.publish_model(f"authentication__{SOURCE}", "authentication", SOURCE, {}, {})
        other.publish_model(f"authentication__{SOURCE}", "authentication", SOURCE, {}, {})


def test_a_batch_that_was_read_before_the_erasure_is_held_against_it(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ingest.landing.publish as landing_erased

    publish, asked = landing_erased.publish_landing, []

    def late(*given: object) -> object:
        if not asked:
            asked.append(erased(store))
        return publish(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(landing_erased, "publish_landing", late)
    found = landing(store, "new", [(7, "ann"), (7, "hal")])
    assert asked and (found.read, found.landed, found.erased) == (2, 1, 1)


def test_samples_of_records_leave_the_receipts_of_batches_that_lost_rows(store: LocalStore) -> None:
    landing(store, "e", [(3, "ann")], broken=1)
    build(store, stale(store))
    erased(store)
    for each in ledger.landings(store, SOURCE):
        samples = {violation.sample for violation in each.violations}
        assert samples == ({""} if each.batch == "e" else {"{broken 0 of c"} if each.batch == "c" else set())
