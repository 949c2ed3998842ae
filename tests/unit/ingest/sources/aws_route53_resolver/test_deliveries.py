"""DNS query logs land from every delivery of records; the same line twice is two queries."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.contracts import load_contracts
from ingest.objects import delivered_at, why_not
from tests.unit.ingest.landing.landed import landed, lines

CONTRACT = load_contracts()["aws_route53_resolver"]
QUERY = {
    "version": "1.100000", "account_id": "111122223333", "region": "eu-west-1", "vpc_id": "vpc-1",
    "query_timestamp": "2026-03-02T05:00:00Z", "query_name": "a.example.", "query_type": "A", "query_class": "IN",
    "rcode": "NOERROR", "answers": [{"Rdata": "192.0.2.7", "Type": "A", "Class": "IN"}], "srcaddr": "10.0.0.7",
    "srcport": "53001", "transport": "UDP", "srcids": {"instance": "i-1"},
}  # fmt: skip
COLUMNS = "query_name, srcport, answers[1].Rdata, srcids.instance, _event_at::varchar"
ROW = ("a.example.", "53001", "192.0.2.7", "i-1", "2026-03-02 05:00:00")


@pytest.mark.parametrize(
    "data",
    [
        lines(QUERY),
        json.dumps({"Records": [QUERY]}).encode(),
        json.dumps([QUERY]).encode(),
        json.dumps(QUERY, indent=2).encode(),
        lines(QUERY | {"srcport": 53001, "version": 1.1}),
        lines("2026-03-02T05:00:00.000Z " + json.dumps(QUERY)),
        lines({"messageType": "DATA_MESSAGE", "logEvents": [{"id": "1", "message": json.dumps(QUERY)}]}),
    ],
    ids=["lines", "envelope", "array", "indented", "numbers", "export", "cloudwatch"],
)
def test_a_query_is_the_same_whatever_brought_it(data: bytes, tmp_path: Path) -> None:
    result = landed(tmp_path, data, CONTRACT)
    assert [ROW] == result.bronze(COLUMNS)
    assert () == result.receipt.violations


def test_the_same_line_twice_is_two_queries(tmp_path: Path) -> None:
    result = landed(tmp_path, lines(QUERY, QUERY), CONTRACT)
    assert [(1,), (2,)] == result.bronze("_source_row")
    assert 2 == len(set(result.bronze("_event_key")))


def test_landing_again_gives_the_same_keys(tmp_path: Path) -> None:
    keys = [landed(tmp_path / each, lines(QUERY, QUERY), CONTRACT).bronze("_event_key") for each in ("a", "b")]
    assert keys[0] == keys[1]


def test_records_without_line_ends_between_them_are_told_apart(tmp_path: Path) -> None:
    """Firehose puts nothing between the records that it gathers."""
    result = landed(tmp_path, (json.dumps(QUERY) * 3).encode(), CONTRACT)
    assert [ROW] * 3 == result.bronze(COLUMNS)


@pytest.mark.parametrize(
    ("record", "reasons"),
    [
        ({"messageType": "DATA_MESSAGE", "logEvents": [{"id": "1", "message": "text"}] * 2}, [("not_json", "")] * 2),
        ("1.0 2026-03-02T05:00:00Z Z1 a.example A NOERROR UDP FRA6 192.0.2.1 -", [("not_json", "")]),
        ({**QUERY, "query_timestamp": "2017-03-16T19:20:177Z"}, [("bad_event_time", "query_timestamp")]),
        ({**QUERY, "query_timestamp": None}, [("missing_field", "query_timestamp")]),
    ],
    ids=["cloudwatch", "public zone", "bad time", "no time"],
)
def test_what_cannot_be_read_is_kept_with_its_reason(record: Any, reasons: list[Any], tmp_path: Path) -> None:
    result = landed(tmp_path, lines(record), CONTRACT)
    assert reasons == result.quarantine("reason, field")
    assert result.receipt.read == result.receipt.quarantined == len(reasons)


@pytest.mark.parametrize("name", ["answers", "srcids", "query_name", "additional_properties"])
def test_an_odd_field_does_not_cost_the_query(name: str, tmp_path: Path) -> None:
    assert [([name],)] == landed(tmp_path, lines(QUERY | {name: 7}), CONTRACT).bronze("_violations")


def test_a_delivered_object_is_found_by_its_hour() -> None:
    name = (
        "AWSLogs/111122223333/vpcdnsquerylogs/vpc-1/2026/03/02/"
        "vpc-1_vpcdnsquerylogs_111122223333_20260302T0510Z_71584702.log.gz"
    )
    assert 1 == sum(layout.fits(name) for layout in CONTRACT.key_layouts)
    assert "" == why_not(CONTRACT, name, named=False)
    assert datetime(2026, 3, 2, 5, 10, tzinfo=UTC) == delivered_at(CONTRACT, name)
