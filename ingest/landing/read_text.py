"""The values of records that are written as text: columns of the contract's types, made while the records stream by.

What belongs here: from a decoded batch to one Arrow column per declared field, and what could not be read as its type.
What does not: taking lines apart (`text_values`), judging records (`text_sql`).

Values are converted by Arrow, a batch at a time: in DuckDB `try_cast` would round `1.5` to a whole number, and a
pattern that forbids it costs more than the conversion.
"""

import re
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts import Contract, Field
from ingest.contracts.formats import spellings
from ingest.decode import SCHEMA, LineForm
from ingest.decode.batches import FORM, LINES
from ingest.landing.drift import DriftCounter
from ingest.landing.text_lines import Taken, from_delimited, from_json, from_pattern
from lake.storage.duck import at_hand

TYPES = {"string": pa.utf8(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
HEADER_TYPE = pa.dictionary(pa.int32(), pa.utf8())  # the same for all records of an object
# Texts that are a value of a type; what Arrow would read besides (`nan`, `1e400`, blanks) is no value in a log.
_SHAPES = {
    "integer": r"^-?[0-9]{1,18}$",  # longer ones are looked at one by one
    "number": r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$",
    "boolean": r"^(true|false|True|False)$",
}
_LONG = re.compile(r"-?[0-9]{19,30}\Z")
WRONG = [pa.field("wrong", pa.list_(pa.utf8())), pa.field("wrong_found", pa.list_(pa.utf8()))]


def column(number: int) -> str:
    """Return the name of the column that holds the field with this number in the contract."""
    return f"v{number}"


def line_form(contract: Contract) -> LineForm | None:
    """Return what decoding has to know of a contract's lines; None when its records are JSON."""
    form = contract.format
    if not form.is_text:
        return None
    return LineForm(form.delimiter, frozenset(spellings(contract.fields)) if form.has_header else frozenset())


class TextFields:
    """Gives decoded batches a column per field of one contract, and counts unknown fields as drift."""

    def __init__(self, contract: Contract, drift: DriftCounter) -> None:
        self._fields, self._format, self._drift = contract.fields, contract.format, drift
        self._con = at_hand()
        self._types = [
            HEADER_TYPE if each.name == contract.format.header_field else TYPES[each.type] for each in self._fields
        ]
        values = [pa.field(column(number), each) for number, each in enumerate(self._types)]
        self.schema = pa.schema([*SCHEMA, *values, *WRONG])

    def typed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with `v0`, `v1`, … and, per record, which fields were `wrong` and their texts."""
        taken = self._taken(batch)
        for name, records, sample in taken.unknown:
            self._drift.count(name, records, sample)
        columns: list[pa.Array] = []
        wrong: dict[int, list[tuple[str, str]]] = {}
        for number, each in enumerate(self._fields):
            found = taken.values.get(number)
            if found is None:
                columns.append(pa.nulls(len(batch), self._types[number]))
                continue
            value, bad = _converted(found, each, self._types[number])
            columns.append(value)
            for row, text in bad:
                wrong.setdefault(row, []).append((each.path, text))
        front = [*batch.columns[:3], taken.problem, taken.detail]
        return pa.RecordBatch.from_arrays([*front, *columns, *_wrong(wrong, len(batch))], schema=self.schema)

    def _taken(self, batch: pa.RecordBatch) -> Taken:
        form = (batch.schema.metadata or {}).get(FORM, b"")
        if not form.startswith(LINES):
            return from_json(batch, self._fields, self._format, self._drift, self._con)
        if self._format.kind == "pattern":
            return from_pattern(batch, self._fields, self._format)
        return from_delimited(batch, self._fields, self._format, form[len(LINES) :].decode())


def _converted(values: pa.Array, declared: Field, wanted: pa.DataType) -> tuple[pa.Array, Iterable[tuple[int, str]]]:
    """The values in the wanted type, and (row, text) of those that are none."""
    if values.type == wanted or declared.type == "string":
        return values.cast(wanted), ()
    shaped = pc.match_substring_regex(values, _SHAPES[declared.type])
    if pc.all(shaped).as_py() is not False:
        return values.cast(wanted), ()
    kept = pc.if_else(shaped, values, pa.scalar(None, pa.utf8())).cast(wanted)
    bad = {row: values[row].as_py() for row in pc.indices_nonzero(pc.invert(shaped)).to_pylist()}
    if declared.type == "integer":
        long = {row: int(text) for row, text in bad.items() if _LONG.match(text) and -(2**63) <= int(text) < 2**63}
        if long:
            kept = pa.array([long.get(row, each) for row, each in enumerate(kept.to_pylist())], wanted)
            bad = {row: text for row, text in bad.items() if row not in long}
    return kept, bad.items()


def _wrong(found: dict[int, list[tuple[str, str]]], rows: int) -> list[pa.Array]:
    if not found:
        return [pa.nulls(rows, each.type) for each in WRONG]
    names = [[name for name, _ in found[row]] if row in found else None for row in range(rows)]
    texts = [[text for _, text in found[row]] if row in found else None for row in range(rows)]
    return [pa.array(names, WRONG[0].type), pa.array(texts, WRONG[1].type)]
