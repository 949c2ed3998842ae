"""Every kind of file of a lake is found when it is damaged, and put aside or made again; the rest stays as it is."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ingest.contracts import Contract
from ingest.landing import LandingSettings, land_files
from ingest.landing.land import Landed
from ingest.objects import RawObject
from lake import ledger
from lake.base.errors import tell_omission
from lake.ledger.balance import balance
from lake.storage.store import LocalStore
from lake.upkeep.broken_receipts import CHANGED, MISSING, UNKNOWN, UNREADABLE
from lake.upkeep.damage import Looked, examine
from lake.upkeep.orphan_files import remove_orphans
from lake.upkeep.repair import repair
from tests.unit.ingest.landing.landed import few, lines, raw
from tests.unit.lake.held import BROKEN, SOURCE, build, copy, expected, landing, record, shown, stale
from tests.unit.lake.test_compaction import compacted

BATCHES = {"b1": [(3, "one"), (4, "two")], "b2": [(3, "three")]}

DAMAGES: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "garbage": lambda path: path.write_bytes(b"\xff\xfe{" * (path.stat().st_size // 3 + 1)),
    "changed": lambda path: path.write_bytes(path.read_bytes()[:-20] + b"x" + path.read_bytes()[-19:]),
    "missing": lambda path: path.unlink(),
}
KINDS = {
    "bronze": f"bronze/{SOURCE}/date=2026-03-02/hour=04/b1.parquet",
    "quarantine": f"quarantine/{SOURCE}/*/*/b1.parquet",
    "silver": f"silver/authentication/source={SOURCE}/date=2026-03-02/hour=03/part.parquet",
    "outcomes": f"ledger/dispositions/source={SOURCE}/date=2026-03-02/hour=03/part.parquet",
    "landing receipt": f"ledger/landing/{SOURCE}/b1.json",
    "build receipt": f"ledger/build/authentication__{SOURCE}/date=2026-03-02.json",
}


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """Two batches of two hours, built."""
    store = LocalStore(tmp_path_factory.mktemp("built"))
    landing(store, "b1", BATCHES["b1"], broken=1)
    landing(store, "b2", BATCHES["b2"])
    build(store)
    return store


@pytest.fixture
def store(_built: LocalStore, tmp_path: Path) -> LocalStore:
    """A copy of it that a test may damage."""
    tell_omission.cache_clear()
    return copy(_built, tmp_path / "lake")


def file_of(store: LocalStore, kind: str) -> Path:
    (found,) = store.path.glob(KINDS[kind])
    return found


def objects(batches: dict[str, list[tuple[int, str]]] = BATCHES) -> list[RawObject]:
    """Return what the batches were landed of."""
    made = {batch: [*map(json.dumps, (record(*each) for each in records))] for batch, records in batches.items()}
    made["b1"].append(f"{BROKEN} 0 of b1")
    return [raw(lines(*each), f"{batch}.ndjson") for batch, each in made.items()]


def test_a_sound_lake_has_no_damage_and_says_what_was_read(store: LocalStore) -> None:
    looked = Looked()
    assert list(examine(store, share=1.0, looked=looked)) == []
    assert looked.read["bronze file"] == looked.files["bronze file"] == 3
    assert looked.read == looked.files and looked.not_checked == {}


def test_files_of_receipts_without_digests_are_told_as_not_checked(store: LocalStore) -> None:
    for receipt in ledger.landings(store, SOURCE):
        files = tuple(msgspec.structs.replace(mark, digest="") for mark in receipt.files)
        text = ledger.encode(msgspec.structs.replace(receipt, files=files))
        store.write(f"ledger/landing/{SOURCE}/{receipt.batch}.json", text.encode())
    looked = Looked()
    assert list(examine(store, share=1.0, looked=looked)) == []
    assert looked.not_checked["bronze file"] == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_by_name_and_mended_or_put_aside(store: LocalStore, kind: str, damage: str) -> None:
    file = file_of(store, kind)
    key = file.relative_to(store.path).as_posix()
    DAMAGES[damage](file)
    found = list(examine(store, share=1.0))
    if kind == "landing receipt" and damage == "changed":
        assert found == [] or found[0].key == key, "a letter of a receipt may change and leave it a receipt"
        return
    if damage == "missing" and kind in ("landing receipt", "build receipt"):
        assert {each.state for each in found} == {UNKNOWN}
        assert any("b1" in each.key or "silver" in each.key for each in found)
    else:
        assert key in {each.key for each in found}
        assert {each.state for each in found if each.key == key} <= {MISSING, UNREADABLE, CHANGED}
    assert all(each.advice for each in found)
    before = {path.name: path.read_bytes() for path in store.path.glob("damaged/**/*") if path.is_file()}
    assert before == {}
    done = list(repair(store))
    if damage != "missing":
        assert (store.path / "damaged" / key).is_file(), "nothing is deleted"
    if kind == "landing receipt":
        assert all(each.mended for each in done), done
        assert shown(store) == expected(BATCHES)
        assert stale(store) == [], "its checksums are those that the builds recorded"
        assert list(examine(store, share=1.0)) == []
    elif kind in ("bronze", "quarantine"):
        assert [each.state for each in examine(store, share=1.0)] == [MISSING]
    else:
        assert stale(store) == (["2026-03-02T03"] if kind != "build receipt" else ["2026-03-02T03", "2026-03-02T04"])
        build(store, stale(store))
        assert list(examine(store, share=1.0)) == []
    if kind not in ("bronze", "quarantine"):
        assert balance(store).balanced


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["bronze", "quarantine"])
def test_landing_the_same_files_again_mends_them(tmp_path: Path, damage: str, kind: str) -> None:
    store, contract = LocalStore(tmp_path), few()
    first = landed(store, contract)
    assert [each.unchanged for each in first] == [False]
    assert [each.unchanged for each in landed(store, contract)] == [True]
    file = next((tmp_path / kind).rglob("*.parquet"))
    whole = shown(store)
    DAMAGES[damage](file)
    (again,) = landed(store, contract)
    assert not again.unchanged
    assert list(examine(store, share=1.0)) == []
    assert shown(store) == whole and balance(store).sources[0].read == again.receipt.read


def landed(store: LocalStore, contract: Contract) -> list[Landed]:
    return land_files(contract, objects(), store, LandingSettings(threads=1))


def test_half_of_a_damaged_batch_is_not_landed_twice(tmp_path: Path) -> None:
    store, contract = LocalStore(tmp_path), few()
    landed(store, contract)
    next((tmp_path / "bronze").rglob("*.parquet")).unlink()
    with pytest.raises(ledger.HeadwaterError, match=r"b2\.ndjson in the same call"):
        land_files(contract, objects()[:1], store, LandingSettings(threads=1))
    assert len(list(ledger.landings(store, SOURCE))) == 1


@pytest.mark.parametrize("damage", ["emptied", "missing"])
def test_hours_whose_landing_receipt_is_lost_wait_and_the_others_are_built(store: LocalStore, damage: str) -> None:
    """Without this, a build would take the rows of the batch out of silver."""
    landing(store, "b3", [(5, "new")])
    DAMAGES[damage](file_of(store, "landing receipt"))
    assert stale(store) == ["2026-03-02T05"]
    sheet = balance(store)
    assert not sheet.balanced and "doctor --repair" in sheet.total.why + sheet.sources[0].why
    assert [row.hour for row in sheet.hours][-1] == "2026-03-02T05"
    list(repair(store))
    assert stale(store) == ["2026-03-02T05"]


@pytest.mark.parametrize("folder", [f"ledger/landing/{SOURCE}", "ledger"])
def test_a_ledger_that_is_gone_is_made_again_of_the_files(store: LocalStore, folder: str) -> None:
    (store.path / folder).rename(store.path / "elsewhere")
    sheet = balance(store)
    assert not sheet.balanced and "doctor --repair" in sheet.sources[0].why
    assert all(each.mended for each in repair(store) if each.damage.key.startswith("bronze"))
    assert shown(store) == expected(BATCHES)
    build(store, stale(store))
    assert balance(store).balanced


def test_a_merged_file_is_not_removed_while_receipts_of_its_batches_are_lost(store: LocalStore) -> None:
    assert compacted(store).merged
    rows = shown(store)
    for receipt in (store.path / f"ledger/landing/{SOURCE}").iterdir():
        receipt.unlink()
    assert remove_orphans(store, SOURCE) == []
    assert all(each.mended for each in repair(store))
    assert shown(store) == rows == expected(BATCHES)


def test_a_journal_entry_that_cannot_be_finished_is_put_aside_with_what_it_needs(store: LocalStore) -> None:
    store.write("_journal/1.json", b'{"moves": [["_staging/dead-1/a", "bronze/a"], ["_staging/dead-1/b", "br')
    store.write("_staging/dead-1/b", b"rows")
    (found,) = examine(store)
    assert found.key == "_journal/1.json"
    (done,) = repair(store)
    assert done.mended and "damaged/_journal/1.json" in done.done
    assert store.read("damaged/_staging/dead-1/b") == b"rows"
    assert list(examine(store)) == []


def test_a_condition_that_cannot_be_read_lets_nothing_land(store: LocalStore) -> None:
    """Erased records might come again."""
    key = f"erasures/conditions/{SOURCE}/20260302T000000-aa.json"
    store.write(key, b"{")
    with pytest.raises(ledger.BrokenReceipt, match=key):
        landing(store, "b4", [(3, "late")])
    (done,) = repair(store)
    assert not done.mended and store.read(key) == b"{"
