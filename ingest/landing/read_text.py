"""Records that are written as lines of text: their values as typed columns, coverage taken out, contract breaks named.

Taking lines apart is `text_lines`. Values are converted by Arrow, a batch at a time: in DuckDB `try_cast` would round
`1.5` to a whole number, and a pattern that forbids it costs more than the conversion.

Coverage are records that say what was watched or lost, not what happened. They are counted, and land nowhere.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts import Contract, Field
from ingest.contracts.model import header_names
from ingest.decode import SCHEMA, DecodeReport
from ingest.decode.lines import LineForm
from ingest.decode.records import FORM, LINES
from ingest.landing.fields import Reader
from ingest.landing.text_lines import Taken, from_delimited, from_json, from_pattern
from lake.base.sql import at_hand, listed, literal, quoted
from lake.ledger import Coverage, Unseen

TYPES = {"string": pa.utf8(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
HEADER_TYPE = pa.dictionary(pa.int32(), pa.utf8())  # the same for all records of an object
# Texts that are a value of a type; what Arrow would read besides (`nan`, `1e400`, blanks) is no value in a log.
_SHAPES = {
    "integer": r"^-?[0-9]{1,18}$",  # longer ones are looked at one by one
    "number": r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$",
    "boolean": r"^(true|false|True|False)$",
}
_POINT_ZERO = r"^(-?[0-9]+)\.0+$"  # how tools write whole numbers of a column that lacks some
_LONG = re.compile(r"-?[0-9]{19,30}\Z")
WRONG = [pa.field("wrong", pa.list_(pa.utf8())), pa.field("wrong_found", pa.list_(pa.utf8()))]

MOST_PLACES = 500  # of one status in a receipt; what lies beyond is one entry of its own
_SECONDS = 253402300799  # the year 9999


def column(number: int) -> str:
    """Return the name of the column that holds the field with this number in the contract."""
    return f"v{number}"


class TextReader(Reader):
    """Reads records that are lines of text."""

    def __init__(self, contract: Contract, stalls_as: str = "stall") -> None:
        super().__init__(contract, stalls_as)
        self._fields, self._format = contract.fields, contract.format
        form = contract.format
        self.line_form = LineForm(
            form.delimiter, frozenset(header_names(self._fields)) if form.has_header else frozenset()
        )
        self._coverage = CoverageCounter(contract)
        self.coverage_by_object = self._coverage.by_object
        self._con = at_hand()
        self._types = [
            HEADER_TYPE if each.name == contract.format.header_field else TYPES[each.type] for each in self._fields
        ]
        values = [pa.field(column(number), each) for number, each in enumerate(self._types)]
        self._schema = pa.schema([*SCHEMA, *values, *WRONG])

    def stream(self, batches: Iterator[pa.RecordBatch], report: DecodeReport) -> pa.RecordBatchReader:
        """Return the decoded batches with the values of their records and `arrived_at`, without coverage records.

        `v0`, `v1`, … are the contract's fields; `wrong` names those that could not be read, `wrong_found` their texts.
        """
        schema = self._schema.append(pa.field("arrived_at", pa.timestamp("us")))

        def rows() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                typed = self._coverage.passed(self._typed(batch))
                if len(typed):
                    arrived = report.arrivals(typed.column("object"))
                    yield pa.RecordBatch.from_arrays([*typed.columns, arrived], schema=schema)

        return pa.RecordBatchReader.from_batches(schema, rows())

    def coverage(self) -> tuple[Coverage, ...]:
        """Return what the source told of its coverage."""
        return self._coverage.found()

    def _typed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        taken = self._taken(batch)
        for name, records, sample in taken.unknown:
            self.drift.count(name, records, sample)
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
        return pa.RecordBatch.from_arrays([*front, *columns, *_wrong(wrong, len(batch))], schema=self._schema)

    def _taken(self, batch: pa.RecordBatch) -> Taken:
        form = (batch.schema.metadata or {}).get(FORM, b"")
        if (problems := batch.column("problem")).null_count < len(batch):  # nobody reads what is known to be bad
            lines = pc.if_else(problems.is_null(), batch.column("line"), "")
            batch = batch.set_column(0, batch.schema.field(0), lines)
        if not form.startswith(LINES):
            return from_json(batch, self._fields, self._format, self.drift, self._con)
        if self._format.kind == "pattern":
            return from_pattern(batch, self._fields, self._format)
        return from_delimited(batch, self._fields, self._format, form[len(LINES) :].decode())

    def typed(self) -> str:
        """Return the step `typed`: the contract's columns, `_raw`, where it came from, what is wrong with it."""
        values = ",\n    ".join(
            f"r.{column(at)} as {quoted(each.name)}" for at, each in enumerate(self.contract.fields)
        )
        return f"""typed as (
  select
    {values},
    r.line as _raw, null::varchar as _record, r.object as _source_object, r.row as _source_row,
    r.arrived_at as _arrived_at,
    {self._rejection()} as __rejection,
    {self._violations()} as _violations
  from decoded as r
)"""

    def _rejection(self) -> str:
        """NULL or the list [reason, field, expected, found] of the first violation."""
        cases = ["when r.problem is not null then [r.problem, '', '', coalesce(r.detail, '')]"]
        for at, each in enumerate(self.contract.fields):
            expected, name = literal(each.type), literal(each.path)
            if self.consequence(each) != "null":
                found = f"left(r.wrong_found[list_position(r.wrong, {name})], 120)"
                wrong = f"r.wrong is not null and list_contains(r.wrong, {name})"
                cases.append(f"when {wrong} then ['wrong_type', {name}, {expected}, {found}]")
            if each.required and not (each.path in self.contract.event_key and self.contract.event_key_fallback):
                cases.append(f"when r.{column(at)} is null then ['missing_field', {name}, {expected}, 'absent']")
        joined = "\n      ".join(cases)
        return f"case {joined}\n    end"

    def _violations(self) -> str:
        """The list of optional fields that were emptied."""
        emptied = [each.path for each in self.contract.fields if self.consequence(each) == "null"]
        kept = f"list_filter(r.wrong, lambda name: list_contains({listed(emptied)}::varchar[], name))"
        return f"case when r.wrong is null then []::varchar[] else {kept} end"


