"""What bronze holds of a record that lands: values, key, time, what was emptied, and what nobody knew."""

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest.contracts.model import pipeline_columns
from lake.ledger import emptied_fields
from tests.unit.ingest.landing.landed import GOOD, Landed, few, landed, landed_together, lines, strange

VALUES: list[tuple[dict[str, Any], str, object]] = [
    ({"count": 3}, "count", 3),
    ({"millis": "1772427600000"}, "millis", 1772427600000),
    ({"ratio": 1}, "ratio", 1.0),
    ({"ratio": "1.5"}, "ratio", 1.5),
    ({"flag": "true"}, "flag", True),
    ({"label": 7}, "label", "7"),
    ({"label": [1, "a"]}, "label", '[1,"a"]'),
    ({"tag": "t"}, "label", "t"),
    ({"label": None, "tag": "t"}, "label", "t"),
    ({"label": "l", "tag": "t"}, "label", "l"),
    ({"open": {"b": 1, "a": None}}, "open", '{"b":1,"a":null}'),
    ({"open": "text"}, "open", '"text"'),
    ({"wrap": {"open": {"a": 1}}}, "open", '{"a":1}'),
    ({"open": {"inner": "i"}}, '"inner"', "i"),
    ({"anything": "1"}, "anything", '"1"'),
    ({"anything": 1}, "anything", "1"),
    ({"anything": None}, "anything", None),
    ({"Actor": {"id": "x", "Age": "5"}}, "actor", {"id": "x", "age": 5, "agent": None}),
    ({"actor": {"id": "x", "agent": {}}}, "actor", {"id": "x", "age": None, "agent": {"os": None}}),
    ({"targets": [{"id": "t", "size": "1"}, None]}, "targets", [{"id": "t", "size": 1, "more": None}, None]),
    ({"list": [1, {"a": 2}]}, "list", '[1,{"a":2}]'),
    ({"Code": {"#text": 9}}, "code", 9),
    ({"Number": 5, "number": None}, "number", 5),
    # text where an object or a list was expected, and an object where a list was
    ({"open": '{"a":1}'}, "open", '{"a":1}'),
    ({"plain": '{"text": "t", "yes": true}'}, "plain", {"text": "t", "yes": True}),
    ({"targets": '[{"id": "t", "size": "1"}]'}, "targets", [{"id": "t", "size": 1, "more": None}]),
    ({"targets": {"id": "t", "size": "1"}}, "targets", [{"id": "t", "size": 1, "more": None}]),
]
EMPTIED: list[tuple[dict[str, Any], str]] = [
    ({"count": "1"}, "count"),
    ({"count": 2**63}, "count"),
    ({"flag": "perhaps"}, "flag"),
    ({"plain": {"text": 1, "yes": True}}, "plain.text"),
    ({"plain": ["a"]}, "plain"),
    ({"Actor": {"id": "x", "age": []}}, "actor.age"),
    ({"targets": [{"id": 1}]}, "targets"),
    ({"targets": [{"size": "x"}]}, "targets"),
    ({"targets": ""}, "targets"),
    ({"words": ["a", 1]}, "words"),
    ({"open": 5}, "open"),
    ({"plain": "text"}, "plain"),
    ({"plain": "[1]"}, "plain"),
    ({"targets": "{}"}, "targets"),
    ({"targets": {"id": 1}}, "targets"),
]
TIMES: list[tuple[dict[str, Any], str]] = [
    ({"at": "2026-03-02T05:06:07.123456Z"}, "2026-03-02T05:06:07.123456"),
    ({"at": "2026-03-02 05:06:07+02:00"}, "2026-03-02T03:06:07"),
    ({"at": "2026-03-02T05:06:07 UTC"}, "2026-03-02T05:06:07"),
    ({"millis": 1772427967123}, "2026-03-02T05:06:07.123"),
    ({"millis": "1772427967123"}, "2026-03-02T05:06:07.123"),
    ({"seconds": 1772427967.25}, "2026-03-02T05:06:07.250"),
    ({"at": "unreadable", "millis": 1772427967000}, "2026-03-02T05:06:07"),
    (
        {"local": "2026-03-02 00:06:07", "received": "2026-03-02 00:06:09", "utc": "2026-03-02T05:06:08.500Z"},
        "2026-03-02T05:06:07",
    ),
]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    """All values, emptied fields and times, an object each."""
    records = [{**GOOD, **record} for record, *_ in (*VALUES, *EMPTIED)]
    records += [{"host": "a", "number": 1, **times} for times, _ in TIMES]
    return landed_together(tmp_path_factory.mktemp("records"), map(lines, records))


@pytest.mark.parametrize(("at", "column", "expected"), [(str(at), *rest) for at, (_, *rest) in enumerate(VALUES)])
def test_a_value_is_typed_as_the_contract_says(together: Landed, at: str, column: str, expected: object) -> None:
    assert together.bronze(f"{column}, _violations", of=at) == [(expected, [])]


@pytest.mark.parametrize(("at", "record", "emptied"), [(len(VALUES) + at, *case) for at, case in enumerate(EMPTIED)])
def test_an_optional_field_that_breaks_the_contract_is_emptied_and_named(
    together: Landed, at: int, record: dict[str, Any], emptied: str
) -> None:
    assert together.bronze("_violations, _raw", of=str(at)) == [([emptied], json.dumps({**GOOD, **record}))]


