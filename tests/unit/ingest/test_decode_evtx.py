"""Binary event logs of Windows: every record that can be read, the number of what cannot, and the extra that reads."""

import gzip
import io
import json
import zipfile

import pytest

from ingest.decode import DecodeReport, Limits, decode, evtx
from tests.unit.ingest.decoding import stored
from tests.unit.ingest.evtx_files import CHUNK, event, log

pytest.importorskip("evtx")
THREE = log([event(1), event(2)], [event(3)])


def read(content: bytes, limits: Limits | None = None, xml: bool = True) -> tuple[list[dict[str, str]], DecodeReport]:
    report = DecodeReport()
    batches = decode([stored(content)], limits or Limits(), (), report, None, (), xml)
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert report.records == len(rows)
    return rows, report


def numbers(rows: list[dict[str, str]]) -> list[str | None]:
    """The record number of each event; None for what could not be read."""
    return [None if row["problem"] else json.loads(row["line"])["Event"]["System"]["EventRecordID"] for row in rows]


def test_a_log_is_read_record_by_record_as_evtx_dump_writes_it() -> None:
    rows, report = read(THREE)
    assert numbers(rows) == ["1", "2", "3"]
    assert json.loads(rows[0]["line"])["Event"]["EventData"] == {"TargetUserName": "dora"}
    assert report.bytes_decoded == sum(len(row["line"]) for row in rows)


def test_a_log_is_known_by_its_bytes_in_every_container() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("Security.evtx", THREE)
        archive.writestr("more.json", '{"a":1}')
    rows, _ = read(packed.getvalue())
    assert numbers(rows[:3]) == ["1", "2", "3"]
    assert [rows[3]["object"], rows[3]["line"]] == ["object!more.json", '{"a":1}']
    assert numbers(read(gzip.compress(THREE))[0]) == ["1", "2", "3"]


def test_a_damaged_record_costs_itself() -> None:
    at = THREE.index("dora".encode("utf-16-le"), 4096) - 4  # the type of the first record's value
    rows, _ = read(THREE[:at] + b"\xee" + THREE[at + 1 :])
    assert numbers(rows) == [None, "2", "3"]
    assert (rows[0]["problem"], "record number 1" in rows[0]["detail"]) == ("damaged_record", True)


def test_a_damaged_chunk_costs_itself_and_is_named() -> None:
    rows, _ = read(THREE[:4096] + b"ElfXXXX\0" + THREE[4104:])
    assert numbers(rows) == [None, "3"]
    assert (rows[0]["problem"], "chunk number 0" in rows[0]["detail"]) == ("damaged_record", True)


def test_space_behind_the_last_chunk_is_none_of_it() -> None:
    assert numbers(read(THREE + b"\0\x4f" * (CHUNK // 2))[0]) == ["1", "2", "3"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_log_that_is_cut_off_says_where(pack: object) -> None:
    rows, _ = read(pack(THREE[: 4096 + CHUNK + 700]))  # type: ignore[operator]
    assert numbers(rows)[:2] == ["1", "2"]
    assert (rows[-1]["problem"], rows[-1]["detail"]) == (
        "damaged_record",
        "the log ends inside chunk 1, at byte 70,332",
    )


def test_what_only_begins_like_a_log_is_one_record() -> None:
    rows, _ = read(b"ElfFile\0nothing of it")
    assert [row["problem"] for row in rows] == ["damaged_record", "damaged_record"]


def test_a_record_that_is_too_large_is_cut() -> None:
    rows, _ = read(log([event(1, "x" * 500), event(2)]), Limits(max_record_bytes=450))
    assert [row["problem"] for row in rows] == ["too_large", None]


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evtx, "parser_of", lambda: None)
    rows, report = read(THREE)
    assert rows == []
    ((name, why),) = report.refused
    assert (name, "headwater[evtx]" in why) == ("object", True)


def test_other_sources_read_no_logs() -> None:
    rows, report = read(THREE, xml=False)
    assert (rows, len(report.refused)) == ([], 1)
