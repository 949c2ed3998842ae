"""Delimited text: the header line says what stands where, and every line lands, is quarantined or is coverage."""

import gzip
import io
import random
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ingest.contracts import Contract, load_contract, load_contracts
from ingest.decode import Limits
from lake.ledger import Coverage
from tests.unit.ingest.landing.landed import Landed, landed, landed_together

AT = 1772427600  # 2026-03-02T05:00:00Z
HEADER = "host n at status"


def flow() -> Contract:
    """The contract of delimited text."""
    return load_contract(Path(__file__).parent / "flow.yaml")


def land_text(folder: Path, *lines: str, **options: Any) -> Landed:
    return landed(folder, "".join(f"{line}\n" for line in lines).encode(), flow(), **options)


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("host n at status", f"a 5 {AT} OK"),
        ("status at n host", f"OK {AT} 5 a"),
        ("HOST-NAME N AT STATUS", f"a 5 {AT} OK"),
        ("n ratio at until host flag status strict", f"5 - {AT} - a - OK -"),
    ],
    ids=["declared order", "another order", "another spelling", "more fields"],
)
def test_the_header_says_what_stands_where(tmp_path: Path, header: str, line: str) -> None:
    found = land_text(tmp_path, header, line)
    at = datetime(2026, 3, 2, 5)
    assert found.bronze('host, n, "at", status, layout, _raw, _event_at, _source_row, _violations') == [
        ("a", 5, AT, "OK", header, line, at, 1, [])
    ]
    assert (found.receipt.read, found.receipt.landed, found.receipt.drift) == (1, 1, ())


def test_objects_of_different_layouts_land_in_one_batch(tmp_path: Path) -> None:
    objects = [
        f"host n at\na 1 {AT}\n",
        f"at n host\n{AT} 2 b\n",
        f'{{"host-name": "c", "n": 3, "at": {AT}, "ratio": 0.5, "flag": true}}\n',
        f"d 4 {AT}\n",
    ]
    found = landed_together(tmp_path, map(str.encode, objects), flow())
    assert found.bronze("host, n, ratio, flag, layout") == [
        ("a", 1, None, None, "host n at"),
        ("b", 2, None, None, "at n host"),
        ("c", 3, 0.5, True, None),
        ("d", 4, None, None, None),  # without a header: the columns that the contract names
    ]
    assert found.receipt.conserved


@pytest.mark.parametrize(
    ("name", "text", "value", "violations"),
    [
        ("n", "9223372036854775807", 9223372036854775807, []),
        ("n", "9223372036854775808", None, ["n"]),
        ("n", "+5", None, ["n"]),
        ("n", "-9223372036854775808", -9223372036854775808, []),
        ("n", "\t5", None, ["n"]),
        ("n", "-5", -5, []),
        ("n", "1.5", None, ["n"]),
        ("n", "0x10", None, ["n"]),
        ("n", "-", None, []),
        ("n", "", None, []),
        ("ratio", "1.5", 1.5, []),
        ("ratio", "1e3", 1000.0, []),
        ("ratio", "nan", None, ["ratio"]),
        ("flag", "true", True, []),
        ("flag", "yes", None, ["flag"]),
    ],
)
def test_a_value_is_what_its_text_says_or_emptied(
    tmp_path: Path, name: str, text: str, value: object, violations: list[str]
) -> None:
    alone = land_text(tmp_path / "alone", f"at {name}", f"{AT} {text}")
    assert alone.bronze(f"{name}, _violations") == [(value, violations)]
    # A line beside it that is no number changes how the batch is read, but not what is read.
    beside = land_text(tmp_path / "beside", f"at {name} n2 strict", f"{AT} {text} a -", f"{AT} - b x")
    assert beside.bronze(f"{name}, _violations") == [(value, violations)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"a 5 {AT}", ("wrong_field_count", "", "", "4 values expected, as the header names")),
        (f"a 5 {AT} OK more", ("wrong_field_count", "", "", "4 values expected, as the header names")),
        ("a 5 - OK", ("missing_field", "at", "the event time", "absent")),
        ("a 5 0 OK", ("bad_event_time", "at", "epoch_seconds", "0")),
        ("a 5 4102444800 OK", ("event_in_future", "at")),
        ("a 5\0 1772427600 OK", ("not_text", "", "")),
    ],
)
def test_a_line_that_breaks_the_contract_is_kept_with_its_header(
    tmp_path: Path, line: str, expected: tuple[str, ...]
) -> None:
    found = land_text(tmp_path, HEADER, f"good 1 {AT} OK", line, f"good 2 {AT} OK")
    assert [(1, 1), (2, 3)] == found.bronze("n, _source_row")
    (row,) = found.quarantine()
    assert expected == row[: len(expected)]
    assert [(f"{HEADER}\n{line}", 2)] == found.quarantine("_raw, _source_row")


