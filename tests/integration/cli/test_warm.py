"""The process behind `preview`: started by the first call, used by the next, and gone when none comes."""

import time
from pathlib import Path

import pytest

from orchestration.dbt import warm
from tests.integration.lakes import headwater


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where its socket is."""
    folder = tmp_path_factory.mktemp("run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("HEADWATER_WARM_SECONDS", "3")
    monkeypatch.setenv("HEADWATER_LAKE", str(folder / "lake"))
    return folder


def sockets(folder: Path) -> list[tuple[Path, int]]:
    return [(file, file.stat().st_ino) for file in folder.glob("headwater-*/*.socket")]


def test_one_process_answers_until_nobody_asks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = headwater("preview", "authentification", "--json")
    assert (said.code, said.json["kind"]) == (2, "WrongName")
    first = sockets(folder)
    assert len(first) == 1, said.err
    with monkeypatch.context() as patch:
        patch.setattr(warm, "_made", lambda *_: pytest.fail("asked here"))
        said = headwater("preview", "authentification")
    assert (said.code, sockets(folder)) == (2, first)
    assert "near it: authentication" in said.err
    until = time.monotonic() + 60
    while sockets(folder) and time.monotonic() < until:
        time.sleep(0.1)
    assert list(folder.glob("headwater-*/*")) == []


def test_a_folder_that_others_can_read_is_not_used(folder: Path) -> None:
    (own := next(iter([folder / f"headwater-{warm.os.getuid()}"]))).mkdir()
    own.chmod(0o755)
    assert headwater("preview", "authentification").code == 2
    assert list(own.iterdir()) == []
