"""The contract that every kind of store keeps."""

import io
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lake.ledger import digest
from lake.storage import s3
from lake.storage.publish import UnsupportedStore, open_store, sweep
from lake.storage.store import ABSENT, AwsAccess, Conflict, LocalStore, S3Options, Store
from tests.unit.lake.stores import KINDS, opened


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return opened(request.param, tmp_path, request)()


def test_what_was_written_is_read_and_listed_in_key_order(store: Store) -> None:
    for key in ("b/2", "a/1", "b/1/x"):
        store.write(key, key.encode())
    assert [entry.key for entry in store.list()] == ["a/1", "b/1/x", "b/2"]
    assert [entry.key for entry in store.list("b")] == ["b/1/x", "b/2"]
    assert store.read("b/2") == b"b/2"
    assert store.open("b/2").read() == b"b/2"


def test_what_is_not_there_is_said_so(store: Store) -> None:
    assert list(store.list("nowhere")) == []
    assert store.info("nowhere") is None
    store.delete("nowhere")
    with pytest.raises(FileNotFoundError):
        store.read("nowhere")


def test_a_large_object_is_read_in_parts_of_the_version_that_was_opened(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"".join(b"%07d\n" % n for n in range(5_000))
    store.write("large", data)
    monkeypatch.setattr("lake.storage.s3._PART", 4096)
    with store.open("large") as file:
        assert data[:10] == file.read(10)
        file.seek(-8, 2)
        assert data[-8:] == file.read()
        file.seek(0)
        assert digest(io.BytesIO(data)) == digest(file)
    with store.open("large") as file:
        file.read(10)
        store.write("large", data[:9] + b"another")
        if isinstance(store, LocalStore):
            return
        with pytest.raises(OSError, match="large"):
            file.seek(20_000)
            file.read(10)


def test_replacing_changes_the_fingerprint_and_leaves_no_temporary_file(store: Store, tmp_path: Path) -> None:
    store.write("a", b"old")
    old = store.info("a")
    store.write("a", b"newer")
    new = store.info("a")
    assert old is not None
    assert new is not None
    assert (old.fingerprint != new.fingerprint, new.size) == (True, 5)
    assert not list(tmp_path.rglob(".tmp-*"))


def test_a_write_on_a_condition_is_told_when_somebody_else_was_there(store: Store) -> None:
    first = store.write("a", b"1", ABSENT)
    with pytest.raises(Conflict):
        store.write("a", b"2", ABSENT)
    with pytest.raises(Conflict):
        store.write("b", b"2", first)
    second = store.write("a", b"22", first)
    with pytest.raises(Conflict):
        store.write("a", b"3", first)
    held = store.info("a")
    assert held is not None
    assert (held.fingerprint, store.read("a"), store.info("b")) == (second, b"22", None)
    assert store.fingerprint_seen("a") == second
    assert store.fingerprint_seen("b") == ABSENT


def test_folders_are_those_right_under_one(store: Store) -> None:
    for key in ("x/b/1", "x/a/2/3", "x/file", "y/c/1"):
        store.write(key, b"")
    assert list(store.folders("x")) == ["a", "b"]
    assert list(store.folders("nowhere")) == []


def test_all_objects_of_a_folder_are_read_in_key_order_as_they_are_now(store: Store) -> None:
    for number in range(40):
        store.write(f"ledger/x/{number:02}", b"old")
    assert [data for _, data in store.read_all("ledger/x")] == [b"old"] * 40
    store.write("ledger/x/07", b"new")
    found = dict(store.read_all("ledger/x"))
    assert list(found) == sorted(found)
    assert (found["ledger/x/07"], found["ledger/x/08"]) == (b"new", b"old")


def test_what_a_step_prepared_is_moved_to_its_place_once(store: Store) -> None:
    for name in ("one", "two"):
        path = store.prepared(f"_staging/step/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    moves = [(f"_staging/step/{name}", f"final/{name}") for name in ("one", "two")]
    store.write("final/two", b"before")
    store.stage(staged for staged, _ in moves)
    store.move_many(moves)
    store.move_many(moves)  # as whoever finishes a change does that was half applied
    assert dict(store.read_all("final")) == {"final/one": b"one", "final/two": b"two"}
    store.unstage("_staging/step")
    assert not [entry.key for entry in store.list("_staging")]


def test_a_file_of_this_machine_replaces_an_object_whole_and_stays(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "made here"
    for data in (b"first", b"", b"longer than a buffer" * 200_000):
        file.write_bytes(data)
        store.put(file, "x/y/part.bin")
        assert (data, data) == (store.read("x/y/part.bin"), file.read_bytes())
    assert [entry.key for entry in store.list()] == ["x/y/part.bin"]
    assert not list(tmp_path.rglob(".tmp-*"))
    with pytest.raises(FileNotFoundError):
        store.put(tmp_path / "nowhere", "x/z")
    assert store.info("x/z") is None


def test_whoever_reads_while_a_file_is_put_sees_the_old_bytes_or_the_new(store: Store, tmp_path: Path) -> None:
    sizes = [1_000_000, 3_000_000]
    files = [tmp_path / str(size) for size in sizes]
    for size, file in zip(sizes, files, strict=True):
        file.write_bytes(bytes([size % 251]) * size)
    store.put(files[0], "x/part.bin")
    ended = threading.Event()

    def put() -> None:
        for _ in range(10):
            for file in files:
                store.put(file, "x/part.bin")
        ended.set()

    writer = threading.Thread(target=put)
    writer.start()
    seen = set()
    while not ended.is_set():
        data = store.read("x/part.bin")
        seen.add((len(data), len(set(data))))
    writer.join()
    assert seen <= {(size, 1) for size in sizes}


def test_many_objects_are_removed_at_once(store: Store) -> None:
    for number in range(5):
        store.write(f"x/{number}", b"")
    store.delete_many([*(f"x/{number}" for number in range(4)), "x/nowhere"])
    assert [entry.key for entry in store.list()] == ["x/4"]


def test_a_lock_is_held_by_one_at_a_time(store: Store) -> None:
    counted = {"held": 0, "most": 0}

    def hold() -> None:
        for _ in range(5):
            with store.lock("publish") as lease:
                counted["held"] += 1
                counted["most"] = max(counted["most"], counted["held"])
                lease.check()
                counted["held"] -= 1

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert counted == {"held": 0, "most": 1}
    assert [entry.key for entry in store.list()] == []


def test_moving_replaces_what_is_there(store: Store) -> None:
    store.write("a", b"a")
    store.write("x/b", b"b")
    store.move("a", "x/b")
    assert [(entry.key, store.read(entry.key)) for entry in store.list()] == [("x/b", b"a")]
    with pytest.raises(FileNotFoundError):
        store.move("a", "x/c")


def test_deleting_takes_emptied_folders_along_but_not_the_root(tmp_path: Path) -> None:
    store = open_store(tmp_path / "lake")
    store.write("x/y/a", b"")
    store.write("x/b", b"")
    store.delete("x/y/a")
    assert not (tmp_path / "lake/x/y").exists()
    store.delete("x/b")
    assert (tmp_path / "lake").is_dir()
    assert not (tmp_path / "lake/x").exists()


def test_an_emptied_folder_that_goes_meanwhile_stops_no_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever removes the last file of a folder takes the folder along, also right after another made it."""
    store, file, races = LocalStore(tmp_path / "lake"), tmp_path / "file", [1, 2]
    file.write_bytes(b"x")
    mkdir = Path.mkdir

    def emptied(self: Path, *given: int, **more: bool) -> None:
        mkdir(self, *given, **more)
        if self.name == "y" and self.is_dir() and races and races.pop():
            self.rmdir()

    monkeypatch.setattr(Path, "mkdir", emptied)
    store.put(file, "x/y/z")
    assert (b"x", []) == (store.read("x/y/z"), races)


def test_a_temporary_file_that_a_sweep_takes_stops_no_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What destinations remember is written beside the publishing lock, while other steps clear up."""
    store, move, moves = LocalStore(tmp_path), LocalStore.move, []

    def late(self: LocalStore, key: str, to: str) -> None:
        moves.append(key)
        if len(moves) == 1:
            assert 1 == sweep(store)
        move(self, key, to)

    monkeypatch.setattr(LocalStore, "move", late)
    store.write("a/b", b"1")
    assert (b"1", 2) == (store.read("a/b"), len(moves))
    assert [] == list((tmp_path / "_staging").glob("*"))


def test_a_file_too_large_for_one_request_goes_in_parts_that_appear_together(
    tmp_path: Path, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_ONE_PUT_BYTES", 1 << 20)
    store = open_store(f"s3://{s3_bucket}/x", S3Options(AwsAccess(), tmp_path / "scratch"))
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * (9 << 12))  # 9 MiB: boto3's parts are of 8
    store.put(file, "y")
    assert file.read_bytes() == store.read("y")
    missing = open_store(f"s3://{s3_bucket}-missing/x", S3Options(AwsAccess(), tmp_path / "scratch"))
    with pytest.raises(OSError, match=f"there is no bucket {s3_bucket}-missing"):
        missing.put(file, "y")


def test_a_lock_is_free_again_when_its_holder_dies(tmp_path: Path) -> None:
    holder = (
        "import os, sys; from lake.storage.store import LocalStore\n"
        "with LocalStore(sys.argv[1]).lock('publish'): print('held', flush=True); sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.kill()
    with LocalStore(tmp_path).lock("publish"):
        pass


@pytest.mark.parametrize("root", ["s3://", "gs://bucket"])
def test_a_root_of_another_kind_is_refused(root: str) -> None:
    with pytest.raises(UnsupportedStore, match="expected a local folder"):
        open_store(root)


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    assert open_store(f"file://{tmp_path}").root == str(tmp_path.resolve())


@pytest.mark.parametrize("several", [3, 40])
def test_many_objects_are_looked_at_together(store: Store, several: int) -> None:
    keys = [f"silver/x/source=y/date=2026-03-02/hour={number:02}/part.parquet" for number in range(several)]
    for key in keys[1:]:
        store.write(key, key.encode())
    store.write("silver/x/source=other/part.parquet", b"")
    found = store.infos([*keys, "bronze/nowhere"])
    assert {key for key, held in found.items() if held is None} == {keys[0], "bronze/nowhere"}
    assert [found[key] for key in keys[1:]] == [store.info(key) for key in keys[1:]]
