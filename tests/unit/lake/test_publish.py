"""Publishing happens wholly, whenever the process dies: the store raises at every one of its writes in turn."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.storage.publish import Change, Workplace, publish, recover, sweep
from lake.storage.store import LocalStore

OLD = {"bronze/a": b"old a", "bronze/gone": b"old"}
NEW = {"bronze/a": b"new a", "bronze/b": b"new b", "ledger/r": b"receipt"}


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


class Mortal(LocalStore):
    """A store that dies at its n-th change, before or after making it."""

    def __init__(self, root: Path, dies_at: int, *, after: bool) -> None:
        super().__init__(root)
        self.left, self.after = dies_at, after

    def _step(self) -> Iterator[None]:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        yield
        if self.left == 0:
            raise Killed

    def move(self, key: str, to: str) -> None:
        for _ in self._step():
            super().move(key, to)

    def delete(self, key: str) -> None:
        for _ in self._step():
            super().delete(key)


def lake(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path)
    for key, data in {**OLD, "_staging/s/a": b"new a", "_staging/s/b": b"new b"}.items():
        store.write(key, data)
    return store


def change() -> Change:
    return Change(
        moves=(("_staging/s/a", "bronze/a"), ("_staging/s/b", "bronze/b")),
        deletes=("bronze/gone",),
        receipts=(("ledger/r", "receipt"),),
    )


def contents(store: LocalStore) -> dict[str, bytes]:
    return {each.key: store.read(each.key) for room in ("bronze", "ledger", "_journal") for each in store.list(room)}


# A write moves its temporary file into place: journal, two moves, a delete, the receipt, the journal's end.
@pytest.mark.parametrize("dies_at", range(1, 7))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_change_that_was_cut_is_finished_or_never_began(tmp_path: Path, dies_at: int, after: bool) -> None:
    store = lake(tmp_path)
    with pytest.raises(Killed):
        publish(Mortal(tmp_path, dies_at, after=after), change)
    began = after or dies_at > 1
    assert recover(store) == (1 if began and not (after and dies_at == 6) else 0)
    assert contents(store) == (NEW if began else OLD)


@pytest.mark.parametrize("dies_at", range(1, 6))
def test_dying_again_while_recovering_does_no_harm(tmp_path: Path, dies_at: int) -> None:
    store = lake(tmp_path)
    with pytest.raises(Killed):
        publish(Mortal(tmp_path, 3, after=False), change)
    with pytest.raises(Killed):
        recover(Mortal(tmp_path, dies_at, after=False))
    assert recover(store) == 1
    assert contents(store) == NEW


def test_the_next_change_sees_the_earlier_one_finished(tmp_path: Path) -> None:
    store = lake(tmp_path)
    with pytest.raises(Killed):
        publish(Mortal(tmp_path, 2, after=False), change)
    seen: dict[str, bytes] = {}

    def plan() -> Change:
        seen.update(contents(store))
        return Change()

    publish(store, plan)
    assert seen == NEW


def test_a_workplace_goes_when_its_step_ends_and_a_dead_one_is_swept(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with pytest.raises(ValueError, match="step"), Workplace(store, "land") as place:
        raise ValueError("step")
    assert not place.path.exists()
    dead = tmp_path / "_staging" / "land-999999999-x"
    dead.mkdir(parents=True)
    with Workplace(store, "land") as alive:
        sweep(store)
        assert (dead.exists(), alive.path.exists()) == (False, True)
