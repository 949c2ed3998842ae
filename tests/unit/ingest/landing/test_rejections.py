"""Every reason for quarantine, with the field, what was expected, what was found, and the whole text."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.decode import Limits
from tests.unit.ingest.landing.landed import GOOD, Landed, few, landed, landed_together, lines

CASES = [
    ("no JSON", "nonsense", ("not_json", "", "one JSON value", "nonsense")),
    ("half a surrogate pair", '{"host": "\\ud800"}', ("not_json", "", "one JSON value", '{"host": "\\ud800"}')),
    ("a list as a record", [1], ("not_an_object", "", "OBJECT", "ARRAY")),
    ("a text as a record", '"x"', ("not_an_object", "", "OBJECT", "VARCHAR")),
    ("null as a record", "null", ("not_an_object", "", "OBJECT", "NULL")),
    ("no key", {"number": 1}, ("missing_field", "host", "string", "absent")),
    ("a null key", {**GOOD, "host": None}, ("missing_field", "host", "string", "null")),
    ("an empty key", {**GOOD, "host": " "}, ("missing_field", "host", "the event key", "absent or empty")),
    ("a required field of an object", {**GOOD, "actor": {}}, ("missing_field", "actor.id", "string", "absent")),
    ("the same in its other spelling", {**GOOD, "Actor": {}}, ("missing_field", "actor.id", "string", "absent")),
    ("a key of another type", {**GOOD, "host": 5}, ("wrong_type", "host", "string", "UBIGINT 5")),
    (
        "a key beyond 64 bits",
        {**GOOD, "number": 2**63},
        ("wrong_type", "number", "integer or string", f"UBIGINT {2**63}"),
    ),
    ("a strict field", {**GOOD, "strict": 1.0}, ("wrong_type", "strict", "integer", "DOUBLE 1.0")),
    ("no time", {"host": "a", "number": 1}, ("missing_field", "at", "the event time", "absent")),
    (
        "a time without zone",
        {**GOOD, "at": "2026-03-02T05:00:00"},
        ("bad_event_time", "at", "iso8601", "2026-03-02T05:00:00"),
    ),
    ("a day is no time", {**GOOD, "at": "2026-03-02"}, ("bad_event_time", "at", "iso8601", "2026-03-02")),
    (
        "the empty time",
        {**GOOD, "at": "0001-01-01T00:00:00Z"},
        ("bad_event_time", "at", "iso8601", "0001-01-01T00:00:00Z"),
    ),
    ("a time of another type", {**GOOD, "at": 7}, ("bad_event_time", "at", "iso8601", "7")),
]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    """Each broken record behind a good one, an object each."""
    return landed_together(tmp_path_factory.mktemp("broken"), {name: lines(GOOD, record) for name, record, _ in CASES})


@pytest.mark.parametrize(("name", "record", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_broken_record_is_quarantined_and_the_one_beside_it_lands(
    together: Landed, name: str, record: object, expected: tuple[str, ...]
) -> None:
    text = record if isinstance(record, str) else json.dumps(record)
    assert together.quarantine(of=name) == [expected]
    assert together.quarantine("_raw, _source_row, _batch, contract_version", of=name) == [(text, 2, "b", "1.0.0")]
    assert together.bronze("_source_row", of=name) == [(1,)]
    assert together.counts(of=name) == (2, 1)


def test_the_receipt_counts_the_reasons(together: Landed) -> None:
    assert together.receipt.quarantined_by_reason == Counter(expected[0] for *_, expected in CASES)


def test_an_event_later_than_its_tolerance_is_quarantined_and_one_within_lands(tmp_path: Path) -> None:
    late, near = ((datetime.now(UTC) + timedelta(minutes=each)).isoformat() for each in (120, 30))
    found = landed(tmp_path, lines({**GOOD, "at": near}, {**GOOD, "at": late}), few())
    assert [row[0] for row in found.quarantine()] == ["event_in_future"]
    assert found.quarantine()[0][3] == late


def test_a_record_beyond_the_limit_is_cut_and_quarantined(tmp_path: Path) -> None:
    long = json.dumps({**GOOD, "label": "x" * 5000})
    found = landed(tmp_path, lines(GOOD, long, GOOD), few(), limits=Limits(max_record_bytes=1000))
    assert [row[0] for row in found.quarantine()] == ["too_large"]
    assert "bytes" in found.quarantine()[0][3]
    assert found.receipt.landed == 2


def test_of_a_cut_gzip_what_can_be_read_lands_and_the_tail_is_quarantined(tmp_path: Path) -> None:
    whole = gzip.compress(lines(*({**GOOD, "number": n, "label": f"{n * 7919 % 10007:x}"} for n in range(5000))))
    found = landed(tmp_path, whole[: len(whole) // 2], few())
    assert [row[0] for row in found.quarantine()] == ["truncated_object"]
    assert found.receipt.landed > 100
    assert found.receipt.conserved


def test_quarantine_is_filed_by_the_hour_of_arrival(tmp_path: Path) -> None:
    found = landed(tmp_path, b"nonsense\n", few())
    assert [mark.key for mark in found.receipt.quarantine_files] == [
        "quarantine/strange/date=2026-03-02/hour=06/b.parquet"
    ]
    assert found.receipt.files == ()


def test_a_key_that_may_be_hashed_is_no_reason_for_quarantine(tmp_path: Path) -> None:
    contract = few(
        lambda text: text.replace(
            "customProperties:\n", "customProperties:\n  - {property: eventKeyFallback, value: record_hash}\n", 1
        ),
        tmp_path,
    )
    found = landed(tmp_path, lines({"at": GOOD["at"]}, GOOD), contract)
    keys = [row[0] for row in found.bronze("_event_key")]
    assert (len(keys[0]), keys[1]) == (64, "a|1")
