"""The index of an hour names every observable of its events, however deep it lies, and nothing that others said."""

from pathlib import Path
from typing import Any

from lake.build.run import retire
from lake.ledger import build_receipts
from lake.ocsf.observables import observable_paths
from lake.storage import paths
from lake.storage.store import LocalStore
from tests.unit.matching.lakes import CLASSES, Event, at, build, logon
from tests.unit.ocsf.spelling import connection

HASH, OTHER_HASH = "a" * 64, "B" * 40


def index_of(store: LocalStore, columns: str = "kind, value") -> list[tuple[Any, ...]]:
    """The rows of all index files."""
    with connection() as con:
        files = store.url(f"{paths.INDEX}/*/*/*/*/*.parquet")
        return con.execute(f"select {columns} from read_parquet(?) order by all", [files]).fetchall()


def test_observables_are_found_at_any_depth(tmp_path: Path) -> None:
    evidences = [
        {
            "src_endpoint": {"ip": "198.51.100.1", "intermediate_ips": ["2001:db8::7"]},
            "query": {"hostname": "Q.Example."},
        },
        {"file": {"hashes": [{"value": HASH}, {"value": OTHER_HASH}]}},
    ]
    dns = {"query": {"hostname": "www.evil.example"}, "answers": [{"rdata": "203.0.113.7"}, {"rdata": "cdn.example."}]}
    web = {"http_request": {"url": {"url_string": "https://evil.example/x"}, "x_forwarded_for": ["::ffff:192.0.2.1"]}}
    given = [
        {"name": "url", "type_id": 6, "value": "http://only.example/"},
        {"name": "port", "type_id": 11, "value": "22"},
    ]
    store = LocalStore(tmp_path)
    build(store, [
        Event(1, "finding", {"evidences": evidences}, "detection_finding", "edr"),
        Event(1, "dns", {**dns, "observables": given}, "dns_activity", "resolver"),
        Event(1, "logon", {**web, "user": {"name": "ann", "email_addr": "Ann@Example.com"}}),
    ])  # fmt: skip
    assert index_of(store) == [
        ("domain", "cdn.example"),
        ("domain", "evil.example"),
        ("domain", "only.example"),
        ("domain", "q.example"),
        ("domain", "www.evil.example"),
        ("email", "ann@example.com"),
        ("hash", HASH),
        ("hash", OTHER_HASH.lower()),
        ("ip", "192.0.2.1"),
        ("ip", "198.51.100.1"),
        ("ip", "2001:db8::7"),
        ("ip", "203.0.113.7"),
        ("url", "http://only.example/"),
        ("url", "https://evil.example/x"),
    ]


def test_what_lists_said_about_an_event_is_no_observable_of_it() -> None:
    for each in CLASSES.values():
        found = [path.path for path in observable_paths(each)]
        assert not [path for path in found if path.split("[]")[0] in ("osint", "enrichments", "observables")]


def test_an_observable_is_counted_with_its_first_and_last_time(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    build(store, [logon(1 + minute / 60, f"e{minute}", "203.0.113.7") for minute in (6, 30, 54)])
    assert index_of(store, "value, occurrences, first_at, last_at") == [
        ("203.0.113.7", 3, at(1.1), at(1.9)),
    ]


def test_an_index_goes_with_the_rows_of_its_hour(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    build(store, [logon(1, "a", "203.0.113.7"), logon(2, "b", "203.0.113.8")])
    build(store, [], hours=[1])
    assert index_of(store) == [("ip", "203.0.113.8")]
    held = build_receipts.of_model(store, "authentication__okta")
    assert [each.index and each.index.rows for each in held.values()] == [None, 1]
    retire(store, "authentication__okta")
    assert [each.key for room in (paths.INDEX, paths.SILVER, paths.LEDGER) for each in store.list(room)] == []
