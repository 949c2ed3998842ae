"""A contract as SQL: typed columns, and for every record that breaks it, how.

What belongs here: pure functions from a contract to DuckDB expressions over one row of decoded text.
What does not: running them (`ingest.landing.land`).

Each record is parsed twice at most, whatever the number of fields: `vals` holds the text found at every path that
the contract names, `types` the JSON type found there. `vals` is made for every record; `types` only for records whose
`checked` flag does not already say that they keep the contract (see `ingest.landing.precheck`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from ingest.contracts import Contract, EventTime, Field
from ingest.contracts.model import quoted
from ingest.contracts.paths import json_path, split_path

JSON_TYPES = {
    "string": ("VARCHAR",),
    "integer": ("UBIGINT", "BIGINT"),
    "number": ("DOUBLE", "UBIGINT", "BIGINT"),
    "boolean": ("BOOLEAN",),
    "object": ("OBJECT",),
    "map": ("OBJECT",),
    "array": ("ARRAY",),
}
RECORD = "$"


def literal(text: str) -> str:
    """Return a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: tuple[str, ...]) -> str:
    """Return a SQL list of string literals, for `IN`."""
    return "(" + ", ".join(literal(text) for text in texts) + ")"


@dataclass
class ContractSql:
    """The expressions of one contract. `stalls_as` says what a `stall` field's violation does once decided."""

    contract: Contract
    stalls_as: str = "stall"
    _slots: dict[str, int] = field(default_factory=lambda: {RECORD: 1})

    def __post_init__(self) -> None:
        for each in self._checked_fields():
            for path in each.json_paths:
                self._slots.setdefault(path, len(self._slots) + 1)

    @property
    def paths(self) -> list[str]:
        """The JSONPaths that `vals` and `types` are made of, in order; the first is the record itself."""
        return list(self._slots)

    @cached_property
    def any_paths(self) -> list[str]:
        """The JSONPaths of fields of any type, which `anys` holds as JSON (`vals` cannot tell "1" from 1)."""
        return [path for each in self._checked_fields() if each.type == "any" for path in each.json_paths]

    @cached_property
    def object_paths(self) -> dict[str, tuple[str, ...]]:
        """For each object whose properties are declared, by JSONPath: the names that the contract knows there."""
        known: dict[str, list[str]] = {RECORD: []}
        for each in self._checked_fields():
            for path, steps in zip(each.json_paths, self._all_steps(each), strict=True):
                for depth in range(1, len(steps) + 1):
                    names = known.setdefault(json_path(steps[: depth - 1]), []) if depth > 1 else known[RECORD]
                    names.append(steps[depth - 1])
                if each.type == "object":
                    known.setdefault(path, [])
        return {path: tuple(dict.fromkeys(names)) for path, names in known.items()}

    def consequence(self, declared: Field) -> str:
        """What a violation of this field does: `quarantine`, `null` or `stall`."""
        return self.stalls_as if declared.on_violation == "stall" else declared.on_violation

    def columns(self) -> list[tuple[str, str, str]]:
        """Return (name, DuckDB type, expression) of each top-level field, in the contract's order."""
        return [(each.name, each.duckdb_type, self._value(each)) for each in self.contract.fields]

    def rejection(self) -> str:
        """Return an expression that is NULL or the list [reason, field, expected, found] of the first violation."""
        checks = [
            ("r.problem is not null", "r.problem", "''", "''", "coalesce(r.detail, '')"),
            ("types is null", "'not_json'", "''", "'one JSON value'", "left(r.line, 120)"),
            ("types[1] <> 'OBJECT'", "'not_an_object'", "''", "'OBJECT'", "types[1]"),
        ]
        checks += [check for each in self._checked_fields() for check in self._field_checks(each)]
        cases = "\n    ".join(
            f"when {condition} then [{reason}, {name}, {expected}, {found}]"
            for condition, reason, name, expected, found in checks
        )
        return f"case when r.checked = 0 then null\n    {cases}\n    end"

    def identity_rejection(self, latest_event_at: datetime) -> str:
        """Return the same for what is wrong with the key or the event time, once both are computed."""
        first = self.contract.event_times[0]
        times = [self._text_at(each.path) for each in self.contract.event_times]
        present = " and ".join(f"{text} is null" for text in times)
        found = "coalesce(" + ", ".join(times) + ")"
        key = self.contract.event_key[0]
        missing_cases = " ".join(
            f"when coalesce(trim({self._text_at(path)}), '') = '' then {literal(path)}"
            for path in self.contract.event_key
        )
        return (
            "case"
            f" when event_key is null then ['missing_field', case {missing_cases} else {literal(key)} end,"
            " 'the event key', 'absent or empty']"
            f" when {present} then ['missing_field', {literal(first.path)}, 'the event time', 'absent']"
            f" when event_at is null then ['bad_event_time', {literal(first.path)}, {literal(first.format)},"
            f" left({found}, 120)]"
            f" when event_at > timestamp '{latest_event_at:%Y-%m-%d %H:%M:%S}' then ['event_in_future',"
            f" {literal(first.path)}, 'not after {latest_event_at:%Y-%m-%dT%H:%M:%SZ}', left({found}, 120)]"
            " end"
        )

    def violations(self) -> str:
        """Return an expression for the list of optional fields that were emptied."""
        optional = [each for each in self._checked_fields() if self.consequence(each) == "null"]
        if not optional:
            return "[]::varchar[]"
        named = ", ".join(f"case when {self._wrong(each)} then {literal(each.path)} end" for each in optional)
        return f"case when r.checked <= 1 then []::varchar[] else list_filter([{named}], lambda x: x is not null) end"

    def event_key(self) -> str:
        """Return an expression for the event key (VARCHAR), NULL when it cannot be made."""
        parts = []
        for path in self.contract.event_key:
            declared = self.contract.field(path)
            text = f"nullif(trim({self._picked(declared)}), '')"
            parts.append(f"lower({text})" if declared.case_insensitive else text)
        whole = parts[0] if len(parts) == 1 else " || '|' || ".join(parts)
        if self.contract.event_key_fallback == "record_hash":
            return f"coalesce({whole}, sha256(r.line))"
        return whole

    def event_at(self) -> str:
        """Return an expression for the event time (TIMESTAMP, UTC), NULL when no candidate can be read."""
        candidates = [self._instant(each) for each in self.contract.event_times]
        return "coalesce(" + ", ".join(candidates) + ")"

    def _checked_fields(self) -> Iterator[Field]:
        for each in self.contract.walk():
            if "[*]" not in each.steps:
                yield each

    def _all_steps(self, declared: Field) -> list[tuple[str, ...]]:
        holder = declared.steps[:-1]
        return [declared.steps, *(holder + split_path(alias) for alias in declared.aliases)]

    def _slot(self, path: str, of: str = "vals") -> str:
        return f"{of}[{self.any_paths.index(path) + 1 if of == 'anys' else self._slots[path]}]"

    def _text_at(self, path: str) -> str:
        return self._picked(self.contract.field(path))

    def _picked(self, declared: Field, of: str = "vals") -> str:
        """The text (or type) at the first spelling of a field that is present and not null."""
        spellings = [self._slot(path, of) for path in declared.json_paths]
        if len(spellings) == 1:
            return spellings[0]
        if of != "types":
            return "coalesce(" + ", ".join(spellings) + ")"
        return "coalesce(" + ", ".join(f"nullif({each}, 'NULL')" for each in spellings) + ")"

    def _accepted(self, declared: Field) -> tuple[str, ...]:
        names = (declared.type, *declared.accepts)
        return tuple(dict.fromkeys(name for each in names for name in JSON_TYPES.get(each, ())))

    def _wrong(self, declared: Field) -> str:
        """Whether a field is present with a value that is not of its type. Never NULL."""
        if declared.type == "any":
            return "false"
        found = self._picked(declared, "types")
        text = self._picked(declared)
        wrong = [f"{found} not in {literals(self._accepted(declared))}"]
        if declared.type in ("integer", "number", "boolean"):
            wrong.append(f"({self._converted(declared, text)} is null)")
        if declared.type == "array" and declared.items is not None:
            wrong.append(self._wrong_elements(declared.items, text))
        return f"coalesce({found} <> 'NULL' and ({' or '.join(wrong)}), false)"

    def _wrong_elements(self, items: Field, text: str) -> str:
        """Whether some element of a JSON list is not of its declared type, at any declared depth."""
        wrong = []
        for each in items.walk():
            if each.type == "any":
                continue
            path = "$[*]" + "".join(step if step == "[*]" else f'."{step}"' for step in each.steps[len(items.steps) :])
            allowed = literals((*self._accepted(each), "NULL"))
            wrong.append(f"len(list_filter(json_type({text}, {literal(path)}), lambda t: t not in {allowed})) > 0")
        return "coalesce(" + " or ".join(wrong or ["false"]) + ", false)"

    def _field_checks(self, declared: Field) -> Iterator[tuple[str, str, str, str, str]]:
        name, expected = literal(declared.path), literal(" or ".join((declared.type, *declared.accepts)))
        found = self._picked(declared, "types")
        strict = self.consequence(declared) != "null"
        is_identity = declared.path in self.contract.event_key and self.contract.event_key_fallback
        if declared.required and not is_identity:
            holder = self._holder_present(declared)
            yield (
                f"coalesce({found}, 'NULL') = 'NULL'{holder}",
                "'missing_field'",
                name,
                expected,
                f"case when {found} is null then 'absent' else 'null' end",
            )
        if strict and declared.type != "any":
            yield (
                self._wrong(declared),
                "'wrong_type'",
                name,
                expected,
                f"{found} || ' ' || left({self._picked(declared)}, 120)",
            )

    def _holder_present(self, declared: Field) -> str:
        """A required field of an optional object is required only where that object is present."""
        if len(declared.steps) == 1:
            return ""
        return f" and {self._slot(json_path(declared.steps[:-1]), 'types')} = 'OBJECT'"

    def _converted(self, declared: Field, text: str) -> str:
        """The value of a scalar field from its text, NULL when the text is not one."""
        if declared.type == "integer":
            digits = f"case when regexp_full_match({text}, '\\s*[+-]?[0-9]+\\s*') then {text} end"
            return f"try_cast({digits if 'string' in declared.accepts else text} as bigint)"
        if declared.type == "number":
            return f"try_cast({text} as double)"
        if declared.type == "boolean":
            return f"try_cast({text} as boolean)"
        return text

    def _value(self, declared: Field) -> str:
        if declared.type == "object":
            return self._struct(declared)
        text = self._picked(declared)
        if declared.type == "array" and declared.items is not None:
            shape = declared.duckdb_type
            value = f"try_cast({text}::json as {shape})"
        elif declared.type == "any":
            return self._picked(declared, "anys")
        elif declared.type in ("array", "map"):
            value = f"{text}::json"
        else:
            value = self._converted(declared, text)
        return f"case when r.checked <= 1 or not {self._wrong(declared)} then {value} end"

    def _struct(self, declared: Field) -> str:
        parts = ", ".join(f"{quoted(each.name)} := {self._value(each)}" for each in declared.properties)
        present = self._slot(declared.json_path)
        return (
            f"case when {present} is not null and (r.checked <= 1 or not {self._wrong(declared)})"
            f" then struct_pack({parts}) end"
        )

    def _instant(self, candidate: EventTime) -> str:
        text = self._text_at(candidate.path)
        if candidate.format == "iso8601":
            return self._iso8601(candidate, text)
        scale = {"epoch_seconds": 1_000_000, "epoch_millis": 1_000, "epoch_micros": 1, "epoch_nanos": 0.001}
        number = f"try_cast({text} as double) * {scale[candidate.format]}"
        exact = f"try_cast({text} as bigint)"
        if candidate.format == "epoch_seconds":
            exact_micros = f"{exact} * 1000000"
        elif candidate.format == "epoch_nanos":
            exact_micros = f"{exact} // 1000"
        else:
            exact_micros = f"{exact} * {int(scale[candidate.format])}"
        micros = f"case when regexp_full_match({text}, '[0-9]+') then {exact_micros} else round({number})::bigint end"
        in_range = f"{number} between 0 and 253402300799e6"
        return f"case when {in_range} then make_timestamp({micros}) end"

    def _iso8601(self, candidate: EventTime, text: str) -> str:
        if candidate.naive_is_utc:
            naive = f"try_cast({text} as timestamp)"
        elif candidate.zone_from:
            local, utc = (self._naive(path) for path in candidate.zone_from)
            quarter = f"round(epoch({local} - {utc}) / 900)::int * 15"
            naive = f"try_cast({text} as timestamp) - to_minutes({quarter})"
        else:
            naive = "null::timestamp"
        shaped = f"{text} like '____-__-__T__:%' or {text} like '____-__-__ __:%'"
        zoned = f"regexp_matches({text}, '(UTC|GMT|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$')"
        offset = f"timezone('UTC', try_cast(regexp_replace({text}, '\\s*(UTC|GMT)$', 'Z') as timestamptz))"
        at = (
            f"case when {text} like '%Z' then try_cast({text} as timestamp) when {zoned} then {offset} else {naive} end"
        )
        return (
            f"case when {shaped} then case when {at} between timestamp '1970-01-01' and"
            f" timestamp '9999-12-31 23:59:59' then {at} end end"
        )

    def _naive(self, path: str) -> str:
        return f"try_cast({self._text_at(path)} as timestamp)"
