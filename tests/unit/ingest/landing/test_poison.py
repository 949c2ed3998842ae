"""A record stops nothing but itself: impossible times, odd keys, deep nesting, and whatever makes a batch fail."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from ingest.landing import LandingError, land
from ingest.landing.fields import DriftCounter, IdentitySql
from lake.storage.publish import open_store
from lake.storage.store import Store
from tests.unit.ingest.landing.landed import GOOD, few, files_of, landed, landed_together, lines, raw

_CLOCK = {"host": "A", "number": 1}
_SOUND = "2026-03-02T05:00:00Z"
_AHEAD = (datetime.now(UTC) + timedelta(days=40)).strftime("%Y-%m-%dT%H:%M:%SZ")
_NXLOG = {"local": "2026-03-02T06:00:00", "received": "2026-03-02T06:00:01", "utc": "2026-03-02T05:00:01"}
_SECONDS = 1772427600
TIMES = {  # what a record tells, and what becomes of it: its reason, or None for an event of 2026-03-02T05
    "an ISO time of the year one": ({"at": "0001-01-01T00:00:00Z"}, "bad_event_time"),
    "an ISO time that its zone puts before 1970": ({"at": "1970-01-01T00:00:00+14:00"}, "bad_event_time"),
    "an ISO time of the year 20260": ({"at": "20260-03-02T05:00:00Z"}, "bad_event_time"),
    "the end of time": ({"at": "9999-12-31T23:59:59-14:00"}, "bad_event_time"),
    "infinity": ({"at": "infinity"}, "bad_event_time"),
    "another clock beside one of the year one": ({"at": "0001-01-01T00:00:00Z", "millis": _SECONDS * 1000}, None),
    "another clock beside one that is ahead": ({"at": _AHEAD, "seconds": _SECONDS}, "event_in_future"),
    "clocks that are all ahead": ({"at": _AHEAD, "seconds": 4102444800}, "event_in_future"),
    "NXLog's zone": (_NXLOG, None),
    "a zone from infinity": ({**_NXLOG, "received": "infinity"}, "bad_event_time"),
    "a zone from minus infinity": ({**_NXLOG, "utc": "-infinity"}, "bad_event_time"),
    "a zone from the year 20260": ({**_NXLOG, "received": "20260-03-02T06:00:01"}, "bad_event_time"),
    "a zone of months": ({**_NXLOG, "received": "2026-09-02T06:00:01"}, "bad_event_time"),
    "another clock beside a zone from infinity": ({**_NXLOG, "received": "infinity", "seconds": _SECONDS}, None),
    "milliseconds before 1970": ({"millis": -1}, "bad_event_time"),
    "milliseconds that do not fit": ({"millis": "9" * 18}, "bad_event_time"),
    "seconds as text": ({"millis": str(_SECONDS * 1000)}, None),
    "1e308 seconds": ({"seconds": 1e308}, "bad_event_time"),
    "seconds after 9999": ({"seconds": 253402300801}, "bad_event_time"),
}


def test_times_are_bounded_whatever_their_format(tmp_path: Path) -> None:
    objects = {name: lines(json.dumps({**_CLOCK, **clocks})) for name, (clocks, _) in TIMES.items()}
    found = landed_together(tmp_path, objects)
    became = {
        name: found.quarantine("reason", of=name) or found.bronze("strftime(_event_at, '%xT%H')", of=name)
        for name in TIMES
    }
    assert became == {name: [(reason or "2026-03-02T05",)] for name, (_, reason) in TIMES.items()}
    assert {key.hour for key in found.receipt.files} == {"2026-03-02T05"}


def test_a_file_that_grows_is_judged_by_the_clock_of_each_landing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, later = open_store(tmp_path), {**GOOD, "number": 2, "at": _AHEAD}
    land(few(), [raw(lines(GOOD))], store, "b")
    assert land(few(), [raw(lines(GOOD, later))], store, "b").quarantined_by_reason == {"event_in_future": 1}

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(days=41)

    monkeypatch.setattr(import_module("ingest.landing.land"), "datetime", Later)
    assert land(few(), [raw(lines(GOOD, later))], store, "b").landed == 2


def test_any_key_is_drift_with_its_value(tmp_path: Path) -> None:
    keys = ["", " ", "a.b", 'a"b', "$", "$.x", "*", "[*]", "${HOME}", "\x00", "'; drop table x; --"]
    found = landed(tmp_path, lines(*({**GOOD, key: {"": [1]}, "actor": {"id": "x", key: "v"}} for key in keys)))
    assert found.receipt.landed == len(keys)
    assert {(each.field, each.records, each.sample) for each in found.receipt.drift} == {
        *((key, 1, '{"": [1]}') for key in keys),
        *((f"actor.{key}", 1, '"v"') for key in keys),
    }


def test_what_nests_too_deep_is_quarantined_whole(tmp_path: Path) -> None:
    depths = [201, 201, 5_000, 5_000, 60_000, 60_000]
    records = [
        f'{{"host":"a","number":1,"at":"{_SOUND}","open":{opening * (depth - 1)}1{closing * (depth - 1)}}}'
        for depth, (opening, closing) in zip(depths, [('{"a":', "}"), ("[", "]")] * 3, strict=True)
    ]
    found = landed(tmp_path, lines(GOOD, *records, GOOD))
    assert found.receipt.landed == 2
    assert found.quarantine("reason, _raw") == [("too_deep", text) for text in records]
    for depth, (told,) in zip(depths, found.quarantine("found"), strict=True):
        assert f"{depth:,} objects and lists inside each other; at most 200" in told


def test_the_deepest_that_lands_can_be_read_by_duckdb_in_a_thread_with_a_small_stack(tmp_path: Path) -> None:
    deep = f'{{"host":"a","number":1,"at":"{_SOUND}","anything":{"[" * 199}1{"]" * 199}}}'
    found = landed(tmp_path, lines(deep))
    assert found.receipt.landed == 1
    assert found.bronze("json_type(anything), length(json_structure(_raw)::varchar) > 0") == [("ARRAY", True)]


def _poisoned(count: int, bad: set[int]) -> bytes:
    return lines(*({**GOOD, "number": n, "label": "poison" if n in bad else "sound", "other": 1} for n in range(count)))


def _bad_sql(monkeypatch: pytest.MonkeyPatch, error: str = "error('cannot be done')") -> None:
    whole = IdentitySql.event_key
    monkeypatch.setattr(
        IdentitySql, "event_key", lambda self: f"case when label = 'poison' then {error} else {whole(self)} end"
    )


def _bad_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(_: DriftCounter, lines: pa.Array) -> None:
        if any("poison" in line for line in lines.to_pylist()):
            raise ZeroDivisionError("no drift of this")

    monkeypatch.setattr(DriftCounter, "add", add)


@pytest.mark.parametrize(
    ("break_", "error", "bad"),
    [
        (_bad_sql, "InvalidInputException: Invalid Input Error: cannot be done", {0}),
        (_bad_sql, "InvalidInputException: Invalid Input Error: cannot be done", {2, 3, 7}),
        (_bad_python, "ZeroDivisionError: no drift of this", {5}),
    ],
    ids=["DuckDB", "DuckDB, several", "Python"],
)
def test_the_records_that_make_a_batch_fail_are_found_and_the_rest_lands(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    break_: Callable[[pytest.MonkeyPatch], None],
    error: str,
    bad: set[int],
) -> None:
    break_(monkeypatch)
    data = _poisoned(8, bad)
    found = landed(tmp_path, data, few())
    assert (found.receipt.landed, found.receipt.quarantined) == (8 - len(bad), len(bad))
    assert found.quarantine("_source_row - 1, reason, found") == [(row, "unprocessable", error) for row in sorted(bad)]
    before = rows_of(found.store)
    again = land(few(), [raw(data)], found.store, "b")
    assert (again.files, again.quarantine_files) == (found.receipt.files, found.receipt.quarantine_files)
    assert rows_of(found.store) == before


def rows_of(store: Store) -> dict[str, tuple[int, float]]:
    """The files of a lake without its receipts."""
    return {key: mark for key, mark in files_of(store).items() if not key.startswith("ledger/")}


def test_an_error_that_no_record_is_to_blame_for_quarantines_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IdentitySql, "event_key", lambda _: "no_such_column")
    with pytest.raises(LandingError, match="no_such_column"):
        landed(tmp_path, lines(GOOD), few())


def test_a_full_disk_or_memory_blames_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise duckdb.IOException("No space left on device")

    monkeypatch.setattr(DriftCounter, "add", full)
    with pytest.raises(LandingError, match="No space left on device"):
        landed(tmp_path, lines({**GOOD, "other": 1}), few())


def test_a_decoder_that_fails_costs_the_rest_of_its_object_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ingest.decode

    whole = ingest.decode._pieces

    def broken(framer: object, report: object, count: object, row: int) -> object:
        yield from whole(framer, report, count, row)  # type: ignore[arg-type]
        if getattr(framer, "count", 0) == 2:
            raise IndexError("no such byte")

    monkeypatch.setattr(ingest.decode, "_pieces", broken)
    found = landed_together(tmp_path, {"a": lines(GOOD, GOOD), "b": lines(GOOD)}, few())
    assert (found.receipt.read, found.receipt.landed) == (4, 3)
    assert found.quarantine("reason", of="a") == [("unprocessable",)]
    assert "IndexError: no such byte; the rest of the object" in found.quarantine("found", of="a")[0][0]


def test_a_record_too_large_for_the_memory_is_cut_and_the_others_land(tmp_path: Path) -> None:
    large = json.dumps({**GOOD, "label": "x" * 15_000_000})
    found = landed(tmp_path, lines(GOOD, large, GOOD), few(), memory_bytes=512 << 20)
    assert (found.receipt.landed, found.receipt.quarantined_by_reason) == (2, {"too_large": 1})


def test_an_error_of_memory_or_open_files_says_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for problem, advice in (
        (duckdb.OutOfMemoryException("no room"), "It had 300 MiB: set `memory: 600MiB` and land it again"),
        (OSError("Too many open files"), "Allow more open files"),
    ):

        def fail(*_: object, problem: Exception = problem) -> None:
            raise problem

        monkeypatch.setattr(DriftCounter, "add", fail)
        with pytest.raises(LandingError, match=advice):
            landed(tmp_path, lines({**GOOD, "other": 1}), few(), memory_bytes=300 << 20)
