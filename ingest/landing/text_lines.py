"""Taking text records apart: delimited lines by their header, lines by a pattern, JSON renditions by their names.

A batch at a time and without Python per line. What does not belong here: types (`read_text`), cutting objects into
lines (`ingest.decode`).
"""

from dataclasses import dataclass, field

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ingest.contracts import Field, Format
from ingest.landing.fields import DriftCounter
from lake.base.sql import json_path, listed

_NOTHING = pa.scalar(None, pa.utf8())
_SHOWN_CHARACTERS = 120


@dataclass
class Taken:
    """What was taken out of a batch: arrays by the field's number, problems of records, and unknown fields.

    `unknown` are (name, records that have a value, one value).
    """

    problem: pa.Array
    detail: pa.Array
    values: dict[int, pa.Array]
    unknown: list[tuple[str, int, str]] = field(default_factory=list)


def from_delimited(batch: pa.RecordBatch, fields: tuple[Field, ...], form: Format, header: str) -> Taken:
    """Take lines apart at the delimiter; `header` names their values, or is empty where their object has no header."""
    names = header.split(form.delimiter) if header else list(form.columns)
    lines, problem, detail = batch.column("line"), batch.column("problem"), batch.column("detail")
    if not names:
        why = "the object does not begin with a line of field names"
        return Taken(*_blamed(problem, detail, pc.is_valid(lines), "no_header", why), {})
    types = _types(names, fields)
    table = _read_csv(lines, len(names), types, form) if problem.null_count == len(batch) else None
    sound = pc.is_null(problem)
    if table is None:
        whole = pc.equal(pc.count_substring(lines, form.delimiter), len(names) - 1)
        why = f"{len(names)} values expected, as the {'header names' if header else 'contract says'}"
        problem, detail = _blamed(problem, detail, pc.invert(whole), "wrong_field_count", why)
        sound = pc.and_(sound, whole)
        good = lines.filter(sound)
        table = _read_csv(good, len(names), types, form)
        if table is None:
            table = _split(good, len(names), form)
    columns = [_spread(each.combine_chunks(), sound, len(table)) for each in table.columns]
    taken = Taken(problem, detail, {})
    known = _numbers(fields)
    for place, name in enumerate(names):
        number = known.get(name.lower())
        if number is None or number in taken.values:
            _count_unknown(taken, name, columns[place])
        else:
            taken.values[number] = columns[place]
    if header and form.header_field:
        number = known[form.header_field.lower()]
        places = pa.repeat(pa.scalar(0, pa.int32()), len(batch))
        taken.values[number] = pa.DictionaryArray.from_arrays(places, pa.array([header], pa.utf8()))
    return taken


def _read_csv(lines: pa.StringArray, width: int, types: dict[str, pa.DataType], form: Format) -> pa.Table | None:
    """The values of lines, None if some have more or fewer. Numbers are read as such, unless one of them is none."""
    names = [f"c{place}" for place in range(width)]
    text = _joined(lines)
    for types_of in ({},) if _misread(text.to_pybytes(), form) else (types, {}):
        options = csv.ConvertOptions(
            column_types={name: pa.utf8() for name in names} | types_of,
            null_values=["", *form.nulls],
            strings_can_be_null=True,
        )
        try:
            table = csv.read_csv(
                pa.BufferReader(text),
                csv.ReadOptions(use_threads=False, column_names=names, block_size=max(len(text), 1)),
                csv.ParseOptions(delimiter=form.delimiter, quote_char=False, ignore_empty_lines=False),
                options,
            )
        except pa.ArrowInvalid:
            continue
        return table if len(table) == len(lines) else None
    return None


def _split(lines: pa.StringArray, width: int, form: Format) -> pa.Table:
    """The same for lines that Arrow's reader takes for more than they are (a carriage return inside)."""
    parts = pc.split_pattern(lines, form.delimiter)
    columns = [without_nulls(pc.list_element(parts, place), form) for place in range(width)]
    return pa.table(columns, [f"c{place}" for place in range(width)])


def _misread(text: bytes, form: Format) -> bool:
    """Whether Arrow might take for a number what is none here: it reads `0x10`, and trims blanks."""
    return any(odd in text for odd in (b"0x", b"0X", b"\t", b" ") if odd != form.delimiter.encode())


def _joined(lines: pa.StringArray) -> pa.Buffer:
    """The lines with their line ends, as one text."""
    if not len(lines):
        return pa.py_buffer(b"")
    as_list = pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines)
    return pc.binary_join(as_list, "\n")[0].as_buffer()


def _types(names: list[str], fields: tuple[Field, ...]) -> dict[str, pa.DataType]:
    known = _numbers(fields)
    found = {place: known.get(name.lower()) for place, name in enumerate(names)}
    return {
        f"c{place}": pa.int64()
        for place, number in found.items()
        if number is not None and fields[number].type == "integer"
    }


