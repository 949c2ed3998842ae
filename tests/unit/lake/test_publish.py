"""Publishing happens wholly, whenever the process dies: the store raises at every one of its writes in turn."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from lake.base.errors import tell_omission
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


def prepared(store: LocalStore, place: Workplace, name: str = "a") -> tuple[str, str]:
    """Return a move of a file that a step prepared."""
    path = place.path / "date=1" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"rows")
    return place.key_of(path), f"bronze/date=1/hour=1/{name}"


def test_what_is_named_is_on_the_disk_before_what_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Staged files and folders, then the journal, then the moves and their folders, then the receipt and its folder."""
    acts: list[tuple[str, str]] = []
    names: dict[int, str] = {}
    opened, synced, renamed = os.open, os.fsync, Path.replace

    def within(path: object) -> str:
        text = str(path).removeprefix(f"{tmp_path}/").removeprefix(str(tmp_path))
        return re.sub(r"[0-9a-f]{12,}|\d{6,}[-.0-9a-z]*", "…", text)

    def open_(path: str, flags: int, *more: int) -> int:
        descriptor = opened(path, flags, *more)
        names[descriptor] = within(path)
        return descriptor

    def fsync(descriptor: int) -> None:
        acts.append(("sync", names.get(descriptor) or within(Path(f"/proc/self/fd/{descriptor}").readlink())))
        synced(descriptor)

    def replace(path: Path, target: Path) -> Path:
        acts.append(("rename", within(target)))
        return renamed(path, target)

    store = LocalStore(tmp_path)
    with Workplace(store, "land") as place:
        move = prepared(store, place)
        monkeypatch.setattr(os, "open", open_)
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(Path, "replace", replace)
        publish(store, lambda: Change(moves=(move,), receipts=(("ledger/r.json", "receipt"),)))
        monkeypatch.undo()
    journal = next(at for at, (act, name) in enumerate(acts) if act == "rename" and name.startswith("_journal/"))
    moved, receipt = acts.index(("rename", move[1])), acts.index(("rename", "ledger/r.json"))
    staged = {name for act, name in acts[:journal] if act == "sync"}
    assert {within(place.path / "date=1" / "a"), within(place.path / "date=1"), within(place.path)} <= staged
    assert ("sync", "_journal") in acts[journal:moved]
    assert {("sync", "bronze/date=1/hour=1"), ("sync", "bronze/date=1"), ("sync", "bronze")} <= {*acts[moved:receipt]}
    assert acts[receipt - 1][0] == "sync", "the receipt's own bytes"
    assert ("sync", "ledger") in acts[receipt:]


def test_a_step_may_end_while_another_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweeper has listed the folder of a step, which then ends and takes it away, before it is opened."""
    store = LocalStore(tmp_path)
    ending = Workplace(store, "land")
    ending.__enter__()
    opened = os.open

    def ends_first(path: object, flags: int, *more: int) -> int:
        if str(path) == str(ending.path):
            monkeypatch.undo()
            ending.__exit__()
        return opened(str(path), flags, *more)

    monkeypatch.setattr(os, "open", ends_first)
    with Workplace(store, "build") as place:
        assert place.path.is_dir()
    assert not ending.path.exists()


def test_a_journal_entry_may_go_while_a_step_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)
    store.write("_journal/1.json", b"{}")
    read = LocalStore.read

    def gone(self: LocalStore, key: str) -> bytes:
        self.delete(key)
        return read(self, key)

    with Workplace(store, "land") as place:
        monkeypatch.setattr(LocalStore, "read", gone)
    assert not place.path.exists()


@pytest.mark.parametrize("damage", ["gone", "cut", "empty", "zeroed", "garbage"])
def test_a_journal_entry_that_cannot_be_finished_stops_nothing(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, it is passed over, what it names in staging stays, and other changes are made."""
    store = LocalStore(tmp_path)
    change = Change(
        moves=(("_staging/dead-1/a", "bronze/a"), ("_staging/dead-1/b", "bronze/b")), receipts=(("ledger/r", "no"),)
    )
    text = msgspec.json.encode(change)
    damaged = {"gone": text, "cut": text[:40], "empty": b"", "zeroed": bytes(len(text)), "garbage": b"\xff\xfe{"}
    store.write("_journal/1.json", damaged[damage])
    store.write("_staging/dead-1/b", b"rows")
    tell_omission.cache_clear()
    assert recover(store) == 0
    assert "_journal/1.json" in caplog.text and "headwater doctor --repair" in caplog.text
    with Workplace(store, "land") as place:
        move = prepared(store, place)
        publish(store, lambda: Change(moves=(move,), receipts=(("ledger/other", "yes"),)))
    assert store.read("ledger/other") == b"yes" and store.info(move[1]) is not None
    assert store.info("ledger/r") is None
    if damage in ("gone", "cut"):
        assert store.read("_staging/dead-1/b") == b"rows"
