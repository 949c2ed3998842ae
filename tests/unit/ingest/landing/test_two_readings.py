"""The fast path and the strict reading give the same row for the same record, whatever the record."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ingest.contracts import Contract, Field
from ingest.decode import SCHEMA
from ingest.landing.fast_path import KEPT, TYPES_KEPT, UNKNOWN, FastPath
from ingest.landing.fields import FieldPaths
from ingest.landing.read_json import JsonReader
from ingest.landing.write import judged_query
from tests.unit.ingest.landing.landed import ARRIVED, GOOD, strange

# Without shrinking: one query judges all examples, for planning it takes long, and the record that differs is named.
EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)

NUMBERS = st.one_of(
    st.integers(-3, 10),
    st.sampled_from([2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30, 1.0, -0.0, 0.1, 1e20, 1e300, 1.5e-7]),
    st.floats(allow_nan=False, allow_infinity=False),
)
SPELT_NUMBERS = st.sampled_from(
    ["-0", "1e400", "-1E5", "1.10", "0e0", "12345678901234567890.5", "NaN", "Infinity", "01"]
)
WORDS = ["", " ", "null", "true", "TRUE", "t", "{}", "[1]", "nan", "inf", "'", '"', "\\"]
SIGNS = ["\0", "a\0b", "\u2028", "\U0001f600"]
DIGITS = ["1", "007", "+5", " 7 ", "4624", "1.5", "1e3", "9" * 19, "4624\n", "1772427600000"]
TIMES = ["2026-03-02T05:00:00Z", "2026-03-02 05:00:00.123456789+02:00", "2026-03-02T05:00:00", "2026-03-02"]
TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(WORDS + SIGNS), st.sampled_from(DIGITS), st.sampled_from(TIMES))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["id", "size", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def of_field(declared: Field) -> st.SearchStrategy[Any]:
    """Mostly what the contract expects, with the spellings and unknown names of objects; at times anything."""
    expected: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
        "string": lambda: TEXTS,
        "integer": lambda: st.integers(-(2**63), 2**63 - 1),
        "number": lambda: NUMBERS,
        "boolean": st.booleans,
        "object": lambda: of_fields(declared.properties),
        "map": lambda: st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
        "array": lambda: st.lists(of_field(declared.items) if declared.items else VALUES, max_size=3),
        "any": lambda: VALUES,
    }
    usual = [expected[each]() for each in (declared.type, *declared.accepts) if each in expected and each != "object"]
    if declared.type == "object":
        usual.append(expected["object"]())
    return st.one_of(*usual, *usual, *usual, st.none(), VALUES)


@st.composite
def of_fields(draw: st.DrawFn, fields: tuple[Field, ...]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for each in draw(st.lists(st.sampled_from(fields), max_size=6, unique_by=lambda one: one.name)):
        for spelling in draw(
            st.lists(st.sampled_from([each.name, *each.aliases]), min_size=1, max_size=2, unique=True)
        ):
            _put(
                record,
                re.findall(r'"([^"]+)"|([^."]+)', spelling) if spelling != each.name else [(each.name, "")],
                draw(of_field(each)),
            )
    if draw(st.integers(0, 3)) == 0:
        record[draw(st.sampled_from(["unknown", "ID", "x.y"]))] = draw(VALUES)
    return record


def _put(record: dict[str, Any], steps: list[tuple[str, str]], value: Any) -> None:
    names = [quoted or bare for quoted, bare in steps]
    for name in names[:-1]:
        inside = record.setdefault(name, {})
        if not isinstance(inside, dict):
            return
        record = inside
    record[names[-1]] = value


@st.composite
def texts_of(draw: st.DrawFn, contract: Contract) -> str:
    """A record's text: also with names that come twice, escaped names, blanks, and numbers that JSON does not write."""
    record = draw(of_fields(contract.fields))
    if draw(st.integers(0, 3)):
        record = {**_identity(contract), **record}
    text = json.dumps(record, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    kind = draw(st.integers(0, 9))
    if kind == 0 and record:
        name = draw(st.sampled_from(sorted(record)))
        text = text[:-1] + f", {json.dumps(name)}: {json.dumps(draw(VALUES))}}}"
    if kind == 1 and record:
        name = draw(st.sampled_from(sorted(record)))
        text = text.replace(
            f'"{name}"', '"' + "".join(f"\\u{ord(each):04x}" for each in name if ord(each) < 65536) + '"', 1
        )
    if kind == 2 and record:
        name = draw(st.sampled_from(sorted(record)))
        text = text[:-1] + f", {json.dumps(name)}: {draw(SPELT_NUMBERS)}}}"
    if kind == 3:
        text = draw(st.sampled_from(["\ufeff", " ", "[", "{}", ""])) + text + draw(st.sampled_from(["", " ", ",", "}"]))
    if kind == 4:
        text = text[:-1] + ', "deep": ' + "[" * (depth := draw(st.integers(1, 3000))) + "]" * depth + "}"
    return text.replace("\ud800", "")


def _identity(contract: Contract) -> dict[str, Any]:
    times = {each.path: "2026-03-02T05:00:00Z" for each in contract.event_times if each.format == "iso8601"}
    keys: dict[str, Any] = {path: 1 if contract.field(path).type == "integer" else "a" for path in contract.event_key}
    required = {each.name: 1 if each.type == "integer" else "a" for each in contract.fields if each.required}
    return {**required, **keys, **dict([next(iter(times.items()))])}


def judged(contract: Contract, texts: list[str], *readings: np.ndarray[Any, Any]) -> list[tuple[dict[str, Any], ...]]:
    """Every text's row by each of some readings, which are marks of the fast path; one query reads them all."""
    marks, count = np.concatenate(readings), len(texts) * len(readings)
    columns = {
        "line": pa.array(texts * len(readings), pa.utf8()),
        "object": pa.array(["o"] * count).dictionary_encode(),
        "row": pa.array([*range(len(texts))] * len(readings), pa.int64()),
        "problem": pa.nulls(count, pa.utf8()),
        "detail": pa.nulls(count, pa.utf8()),
        "arrived_at": pa.array([ARRIVED.replace(tzinfo=None)] * count, pa.timestamp("us")),
        "checked": pa.array(marks, pa.int8()),
        "raw": pa.nulls(count, pa.utf8()),
    }
    assert [each.name for each in SCHEMA] == list(columns)[:5]
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("set timezone = 'UTC'")
        con.register("decoded", pa.table(columns))
        query = judged_query(JsonReader(contract), "b", datetime(2030, 1, 1))
        cursor = con.execute(f"select * from ({query}) order by _source_row")
        names = [each[0] for each in cursor.description]
        rows = iter([dict(zip(names, map(repr, row), strict=True)) for row in cursor.fetchall()])
        return list(zip(*[rows] * len(readings), strict=True))


def marks_of(contract: Contract, texts: list[str]) -> np.ndarray[Any, Any]:
    return FastPath(FieldPaths(contract)).check(pa.array(texts, pa.utf8()))


def test_both_readings_agree_on_any_record_that_may_be_read_quickly() -> None:
    both_readings_agree(strange())


def both_readings_agree(contract: Contract) -> None:
    """Compare the readings of generated records of a contract; tests/integration tries those of vendors."""
    texts: list[str] = []

    @EXAMPLES
    @given(st.lists(texts_of(contract), min_size=10, max_size=25))
    def gather(some: list[str]) -> None:
        texts.extend(some)

    gather()
    marks = marks_of(contract, texts)
    assert int((marks <= TYPES_KEPT).sum()) > 10  # else little is compared
    strict = np.full(len(texts), UNKNOWN, np.int8)
    for text, (one, other) in zip(texts, judged(contract, texts, strict, marks), strict=True):
        assert one == other, text


@pytest.mark.parametrize(
    ("record", "mark"),
    [
        (GOOD, KEPT),
        ({**GOOD, "new": 1}, TYPES_KEPT),
        ({**GOOD, "plain": {"new": 1}}, TYPES_KEPT),
        ({**GOOD, "open": {"new": 1}}, KEPT),
        ({**GOOD, "targets": [{"new": 1}]}, KEPT),
        ({**GOOD, "count": "1"}, UNKNOWN),
        ({**GOOD, "number": "1"}, KEPT),
        ({**GOOD, "Code": {"#text": 1}}, KEPT),
        ({**GOOD, "Code": 1}, KEPT),
        ({**GOOD, "Code": {}}, UNKNOWN),
        ({**GOOD, "code": {"#text": 1}}, UNKNOWN),
        ({**GOOD, "number": 1.0}, UNKNOWN),
        ({**GOOD, "targets": [{"id": 1}]}, UNKNOWN),
        ([GOOD], UNKNOWN),
    ],
)
def test_the_mark_says_how_far_a_record_is_checked(record: object, mark: int) -> None:
    assert marks_of(strange(), [json.dumps(record)]).tolist() == [mark]


def test_after_a_batch_of_mostly_unknown_fields_no_record_is_taken_for_known() -> None:
    fast_path = FastPath(FieldPaths(strange()))
    new, good = (pa.array([json.dumps(each)] * 4) for each in ({**GOOD, "new": 1}, GOOD))
    assert fast_path.check(new).tolist() == [TYPES_KEPT] * 4
    assert fast_path.check(good).tolist() == [TYPES_KEPT] * 4