def _spread(values: pa.Array, sound: pa.BooleanArray, count: int) -> pa.Array:
    """The values at the places of the sound records, null at the others."""
    if count == len(sound):
        return values
    places = pc.if_else(sound, pc.subtract(pc.cumulative_sum(sound.cast(pa.int64())), 1), pa.scalar(None, pa.int64()))
    return values.take(places)


def from_pattern(batch: pa.RecordBatch, fields: tuple[Field, ...], form: Format) -> Taken:
    """Take lines apart by the named groups of a pattern.

    Arrow's matcher (RE2) takes time in proportion to the line whatever is in it; Python's is twice as fast on usual
    lines (42 and 21 MB/s), but a user agent made for it would hold it up for hours.
    """
    lines, problem, detail = batch.column("line"), batch.column("problem"), batch.column("detail")
    groups = pc.extract_regex(lines, pattern=form.pattern)
    missed = pc.is_null(groups)
    if pc.any(missed).as_py():
        why = "the line has another shape than the contract's pattern"
        problem, detail = _blamed(problem, detail, missed, "no_match", why)
    taken = Taken(problem, detail, {})
    known = _numbers(fields)
    usable = pc.is_null(problem)
    for place, group in enumerate(groups.type):
        values = pc.if_else(usable, without_nulls(pc.struct_field(groups, [place]), form), _NOTHING)
        number = known.get(group.name.lower())
        if number is None:
            _count_unknown(taken, group.name, values)
        else:
            taken.values[number] = values
    return taken


def from_json(
    batch: pa.RecordBatch,
    fields: tuple[Field, ...],
    form: Format,
    drift: DriftCounter,
    con: duckdb.DuckDBPyConnection,
) -> Taken:
    """Take JSON renditions of the records (exports, rows of Parquet) apart by the names and aliases of the fields.

    Only names that some record of the batch has are asked for: each path costs as much as the parse.
    """
    lines = batch.column("line")
    con.register("records", pa.table({"line": lines}))
    keys = "select distinct unnest(try(json_keys(line))) from records where json_valid(line)"
    present = {name for (name,) in con.execute(keys).fetchall()}
    names = [[name for name in (each.name, *each.aliases) if name in present] for each in fields]
    wanted = [json_path((name,)) for each in names for name in each]
    texts_of = f"try(json_extract_string(line, {listed(wanted)}))" if wanted else "[]::varchar[]"
    found = con.execute(
        f"select case when json_valid(line) then json_type(line) end as kind, {texts_of} as texts from records"
    ).to_arrow_table()
    kinds, texts = found.column("kind").combine_chunks(), found.column("texts").combine_chunks()
    problem, detail = batch.column("problem"), batch.column("detail")
    not_json = pc.is_null(kinds)
    problem, detail = _blamed(problem, detail, not_json, "not_json", "neither JSON nor the source's own format")
    other = pc.fill_null(pc.not_equal(kinds, "OBJECT"), False)
    problem, detail = _blamed(problem, detail, other, "not_an_object", "one JSON object expected")
    usable = pc.is_null(problem)
    if present - {name for each in fields for name in (each.name, *each.aliases)}:
        drift.add(lines.filter(usable))
    taken = Taken(problem, detail, {})
    at = 0
    for number, each in enumerate(names):
        columns = [without_nulls(pc.list_element(texts, at + place), form) for place in range(len(each))]
        at += len(each)
        if columns:
            taken.values[number] = pc.if_else(usable, pc.coalesce(*columns), _NOTHING)
    return taken


def without_nulls(values: pa.Array, form: Format) -> pa.Array:
    """The texts, null where one is empty or means nothing (`nulls` of the format)."""
    return pc.if_else(pc.is_in(values, pa.array(["", *form.nulls], pa.utf8())), _NOTHING, values)


def _numbers(fields: tuple[Field, ...]) -> dict[str, int]:
    """The number of each field by the spellings of its name, in lower case."""
    found: dict[str, int] = {}
    for number, each in enumerate(fields):
        for name in (each.name, *each.aliases):
            found.setdefault(name.lower(), number)
    return found


def _blamed(problem: pa.Array, detail: pa.Array, bad: pa.Array, reason: str, why: str) -> tuple[pa.Array, pa.Array]:
    """The problems of the records, with one more where `bad` and none is known yet."""
    fresh = pc.and_(bad, pc.is_null(problem))
    if not pc.any(fresh).as_py():
        return problem, detail
    return pc.if_else(fresh, reason, problem), pc.if_else(fresh, why, detail)


def _count_unknown(taken: Taken, name: str, values: pa.Array) -> None:
    records = len(values) - values.null_count
    if records:
        sample = str(pc.drop_null(values)[0].as_py())
        taken.unknown.append((name, records, sample[:_SHOWN_CHARACTERS]))
