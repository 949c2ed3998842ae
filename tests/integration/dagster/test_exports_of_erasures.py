"""An erasure ends at the destinations: hours that they hold, or may hold, are pushed; what remains is said by name."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lake.export.declaration import Export
from lake.export.destinations.files import Files
from lake.export.errors import DestinationUnavailable
from lake.storage.store import LocalStore
from orchestration.settings import load_settings
from orchestration.steps import erase
from tests.unit.export.lakes import HOUR, OKTA, SmallLake, export, gold_export

EXPORT = export(destination="there")


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallLake:
    monkeypatch.delenv("HEADWATER_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "headwater.yml").write_text(json.dumps({"destinations": {"there": {"type": "files", "root": "there"}}}))
    made = SmallLake(LocalStore(tmp_path / "lake"), tmp_path)
    made.silver(rows=5)
    return made


def remains(
    lake: SmallLake,
    monkeypatch: pytest.MonkeyPatch,
    declared: Sequence[Export] = (EXPORT,),
    marts: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """Let destinations follow an erasure of the hour, and the marts built again; return where erased rows remain."""
    monkeypatch.setattr(erase, "declared_exports", lambda: declared)
    return [*erase._exports(lake.store, load_settings(), OKTA, [HOUR], marts or {})]


def there() -> int:
    return sum(pq.read_metadata(file).num_rows for file in Path("there").rglob("*.parquet"))


def test_rows_that_were_erased_leave_the_destination(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.push(lake.destination(), EXPORT)
    lake.silver(rows=3)
    assert ([], 3) == (remains(lake, monkeypatch), there())
    lake.silver(rows=0)
    assert ([], 0) == (remains(lake, monkeypatch), there())


def test_marts_that_were_built_again_follow(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    mart = gold_export(destination="there")
    lake.gold(rows=4)
    lake.push(lake.destination(), mart)
    lake.gold(rows=2)
    assert ([], 4) == (remains(lake, monkeypatch, [mart]), there())
    assert ([], 2) == (remains(lake, monkeypatch, [mart], {mart.held.table: [HOUR]}), there())


def test_so_do_those_of_a_push_that_was_killed_before_its_receipt(
    lake: SmallLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = Files.push

    def killed(*given: Any) -> None:
        push(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Files, "push", killed)
        lake.push(lake.destination(), EXPORT)
    lake.silver(rows=0)
    assert 5 == there()
    assert ([], 0) == (remains(lake, monkeypatch), there())


def test_what_a_destination_keeps_is_said(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.push(lake.destination(), EXPORT)
    lake.silver(rows=3)
    assert [f"there/authentication {HOUR}: is delivered no longer, and holds what it was sent; remove it there"] == (
        remains(lake, monkeypatch, ())
    )

    def away(*_: Any) -> None:
        raise DestinationUnavailable("the disk is away")

    monkeypatch.setattr(Files, "push", away)
    assert [f"there/authentication {HOUR}: holds what it was sent until it is pushed: the disk is away"] == (
        remains(lake, monkeypatch)
    )


def test_what_was_never_pushed_is_nobodys_concern(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ([], 0) == (remains(lake, monkeypatch), there())