def test_a_quarantined_line_can_be_landed_again_as_it_is_kept(tmp_path: Path) -> None:
    first = land_text(tmp_path / "first", "host strict at", f"a 1.5 {AT}")
    ((text, reason, field),) = first.quarantine("_raw, reason, field")
    assert ("wrong_type", "strict") == (reason, field)
    again = landed(tmp_path / "again", text.replace("1.5", "15").encode(), flow())
    assert [("a", 15)] == again.bronze("host, strict")


def test_fields_that_the_contract_does_not_know_are_counted_and_stay_in_the_line(tmp_path: Path) -> None:
    found = land_text(tmp_path, "host new at", f"a x {AT}", f"b - {AT}", f"c y {AT}")
    assert [("new", 2, "x")] == [(each.field, each.records, each.sample) for each in found.receipt.drift]
    assert [(f"a x {AT}",), (f"b - {AT}",), (f"c y {AT}",)] == found.bronze("_raw")


def test_lines_that_are_equal_are_as_many_events(tmp_path: Path) -> None:
    line = f"a 5 {AT} OK"
    found = land_text(tmp_path, HEADER, line, line, line)
    keys = [key for (key,) in found.bronze("_event_key")]
    assert 3 == len(set(keys))
    again = land_text(tmp_path, HEADER, line, line, line)
    assert keys == [key for (key,) in again.bronze("_event_key")]
    assert [mark.checksum for mark in found.receipt.files] == [mark.checksum for mark in again.receipt.files]


@pytest.mark.parametrize(
    "data",
    [
        f"{HEADER}\r\na 1 {AT} OK\r\n\r\nb 2 {AT} OK\r\n",
        f"\n{HEADER}\na 1 {AT} OK\n\nb 2 {AT} OK",
        f"\ufeff{HEADER}\na 1 {AT} OK\nb 2 {AT} OK\n",
        f"{HEADER}\na 1 {AT} OK\n{HEADER}\n{HEADER}\nb 2 {AT} OK\n{HEADER}",
    ],
    ids=["windows line ends", "blank lines", "byte order mark", "objects one behind the other"],
)
def test_what_is_no_record_is_not_counted(tmp_path: Path, data: str) -> None:
    found = landed(tmp_path, data.encode(), flow())
    assert [("a", 1, 1), ("b", 2, 2)] == found.bronze("host, n, _source_row")
    assert 2 == found.receipt.read


def test_a_carriage_return_inside_a_line_does_not_part_it(tmp_path: Path) -> None:
    found = land_text(tmp_path, HEADER, f"a\rb 1 {AT} OK", f"c 2 {AT} OK")
    assert [("a\rb", 1), ("c", 2)] == found.bronze("host, n")


