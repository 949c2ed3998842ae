"""The contract that every kind of store keeps."""

import subprocess
import sys
from pathlib import Path

import pytest

from lake.store import LocalStore, Store, UnsupportedStore, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "lake")


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


def test_replacing_changes_the_fingerprint_and_leaves_no_temporary_file(store: Store, tmp_path: Path) -> None:
    store.write("a", b"old")
    old = store.info("a")
    store.write("a", b"newer")
    new = store.info("a")
    assert old is not None
    assert new is not None
    assert (old.fingerprint != new.fingerprint, new.size) == (True, 5)
    assert not list(tmp_path.rglob(".tmp-*"))


def test_moving_replaces_what_is_there(store: Store) -> None:
    store.write("a", b"a")
    store.write("x/b", b"b")
    store.move("a", "x/b")
    assert [(entry.key, store.read(entry.key)) for entry in store.list()] == [("x/b", b"a")]
    with pytest.raises(FileNotFoundError):
        store.move("a", "x/c")


def test_deleting_takes_emptied_folders_along_but_not_the_root(store: Store, tmp_path: Path) -> None:
    store.write("x/y/a", b"")
    store.write("x/b", b"")
    store.delete("x/y/a")
    assert not (tmp_path / "lake/x/y").exists()
    store.delete("x/b")
    assert (tmp_path / "lake").is_dir()
    assert not (tmp_path / "lake/x").exists()


def test_a_lock_is_free_again_when_its_holder_dies(tmp_path: Path) -> None:
    holder = (
        "import os, sys; from lake.store import LocalStore\n"
        "with LocalStore(sys.argv[1]).lock('publish'): print('held', flush=True); sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
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
