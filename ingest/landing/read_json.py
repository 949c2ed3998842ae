"""JSON records to typed columns: the stream that DuckDB reads, and a contract as SQL over it.

`FastPathSql` reads the records that `FastPath` has marked. `StrictSql` reads and judges all others, and those of the
first kind that turn out to lack a required field or not to parse: every path with its JSON type. Some hundred paths
cost tens of times more than one parse into a shape. Both give the same row for the same record
(tests/unit/ingest/landing/test_two_readings.py).

A field inside an object that has several paths is judged where the object is: at the first path that is present and
not null.
"""

import json
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from ingest.contracts import Contract, Field
from ingest.decode import RAW, SCHEMA, DecodeReport
from ingest.landing.fast_path import KEPT, TYPES_KEPT, UNKNOWN, FastPath, FastPathSql, Marks
from ingest.landing.fields import FieldPaths, Reader, Steps, paths_of
from lake.base.sql import coalesced, json_path, listed, literal, literals, quoted

JSON_TYPES = {
    "string": ("VARCHAR",),
    "integer": ("UBIGINT", "BIGINT"),
    "number": ("DOUBLE", "UBIGINT", "BIGINT"),
    "boolean": ("BOOLEAN",),
    "object": ("OBJECT",),
    "map": ("OBJECT",),
    "array": ("ARRAY",),
}
_STAY_JSON = ("map", "any", "array")
_UNFOLDED = {"map": ("OBJECT", "ARRAY"), "array": ("ARRAY",)}  # what a text may hold instead
_RECORD = "$"

Check = tuple[str, str, str, str, str]  # condition, reason, field, expected, found