def test_a_cut_off_object_keeps_what_could_be_read(tmp_path: Path) -> None:
    lines = [f"h{number} {random.Random(number).randrange(10**9)} {AT} OK" for number in range(2000)]
    whole = gzip.compress("\n".join([HEADER, *lines, ""]).encode())
    found = landed(tmp_path, whole[: len(whole) // 2], flow())
    receipt = found.receipt
    assert {"truncated_object": 1} == receipt.quarantined_by_reason
    assert 0 < receipt.landed < 2000
    assert receipt.conserved
    assert [line for (line,) in found.bronze("_raw")] == lines[: receipt.landed]


def test_a_line_longer_than_a_record_may_be_is_cut(tmp_path: Path) -> None:
    limits = Limits(chunk_bytes=1 << 16, max_record_bytes=100)
    found = land_text(tmp_path, HEADER, f"{'x' * 200} 1 {AT} OK", f"b 2 {AT} OK", limits=limits)
    assert [("b", 2, 2)] == found.bronze("host, n, _source_row")
    assert [("too_large",)] == found.quarantine("reason")


def test_coverage_is_counted_and_lands_nowhere(tmp_path: Path) -> None:
    found = land_text(
        tmp_path,
        "host n at until status",
        f"a 1 {AT} {AT + 60} OK",
        f"a - {AT} {AT + 60} QUIET",
        f"a - {AT + 60} {AT + 120} QUIET",
        f"b - {AT} {AT + 60} QUIET",
        f"b - {AT} {AT + 600} SKIPPED",
        "c - - - SKIPPED",
        f"d 2 {AT} {AT + 60} QUIET more",
    )
    receipt = found.receipt
    assert [("a", 1)] == found.bronze("host, n")
    assert (2, 1, 1) == (receipt.read, receipt.landed, receipt.quarantined)
    assert receipt.conserved
    assert (2, 1) == (receipt.objects[0].read, receipt.objects[0].quarantined)
    lost, idle = receipt.coverage
    assert ("SKIPPED", "lost", 2, 600) == (lost.status, lost.meaning, lost.records, lost.seconds)
    assert ("QUIET", "idle", 3, 180) == (idle.status, idle.meaning, idle.records, idle.seconds)
    assert ("2026-03-02T05:00:00+00:00", "2026-03-02T05:02:00+00:00") == (idle.first, idle.last)
    assert [("host=a", 2, 120), ("host=b", 1, 60)] == [(each.place, each.records, each.seconds) for each in idle.places]


def test_the_places_of_coverage_do_not_grow_a_receipt_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.landing.read_text.MOST_PLACES", 3)
    found = land_text(tmp_path, HEADER, *(f"h{number} - {AT} QUIET" for number in range(10)))
    (idle,) = found.receipt.coverage
    assert isinstance(idle, Coverage)
    assert (10, 10) == (idle.records, sum(each.records for each in idle.places))
    assert len(idle.places) <= 5


def test_the_rows_of_a_parquet_object_land_like_lines(tmp_path: Path) -> None:
    table = pa.table(
        {
            "host_name": pa.array(["x", "y", "z"]),
            "host": pa.array(["a", None, "-"]),
            "n": pa.array([1, None, 3], pa.int32()),
            "ratio": pa.array([0.5, 1.0, None], pa.float32()),
            "flag": pa.array([True, False, None]),
            "at": pa.array([AT, AT, AT], pa.int64()),
            "status": pa.array(["OK", "OK", "SKIPPED"]),
        }
    )
    found = landed(tmp_path, parquet(table), flow())
    assert [("a", 1, 0.5, True, AT, 1), (None, None, 1.0, False, AT, 2)] == found.bronze(
        'host, n, ratio, flag, "at", _source_row'
    )
    assert [("host_name", 3)] == [(each.field, each.records) for each in found.receipt.drift]
    ((text,), _) = found.bronze("_raw")
    assert f'{{"host_name":"x","host":"a","n":1,"ratio":0.5,"flag":true,"at":{AT},"status":"OK"}}' == text
    assert ("SKIPPED", 1) == (found.receipt.coverage[0].status, found.receipt.coverage[0].records)


@pytest.mark.parametrize("damage", ["end", "middle"])
def test_a_damaged_parquet_object_is_one_quarantined_record(tmp_path: Path, damage: str) -> None:
    whole = parquet(pa.table({"host": [f"h{number}" for number in range(1000)], "at": [AT] * 1000}))
    broken = whole[:-20] if damage == "end" else whole[:50] + b"\xff" * 400 + whole[450:]
    found = landed(tmp_path, broken, flow())
    assert {"truncated_object": 1} == found.receipt.quarantined_by_reason
    ((detail,),) = found.quarantine("found")
    assert "the Parquet file cannot be read on after" in detail
    assert found.receipt.conserved


def parquet(table: pa.Table) -> bytes:
    """The bytes of a Parquet file."""
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


_VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(["-", "", "5", str(AT), "OK"])
_LINES = st.lists(_VALUES, max_size=6).map(" ".join) | st.just(f"a 5 {AT} OK") | st.just(f"b 1 {AT} SKIPPED")


GENERATED = settings(max_examples=30, deadline=None, phases=[Phase.generate])  # one landing of all: it is dear


def test_every_line_is_read_or_coverage_whatever_is_in_it(tmp_path: Path) -> None:
    datas: list[bytes] = []
    expected = 0

    @GENERATED
    @given(lines=st.lists(_LINES, max_size=12), header=st.booleans())
    def gather(lines: list[str], header: bool) -> None:
        nonlocal expected
        data = "\n".join([HEADER, *lines] if header else lines).encode()
        if data.lstrip()[:1] in (b"{", b"["):
            return
        datas.append(data)
        text = data.decode().removeprefix("\ufeff").replace("\r\n", "\n")
        records = [line for line in text.split("\n") if line.strip(" \t\r\n") and line != HEADER]
        expected += len(records) - (1 if records and not header and _is_header(records[0]) else 0)

    gather()
    receipt = landed_together(tmp_path, datas, flow()).receipt
    assert receipt.conserved
    assert expected == receipt.read + sum(each.records for each in receipt.coverage)
    assert receipt.landed and receipt.quarantined and receipt.coverage  # else nothing is shown


def _is_header(line: str) -> bool:
    names = line.split(" ")
    known = {"layout", "host", "host-name", "n", "ratio", "flag", "strict", "at", "until", "status"}
    found = sum(name.lower() in known for name in names)
    return found * 2 > len(names) or (
        found >= 3 and all(re.fullmatch("[A-Za-z_][A-Za-z0-9_-]*", name) for name in names)
    )


_BYTES = st.binary(max_size=200) | st.lists(st.binary(max_size=20), max_size=8).map(b"\n".join)


@pytest.mark.parametrize("source", ["flow", "aws_s3_access"])
def test_no_bytes_stop_a_landing(tmp_path: Path, source: str) -> None:
    datas: list[bytes] = []

    @GENERATED
    @given(data=_BYTES, front=st.sampled_from([b"", HEADER.encode() + b"\n", b"{", b"[", b"PAR1", b"\x1f\x8b"]))
    def gather(data: bytes, front: bytes) -> None:
        datas.append(front + data)

    gather()
    receipt = landed_together(tmp_path, datas, flow() if source == "flow" else load_contracts()[source]).receipt
    assert receipt.conserved
    assert len(datas) == len(receipt.objects)
