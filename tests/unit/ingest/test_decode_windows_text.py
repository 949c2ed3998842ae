"""Windows events as Splunk's classic input renders them: cut out of a text, each with its header and its message."""

import json
from typing import Any

import pytest

from ingest.decode import DecodeReport, Limits, decode
from ingest.decode.windows_text import header_of
from tests.unit.ingest.decoding import stored

HEAD = "03/02/2026 05:00:0{} PM\nLogName=Security\nSourceName=Microsoft Windows security auditing.\nEventCode=4634\n"
BODY = "RecordNumber={}\nCaseID=7\nMessage=An account was logged off.\n\nSubject:\n\tAccount Name:\t\tdora\n"


def event(number: int) -> str:
    return HEAD.format(number) + BODY.format(number)


def read(text: str, limits: Limits | None = None) -> list[dict[str, Any]]:
    found = decode([stored(text.encode())], limits or Limits(), ("Records",), DecodeReport(), None, (), True)
    return [row for batch in found for row in batch.to_pylist()]


@pytest.mark.parametrize("chunk_bytes", [7, 64, 1 << 20])
@pytest.mark.parametrize("between", ["", "\n", "\r\n\r\n"])
def test_an_event_ends_where_the_next_one_begins(chunk_bytes: int, between: str) -> None:
    rows = read(between.join(map(event, (1, 2, 3))), Limits(chunk_bytes=chunk_bytes))
    assert [event(number).strip() for number in (1, 2, 3)] == [row["raw"] for row in rows]
    assert ["1", "2", "3"] == [json.loads(row["line"])["RecordNumber"] for row in rows]


def test_the_header_has_its_names_and_the_message_the_rest() -> None:
    made = header_of(event(4) + "LogName=Other\n")
    assert made is not None
    assert ("2026-03-02T17:00:04", "4634", "7") == (made["EventTime"], made["EventCode"], made["CaseID"])
    assert made["Message"].endswith("dora\nLogName=Other")


def test_a_header_on_one_line_is_read_as_well() -> None:
    made = header_of(event(5).replace("\n", " "))
    assert made is not None
    assert ("Microsoft Windows security auditing.", "4634") == (made["SourceName"], made["EventCode"])


def test_what_is_too_large_or_cut_off_costs_only_itself() -> None:
    large = event(2).replace("dora", "x" * 500)
    rows = read(event(1) + large + event(3), Limits(chunk_bytes=64, max_record_bytes=400))
    assert [None, "too_large", None] == [row["problem"] for row in rows]


def test_text_that_is_no_event_is_no_event() -> None:
    assert header_of("LogName=Security alone") is None
    assert header_of('{"LogName": "Security"}') is None


def test_of_a_name_that_the_header_has_twice_both_values_are_kept() -> None:
    found = header_of("LogName=Security\nEventCode=4624\nKeywords=first\nKeywords=second\nMessage=m") or {}
    assert {"first", "second"} <= set(found.values())