class JsonReader(Reader):
    """Reads records that are JSON."""

    def __init__(self, contract: Contract, stalls_as: str = "stall") -> None:
        super().__init__(contract, stalls_as)
        self.fast_path = FastPath(self.paths)
        self._fast = FastPathSql(self.paths)
        self._strict = StrictSql(contract, self.paths, self.consequence)
        self._has_raw = bool(contract.format.xml) or contract.layouts

    def stream(self, batches: Iterator[pa.RecordBatch], report: DecodeReport) -> pa.RecordBatchReader:
        """Return the decoded batches with `arrived_at` and `checked` (0, 1 or 2).

        Unknown fields are counted on the way, in the records that may have some.
        """
        added = [pa.field("arrived_at", pa.timestamp("us")), pa.field("checked", pa.int8())]
        schema = pa.schema([*SCHEMA, *([RAW] if self._has_raw else []), *added])

        def rows() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                columns = batch.columns
                if self._has_raw and len(columns) == len(SCHEMA):
                    columns.append(pa.nulls(len(batch), RAW.type))
                checked = self.fast_path.check(columns[0])
                if self.contract.layouts and (checked == UNKNOWN).any():
                    columns[0], columns[-1], checked = self._in_own_layout(columns[0], columns[-1], checked)
                lines = columns[0]
                doubtful = checked > KEPT
                if (problems := batch.column("problem")).null_count < len(lines):
                    doubtful &= problems.is_null().to_numpy(zero_copy_only=False)
                if doubtful.any():
                    self.drift.add(lines if doubtful.all() else lines.filter(pa.array(doubtful)))
                columns += [report.arrivals(batch.column("object")), pa.array(checked)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

        return pa.RecordBatchReader.from_batches(schema, rows())

    def _in_own_layout(self, lines: pa.Array, raw: pa.Array, checked: Marks) -> tuple[pa.Array, pa.Array, Marks]:
        """The lines, those that came in another layout in the contract's; the texts as delivered; the marks."""
        from ingest.landing.layouts import in_own_layout  # few sources come in other layouts than their contract's

        lines, raw, changed = in_own_layout(self.contract, lines, raw, checked == UNKNOWN)
        if len(changed):
            marks = self.fast_path.check(lines.take(pa.array(changed)))
            checked[changed] = np.maximum(marks, TYPES_KEPT)  # all that is known of their fields stands in `line`
        return lines, raw, checked

    def typed(self) -> str:
        """Return the SQL steps that give `typed`."""
        shapes = ",\n      ".join(
            f"case when r.problem is null and r.checked <= 1 then {expression} end as {name}"
            for name, expression in self._fast.shapes()
        )
        lists = ",\n      ".join(
            f"case when __strict then {expression} end as {name}" for name, expression in self._strict.lists()
        )
        typed = ",\n      ".join(
            f"case when __strict then {self._strict.value(each)} else {self._fast.value(each)} end"
            f" as {quoted(each.name)}"
            for each in self.contract.fields
        )
        raw, record = "r.line", "null::varchar"
        if self._has_raw:
            raw, record = "coalesce(r.raw, r.line)", "case when r.raw is not null then r.line end"
        return f"""parsed as (
  select r.*,
    {shapes}
  from decoded as r
),
sorted as (
  select r.*, {self._is_strict()} as __strict from parsed as r
),
looked_up as (
  select r.*,
    {lists}
  from sorted as r
),
typed as (
  select
    {typed},
    {raw} as _raw, {record} as _record, r.object as _source_object, r.row as _source_row, r.arrived_at as _arrived_at,
    case when r.problem is not null then [r.problem, '', '', coalesce(r.detail, '')]
      when __strict then {self._strict.rejection()} end as __rejection,
    case when __strict then {self._strict.violations()} else []::varchar[] end as _violations
  from looked_up as r
)"""

    def _is_strict(self) -> str:
        """A condition, never NULL: whether a record is read by `StrictSql`."""
        doubts = [
            "r.checked > 1",
            *(f"{name} is null" for name, _ in self._fast.shapes()),
            *self._fast.lacks_required(),
        ]
        return f"r.problem is null and ({' or '.join(doubts)})"


class StrictSql:
    """Expressions over three lists of one record.

    They are `__vals` (text at every path), `__types` (JSON type) and `__jsons` (JSON where a field stays JSON or is a
    list).
    """

    def __init__(self, contract: Contract, paths: FieldPaths, consequence: Callable[[Field], str]) -> None:
        self._contract, self._paths, self._consequence = contract, paths, consequence
        self._slots: dict[str, int] = {_RECORD: 1}
        self._json_slots: dict[str, int] = {}
        for each in paths.fields:
            for steps in paths.of(each):
                self._slots.setdefault(json_path(steps), len(self._slots) + 1)
                if each.type in _STAY_JSON:
                    self._json_slots.setdefault(json_path(steps), len(self._json_slots) + 1)

    def lists(self) -> list[tuple[str, str]]:
        """Return (column, expression) of the lists, over one decoded row `r`."""
        paths, jsons = listed(self._slots), listed(self._json_slots)
        return [
            ("__vals", f"try(json_extract_string(r.line, {paths}))"),
            ("__types", f"try(json_type(r.line, {paths}))"),
            ("__jsons", f"try(json_extract(r.line, {jsons}))" if self._json_slots else "null::json[]"),
        ]

    def value(self, declared: Field) -> str:
        """Return an expression for a field of the record, typed as in bronze; NULL where it is not of its type."""
        return self._value(declared, ())

    def rejection(self) -> str:
        """Return an expression that is NULL or the list [reason, field, expected, found] of the first violation."""
        checks: list[Check] = [
            ("__types is null", "not_json", "", "one JSON value", "left(r.line, 120)"),
            ("__types[1] <> 'OBJECT'", "not_an_object", "", "OBJECT", "__types[1]"),
        ]
        checks += [check for each in self._paths.fields for check in self._field_checks(each)]
        cases = "\n    ".join(
            f"when {condition} then [{literal(reason)}, {literal(name)}, {literal(expected)}, {found}]"
            for condition, reason, name, expected, found in checks
        )
        return f"case {cases}\n    end"

    def violations(self) -> str:
        """Return an expression for the list of optional fields that were emptied."""
        optional = [each for each in self._paths.fields if self._consequence(each) == "null" and each.type != "any"]
        named = ", ".join(f"case when {self._wrong_anywhere(each)} then {literal(each.path)} end" for each in optional)
        return f"list_filter([{named}]::varchar[], lambda x: x is not null)"

    def _field_checks(self, declared: Field) -> list[Check]:
        expected = " or ".join((declared.type, *declared.accepts))
        checks: list[Check] = []
        has_fallback = declared.path in self._contract.event_key and self._contract.event_key_fallback
        if declared.required and not has_fallback:
            checks.append((self._missing(declared), "missing_field", declared.path, expected, self._absent(declared)))
        if self._consequence(declared) != "null" and declared.type != "any":
            wrong = self._wrong_anywhere(declared)
            checks.append((wrong, "wrong_type", declared.path, expected, self._found(declared)))
        return checks

    def _missing(self, declared: Field) -> str:
        """A required field of an optional object is required only where that object is."""

        def missing(holder: Steps) -> str:
            condition = f"{self._type(declared, holder)} is null"
            return f"{condition} and {self._types(holder)} = 'OBJECT'" if holder else condition

        return self._where_held(declared, missing, "false")

    def _absent(self, declared: Field) -> str:
        def absent(holder: Steps) -> str:
            found = coalesced(self._types(steps) for steps in paths_of(declared, holder))
            return f"case when {found} is null then 'absent' else 'null' end"

        return self._where_held(declared, absent, "'absent'")

    def _found(self, declared: Field) -> str:
        def found(holder: Steps) -> str:
            return f"{self._type(declared, holder)} || ' ' || left({self._text(declared, holder)}, 120)"

        return self._where_held(declared, found, "''")

    def _wrong_anywhere(self, declared: Field) -> str:
        return self._where_held(declared, lambda holder: self._wrong(declared, holder), "false")

    def _where_held(self, declared: Field, of: Callable[[Steps], str], otherwise: str) -> str:
        """An expression about a field, made for the place where the object that holds it is."""
        places = self._held(self._paths.holder(declared))
        if len(places) == 1:
            return of(places[0][1])
        cases = " ".join(f"when {condition} then {of(holder)}" for condition, holder in places)
        return f"case {cases} else {otherwise} end"

    def _held(self, holder: Field | None) -> list[tuple[str, Steps]]:
        """The places of an object, each with the condition under which it is the one that counts."""
        if holder is None:
            return [("true", ())]
        found = []
        for above, outer in self._held(self._paths.holder(holder)):
            earlier: list[str] = []
            for steps in paths_of(holder, outer):
                here = f"coalesce({self._types(steps)} <> 'NULL', false)"
                found.append((" and ".join((above, *(f"not {each}" for each in earlier), here)), steps))
                earlier.append(here)
        return found

    def _wrong(self, declared: Field, holder: Steps) -> str:
        """Whether a field is present with a value that is not of its type. Never NULL."""
        if declared.type == "any":
            return "false"
        found, text = self._type(declared, holder), self._text(declared, holder)
        wrong = [f"{found} not in {literals(_accepted(declared))}"]
        if declared.type in ("integer", "number", "boolean"):
            wrong.append(f"{_converted(declared, text)} is null")
        if declared.type == "object" and "string" in declared.accepts:
            wrong.append(f"{found} = 'VARCHAR' and {_type_held(text)} is distinct from 'OBJECT'")
        if declared.type == "array" and declared.accepts:
            wrong.append(f"json_type({self._unfolded(declared, holder)}) is distinct from 'ARRAY'")
        if declared.type == "array" and declared.items is not None:
            wrong.extend(_wrong_elements(declared.items, self._unfolded(declared, holder)))
        return f"coalesce({found} is not null and ({' or '.join(wrong)}), false)"

    def _value(self, declared: Field, holder: Steps) -> str:
        if declared.type == "object":
            return self._struct(declared, holder)
        if declared.type in _STAY_JSON:
            value = self._unfolded(declared, holder)
            if declared.items is not None:
                value = f"try(from_json({value}, {literal(json.dumps([declared.items.from_json_shape]))}))"
        else:
            value = _converted(declared, self._text(declared, holder))
        return f"case when not {self._wrong(declared, holder)} then {value} end"

    def _struct(self, declared: Field, holder: Steps) -> str:
        cases = []
        for steps in paths_of(declared, holder):
            parts = ", ".join(f"{quoted(each.name)} := {self._value(each, steps)}" for each in declared.properties)
            # The first path that is there decides, also when it is no object.
            packed = f"case when {self._types(steps)} = 'OBJECT' then struct_pack({parts})"
            if "string" in declared.accepts:
                text, shape = self._vals(steps), literal(json.dumps(declared.from_json_shape))
                packed += f" when {self._types(steps)} = 'VARCHAR' and {_type_held(text)} = 'OBJECT'"
                packed += f" then try(from_json({text}, {shape}))"
            cases.append(f"when {self._types(steps)} <> 'NULL' then {packed} end")
        return f"case {' '.join(cases)} end"

    def _unfolded(self, declared: Field, holder: Steps) -> str:
        """The JSON of a field. A text that it accepts is read if it holds JSON; an object is a list of one."""
        value = self._json(declared, holder)
        if "string" in declared.accepts and declared.type in _UNFOLDED:
            text = f"json_extract_string({value}, '$')"
            holds = f"json_type({value}) = 'VARCHAR' and {_type_held(text)} in {literals(_UNFOLDED[declared.type])}"
            value = f"case when {holds} then {text}::json else {value} end"
        if declared.type == "array" and "object" in declared.accepts:
            value = f"case when json_type({value}) = 'OBJECT' then json_array({value}) else {value} end"
        return value

    def _vals(self, steps: Steps) -> str:
        return f"__vals[{self._slots[json_path(steps)]}]"

    def _types(self, steps: Steps) -> str:
        return f"__types[{self._slots[json_path(steps)]}]"

    def _type(self, declared: Field, holder: Steps) -> str:
        """The JSON type at the first path of a field that is present and not null."""
        return coalesced(f"nullif({self._types(steps)}, 'NULL')" for steps in paths_of(declared, holder))

    def _text(self, declared: Field, holder: Steps) -> str:
        return coalesced(self._vals(steps) for steps in paths_of(declared, holder))

    def _json(self, declared: Field, holder: Steps) -> str:
        slots = [self._json_slots[json_path(steps)] for steps in paths_of(declared, holder)]
        return coalesced(f"nullif(__jsons[{slot}], 'null'::json)" for slot in slots)


def _type_held(text: str) -> str:
    """The JSON type of what a text holds, NULL where that is no JSON."""
    return f"json_type(try_cast({text} as json))"


def _accepted(declared: Field) -> tuple[str, ...]:
    names = (declared.type, *declared.accepts)
    return tuple(dict.fromkeys(name for each in names for name in JSON_TYPES.get(each, ())))


def _converted(declared: Field, text: str) -> str:
    """The value of a scalar field from its text, NULL when the text is not one."""
    if declared.type == "integer":
        digits = f"case when regexp_full_match({text}, '\\s*[+-]?[0-9]+\\s*') then {text} end"
        return f"try_cast({digits if 'string' in declared.accepts else text} as bigint)"
    if declared.type == "number":
        return f"try_cast({text} as double)"
    if declared.type == "boolean":
        return f"try_cast({text} as boolean)"
    return text


def _wrong_elements(items: Field, value: str) -> list[str]:
    """Conditions under which some element of a JSON list is not of its declared type, at any declared depth."""
    conditions = []
    for each in items.walk():
        if each.type == "any":
            continue
        inner = each.steps[len(items.steps) :]
        path = literal("$[*]" + "".join(step if step == "[*]" else f'."{step}"' for step in inner))
        allowed = literals((*_accepted(each), "NULL"))
        conditions.append(f"len(list_filter(json_type({value}, {path}), lambda t: t not in {allowed})) > 0")
        if each.type in ("integer", "number", "boolean"):
            lost = f"x is not null and {_converted(each, 'x')} is null"
            conditions.append(f"len(list_filter(json_extract_string({value}, {path}), lambda x: {lost})) > 0")
    return conditions
