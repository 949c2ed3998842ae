"""Compaction and erasure that die at their n-th change of the lake, and are run again, end as if never killed."""

import json
import random
from pathlib import Path

import duckdb
import pytest

from lake.storage import paths
from lake.storage.publish import recover
from lake.storage.store import LocalStore, Store
from lake.upkeep.receipts import ErasureReceipt
from tests.unit.lake.held import SOURCE, copy, keys, landing, receipts_without_times, shown
from tests.unit.lake.mortal import Killed, Mortal
from tests.unit.lake.test_compaction import compacted, no_file_too_many, three_batches
from tests.unit.lake.test_erasure import erased, four_batches, says


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_compaction_killed_at_any_act_and_run_again_ends_as_if_never_killed(
    storm: bool, tmp_path: Path, after: bool
) -> None:
    store = three_batches(tmp_path / "lake")
    landing(store, "a", [(4, "a1"), (5, "a2"), (5, "a3")], broken=1)
    compacted(store)
    landing(store, "a", [(5, "changed")])
    landing(store, "d", [(4, "d1"), (5, "d2")])
    whole = Mortal(copy(store, tmp_path / "whole").path)
    compacted(whole)
    rows, receipts = shown(whole), receipts_without_times(whole)
    assert whole.acts > 8
    for act in sorted(random.Random(after).sample(range(1, whole.acts + 1), min(whole.acts, 12 if storm else 3))):
        lake = copy(store, tmp_path / f"killed-{act}")
        with pytest.raises(Killed):
            compacted(Mortal(lake.path, act, after=after))
        again = LocalStore(lake.path)
        recover(again)
        assert shown(again) == rows
        compacted(again)
        assert (shown(again), receipts_without_times(again)) == (rows, receipts)
        no_file_too_many(again)
        assert keys(again, "_journal") == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("shared", [False, True], ids=["own files", "shared files"])
def test_an_erasure_killed_at_any_act_and_asked_again_ends_as_if_never_killed(
    storm: bool, tmp_path: Path, shared: bool, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lake.upkeep.erasure._PART_FILES", 1)
    store = four_batches(tmp_path / "lake")
    if shared:
        compacted(store)
    whole = Mortal(copy(store, tmp_path / "whole").path)
    done, _ = erased(whole)
    rows = shown(whole), shown(whole, paths.QUARANTINE)
    receipts = _nameless(whole, done)
    assert whole.acts > 20
    for act in sorted(random.Random(shared).sample(range(1, whole.acts + 1), 14 if storm else 3)):
        lake = copy(store, tmp_path / f"killed-{act}")
        with pytest.raises(Killed):
            erased(Mortal(lake.path, act, after=after))
        again = LocalStore(lake.path)
        recover(again)
        built = {uid for uid in _uids(again)}
        assert built <= {label for _, label in shown(again)}, "silver never has what bronze has not"
        receipt, proof = erased(again)
        assert proof.holds
        assert (shown(again), shown(again, paths.QUARANTINE)) == rows
        assert _nameless(again, receipt) == receipts
        assert says(again, "ann") == [f"erasures/conditions/{SOURCE}/{receipt.erasure}.json"]
        assert keys(again, "_journal") == []


def _uids(store: LocalStore) -> set[str]:
    files = [store.url(key) for key in keys(store, "silver")]
    rows = duckdb.execute("select split_part(metadata.uid, '|', 1) from read_parquet(?)", [files]).fetchall()
    return {str(row[0]) for row in rows}


def _nameless(store: Store, receipt: ErasureReceipt) -> str:
    """The receipts without the erasure's own name, which has its time in it, and without what proves nothing."""
    found = receipts_without_times(store)
    for key, each in found.items():
        if key.startswith("ledger/erasure") and isinstance(each, dict):
            for name in ("condition_hash", "asked_at", "done_at", "proof"):
                each.pop(name)
    return json.dumps(found, sort_keys=True).replace(receipt.erasure, "<erasure>")
