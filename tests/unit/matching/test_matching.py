"""Indicators are matched with the past of the lake, and each match is recorded once."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from lake import ledger
from lake.ledger import build_receipts, published_tables
from lake.matching import matches
from lake.storage import paths
from lake.storage.store import LocalStore, Store
from tests.unit.matching.lakes import Event, Indicator, at, build, everything, logon, matched, rows
from tests.unit.ocsf.spelling import connection

EVIL, OTHER = "203.0.113.7", "198.51.100.1"
LISTED = Indicator("list", EVIL, learned=6, uid="i-1")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


def test_an_address_that_is_learned_later_is_found_in_the_past(store: Store, tmp_path: Path) -> None:
    build(store, [logon(3.5, "before", EVIL), logon(4.2, "other", OTHER), logon(7, "after", EVIL)])
    done = matched(store, tmp_path, [LISTED])
    assert (done.found, done.failed, done.mended) == ({"list": 2}, {}, {})
    told = "event_uid, was_known, known_at, seconds_after, user_name, src_ip, attributes, indicator_uid, version"
    assert rows(store, told) == [
        ("after", True, at(7), 0, "ann", EVIL, ["src_endpoint.ip"], "i-1", "v6"),
        ("before", False, at(6), 9000, "ann", EVIL, ["src_endpoint.ip"], "i-1", "v6"),
    ]
    build(store, [logon(8.5, "new", EVIL)])
    assert matched(store, tmp_path, [LISTED]).found == {"list": 1}
    assert matched(store, tmp_path, [LISTED]).hours == 0


def test_a_match_is_known_once_both_the_event_and_the_indicator_are(store: Store, tmp_path: Path) -> None:
    build(store, [logon(3, "late", EVIL, arrived=5), logon(7, "later", EVIL, arrived=1)])
    matched(store, tmp_path, [LISTED])
    assert rows(store, "event_uid, arrived_at, known_at, was_known, seconds_after") == [
        ("late", at(8), at(8), False, 5 * 3600),
        ("later", at(8), at(8), True, 3600),
    ]


def test_networks_addresses_and_lists_that_hit_the_same_event_give_a_row_each(store: Store, tmp_path: Path) -> None:
    build(store, [logon(1, "v4", EVIL), logon(1, "mapped", f"::ffff:{EVIL}"), logon(1, "v6", "2001:db8:1::9")])
    lists = [
        *(Indicator("one", value, 2) for value in (EVIL, "203.0.113.0/24", "203.0.0.0/9", "2001:db8::/32", "::/0")),
        *(Indicator("two", value, 2) for value in (EVIL, "0.0.0.0/0", "203.0.113.8/30", "2001:db8:1::/127")),
    ]
    matched(store, tmp_path, lists)
    v4 = [
        ("one", "203.0.0.0/9"),
        ("one", "203.0.113.0/24"),
        ("one", EVIL),
        ("two", "0.0.0.0/0"),
        ("two", EVIL),
    ]
    assert rows(store, "event_uid, feed, indicator_value") == sorted(
        [(uid, *each) for uid in ("v4", "mapped") for each in v4]
        + [("v6", "one", "2001:db8::/32"), ("v6", "one", "::/0")]
    )


def test_an_observable_in_several_attributes_is_one_match_that_names_them(store: Store, tmp_path: Path) -> None:
    again = [{"name": "src_endpoint.ip", "type_id": 2, "value": EVIL}, {"name": "x", "type_id": 2, "value": OTHER}]
    both = {"src_endpoint": {"ip": EVIL, "hostname": EVIL}, "http_request": {"x_forwarded_for": [EVIL, EVIL]}}
    build(store, [Event(1, "e", {**both, "observables": again})])
    matched(store, tmp_path, [LISTED, Indicator("list", OTHER, 2)])
    assert rows(store, "indicator_value, attributes") == [
        (OTHER, ["observables[]"]),
        (EVIL, ["http_request.x_forwarded_for[]", "src_endpoint.hostname", "src_endpoint.ip"]),
    ]


@pytest.mark.parametrize(
    ("kind", "value", "hit"),
    [
        ("domain", "evil.example", ["api", "dns"]),
        ("url", "https://evil.example/x?y", ["api"]),
        ("hash", "AB" * 32, ["file"]),
        ("email", "ann@evil.example", ["mail"]),
    ],
)
def test_indicators_of_every_kind_are_found(
    store: Store, tmp_path: Path, kind: str, value: str, hit: Sequence[str]
) -> None:
    build(store, [
        Event(1, "dns", {"query": {"hostname": "EVIL.example."}}, "dns_activity"),
        Event(1, "api", {"http_request": {"url": {"url_string": "HTTPS://evil.example/x?y"}}}),
        Event(1, "file", {"file": {"hashes": [{"value": "ab" * 32}, {"value": "0" * 32}]}}, "file_activity"),
        Event(1, "mail", {"user": {"email_addr": "Ann@Evil.example"}}, "account_change"),
    ])  # fmt: skip
    matched(store, tmp_path, [Indicator("list", value, 2, kind=kind)])
    assert rows(store, "event_uid") == [(uid,) for uid in hit]


def test_an_event_after_the_end_of_an_indicator_does_not_match(store: Store, tmp_path: Path) -> None:
    build(store, [logon(hour, f"at {hour}", EVIL) for hour in (1, 5, 9)])
    ended = Indicator("list", EVIL, learned=4, until=7)
    matched(store, tmp_path, [ended])
    assert rows(store, "event_uid, was_known, was_valid") == [("at 1", False, False), ("at 5", True, True)]


def test_what_was_matched_after_an_end_that_came_to_light_later_goes(store: Store, tmp_path: Path) -> None:
    build(store, [logon(5, "before", EVIL), logon(9, "after", EVIL)])
    matched(store, tmp_path, [Indicator("list", EVIL, learned=4)])
    assert len(rows(store)) == 2
    matched(store, tmp_path, [Indicator("list", EVIL, learned=4, until=7)])
    assert rows(store, "event_uid, valid_to") == [("before", at(7))]


def test_an_indicator_is_searched_for_as_many_days_back_as_is_set(store: Store, tmp_path: Path) -> None:
    build(store, [logon(24 * day, f"day {day}", EVIL) for day in (0, 2, 4)])
    late = Indicator("list", EVIL, learned=24 * 5)
    assert matched(store, tmp_path, [late], days=3).hours == 2
    assert rows(store, "event_uid") == [("day 2",), ("day 4",)]
    assert matched(store, tmp_path, [late], days=10).found == {"list": 1}
    build(store, [logon(0, "day 0", EVIL), logon(0.5, "again", EVIL)], mark="2")
    matched(store, tmp_path, [late], days=3)  # an hour keeps how far it was searched
    assert rows(store, "event_uid") == [("again",), ("day 0",), ("day 2",), ("day 4",)]


def test_only_new_indicators_are_sought_in_hours_that_are_as_they_were(store: Store, tmp_path: Path) -> None:
    build(store, [logon(hour, f"at {hour}", OTHER if hour else EVIL) for hour in range(4)])
    first = [Indicator("list", EVIL, 5), *(Indicator("list", f"192.0.2.{n}", 5) for n in range(50))]
    assert matched(store, tmp_path, first).sought == 51
    marks = {hour: published_tables.mark(each) for hour, each in build_receipts.of_model(store, matches.TABLE).items()}
    done = matched(store, tmp_path, [*first, Indicator("list", OTHER, 6, uid="new")])
    assert (done.sought, done.hours, done.found) == (1, 4, {"list": 3})
    after = {hour: published_tables.mark(each) for hour, each in build_receipts.of_model(store, matches.TABLE).items()}
    assert [hour for hour in after if after[hour] != marks[hour]] == [ledger.hour_text(at(n)) for n in (1, 2, 3)]
    build(store, [logon(2, "at 2", EVIL)], mark="2")
    done = matched(store, tmp_path, [*first, Indicator("list", OTHER, 6, uid="new")])
    assert (done.sought, done.hours) == (52, 1)
    assert rows(store, "event_uid, indicator_value")[2] == ("at 2", EVIL)


def test_one_list_alone_is_sought_and_the_others_later(store: Store, tmp_path: Path) -> None:
    build(store, [logon(1, "e", EVIL)])
    matched(store, tmp_path, [LISTED])
    both = [LISTED, Indicator("two", EVIL, 7), Indicator("three", EVIL, 7)]
    assert matched(store, tmp_path, both, feeds=["two"]).found == {"two": 1}
    assert matched(store, tmp_path, both).found == {"three": 1}


def test_a_dry_run_says_what_it_would_find_and_leaves_the_lake_alone(store: LocalStore, tmp_path: Path) -> None:
    build(store, [logon(1, "e", EVIL)], index=False)
    before = [(each.key, each.fingerprint) for each in store.list()]
    done = matched(store, tmp_path, [LISTED], dry_run=True)
    assert (done.found, len(done.mended)) == ({"list": 1}, 1)
    assert [(each.key, each.fingerprint) for each in store.list()] == before


def test_two_events_of_one_uid_are_two_matches(store: Store, tmp_path: Path) -> None:
    build(store, [logon(1, "same", EVIL), logon(1.5, "same", EVIL)])
    matched(store, tmp_path, [LISTED])
    assert len(set(rows(store, "match_id"))) == 2


def test_without_any_match_the_table_has_its_columns(store: Store, tmp_path: Path) -> None:
    build(store, [logon(1, "e", OTHER)])
    assert matched(store, tmp_path, [LISTED]).hours == 1
    with connection() as con:
        described = con.execute(f"describe {matches.select(store)}").fetchall()
    assert [row[:2] for row in described] == [*matches.COLUMNS]


def test_an_index_that_is_missing_or_damaged_is_made_from_the_table_and_kept(store: Store, tmp_path: Path) -> None:
    build(store, [logon(1, "old", EVIL)], index=False)
    build(store, [logon(2, "damaged", EVIL), logon(3, "cut", EVIL)])
    keys = [each.key for each in store.list(paths.INDEX)]
    data = bytearray(store.read(keys[0]))
    data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
    store.write(keys[0], bytes(data))
    store.write(keys[1], store.read(keys[1])[:-20])
    done = matched(store, tmp_path, [LISTED])
    assert sorted(row[0] for row in rows(store)) == ["cut", "damaged", "old"]
    assert ("no index" in str(done.mended), len(done.mended), done.failed) == (True, 3, {})
    assert done.observables == 3
    assert matched(store, tmp_path, [LISTED], again=True).mended == {}


def test_a_table_that_cannot_be_read_stops_no_other_and_is_searched_later(store: Store, tmp_path: Path) -> None:
    events = [logon(1, "bad", EVIL), logon(1, "good", EVIL, source="windows")]
    build(store, events)
    matched(store, tmp_path, [Indicator("early", "203.0.113.0/24", 2)])
    key = f"{paths.silver_folder('authentication', 'okta')}/{paths.hour_folder(at(1))}/part.parquet"
    whole = store.read(key)
    store.write(key, b"PAR1" + bytes(len(whole) - 8) + b"PAR1")
    lists = [Indicator("early", "203.0.113.0/24", 2), LISTED]
    done = matched(store, tmp_path, lists, again=True)
    assert list(done.failed) == [key]
    assert rows(store, "event_uid, feed") == [("bad", "early"), ("good", "early"), ("good", "list")]
    store.write(key, whole)
    assert matched(store, tmp_path, lists).failed == {}
    assert rows(store, "event_uid, feed")[:2] == [("bad", "early"), ("bad", "list")]


def test_matches_that_were_lost_or_damaged_are_found_again(store: Store, tmp_path: Path) -> None:
    build(store, [logon(hour, f"at {hour}", EVIL) for hour in (1, 2)])
    matched(store, tmp_path, [LISTED])
    found = everything(store)
    store.delete(matches.file_of(at(1)))
    whole = store.read(matches.file_of(at(2)))
    store.write(matches.file_of(at(2)), b"PAR1" + bytes(len(whole) - 8) + b"PAR1")
    matched(store, tmp_path, [LISTED, Indicator("two", EVIL, 7)])
    assert [row for row in everything(store) if row in found] == found
    assert len(everything(store)) == 4


def test_matches_follow_their_events_when_these_are_mapped_otherwise(store: Store, tmp_path: Path) -> None:
    """The same events and indicators have the same ids; what the matches say of the events counts as well."""
    named = Event(1, "e", {"src_endpoint": {"ip": EVIL}, "user": {"name": "ann"}})
    build(store, [named])
    matched(store, tmp_path, [LISTED])
    first = build_receipts.of_model(store, matches.TABLE)
    build(store, [Event(1, "e", {"src_endpoint": {"ip": EVIL}, "user": {"name": "bob"}})], mark="2")
    matched(store, tmp_path, [LISTED])
    assert rows(store, "user_name") == [("bob",)]
    second = build_receipts.of_model(store, matches.TABLE)
    assert [each.rows_mark for each in first.values()] != [each.rows_mark for each in second.values()]


def test_matches_that_come_back_as_they_were_make_nothing_behind(store: Store, tmp_path: Path) -> None:
    build(store, [logon(1, "e", EVIL)])
    matched(store, tmp_path, [LISTED])
    (built,) = build_receipts.of_model(store, matches.TABLE).values()
    before = msgspec.structs.replace(built, built_at="2026-01-01T00:00:00+00:00")
    for key, text in build_receipts.merged_days(store, matches.TABLE, [before]):
        store.write(key, text.encode())
    store.delete(before.file)
    matched(store, tmp_path, [LISTED])
    (after,) = build_receipts.of_model(store, matches.TABLE).values()
    assert store.info(after.file) is not None
    assert (before.rows_mark, published_tables.mark(before)) == (
        after.rows_mark,
        published_tables.mark(after),
    )
