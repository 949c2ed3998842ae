"""What leaves the lake leaves the index and the matches too, and what stays is matched again."""

from datetime import UTC, timedelta
from pathlib import Path

import pytest

from lake.ledger import build_receipts
from lake.marts.declaration import Marts, Node
from lake.matching import matches
from lake.storage import paths
from lake.storage.publish import Change, publish
from lake.storage.store import LocalStore
from lake.upkeep.erasure_rewrite import built_files
from lake.upkeep.retention import expire
from tests.unit.matching.lakes import Indicator, at, build, logon, matched, rows

LISTED = Indicator("list", "203.0.113.7", learned=6)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """Two sources with a match each, in two hours."""
    store = LocalStore(tmp_path / "lake")
    build(store, [logon(h, f"{s} {h}", "203.0.113.7", source=s) for h in (1, 2) for s in ("okta", "windows")])
    matched(store, tmp_path, [LISTED])
    assert len(rows(store)) == 4
    return store


def indexes(store: LocalStore) -> list[str]:
    return [each.key.split("source=")[1].split("/")[0] for each in store.list(paths.INDEX)]


def test_a_source_that_expires_takes_its_matches_and_its_index_along(store: LocalStore, tmp_path: Path) -> None:
    expire(store, "okta", timedelta(days=1), at(26).replace(tzinfo=UTC))
    assert indexes(store) == ["okta", "windows", "windows"]
    assert rows(store, "event_uid") == [("okta 2",), ("windows 2",)]
    assert 0 == build_receipts.of_model(store, matches.TABLE)["2026-03-02T01"].rows
    assert 1 == matched(store, tmp_path, [LISTED]).hours
    assert rows(store, "event_uid") == [("okta 2",), ("windows 1",), ("windows 2",)]


def test_an_erasure_takes_the_matches_of_its_hours_and_the_indexes_along(store: LocalStore, tmp_path: Path) -> None:
    gone = tuple(built_files(store, "okta", ["2026-03-02T01"]))
    publish(store, lambda: Change(deletes=gone))
    assert (indexes(store), rows(store, "event_uid")) == (["okta", "windows", "windows"], [("okta 2",), ("windows 2",)])
    build(store, [], hours=[1], mark="without the person")
    matched(store, tmp_path, [LISTED])
    assert rows(store, "event_uid") == [("okta 2",), ("windows 1",), ("windows 2",)]


def test_nothing_is_published_of_a_table_that_was_erased_while_it_was_searched(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lake.matching import search

    run = search.Search.run

    def erased_meanwhile(self: search.Search, part: search.Part, prefixes: list[int]) -> None:
        run(self, part, prefixes)
        publish(store, lambda: Change(deletes=tuple(built_files(store, "okta", ["2026-03-02T01"]))))

    monkeypatch.setattr(search.Search, "run", erased_meanwhile)
    done = matched(store, tmp_path, [LISTED], again=True)
    assert (done.left, rows(store, "event_uid")) == (["2026-03-02T01"], [("okta 2",), ("windows 2",)])


def test_a_mart_may_read_the_matches() -> None:
    nodes = [Node("threat_matches", "source", paths.GOLD), Node("hits", "table", paths.GOLD, ("threat_matches",))]
    assert [read.models for read in Marts(nodes).by_name["hits"].reads] == [("threat_matches",)]
