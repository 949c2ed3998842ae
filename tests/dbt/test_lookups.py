"""What lookup providers said of the observables of an event: the answer that held at its time, or that it waits."""

from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest

from ingest.lookups.provider import Lookup, asked_paths, configured, sendable_sql
from ingest.reference.observables import observable_key
from lake.ledger.lookup_answers import COLUMNS
from lake.ocsf.context.plan import ReferenceInventory
from lake.ocsf.validate import event_texts, validate_event_text
from tests.integration.context.context_events import FIRST, PIPELINE, fill, reference, whole_sql
from tests.integration.context.macros import render

BAD, GOOD, PRIVATE = "8.8.4.4", "9.9.9.9", "10.0.0.1"
SHA256 = "ab" * 32
NOON = datetime(2026, 3, 2, 12)
LOOKUPS = [
    configured("abuse", {"type": "abuseipdb", "ask_about": ["authentication.src_endpoint.ip"]}),
    configured("noise", {"type": "greynoise", "ask_about": ["authentication.src_endpoint.ip"]}),
    configured(
        "vt",
        {
            "type": "virustotal",
            "ask_about": ["process_activity.process.file.hashes[].value", "dns_activity.query.hostname"],
        },
    ),
]


def asked(class_name: str = "authentication", lookups: list[Lookup] = LOOKUPS) -> ReferenceInventory:
    """An inventory of nothing but what providers are asked about."""
    return ReferenceInventory(lookups=asked_paths(lookups, class_name), sendable=sendable_sql(lookups))


def answer(provider: str, value: str, kind: str = "ip", **more: Any) -> dict[str, Any]:
    """A row of `reference.lookups`, given at noon and valid for a day, unless it says otherwise."""
    key = observable_key(kind, value)
    asked_at = more.get("asked_at", NOON)
    keyed = {"kind": kind, "value": key.value, "prefix": key.prefix, "key_high": key.high, "key_low": key.low}
    said = {"status": "known", "data": '{"reports":7}', "score": 100.0, "score_id": 10, "learned_at": asked_at}
    times = {"asked_at": asked_at, "valid_from": FIRST, "valid_to": asked_at + timedelta(days=1)}
    return {"provider": provider, "key": key.hex} | keyed | said | times | more


def events(
    answers: list[dict[str, Any]],
    rows: list[tuple[datetime, str]],
    class_name: str = "authentication",
    lookups: list[Lookup] = LOOKUPS,
) -> list[list[dict[str, Any]]]:
    """The enrichments of events (time, attributes as SQL), in their order; these keep the official schema."""
    with reference() as con:
        fill(con, "lookups", COLUMNS, answers)
        mapped = " union all by name ".join(_row(i, at, sql, class_name) for i, (at, sql) in enumerate(rows))
        con.execute(f"create table main.whole as {whole_sql(con, class_name, mapped, asked(class_name, lookups))}")
        return _checked(con, class_name)


def _row(number: int, at: datetime, sql: str, class_name: str) -> str:
    required = {"user": "{'uid': 'u'}", "dst_endpoint": "{'uid': 'd'}"} if class_name == "authentication" else {}
    given = ", ".join([sql, *(f"{value} as {name}" for name, value in required.items())])
    pipeline = PIPELINE.replace("moment", f"timestamp '{at}'").replace("i as", f"{number} as")
    base = "1 as activity_id, {'product': {'name': 'p', 'vendor_name': 'v'}} as metadata"
    return f"select {given}, {base}, {pipeline.replace(chr(39) + 'k' + chr(39) + ' || i', repr(f'k{number}'))}"


def _checked(con: duckdb.DuckDBPyConnection, class_name: str) -> list[list[dict[str, Any]]]:
    found = con.sql("select * from main.whole order by _source_row")
    checked = [validate_event_text(text, class_name) for text in event_texts(found)]
    assert [each for _, findings in checked for each in findings if "enrichments" in each.rule] == []
    return [[each for each in event.get("enrichments", ())] for event, _ in checked]


def sign_in(address: str) -> str:
    return f"{{'ip': '{address}'}} as src_endpoint"


def told(entries: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(each["provider"], each["type"], each["value"]) for each in entries]


def test_an_event_gets_what_each_provider_said_at_its_time() -> None:
    (entries,) = events([answer("abuse", BAD), answer("noise", BAD, score=9.0, score_id=9)], [(NOON, sign_in(BAD))])
    assert told(entries) == [("abuse", "reputation", BAD), ("noise", "reputation", BAD)]
    first = entries[0]
    assert (first["name"], first["created_time"]) == ("src_endpoint.ip", 1_772_452_800_000)
    assert first["reputation"] == {"base_score": 100.0, "score_id": 10, "score": "Malicious", "provider": "abuse"}
    assert first["data"] == {
        "reports": 7,
        "status": "known",
        "asked_at": "2026-03-02T12:00:00Z",
        "expires_at": "2026-03-03T12:00:00Z",
    }


def test_who_has_not_answered_is_waited_for() -> None:
    (entries,) = events([answer("noise", BAD)], [(NOON, sign_in(BAD))])
    assert told(entries) == [("abuse", "pending", BAD), ("noise", "reputation", BAD)]
    waits = entries[0]["data"]
    assert waits == {"status": "pending", "kind": "ip", "key": observable_key("ip", BAD).hex}
    assert "reputation" not in entries[0]