def _converted(values: pa.Array, declared: Field, wanted: pa.DataType) -> tuple[pa.Array, Iterable[tuple[int, str]]]:
    """The values in the wanted type, and (row, text) of those that are none."""
    if values.type == wanted or declared.type == "string":
        return values.cast(wanted), ()
    shaped = pc.match_substring_regex(values, _SHAPES[declared.type])
    if declared.type == "integer" and pc.all(shaped).as_py() is False:
        values = pc.replace_substring_regex(values, _POINT_ZERO, r"\1")
        shaped = pc.match_substring_regex(values, _SHAPES["integer"])
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


@dataclass
class _Sum:
    records: int = 0
    first: int | None = None
    last: int | None = None
    seconds: int = 0

    def add(self, records: int, first: int | None, last: int | None, seconds: int) -> None:
        self.records += records
        self.seconds += seconds
        self.first = min((each for each in (self.first, first) if each is not None), default=None)
        self.last = max((each for each in (self.last, last) if each is not None), default=None)


class CoverageCounter:
    """Takes the coverage records of one contract out of typed batches; passes all others on."""

    def __init__(self, contract: Contract) -> None:
        self._rule = contract.coverage
        places = {each.name: column(number) for number, each in enumerate(contract.fields)}
        self._places: dict[tuple[str, str], _Sum] = {}
        self.by_object: dict[str, int] = {}
        if self._rule is not None:
            self._statuses = pa.array([*self._rule.idle, *self._rule.lost], pa.utf8())
            self._status = places[self._rule.field]
            self._by = [(name, places[name]) for name in self._rule.by]
            self._interval = [places[name] for name in self._rule.interval]

    def passed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch without its coverage records, and count those."""
        if self._rule is None:
            return batch
        taken = pc.and_(pc.is_in(batch.column(self._status), self._statuses), pc.is_null(batch.column("problem")))
        if not pc.any(taken).as_py():
            return batch
        self._count(batch.filter(taken))
        return batch.filter(pc.invert(taken))

    def _count(self, found: pa.RecordBatch) -> None:
        for name, records in zip(*_tally(found.column("object").cast(pa.utf8())), strict=True):
            self.by_object[name] = self.by_object.get(name, 0) + records
        keys = [self._status, *(place for _, place in self._by)]
        columns = {name: found.column(name) for name in keys}
        for name, values in zip(("first", "last"), self._times(found), strict=True):
            columns[name] = values
        columns["span"] = pc.max_element_wise(pc.subtract(columns["last"], columns["first"]), 0, skip_nulls=False)
        grouped = pa.table(columns).group_by(keys)
        sums = grouped.aggregate([([], "count_all"), ("first", "min"), ("last", "max"), ("span", "sum")])
        for row in sums.to_pylist():
            where = " ".join(f"{name}={row[place]}" for name, place in self._by if row[place] is not None)
            key = (row[self._status], where)
            if key not in self._places and len(self._places) >= MOST_PLACES * len(self._statuses):
                key = (row[self._status], "(further places)")
            place = self._places.setdefault(key, _Sum())
            place.add(row["count_all"], row["first_min"], row["last_max"], row["span_sum"] or 0)

    def _times(self, found: pa.RecordBatch) -> list[pa.Array]:
        """Start and end of the records in epoch seconds, null where there is none or it is no time."""
        if not self._interval:
            return [pa.nulls(len(found), pa.int64())] * 2
        times = [found.column(place) for place in self._interval]
        return [
            pc.if_else(pc.and_(pc.greater(t, 0), pc.less(t, _SECONDS)), t, pa.scalar(None, pa.int64())) for t in times
        ]

    def found(self) -> tuple[Coverage, ...]:
        """Return the coverage by status and place, lost records first."""
        if self._rule is None:
            return ()
        return tuple(
            each
            for meaning, statuses in (("lost", self._rule.lost), ("idle", self._rule.idle))
            for status in statuses
            if (each := self._coverage(status, meaning)).records
        )

    def _coverage(self, status: str, meaning: str) -> Coverage:
        places = [(where, each) for (of, where), each in self._places.items() if of == status]
        places.sort(key=lambda item: (-item[1].records, item[0]))
        total = _Sum()
        for _, each in places:
            total.add(each.records, each.first, each.last, each.seconds)
        shown = places[:MOST_PLACES]
        if rest := places[MOST_PLACES:]:
            beyond = _Sum()
            for _, each in rest:
                beyond.add(each.records, each.first, each.last, each.seconds)
            shown.append((f"({len(rest)} further places)", beyond))
        return Coverage(
            status=status,
            meaning=meaning,
            records=total.records,
            seconds=total.seconds,
            first=_instant(total.first),
            last=_instant(total.last),
            places=tuple(
                Unseen(where, each.records, each.seconds, _instant(each.first), _instant(each.last))
                for where, each in shown
            ),
        )


def _tally(values: pa.Array) -> tuple[list[str], list[int]]:
    counted = pc.value_counts(values)
    return counted.field("values").to_pylist(), counted.field("counts").to_pylist()


def _instant(seconds: int | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
