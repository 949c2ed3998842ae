"""Publishing into a bucket happens wholly, wherever the process dies, whoever comes next, and whoever is overtaken."""

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lake.storage import lock
from lake.storage.publish import ABANDONED_AFTER, Change, Overtaken, Workplace, publish, recover, sweep
from lake.storage.s3 import S3Store
from lake.storage.store import ANY, AwsAccess, LostLock, S3Options

OLD = {"bronze/a": b"old a", "bronze/gone": b"old"}
NEW = {"bronze/a": b"new a", "bronze/b": b"new b", "ledger/r": b"receipt"}
Machine = Callable[[str], S3Store]
MOMENT_SECONDS = 0.5


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


class Mortal:
    """A client that dies at its n-th request, before or after S3 has done what was asked."""

    def __init__(self, client: object, dies_at: int, *, after: bool) -> None:
        self._client, self._left, self._after = client, dies_at, after
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> object:
        method = getattr(self._client, name)
        if not name.endswith(("_object", "_objects", "_v2")):
            return method

        def call(**words: object) -> object:
            with self._lock:
                self._left -= 1
                mine = self._left == 0
            if self._left < 0 or (mine and not self._after):
                raise Killed
            answer = method(**words)
            if mine:
                raise Killed
            return answer

        return call


@pytest.fixture
def machine(s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The same lake, seen from machines of different names. A dead machine's lock is taken over after a moment."""
    monkeypatch.setattr(lock, "TIME_TO_LIVE_SECONDS", MOMENT_SECONDS)
    return lambda name: S3Store(f"s3://{s3_bucket}/lake", S3Options(AwsAccess(), tmp_path / name))


def lake(store: S3Store) -> S3Store:
    for key, data in OLD.items():
        store.write(key, data)
    return store


def prepare(store: S3Store) -> Change:
    for name in ("a", "b"):
        path = store.prepared(f"_staging/{store.machine}s/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"new {name}".encode())
    folder = f"_staging/{store.machine}s"
    return Change(
        moves=((f"{folder}/a", "bronze/a"), (f"{folder}/b", "bronze/b")),
        deletes=("bronze/gone",),
        receipts=(("ledger/r", "receipt"),),
    )


def contents(store: S3Store) -> dict[str, bytes]:
    return dict(each for room in ("bronze", "ledger", "_journal") for each in store.read_all(room))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("comes", ["same", "other"])
def test_a_change_that_was_cut_at_any_request_is_finished_or_never_began(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, after: bool, comes: str
) -> None:
    """The next process is of the same machine, which knows the dead at once, or of another, which waits."""
    # Waiting is for a machine of another name alone; a slow machine must not lose its lock before it is killed.
    monkeypatch.setattr(lock, "TIME_TO_LIVE_SECONDS", 30.0 if comes == "same" else 1.5)
    ends: set[str] = set()
    steps = range(1, 24) if comes == "same" else range(2, 24, 5)
    for dies_at in steps:
        store = lake(machine("same"))
        change = prepare(store)
        real = store.client
        with monkeypatch.context() as patch:
            patch.setattr(S3Store, "client", Mortal(real, dies_at, after=after))
            patch.setattr(lock.S3Lease, "_renew_until_ended", lambda lease: lease._ended.wait())
            patch.setattr(lock, "TIME_TO_LIVE_SECONDS", 60.0)  # it dies of nothing else
            try:
                publish(store, lambda change=change: change)
            except Killed:
                pass
            except LostLock:
                assert comes == "other"  # it was slower than its lock lives, which is an end as good as a kill
            else:
                ends.add("outlived")
        next_one = machine(comes)
        recover(next_one)
        found = contents(next_one)
        assert found in (OLD, NEW), f"died at request {dies_at}"
        ends.add("old" if found == OLD else "new")
        sweep(next_one)
        next_one.delete_many(each.key for each in next_one.list())
    assert ends >= {"old", "new"}
    if comes == "same":
        assert "outlived" in ends  # so every request was tried


def test_the_lock_of_a_dead_machine_is_taken_over_and_the_dead_cannot_write(machine: Machine) -> None:
    first, second = machine("first"), machine("second")
    with first.lock("publish") as lease:
        lease._ended.set()  # type: ignore[attr-defined] - its heart stops; the process goes on
        with second.lock("publish") as taken:
            taken.check()
            with pytest.raises(LostLock):
                lease.check()
    assert first.info(".lock-publish") is None


def test_a_living_machine_keeps_its_lock_however_long_it_works(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "TIME_TO_LIVE_SECONDS", 2.0)
    first, second = machine("first"), machine("second")
    order: list[str] = []
    entered = threading.Event()

    def hold() -> None:
        with first.lock("publish") as lease:
            entered.set()
            threading.Event().wait(3)  # longer than the time to live
            lease.check()
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait()
    with second.lock("publish"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_receipt_never_goes_backwards(machine: Machine) -> None:
    """A writer that lost its lock unknowingly finds another's newer receipt in its way and changes nothing of it."""
    slow, quick = machine("slow"), machine("quick")
    slow.write("ledger/r", b"1")
    plans = []

    def plan() -> Change:
        plans.append(slow.read("ledger/r"))
        if len(plans) == 2:  # the first was before the lock
            quick.write("ledger/r", b"newer")  # as if the lock had been taken over right here
        return Change(receipts=(("ledger/r", "2"),), deletes=("bronze/a",))

    slow.write("bronze/a", b"named by the newer receipt")
    with pytest.raises(Overtaken):
        publish(slow, plan)
    assert plans == [b"1", b"1"]
    assert contents(quick) == {"ledger/r": b"newer", "bronze/a": b"named by the newer receipt"}


def test_what_a_dead_step_of_this_machine_uploaded_goes_and_what_a_living_one_uploaded_stays(machine: Machine) -> None:
    store, other = machine("this"), machine("other")
    with Workplace(store, "land") as alive:
        (alive.path / "x").write_bytes(b"")
        store.stage([alive.key_of(alive.path / "x")])
        store.write(f"_staging/{store.machine}land-1-dead/x", b"")
        other.write(f"_staging/{other.machine}land-1-far/x", b"")
        assert sweep(store) == 1
        left = {each.key for each in store.list("_staging")}
        assert left == {f"{alive.key}/x", f"_staging/{other.machine}land-1-far/x"}
    assert {each.key for each in store.list("_staging")} == {f"_staging/{other.machine}land-1-far/x"}
    assert ABANDONED_AFTER.total_seconds() == 86_400


def test_what_an_overtaken_writer_journaled_replaces_no_file_of_the_newer_one(machine: Machine) -> None:
    slow, quick = lake(machine("slow")), machine("quick")
    change = prepare(slow)
    slow.stage(staged for staged, _ in change.moves)
    late = msgspec.structs.replace(change, expects=(slow.fingerprint_seen("ledger/r"),))
    quick.write("bronze/a", b"of the newer receipt")
    quick.write("ledger/r", b"newer")
    slow.write("_journal/0-late.json", msgspec.json.encode(late))
    assert recover(quick) == 1
    assert contents(quick) == {"bronze/a": b"of the newer receipt", "bronze/gone": b"old", "ledger/r": b"newer"}


def test_a_lease_counts_from_when_its_renewal_was_asked_for(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer may come late; others count from the renewal itself."""
    monkeypatch.setattr(lock, "TIME_TO_LIVE_SECONDS", 2.0)
    store = machine("slow")
    write = S3Store.write

    def slowly(self: S3Store, key: str, data: bytes, expect: str = ANY) -> str:
        done = write(self, key, data, expect)
        threading.Event().wait(1.6 if key.startswith(".lock-") else 0)  # longer than a lease may be unrenewed
        return done

    monkeypatch.setattr(S3Store, "write", slowly)
    with store.lock("publish") as lease, pytest.raises(LostLock):
        lease.check()


def test_a_copy_of_a_machines_folder_is_another_machine(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [machine("same").machine, machine("same").machine]
    monkeypatch.setattr("socket.gethostname", lambda: "a host made of the same image")
    names.append(machine("same").machine)
    assert (names[0] == names[1], names[0] == names[2]) == (True, False)