def test_within_one_hour_an_answer_ends_and_another_begins() -> None:
    expires = datetime(2026, 3, 3, 12, 30)
    first = answer("abuse", BAD, valid_to=expires)
    later = {"asked_at": datetime(2026, 3, 5), "valid_from": expires, "valid_to": datetime(2026, 3, 6)}
    second = answer("abuse", BAD, data='{"reports":8}', **later)
    times = [expires - timedelta(minutes=1), expires, datetime(2026, 3, 6, 0, 1), datetime(1999, 1, 1)]
    found = events([first, second], [(at, sign_in(BAD)) for at in times], lookups=LOOKUPS[:1])
    assert [told(entries) for entries in found] == [
        [("abuse", "reputation", BAD)],
        [("abuse", "reputation", BAD)],
        [("abuse", "pending", BAD)],
        [("abuse", "reputation", BAD)],
    ]
    assert [entries[0]["data"].get("reports") for entries in found] == [7, 8, None, 7], "the first holds from 1970"


@pytest.mark.parametrize("address", [PRIVATE, "198.51.100.7", "fe80::1", "no address", "::ffff:10.1.2.3"])
def test_what_is_never_sent_is_not_waited_for(address: str) -> None:
    (entries,) = events([], [(NOON, f"{{'ip': '{address}', 'name': 'x'}} as src_endpoint, 'x' as status")])
    assert entries == []


def test_addresses_are_the_same_however_they_are_written() -> None:
    spelled = ["2606:4700:0:0::1111", "2606:4700::1111", "2606:4700::1111%eth0"]
    rows = [(NOON, sign_in(each)) for each in spelled]
    found = events([answer("abuse", "2606:4700::1111")], rows, lookups=LOOKUPS[:1])
    assert [told(entries) for entries in found] == [[("abuse", "reputation", each)] for each in spelled]
    (mapped,) = events([answer("abuse", BAD)], [(NOON, sign_in(f"::ffff:{BAD}"))], lookups=LOOKUPS[:1])
    assert told(mapped) == [("abuse", "reputation", f"::ffff:{BAD}")]


def test_every_hash_of_a_file_is_asked_about_and_names_of_the_house_are_not() -> None:
    hashes = f"[{{'algorithm_id': 3, 'value': '{SHA256.upper()}'}}, {{'algorithm_id': 1, 'value': '{'cd' * 16}'}}]"
    process = f"{{'pid': 1, 'file': {{'name': 'a.exe', 'type_id': 1, 'hashes': {hashes}}}}} as process"
    answers = [answer("vt", SHA256, "hash", score=3.0, score_id=8)]
    (entries,) = events(
        answers, [(NOON, f"{process}, {{'hostname': 'h', 'type_id': 0}} as device")], "process_activity"
    )
    assert sorted(told(entries)) == [("vt", "pending", "cd" * 16), ("vt", "reputation", SHA256.upper())]
    assert {each["name"] for each in entries} == {"process.file.hashes[].value"}
    asked = [(NOON, f"{{'hostname': '{name}'}} as query") for name in ("dc01.corp", "WWW.Evil.com.", "localhost")]
    found = events([answer("vt", "www.evil.com", "domain")], asked, "dns_activity")
    assert [told(entries) for entries in found] == [[], [("vt", "reputation", "WWW.Evil.com.")], []]


def test_no_answer_changes_the_number_of_rows() -> None:
    answers = [answer(name, BAD, valid_from=FIRST + timedelta(days=n)) for n in range(5) for name in ("abuse", "noise")]
    rows = [(NOON + timedelta(minutes=n), sign_in(each)) for n, each in enumerate((BAD, BAD, GOOD, PRIVATE) * 3)]
    assert len(events(answers, rows)) == len(rows)


def test_who_is_not_asked_about_a_table_says_nothing_of_its_events() -> None:
    (entries,) = events([answer("abuse", BAD)], [(NOON, sign_in(BAD))], lookups=LOOKUPS[2:])
    assert entries == []


def test_an_answer_without_useful_fields_is_told_as_well() -> None:
    unknown = answer("abuse", BAD, status="unknown", data="{}", score=None, score_id=None)
    (entries,) = events([unknown], [(NOON, sign_in(BAD))], lookups=LOOKUPS[:1])
    assert entries[0]["data"]["status"] == "unknown"
    assert "reputation" not in entries[0]


def test_analysts_read_what_one_provider_said() -> None:
    with reference() as con:
        fill(con, "lookups", COLUMNS, [answer("abuse", BAD), answer("noise", BAD, data='{"noise":true}', score_id=9)])
        mapped = _row(0, NOON, sign_in(BAD), "authentication")
        con.execute(f"create table main.whole as {whole_sql(con, 'authentication', mapped, asked())}")
        fields = [
            ("abuse", "reports"),
            ("noise", "noise"),
            ("abuse", "score"),
            ("noise", "score_id"),
            ("noise", "reports"),
        ]
        columns = ", ".join(render("looked_up", "src_endpoint.ip", *each) for each in fields)
        assert con.execute(f"select {columns} from main.whole").fetchall() == [("7", "true", "100.0", "9", None)]
        assert con.execute(f"select {render('looked_up', '', 'vt', 'status', 'whole')} from main.whole").fetchall() == [
            (None,)
        ]
