"""Loads in every kind of store, and killed at any act: each happened wholly or not at all."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from ingest.reference import load as loading
from ingest.reference.tables import Reject
from ingest.reference.views import reference_versions
from lake.storage.publish import recover
from lake.storage.store import LocalStore, Store
from tests.unit.ingest.reference.test_load import (
    CMDB,
    FEBRUARY,
    FIRST,
    JANUARY,
    LAST,
    MARCH,
    asset,
    contents,
    load,
    rows,
)
from tests.unit.lake.mortal import Killed, Mortal
from tests.unit.lake.stores import KINDS, opened


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_row_closes_the_old_one_in_every_store(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = opened(kind, tmp_path, request)()
    load(store, CMDB, JANUARY, asset("1", "10.0.0.1"), asset("2", "10.0.0.2"), Reject("?", "line 4", "no id"))
    told = load(store, CMDB, FEBRUARY, asset("1", "10.0.0.1"), asset("2", "10.0.0.9"), asset("3"))
    assert (1, 1, 0, 1, 3) == (told.opened, told.changed, told.closed, told.unchanged, told.rows_open)
    assert [
        ("1", ["10.0.0.1"], FIRST, LAST, JANUARY, None),
        ("2", ["10.0.0.2"], FIRST, FEBRUARY, JANUARY, FEBRUARY),
        ("2", ["10.0.0.9"], FEBRUARY, LAST, FEBRUARY, None),
        ("3", None, FEBRUARY, LAST, FEBRUARY, None),
    ] == rows(
        store,
        "select entry, addresses, valid_from, valid_to, learned_at, closed_at from reference.assets order by 1, 3",
    )
    assert [("2",)] == rows(
        store,
        "select distinct entry from reference.asset_names"
        " where value = '10.0.0.9' and valid_from <= '2026-02-02' and '2026-02-02' < valid_to",
    )
    assert [("cmdb", "no id", "line 4", "?")] == rows(
        store, 'select feed, reason, "where", text from reference.rejects'
    )
    assert {"assets/cmdb": told.version} == reference_versions(store)


def third(store: Store) -> None:
    """The load that has everything to do: files and receipts to write, and those of the first version to remove."""
    load(store, CMDB, MARCH, asset("1", "10.0.0.3"), Reject("?", "line 2", "no id"))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_load_that_was_killed_at_any_act_is_as_if_it_never_was(tmp_path: Path, after: bool) -> None:
    two = LocalStore(tmp_path / "two")
    for at, address in ((JANUARY, "10.0.0.1"), (FEBRUARY, "10.0.0.2")):
        load(two, CMDB, at, asset("1", address))
    shutil.copytree(two.path, tmp_path / "whole")
    third(whole := Mortal(tmp_path / "whole"))
    wanted = contents(whole)
    assert whole.acts >= 9  # the journal, three files, two receipts, two removals, the journal's end
    for dies_at in range(1, whole.acts + 1):
        root = tmp_path / f"dies at {dies_at}"
        shutil.copytree(two.path, root)
        with pytest.raises(Killed):
            third(Mortal(root, dies_at, after=after))
        healed = LocalStore(root)
        recover(healed)
        third(healed)
        assert wanted == contents(healed), dies_at


@pytest.mark.parametrize("step", ["stage", "Merge", "_write", "publish"])
def test_a_process_that_is_killed_leaves_no_half_of_a_load(tmp_path: Path, store: LocalStore, step: str) -> None:
    """SIGKILL in a forked process: no clean-up runs, and locks are freed by the kernel."""
    third(LocalStore(tmp_path / "whole"))
    if child := os.fork():
        assert signal.SIGKILL == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) * -1
    else:  # pragma: no cover - dies
        signal.alarm(60)  # a fork of a process with threads may wait for ever
        kill = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
        setattr(loading, step, kill)
        third(store)
        os._exit(1)
    assert {} == contents(store)
    third(store)
    assert contents(LocalStore(tmp_path / "whole")) == contents(store)
    assert [] == list(store.list("_staging"))
