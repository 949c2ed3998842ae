"""Publishing that is killed at any act, or overtaken by others: nothing is published twice, nothing is lost."""

import shutil
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.exceptions import CommitFailedException

from lake.iceberg import Place, forget_history, publish_tables, publishing
from lake.storage.store import Lease, LocalStore
from tests.integration.iceberg.built import Lake, data_files, receipts
from tests.integration.iceberg.conftest import read, table
from tests.integration.iceberg.warm import Warm

HOURS = ("2026-03-02T04", "2026-03-02T05")
_TRIED = 8  # moments, evenly spread, so that the test takes seconds


class Unlocked(LocalStore):
    """A store whose publishers do not wait for each other."""

    def lock(self, name: str) -> AbstractContextManager[Lease]:
        return nullcontext(Lease()) if name.startswith("iceberg-") else super().lock(name)


def check(lake: Lake, place: Place, before: int) -> None:
    """The rows are those of the builds, each once; one snapshot more; no file is left that nobody needs."""
    assert lake.expected() == read(place)
    assert before + 1 == len(table(place).snapshots())
    folder = Path(lake.store.root)
    now = table(place).current_snapshot()
    told = receipts(folder)[f"silver/authentication/okta_system_log/{HOURS[1]}"]
    assert now is not None and (now.snapshot_id, len(lake.expected()) - 1) == (told["snapshot_id"], told["rows"])
    forget_history(lake.store, place)
    assert len(data_files(folder)) == len(table(place).inspect.files())
    assert [] == [path for path in (folder / "_staging").rglob("*") if path.is_file()]


@pytest.mark.parametrize("first", [True, False], ids=["the first publishing", "publishing a rebuilt hour"])
def test_killed_at_any_act_it_publishes_once(lake: Lake, place: Place, tmp_path: Path, first: bool) -> None:
    lake.build(HOURS[0], [1])
    lake.build(HOURS[1], [10, 11])
    if not first:
        publish_tables(lake.store, place)
        lake.build(HOURS[1], [12, 13, 14])
    before, home, kept = 0 if first else 1, Path(lake.store.root), tmp_path / "kept"
    shutil.copytree(home, kept)
    with Warm(home) as warm:
        acts = warm.publish()
        assert 10 < acts
        check(lake, place, before)
        for act in range(1, acts + 1, acts // _TRIED + 1):
            shutil.rmtree(home)
            shutil.copytree(kept, home)
            assert -9 == warm.publish(act), act
            assert 0 < warm.publish(), act
            check(lake, place, before)


def test_two_publishers_at_once_publish_once(lake: Lake, place: Place) -> None:
    lake.build(HOURS[0], [1])
    lake.build(HOURS[1], [10, 11])
    with Warm(Path(lake.store.root)) as one, Warm(Path(lake.store.root)) as other:
        for each in (one, other):
            each.start()
        assert 0 < min(one.ended(), other.ended())
    check(lake, place, 0)


@pytest.mark.parametrize("rebuilt", [False, True], ids=["new hours", "rebuilt hours"])
def test_a_commit_that_another_overtook_is_planned_again(
    lake: Lake, place: Place, monkeypatch: pytest.MonkeyPatch, rebuilt: bool
) -> None:
    """The rival holds no lock of the lake: it is another program, or a machine whose lock was lost."""
    lake.build(HOURS[0], [1])
    lake.build(HOURS[1], [10, 11])
    if rebuilt:
        publish_tables(lake.store, place)
        lake.build(HOURS[1], [12, 13, 14])
    before = len(table(place).snapshots()) if rebuilt else 0
    commit, calls = publishing._committed, []

    def overtaken(*given: Any) -> int:
        calls.append(given)
        if len(calls) == 1:
            rival = Unlocked(lake.store.root)
            assert 1 == len(publish_tables(rival, Place(rival))[0].snapshots)
        return commit(*given)

    monkeypatch.setattr(publishing, "_committed", overtaken)
    (done,) = publish_tables(lake.store, place)
    assert ("", (), 2) == (done.failed, done.snapshots, len(calls))
    check(lake, place, before)


def test_a_commit_that_landed_although_it_was_refused_keeps_its_files(
    lake: Lake, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.build(HOURS[0], [1])
    lake.build(HOURS[1], [10, 11])
    commit = publishing._committed

    def answer_lost(*given: Any) -> int:
        commit(*given)
        raise CommitFailedException("the catalogue says that somebody else was faster")

    monkeypatch.setattr(publishing, "_committed", answer_lost)
    publish_tables(lake.store, place)
    check(lake, place, 0)


def test_what_the_first_reader_after_a_crash_sees_is_what_it_saw_before(
    lake: Lake, place: Place, tmp_path: Path
) -> None:
    lake.build(HOURS[0], [1])
    publish_tables(lake.store, place)
    seen = read(place)
    lake.build(HOURS[0], [2])
    with Warm(Path(lake.store.root)) as warm:
        assert -9 == warm.publish(4)
    assert seen == read(place)
