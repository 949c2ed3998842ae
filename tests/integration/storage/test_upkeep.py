"""Compaction, erasure and retention do the same to a lake in a folder and to one in a bucket."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from lake import ledger
from lake.ledger.balance import EXPIRED, UNBALANCED, balance
from lake.ledger.live_files import live_files
from lake.storage.store import LocalStore, Store
from lake.upkeep.compaction import Policy
from lake.upkeep.retention import expire
from tests.unit.lake.held import SOURCE, build, expected, keys, landing, shown, stale
from tests.unit.lake.stores import KINDS, opened
from tests.unit.lake.test_compaction import EAGER, compacted, marks, no_file_too_many
from tests.unit.lake.test_erasure import erased
from tests.unit.lake.test_retention import at


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return opened(request.param, tmp_path, request)()


def test_a_life_of_landing_compacting_erasing_and_expiring(store: Store) -> None:
    rows = {"a": [(3, "ann"), (4, "bob")], "b": [(3, "carl"), (4, "ann")], "c": [(3, "dora"), (5, "ed")]}
    for batch, records in rows.items():
        landing(store, batch, records, broken=1)
    assert len(compacted(store).merged) == 3
    build(store)
    rows["c"] = [(3, "other"), (5, "ed")]
    landing(store, "c", rows["c"], broken=1)
    assert (shown(store), stale(store)) == (expected(rows), ["2026-03-02T03"])
    compacted(store)
    build(store, stale(store))
    receipt, proof = erased(store)
    left = {batch: [each for each in records if each[1] != "ann"] for batch, records in rows.items()}
    assert (shown(store), receipt.erased, proof.holds, proof.changed) == (expected(left), 2, True, [])
    assert landing(store, "a", rows["a"], broken=1).erased == 1
    assert stale(store) == []
    expire(store, SOURCE, timedelta(days=10), at(4))
    sheet = balance(store, [SOURCE])
    assert (sheet.balanced, sheet.total.read, sheet.total.erased, sheet.total.expired) == (True, 9, 2, 2)
    assert [row.state for row in sheet.hours] == [EXPIRED, "balanced", "balanced", "balanced"]
    assert all(each.conserved for each in ledger.landings(store, SOURCE))
    assert stale(store) == [] and keys(store, "_journal", "_staging") == []
    no_file_too_many(store)


@pytest.mark.parametrize("seed", range(6))
def test_landing_and_compacting_in_any_order_keep_every_row(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    store, batches, policy = LocalStore(tmp_path), dict[str, list[tuple[int, str]]](), EAGER
    for step in range(14):
        if chance.random() < 0.35 and batches:
            before = marks(store)
            policy = Policy(timedelta(0), chance.choice((1, 2, 4)), chance.choice((0, 1 << 20)))
            compacted(store, policy)
            assert marks(store) == before
        else:
            name = chance.choice("abcdef")
            old = batches.get(name, [])
            kept = [each for each in old if chance.random() < 0.7] if chance.random() < 0.8 else old
            batches[name] = kept + [(chance.randrange(3, 6), f"{name}{step}") for _ in range(chance.randrange(0, 4))]
            landing(store, name, batches[name])
        assert shown(store) == expected(batches)
        assert all(receipt.conserved for receipt in ledger.landings(store, SOURCE))
        assert balance(store, [SOURCE]).sources[0].state != UNBALANCED
    compacted(store)
    assert all(file.whole for file in live_files(ledger.landings(store, SOURCE)))
    no_file_too_many(store)
