"""Files of this machine: one that may not be read stops no other."""

from pathlib import Path
from typing import Any

import pytest

from ingest.contracts import load_contracts
from ingest.landing import land_files
from ingest.objects import list_objects
from lake.storage.publish import open_store
from tests.integration.dagster.cloudtrail_hours import SOURCE, call
from tests.unit.ingest.landing.landed import lines

CONTRACT = load_contracts()[SOURCE]


def test_a_file_that_may_not_be_read_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "secret"):
        (tmp_path / f"{name}.json").write_bytes(lines(call(name, "2026-03-02T05:01:00Z")))
    whole = Path.open

    def opening(path: Path, *words: Any, **more: Any) -> Any:  # whoever runs tests may be allowed everything
        if path.name == "secret.json":
            raise PermissionError(13, "Permission denied")
        return whole(path, *words, **more)

    store, places = open_store(tmp_path / "lake"), [tmp_path / "a.json", tmp_path / "secret.json"]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", opening)
        (landed,) = land_files(CONTRACT, list_objects(CONTRACT, places).objects, store)
    why = f"{tmp_path / 'secret.json'}: reading it is not permitted to this user"
    assert (1, ((str(tmp_path / "secret.json"), why),)) == (landed.receipt.landed, landed.receipt.unreadable)
    again = land_files(CONTRACT, list_objects(CONTRACT, places).objects, store)
    assert [True, False] == [each.unchanged for each in again]
    assert 2 == sum(each.receipt.landed for each in again)
