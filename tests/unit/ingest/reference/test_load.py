"""Loading a snapshot of a feed: in a folder and in a bucket, once or killed, and what is refused."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.reference import load as loading
from ingest.reference.feeds import Feed, FeedError, LoadReceipt, loads, newest_load
from ingest.reference.load import SnapshotRefused, load_feed
from ingest.reference.observables import observable_key
from ingest.reference.tables import NAME_COLUMNS, PAYLOADS, Entry, Reject, columns_of
from ingest.reference.views import REJECT_COLUMNS, reference_views
from lake.storage import duck
from lake.storage.publish import publish
from lake.storage.store import LocalStore, Store

JANUARY, FEBRUARY, MARCH = (datetime(2026, month, 1) for month in (1, 2, 3))
FIRST, LAST = datetime(1970, 1, 1), datetime(9999, 12, 31)
CMDB = Feed("cmdb", "assets", "Example CMDB")
HOSTILE = Feed("hostile", "indicators")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


def asset(uid: str, *addresses: str, **payload: Any) -> Entry:
    return Entry(uid, {"addresses": list(addresses), **payload})


def indicator(value: str, kind: str = "ip", **payload: Any) -> Entry:
    return Entry(value, payload, kind, value)


def load(store: Store, feed: Feed, at: datetime, *pieces: Entry | Reject, force: bool = False) -> LoadReceipt:
    return load_feed(store, feed, pieces, at, force=force, loaded_at=MARCH)


def rows(store: Store, question: str) -> list[tuple[Any, ...]]:
    with duck.connect(store) as con:
        con.execute("create schema reference")
        for name, select in reference_views(store, ("second", "first")).items():
            con.execute(f"create view reference.{name} as {select}")
        return con.execute(question).fetchall()


def contents(store: Store) -> dict[str, bytes]:
    """Everything in the lake but work in progress."""
    kept = (each.key for room in ("reference", "ledger", "_journal") for each in store.list(room))
    return {key: store.read(key) for key in kept}


# --- the life of a feed --------------------------------------------------------------------------------------------


def test_the_same_content_again_changes_nothing(store: LocalStore) -> None:
    first = load(store, CMDB, JANUARY, asset("1", "10.0.0.1"))
    before = contents(store)
    assert first == load_feed(store, CMDB, [asset("1", "10.0.0.1")], JANUARY)
    assert before == contents(store)


def test_the_same_content_later_moves_the_age_of_the_feed_alone(store: LocalStore) -> None:
    first = load(store, CMDB, JANUARY, asset("1", "10.0.0.1"))
    again = load(store, CMDB, FEBRUARY, asset("1", "10.0.0.1"))
    assert (FEBRUARY, 0, 1) == (again.newest, again.changes, again.unchanged)
    assert (first.version, first.files) == (again.version, again.files)


def test_the_same_rows_in_another_order_are_no_change(store: LocalStore) -> None:
    first = load(store, CMDB, JANUARY, asset("1", tags=["pci", "prod"]), asset("2"))
    again = load(store, CMDB, FEBRUARY, asset("2"), asset("1", tags=["prod", "pci"]), asset("1", tags=["pci", "prod"]))
    assert (0, 2, 1) == (again.changes, again.unchanged, again.duplicates)
    assert (first.version, first.files) == (again.version, again.files)


def test_the_version_before_stays_until_the_next_load(store: LocalStore) -> None:
    versions = [load(store, CMDB, at, asset("1", name=f"of {at}")).version for at in (JANUARY, FEBRUARY, MARCH)]
    assert [f"version={version}" for version in versions[1:]] == store.folders("reference/assets/feed=cmdb")
    assert versions == [each.version for each in loads(store, "assets", "cmdb")]


def test_a_partial_feed_closes_only_what_it_names(store: LocalStore) -> None:
    feed = Feed("taxii", "indicators", mode="partial")
    load(store, feed, JANUARY, Entry("i-1", {}, "ip", "192.0.2.1"), Entry("i-2", {}, "ip", "192.0.2.2"))
    load(
        store, feed, FEBRUARY, Entry("i-2", {}, "ip", "192.0.2.3"), Entry("i-3", {}, "ip", "192.0.2.4", None, FEBRUARY)
    )
    assert [
        ("192.0.2.1", JANUARY, LAST),
        ("192.0.2.2", JANUARY, FEBRUARY),  # the pattern of i-2 has changed
        ("192.0.2.3", FEBRUARY, LAST),
        ("192.0.2.4", FEBRUARY, FEBRUARY),  # revoked before it was ever known
    ] == rows(store, "select value, valid_from, valid_to from reference.indicators order by 1")


def test_of_entries_that_differ_the_last_counts_and_the_others_are_told(store: LocalStore) -> None:
    told = load(store, HOSTILE, JANUARY, *(indicator("192.0.2.1", category=each) for each in ("c2", "scanner", "c2")))
    assert (3, 1, 1, 1) == (told.read, told.opened, told.duplicates, sum(told.rejected.values()))
    assert [("c2",)] == rows(store, "select category from reference.indicators")
    assert [("entry 2", "192.0.2.1 (again as entry 3)")] == rows(store, 'select "where", text from reference.rejects')


# --- rows ----------------------------------------------------------------------------------------------------------


def test_two_spellings_of_an_observable_are_one(store: LocalStore) -> None:
    load(store, HOSTILE, JANUARY, indicator("EVIL.example.", "domain"), indicator("evil.example", "domain"))
    key = observable_key("domain", "evil.example")
    assert [tuple(key)] == rows(store, "select kind, value, prefix, key_high, key_low from reference.indicators")


@pytest.mark.parametrize(
    ("piece", "reason"),
    [
        (indicator("192.0.2.300"), "is neither an address nor a network"),
        (indicator("192.0.2.1", confidence=101), "confidence: expected a number from 0 to 100"),
        (indicator("192.0.2.1", owner="x"), "indicators has no column owner"),
        (indicator("192.0.2.1", name={"a": 1}), "name: expected a text, found a dict"),
        (indicator("e\ud800.example", "domain"), "is not a domain name|no text"),
        (Entry("x", {"name": "\ud800"}, "ip", "192.0.2.1"), "name: expected a text"),
        (Entry("x", {}, "ip", "192.0.2.1", FEBRUARY, JANUARY), "ends before it starts"),
    ],
)
def test_what_is_no_row_is_kept_with_its_reason(store: LocalStore, piece: Entry, reason: str) -> None:
    told = load(store, HOSTILE, JANUARY, indicator("198.51.100.1"), piece)
    assert (2, 1, 1) == (told.read, told.opened, sum(told.rejected.values()))
    ((found, where),) = rows(store, 'select reason, "where" from reference.rejects')
    assert "entry 2" == where
    assert any(each in found for each in reason.split("|"))


def test_an_address_that_cannot_be_joined_by_is_told_and_its_asset_is_loaded(store: LocalStore) -> None:
    told = load(store, CMDB, JANUARY, asset("1", "10.0.0.1", "dhcp"))
    assert (1, 1, 0, 1) == (told.opened, told.unusable, sum(told.rejected.values()), told.rows_open)
    ((reason, text),) = rows(store, "select reason, text from reference.rejects")
    assert ("dhcp", True) == (text, "neither an address nor a network" in reason)


def test_an_asset_and_an_identity_are_found_by_all_their_names(store: LocalStore) -> None:
    load(
        store, CMDB, JANUARY, asset("77", "10.1.0.0/16", "::ffff:10.0.0.1", name="DB1", hostnames=["db1.corp.example"])
    )
    load(store, Feed("printers", "assets"), JANUARY, asset("9", name="Printer v1.2", hostnames=["10.0.0.9"]))
    ann = {"username": "ann", "domain": "corp.example", "emails": ["Ann@corp.example"], "uids": ["S-1-5-21-1"]}
    load(store, Feed("ad", "identities"), JANUARY, Entry("u1", {**ann, "usernames": ["CORP\\Ann"]}))
    assert [
        ("hostname", 2, "db1"),
        ("hostname", 2, "db1.corp.example"),
        ("ip", 4, "10.0.0.1"),
        ("ip", 4, "10.1.0.0/16"),
        ("uid", 1, "77"),
    ] == rows(store, "select name_kind, rank, value from reference.asset_names where feed = 'cmdb' order by 1, 3")
    of_printers = "select value from reference.asset_names where feed = 'printers' order by 1"
    assert ["10.0.0.9", "9", "printer v1.2"] == [value for (value,) in rows(store, of_printers)]
    assert [
        ("email", 2, "ann@corp.example"),
        ("name", 4, "ann"),
        ("qualified_name", 3, "corp.example\\ann"),
        ("qualified_name", 3, "corp\\ann"),
        ("uid", 1, "s-1-5-21-1"),
        ("uid", 1, "u1"),
    ] == rows(store, "select name_kind, rank, value from reference.identity_names order by 1, 3")
    high, low = observable_key("name", "CORP\\ann")[3:]
    found = f"select entry from reference.identity_names where key_high = {high} and key_low = {low}"
    assert [("u1",)] == rows(store, found)


def test_views_are_typed_also_when_nothing_is_loaded_and_rank_feeds_as_the_settings_do(store: LocalStore) -> None:
    shown = {table: {**columns_of(table), "feed_rank": "USMALLINT"} for table in PAYLOADS} | {
        name: {**NAME_COLUMNS, "feed_rank": "USMALLINT"} for name in ("asset_names", "identity_names")
    }
    shown["rejects"] = REJECT_COLUMNS

    def described() -> dict[str, dict[str, str]]:
        return {name: {row[0]: row[1] for row in rows(store, f"describe reference.{name}")} for name in shown}

    assert shown == described()
    for name in ("other", "first", "second"):
        load(store, Feed(name, "assets"), JANUARY, asset("1"))
    assert shown == described()
    assert [("second", 1), ("first", 2), ("other", 3)] == rows(
        store, "select feed, feed_rank from reference.assets order by 2"
    )


def test_indicators_lie_in_the_order_of_their_keys(store: LocalStore) -> None:
    load(store, HOSTILE, JANUARY, *(indicator(f"192.0.2.{last}") for last in range(255, 0, -1)))
    keys = [key for (key,) in rows(store, "select key_low from reference.indicators")]
    assert sorted(keys) == keys


# --- what is refused -----------------------------------------------------------------------------------------------


def refused(store: LocalStore, feed: Feed, at: datetime, *pieces: Entry | Reject) -> str:
    before = contents(store)
    with pytest.raises(SnapshotRefused) as problem:
        load(store, feed, at, *pieces)
    assert before == contents(store)
    return str(problem.value)


def test_a_snapshot_older_than_what_is_loaded_is_refused(store: LocalStore) -> None:
    load(store, CMDB, FEBRUARY, asset("1"))
    assert "an earlier time (2026-01-01T00:00:00Z)" in refused(store, CMDB, JANUARY, asset("2"))
    assert "other content of the same time" in refused(store, CMDB, FEBRUARY, asset("2"))


def test_a_snapshot_that_would_close_most_of_a_feed_is_loaded_only_by_force(store: LocalStore) -> None:
    load(store, CMDB, JANUARY, asset("1"), asset("2"), asset("3"))
    assert "would close 3 of 3 open rows" in refused(store, CMDB, FEBRUARY)
    assert "would close 2 of 3 open rows" in refused(store, CMDB, FEBRUARY, asset("1"))
    assert 1 == load(store, CMDB, FEBRUARY, asset("1"), asset("2")).closed
    assert 2 == load(store, CMDB, MARCH, force=True).closed


def test_a_snapshot_without_one_entry_is_refused(store: LocalStore) -> None:
    said = refused(store, CMDB, JANUARY, Reject("a;b", "line 1", "1 value, the header has 2"))
    assert "none of 1 pieces is an entry of assets" in said
    assert "line 1: 1 value, the header has 2: 'a;b'" in said


def test_a_partial_feed_may_bring_one_piece_that_is_no_entry(store: LocalStore) -> None:
    feed = Feed("taxii", "indicators", mode="partial")
    load(store, feed, JANUARY, Entry("i-1", {}, "ip", "192.0.2.1"))
    told = load(store, feed, FEBRUARY, Reject("i-2", "i-2", "a pattern with AND"))
    assert (FEBRUARY, 0, 1, {"a pattern with AND": 1}) == (told.newest, told.changes, told.rows_open, told.rejected)


def test_a_reader_that_fails_half_way_changes_nothing(store: LocalStore) -> None:
    def reader() -> Iterator[Entry]:
        yield asset("1")
        raise OSError("the connection was lost")

    with pytest.raises(OSError, match="lost"):
        load_feed(store, CMDB, reader(), JANUARY)
    assert {} == contents(store)


def test_a_lost_file_of_rows_is_told_for_no_snapshot_has_its_history(store: LocalStore) -> None:
    told = load(store, CMDB, JANUARY, asset("1"))
    store.delete(next(iter(told.files)))
    with pytest.raises(FeedError, match="is not as its receipt says; bring it back"):
        load(store, CMDB, FEBRUARY, asset("1"))


def test_a_load_that_was_overtaken_by_another_changes_nothing(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(store, CMDB, JANUARY, asset("1"))

    def late(*given: Any) -> Any:
        receipt = newest_load(store, "assets", "cmdb")
        assert receipt is not None
        monkeypatch.setattr(loading, "publish", publish)
        loading._publish(store, None, CMDB, receipt, loading._confirmed(receipt), {})  # type: ignore[arg-type]
        return publish(*given)

    monkeypatch.setattr(loading, "publish", late)
    with pytest.raises(FeedError, match="another load was published meanwhile"):
        load(store, CMDB, FEBRUARY, asset("2"), asset("1"))
    assert 1 == rows(store, "select count(*) from reference.assets")[0][0]
