"""Matching works in a bucket as in a folder, and may be killed anywhere."""

from pathlib import Path

import pytest

from lake.storage.store import LocalStore, Store
from tests.unit.lake.held import copy
from tests.unit.lake.mortal import Killed, Mortal
from tests.unit.lake.stores import opened
from tests.unit.matching.lakes import Indicator, build, everything, logon, matched
from tests.unit.matching.test_matching import (
    EVIL,
    LISTED,
    test_an_address_that_is_learned_later_is_found_in_the_past,
    test_an_index_that_is_missing_or_damaged_is_made_from_the_table_and_kept,
)

__all__ = [
    "test_an_address_that_is_learned_later_is_found_in_the_past",
    "test_an_index_that_is_missing_or_damaged_is_made_from_the_table_and_kept",
]


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """The lake of the tests above, in a bucket."""
    return opened("bucket", tmp_path, request)()


def test_killed_anywhere_and_run_again_the_matches_are_the_same(tmp_path: Path) -> None:
    lists = [[LISTED], [LISTED, Indicator("two", "203.0.113.0/24", 7)]]
    base = LocalStore(tmp_path / "base")
    build(base, [logon(1, "a", EVIL), logon(2, "b", EVIL)])
    matched(base, tmp_path, lists[0])
    whole = Mortal(copy(base, tmp_path / "whole").path)
    matched(whole, tmp_path, lists[1])
    assert whole.acts > 2
    for dies_at in range(1, whole.acts + 1):
        store = Mortal(copy(base, tmp_path / str(dies_at)).path, dies_at, after=dies_at % 2 == 0)
        with pytest.raises(Killed):
            matched(store, tmp_path, lists[1])
        matched(LocalStore(store.path), tmp_path, lists[1])
        assert everything(store) == everything(whole)