def test_the_receipt_counts_emptied_fields(together: Landed) -> None:
    expected = Counter(emptied for _, emptied in EMPTIED)
    found = {each.field: (each.consequence, each.records) for each in together.receipt.violations}
    assert found == {name: ("null", records) for name, records in expected.items()}


def test_beside_a_broken_property_the_others_keep_their_values(tmp_path: Path) -> None:
    found = landed(tmp_path, lines({**GOOD, "plain": {"text": 1, "yes": True}}))
    assert found.bronze("plain") == [({"text": None, "yes": True},)]


@pytest.mark.parametrize(
    ("at", "expected"),
    [(len(VALUES) + len(EMPTIED) + at, expected) for at, (_, expected) in enumerate(TIMES)],
    ids=["Z", "offset", "UTC", "millis", "millis as text", "seconds", "next candidate", "zone of two other fields"],
)
def test_the_event_time_is_utc(together: Landed, at: int, expected: str) -> None:
    assert together.bronze("_event_at", of=str(at)) == [(datetime.fromisoformat(expected),)]


def test_the_event_time_names_the_folder(together: Landed) -> None:
    hours = {datetime.fromisoformat(expected).hour for _, expected in TIMES}
    keys = {f"bronze/strange/date=2026-03-02/hour={hour:02}/b.parquet" for hour in hours}
    assert {mark.key for mark in together.receipt.files} == keys


def test_the_event_key_joins_its_parts_lower_cased_where_declared(tmp_path: Path) -> None:
    found = landed(
        tmp_path, lines({**GOOD, "host": " DC01 ", "number": "007"}, {**GOOD, "host": None, "agent": {"host": "x"}})
    )
    assert found.bronze("_event_key") == [("dc01|7",), ("x|1",)]


def test_bronze_has_the_contract_s_columns_and_then_the_pipeline_s(tmp_path: Path) -> None:
    found = landed(tmp_path, lines(GOOD))
    file = found.store.url(found.receipt.files[0].key)
    columns = duckdb.sql(f"describe select * from read_parquet('{file}', hive_partitioning = false)").fetchall()
    expected = [(each.name, each.duckdb_type.replace('"', "")) for each in strange().fields]
    expected += [(each.name, each.duckdb_type) for each in pipeline_columns]
    assert [(name, kind.replace('"', "")) for name, kind, *_ in columns] == expected


def test_unknown_fields_are_counted_with_a_sample_also_inside_objects(tmp_path: Path) -> None:
    records = [
        {**GOOD, "new": 1},
        {**GOOD, "new": 2, "plain": {"deep": "d"}},
        {**GOOD, "open": {"free": 1}},
        {**GOOD, "Actor": {"id": "x", "extra": True}, "count": "broken"},
    ]
    found = landed(tmp_path, lines(*records, "nonsense"))
    assert {each.field: (each.records, each.sample) for each in found.receipt.drift} == {
        "new": (2, "1"),
        "plain.deep": (1, '"d"'),
        "Actor.extra": (1, "true"),
    }


def test_a_violation_that_stalls_publishes_nothing_until_it_is_decided(tmp_path: Path) -> None:
    data = lines(GOOD, {**GOOD, "halt": 5}, {"host": "no time"})
    stalled = landed(tmp_path, data)
    assert (stalled.receipt.status, stalled.receipt.landed, stalled.bronze()) == ("stalled", 0, [])
    assert ("halt", "stall") in {(each.field, each.consequence) for each in stalled.receipt.violations}
    quarantined = landed(tmp_path, data, stalls_as="quarantine")
    assert (quarantined.receipt.status, quarantined.receipt.landed, quarantined.receipt.quarantined) == (
        "published",
        1,
        2,
    )
    emptied = landed(tmp_path, data, stalls_as="null")
    assert emptied.bronze("halt, _violations") == [(None, []), (None, ["halt"])]


def test_a_field_of_another_type_is_told_with_the_type_and_the_value_found(tmp_path: Path) -> None:
    told = landed(tmp_path, lines(GOOD, {**GOOD, "Number": None, "label": {"a": 1}}, {**GOOD, "tag": {"b": 2}})).receipt
    [label] = emptied_fields(told)
    assert (label.field, label.records, label.expected) == ("label", 2, "string")
    assert label.found in ('OBJECT {"a":1}', 'OBJECT {"b":2}')


@pytest.mark.parametrize(
    ("share", "stalls_as", "status", "consequence"),
    [
        (None, "stall", "published", "null"),
        (0.5, "stall", "published", "null"),
        (0.4, "stall", "stalled", "stall"),
        (0.4, "null", "published", "null"),
        (0.4, "quarantine", "published", "quarantine"),
    ],
)
def test_a_batch_stalls_above_the_share_that_the_contract_allows(
    tmp_path: Path, share: float | None, stalls_as: str, status: str, consequence: str
) -> None:
    contract = replace(few(), stall_above=share)
    receipt = landed(tmp_path, lines(GOOD, {**GOOD, "count": "two"}), contract=contract, stalls_as=stalls_as).receipt
    assert (receipt.status, receipt.landed) == (status, {"stall": 0, "null": 2, "quarantine": 1}[consequence])
    assert [(each.field, each.consequence) for each in receipt.violations] == [("count", consequence)]
