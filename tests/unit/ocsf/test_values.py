"""Every value of a record is in its row, in `unmapped`, or declared: `lake/ocsf/values.py`."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.ocsf import values
from lake.ocsf.accounts.known import Known
from lake.ocsf.accounts.rows import SEPARATOR
from lake.ocsf.values import Accounts, Record

PATHS = ("time", "user.name", "user.uid", "src_endpoint.ip", "src_endpoint.port", "status_id", "api.request.data")
AS_JSON = (False, False, False, False, False, False, True)
KNOWN = Known(
    below={
        "time": Known("time", is_time=True),
        "user": Known("user", below={"name": Known("user.name"), "id": Known("user.id")}),
        "ip": Known("ip"),
        "port": Known("port", is_open=True),
        "outcome": Known("outcome", coded=("status_id",)),
        "collector": Known("collector", dropped="the collector's own"),
        "request": Known("request", is_open=True),
        "note": Known("note", is_open=True),
        "chain": Known("chain", below={"ip": Known("chain.ip"), "at": Known("at", below={"city": Known("city")})}),
    }
)
RECORD: dict[str, Any] = {
    "time": "2026-03-02T08:00:00Z",
    "user": {"name": "CORP\\jo.meyer", "id": "00u1a2b3c4"},
    "ip": "192.0.2.7",
    "port": 22,
    "outcome": "ALLOWED",
    "collector": "module-7",
    "request": {"bucket": "logs-of-march", "filters": [{"name": "tag", "values": ["alpha", "beta"]}]},
}
ROW = (
    "1772438400000",
    "jo.meyer",
    "00U1A2B3C4",
    "192.0.2.7",
    "22",
    "1",
    json.dumps(RECORD["request"], separators=(",", ":")),
)


def accounts(known: Known = KNOWN, **record: Any) -> Accounts:
    return Accounts(Record(known, **record), PATHS, AS_JSON)


def left(record: dict[str, Any], row: tuple[str, ...] = ROW) -> dict[str, Any]:
    return accounts().left(json.dumps(record), SEPARATOR.join(row))


def test_a_record_that_is_whole_in_its_row_leaves_its_domain_alone() -> None:
    """Of `CORP\\jo.meyer` the row has the account and not the domain."""
    assert left(RECORD) == {"user.name": "CORP\\jo.meyer"}
    assert left(RECORD, (*ROW[:1], "CORP\\jo.meyer", *ROW[2:])) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ip", "198.51.100.9"),  # another address than the row's
        ("port", 2222),
        ("port", "domain"),  # a text where a number was expected
        ("note", "2026-03-02T09:00:00Z"),
        ("note", ["a second", "a third"]),
        ("note", {"deep": {"deeper": [{"x": "y1"}, 17]}}),
        ("note", "22"),  # little said: it stands at the port, which has another name
        ("note", True),
        ("request", "a text where an object was expected"),
        ("user", "a text where an object was expected"),
    ],
)
def test_what_the_row_does_not_have_is_left(name: str, value: Any) -> None:
    found = left({**RECORD, "user": {"id": "00u1a2b3c4"}, name: value})
    assert value in found.values() or {"_raw": value} in found.values()


@pytest.mark.parametrize(
    "value",
    ["", "-", None, [], {}, "jo.meyer", "JO.MEYER", "jo.meyer ", "jo.meyer@192.0.2.7", "::ffff:192.0.2.7",
     "logs-of-march", '["alpha", "beta"]', "1772438400", 1772438400000, "2026-03-02T09:00:00+01:00"],
)  # fmt: skip
def test_values_in_other_forms_are_accounted_for(value: Any) -> None:
    assert left({**RECORD, "user": {}, "note": value}) == {}


def test_what_says_little_counts_under_its_own_name_in_json() -> None:
    row = ("0", "", "", "", "", "", '{"n.note":7,"port":12.0}')
    assert left({"port": 12, "note": 7}, row) == {}
    assert left({"port": 1, "note": True}, row) == {"port": 1, "note": True}


def test_what_says_little_counts_under_the_contracts_name_in_json() -> None:
    known = Known(below={"ResourceID": Known("resource.id")})
    row = SEPARATOR.join((*ROW[:6], '{"resource.id":"u2"}'))
    assert not accounts(known).left('{"ResourceID": "u2"}', row)
    assert accounts(known).left('{"ResourceID": "u3"}', row) == {"resource.id": "u3"}
    assert [each.how for each in accounts(known).trace('{"ResourceID": "u2"}', row)] == ["placed"]


def test_numbers_that_say_little_count_where_their_name_is_alike() -> None:
    row = ("0", "", "", "", "7", "", "")
    assert left({"port": 7, "note": 7}, row) == {"note": 7}
    assert left({"port": "7.0"}, row) == {}


def test_the_event_time_may_stand_in_another_zone() -> None:
    assert left({"time": "2026-03-02 13:45:00"}) == {}
    assert left({"time": "2026-03-02 13:46:00"}) == {"time": "2026-03-02 13:46:00"}


def test_a_coded_value_is_left_where_its_code_says_nothing() -> None:
    assert left({"outcome": "ODD"}, (*ROW[:5], "99", "")) == {"outcome": "ODD"}


def test_of_several_elements_those_that_lack_something_stay_whole() -> None:
    rows = [{"id": "jo.meyer", "kind": "x-one"}, {"id": "192.0.2.7"}]
    assert left({"note": rows}) == {"note": [rows[0]]}
    assert left({"note": rows[:1]}) == {"note": [{"kind": "x-one"}]}


def test_fields_that_nobody_knows_are_left_whatever_they_say() -> None:
    assert left({"news": "jo.meyer", "user": {"nickname": "jo.meyer"}}) == {
        "news": "jo.meyer",
        "user.nickname": "jo.meyer",
    }
    open_record = accounts(Known(is_open=True, below=KNOWN.below))
    assert open_record.left('{"news": "jo.meyer", "more": "something"}', SEPARATOR.join(ROW)) == {"more": "something"}


def test_names_of_a_line_that_the_contract_lacks_come_from_its_header() -> None:
    found = accounts(columns=("ip", "names"), header="names", placeholders=frozenset(("unknown",)))
    raw = SEPARATOR.join(("", "192.0.2.7 new unknown", "192.0.2.7", "ip brand-new another"))
    assert found.left(raw, SEPARATOR.join(ROW)) == {"brand-new": "new"}


def test_what_a_mapping_keeps_itself_stays_as_it_is() -> None:
    record = json.dumps({"note": "something else", "request": {"a": "b-one"}, "news": "n"})
    held = '{"note":"kept","request":{"c":1},"news":"n"}'
    found = accounts().unmapped(record, SEPARATOR.join(("", "", "", "", "", "", "")), held)
    assert json.loads(found or "") == {
        "note": "kept", "note_2": "something else", "request": {"c": 1, "a": "b-one"}, "news": "n"
    }  # fmt: skip
    assert accounts().unmapped(json.dumps(RECORD | {"user": {}}), SEPARATOR.join(ROW), held) is held


def test_a_trace_says_where_each_value_is() -> None:
    found = {
        each.path: (each.how, each.where)
        for each in accounts().trace(json.dumps(RECORD | {"n": 1}), SEPARATOR.join(ROW))
    }
    assert found["ip"] == ("placed", ["src_endpoint.ip"])
    assert found["port"] == ("placed", ["src_endpoint.port"])
    assert found["outcome"] == ("coded", ["status_id"])
    assert found["collector"] == ("dropped", ["the collector's own"])
    assert found["request.filters[0].values[1]"] == ("placed", ["api.request.data.filters.values"])
    assert found["n"] == ("", [])


def places(found: Any) -> Iterator[Callable[[Any], None]]:
    """Ways to add something to a record: to each of its objects and lists."""
    if isinstance(found, dict):
        yield lambda value, at=found: at.update(added=value)  # type: ignore[misc]
        for inner in list(found.values()):
            yield from places(inner)
    elif isinstance(found, list):
        yield lambda value, at=found: at.append(value)  # type: ignore[misc]
        for inner in list(found):
            yield from places(inner)


@pytest.mark.parametrize("value", ["a marker", 4711, {"x": {"y": "a marker"}}, ["a marker", 4711], 3, False])
def test_whatever_is_added_anywhere_is_left(value: Any) -> None:
    for number in range(len(list(places(RECORD)))):
        record = copy.deepcopy(RECORD)
        list(places(record))[number](value)
        assert json.dumps(value) in json.dumps(left(record)), record


@pytest.mark.parametrize("number", ["1e999", "-1E400", "1" + "0" * 5000, "-Infinity", "inf", "NaN"])
def test_a_number_that_no_machine_holds_stays_the_text_that_it_is(number: str) -> None:
    found = accounts()
    assert json.loads(found.unmapped(f'{{"ip": {number}, "news": [{number},],}}', SEPARATOR.join(ROW), None) or "") == {
        "ip": number,
        "news": [number],
    }
    held = found.unmapped('{"news": "n"}', SEPARATOR.join(ROW), f'{{"held": {number}}}')
    assert json.loads(held or "") == {"held": number, "news": "n"}
    assert number in [each.value for each in found.trace(f'{{"ip": {number}}}', SEPARATOR.join(ROW))]


TEXTS = st.sampled_from(
    ("jo.meyer", "CORP\\jo.meyer", "JO.MEYER", " jo.meyer", "meyer", "192.0.2.7", "::ffff:192.0.2.7", "22", "7", "0x16",
     "true", "-", "", "a\\nb-one", "a\nb-one", 'say "this"', "straße-9", "ΟΔΟΣ-ΟΔΟΣ", "logs-of-march", "alpha,jo.meyer",
     "2026-03-02T08:00:00Z", '["alpha","jo.meyer"]', "a-text-of-none")
)  # fmt: skip
VALUES = st.one_of(TEXTS, st.sampled_from((22, 7, True, None, 1772438400, 0.5)))
MEMBERS = st.fixed_dictionaries(
    {"user": st.fixed_dictionaries({"name": VALUES, "id": TEXTS}), "ip": TEXTS, "port": VALUES, "outcome": TEXTS,
     "request": st.one_of(st.dictionaries(st.sampled_from(("bucket", "port")), VALUES), st.lists(VALUES, max_size=2)),
     "note": VALUES, "time": TEXTS, "collector": TEXTS},
    optional={"news": VALUES, "chain": st.lists(st.fixed_dictionaries(
        {"ip": TEXTS}, optional={"at": st.fixed_dictionaries({"city": VALUES}, optional={"new": VALUES})},
    ), max_size=2)},
)  # fmt: skip


@st.composite
def records_and_rows(draw: st.DrawFn) -> tuple[str, str]:
    """A record, and a row that has some of it where most rows do, and else something."""
    record = draw(MEMBERS)
    own = (None, record["user"]["name"], record["user"]["id"], record["ip"], record["port"], record["outcome"], None)
    row = [str(value if value is not None and draw(st.integers(0, 9)) else draw(TEXTS)) for value in own]
    row[0] = draw(st.sampled_from(("1772438400000", "0", "")))
    row[6] = json.dumps(record["request"], separators=(",", ":")) if draw(st.booleans()) else ""
    return json.dumps(record, ensure_ascii=draw(st.booleans())), SEPARATOR.join(row)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(records_and_rows(), min_size=12, max_size=60))
def test_what_was_learned_of_other_rows_changes_nothing(rows: list[tuple[str, str]]) -> None:
    learned = accounts()
    for raw, row in (*rows, *rows):
        assert learned.unmapped(raw, row, None) == accounts().unmapped(raw, row, None)


@pytest.mark.parametrize(
    ("change", "place", "value"),
    [
        ({"ip": "198.51.100.9"}, 3, "203.0.113.1"),  # planned: another address than the row's
        ({"ip": "22"}, 3, "22"),  # says little
        ({"user": {"name": "not in-row"}}, 1, "jo.meyer"),
        ({"note": "x\\\\y"}, 1, "x\\\\\\\\y"),  # more backslashes than the record has
        ({"note": "nowhere-1"}, 2, "nowhere-1"),  # searched for in vain before
        ({"outcome": "ODD"}, 5, "99"),
    ],
)
def test_rows_that_differ_from_what_was_learned_are_looked_at(change: dict[str, Any], place: int, value: str) -> None:
    learned = accounts()
    row = [*ROW[:place], value, *ROW[place + 1 :]]
    for _ in range(40):
        learned.left(json.dumps(RECORD), SEPARATOR.join(ROW))
        learned.left(json.dumps(RECORD | change), SEPARATOR.join(ROW))
    assert learned.left(json.dumps(RECORD | change), SEPARATOR.join(row)) == left(RECORD | change, tuple(row))


MESSAGE = "A thing was done.\r\n\r\n\tWho:\t\t{}\r\n\tId:\t\t{}\r\n\tFrom:\t\t{}\r\n\tHow:\t\t-\r\n\tPort:\t\t22"


@pytest.mark.parametrize(
    ("who", "id_", "source", "is_left"),
    [
        ("jo.meyer", "00u1a2b3c4", "192.0.2.7", False),
        ("JO.MEYER", "00u1a2b3c4", "::ffff:192.0.2.7", False),  # in other forms
        ("00u1a2b3c4", "jo.meyer", "192.0.2.7", False),  # at other places
        ("somebody.else", "00u1a2b3c4", "192.0.2.7", True),
        ("jo.meyer", "00u1a2b3c4", "::ffff:198.51.100.1", True),
        ("jo.meyer", "-", "192.0.2.7", False),
    ],
)
def test_labelled_lines_are_held_against_the_row(who: str, id_: str, source: str, is_left: bool) -> None:
    learned, row = accounts(), SEPARATOR.join(ROW)
    usual = json.dumps(RECORD | {"user": {}, "note": MESSAGE.format("jo.meyer", "00u1a2b3c4", "::ffff:192.0.2.7")})
    record = RECORD | {"user": {}, "note": MESSAGE.format(who, id_, source)}
    for _ in range(40):
        assert not learned.left(usual, row)
        assert learned.left(json.dumps(record), row) == left(record) == ({"note": record["note"]} if is_left else {})


def test_what_unmapped_has_under_the_path_is_not_added_again() -> None:
    held = '{"request":{"bucket":"nobody has it","size":17},"note":"a rare word"}'
    record = {"note": "a rare word", "request": {"bucket": "nobody has it", "size": 17, "more": "of it"}}
    learned = accounts()
    for _ in range(20):
        found = json.loads(learned.unmapped(json.dumps(record), SEPARATOR.join([""] * len(ROW)), held) or "")
        assert found == {"note": "a rare word", "request": record["request"]}


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\x01b", "", "a.b", "$", "é", "x" * 5000])
def test_any_name_may_come_again(name: str) -> None:
    learned, record = accounts(), {**RECORD, name: "a marker", "request": {name: {name: 4711}}}
    for _ in range(40):
        assert left(record) == learned.left(json.dumps(record), SEPARATOR.join(ROW))
    assert "a marker" in left(record).values()


def test_of_two_names_of_one_path_both_values_are_left() -> None:
    known = Known(below={"user": Known("user"), "User": Known("user"), "in": Known(below={"u": Known("user")})})
    raw = '{"user": "somebody", "User": "somebody else", "in": {"u": "a third one"}}'
    found = accounts(known).left(raw, SEPARATOR.join(ROW))
    assert {"somebody", "somebody else", "a third one"} == set(found.values())
    written = accounts(known).unmapped(raw, SEPARATOR.join(ROW), None)
    assert found == json.loads(written or "")


def test_sql_asks_the_accounts_of_its_model() -> None:
    con = duckdb.connect()
    values.prepare(con, {"m": accounts()})
    row = SEPARATOR.join(ROW)
    rows = [(json.dumps({"news": 1}), row, None), (json.dumps({"ip": "192.0.2.7"}), row, None), (None, None, '{"a":1}')]
    con.execute("create table given (record varchar, row_values varchar, unmapped varchar)")
    con.executemany("insert into given values (?, ?, ?)", rows)
    found = con.execute("select hw_unmapped('m', record, row_values, unmapped) from given").fetchall()
    assert found == [('{"news":1}',), (None,), ('{"a":1}',)]
