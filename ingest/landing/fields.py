"""A contract's fields in a record: where they may stand, what identifies the event, and which nobody declared.

`FieldPaths`: a field may stand under its own name or an alias, at each path of the object around it. Lists are left
out everywhere: a list is read and judged as one value. `IdentitySql`: event key and event time over the typed columns,
and what is wrong when one cannot be made. `DriftCounter`: an unknown field is never a loss, for it stays in `_raw`;
each is counted per batch, with one value. `Reader`: what `read_json` and `read_text` have in common. `Reading`: whether
a stream is still read.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from ingest.contracts import Contract, EventTime, Field
from ingest.contracts.model import split_path
from ingest.decode import DecodeReport
from lake.base.sql import at_hand, coalesced, json_path, listed, literal, quoted
from lake.ledger import Coverage, Drift

if TYPE_CHECKING:
    from ingest.decode.lines import LineForm

Steps = tuple[str, ...]
RECORD: Steps = ()

_SAMPLE_CHARACTERS = 200
_READ_AHEAD_SECONDS = 0.2  # in which a thread asks for the next batch, if it will at all
_MOST_FIELDS = 1000  # a record whose keys are data (ids as names) must not grow the receipt without end

_MICROS = {
    "epoch_seconds": "{} * 1000000",
    "epoch_millis": "{} * 1000",
    "epoch_micros": "{}",
    "epoch_nanos": "{} // 1000",
}
_SCALES = {"epoch_seconds": "1e6", "epoch_millis": "1e3", "epoch_micros": "1", "epoch_nanos": "1e-3"}
_LATEST_MICROS = 253402300799 * 10**6  # the year 9999: what is later is no time, and would not fit into a TIMESTAMP
_FIRST = "timestamp '1970-01-01'"  # no log is older, and dates before it are empty values and damage
_MOST_ZONE_HOURS = 14  # by which a zone of this world differs from UTC
_MICROS_1601_TO_1970 = 11644473600 * 10**6
_FOUND_CHARACTERS = 120
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def paths_of(declared: Field, holder: Steps) -> list[Steps]:
    """Return the paths of a field below one path of its holder, in the order in which they are tried."""
    return [(*holder, declared.name), *(holder + split_path(alias) for alias in declared.aliases)]


class FieldPaths:
    """The paths of all fields of one contract."""

    def __init__(self, contract: Contract) -> None:
        self.fields = [each for each in contract.walk() if "[*]" not in each.steps]
        self.open_record, self.has_layouts = contract.open_record, contract.layouts
        self._by_steps = {each.steps: each for each in self.fields}
        self._paths: dict[Steps, list[Steps]] = {RECORD: [RECORD]}
        for each in self.fields:
            self._paths[each.steps] = [steps for holder in self.holder_paths(each) for steps in paths_of(each, holder)]

    def holder(self, declared: Field) -> Field | None:
        """Return the object that declares a nested field; None for a field of the record."""
        return self._by_steps[declared.steps[:-1]] if len(declared.steps) > 1 else None

    def holder_paths(self, declared: Field) -> list[Steps]:
        """Return the paths of the object that holds a field."""
        return self._paths[declared.steps[:-1]]

    def of(self, declared: Field) -> list[Steps]:
        """Return all paths of a field."""
        return self._paths[declared.steps]

    def known_names(self) -> dict[Steps, tuple[str, ...]]:
        """Return, for the record and each object that is not open (its path), the names that are known there.

        Nothing for a contract whose record is open: there any name may come.
        """
        if self.open_record:
            return {}
        known: dict[Steps, list[str]] = {RECORD: []}
        values: set[Steps] = set()
        for each in self.fields:
            for steps in self.of(each):
                for depth in range(len(steps)):
                    known.setdefault(steps[:depth], []).append(steps[depth])
                if each.type == "object":
                    known.setdefault(steps, [])
                elif each.type in ("map", "any"):
                    values.add(steps)
        for each in self.fields:
            if each.fields_inside:
                values.difference_update(self.of(each))
                known.update((steps, known[RECORD]) for steps in self.of(each))
        return {steps: tuple(dict.fromkeys(names)) for steps, names in known.items() if steps not in values}


class IdentitySql:
    """The expressions of one contract over rows that have its columns and `_raw`."""

    def __init__(self, contract: Contract, paths: FieldPaths) -> None:
        self._contract, self._paths = contract, paths

    def event_key(self) -> str:
        """Return an expression for the event key (VARCHAR), NULL when it cannot be made."""
        whole = " || '|' || ".join(self._key_part(path) for path in self._contract.event_key)
        if self._contract.event_key_fallback == "record_hash":
            return f"coalesce({whole}, sha256(_raw))"
        if self._contract.event_key_fallback == "record_position":
            # md5 is four times as fast as sha256 and half as long, which for a flow log is a third of its row.
            place = "md5(_source_object || '|' || _source_row::varchar || '|' || _raw)"
            return f"coalesce({whole}, {place})" if whole else place
        return whole

    def event_at(self) -> str:
        """Return an expression for the event time (TIMESTAMP, UTC), NULL when no candidate has one.

        A clock that tells a time before 1970 or after 9999 gives way to the next.
        """
        return coalesced(_finite(self._instant(each)) for each in self._contract.event_times)

    def rejection(self, latest_event_at: datetime) -> str:
        """Return an expression that is NULL or [reason, field, expected, found], over `_event_key` and `_event_at`.

        `latest_event_at` is UTC without a zone: what is later is in the future.
        """
        first = self._contract.event_times[0]
        key = self._contract.event_key[0] if self._contract.event_key else ""
        without = " ".join(
            f"when {self._key_part(path)} is null then {literal(path)}" for path in self._contract.event_key
        )
        clocks = [
            (steps, each)
            for each in self._contract.event_times
            for steps in self._paths.of(self._contract.field(each.path))
        ]
        read = f"try(json_extract_string(coalesce(_record, _raw), {listed(json_path(steps) for steps, _ in clocks)}))"
        if self._contract.format.is_text:
            clocks = [((each.path,), each) for each in self._contract.event_times]
            read = f"[{', '.join(self._text(each.path) for _, each in clocks)}]"
        found = f"list_filter({read}, lambda x: x is not null)"
        shown = f"left({found}[1], {_FOUND_CHARACTERS})"
        at = f"list_position(list_transform({read}, lambda x: x is not null), true)"
        bad_names = f"{listed('.'.join(steps) for steps, _ in clocks)}[{at}]"
        bad_forms = f"{listed(self._expected(each) for _, each in clocks)}[{at}]"
        not_after = f"not after {latest_event_at:%Y-%m-%dT%H:%M:%SZ}"
        clock = " ".join(
            f"when {self._instant(each)} = _event_at then {literal(each.path)}" for each in self._contract.event_times
        )
        return f"""case
      when _event_key is null then
        ['missing_field', case when false then '' {without} else {literal(key)} end, 'the event key', 'absent or empty']
      when _event_at is null then case when coalesce(len({found}), 0) = 0
        then ['missing_field', {literal(first.path)}, 'the event time', 'absent']
        else ['bad_event_time', {bad_names}, {bad_forms}, {shown}] end
      when _event_at > timestamp '{latest_event_at:%Y-%m-%d %H:%M:%S}' then
        ['event_in_future', case {clock} end, {literal(not_after)}, {shown}]
    end"""

    def _expected(self, candidate: EventTime) -> str:
        """What a clock must tell, for a person."""
        if candidate.format != "iso8601" or candidate.naive_is_utc or self._contract.time_zone:
            return candidate.format
        wanting = ""
        if candidate.zone_from is not None:
            wanting = f" or {' and '.join(candidate.zone_from)} to tell the zone by, or the setting"
            wanting += f" sources.{self._contract.source}.time_zone"
        return f"iso8601 with an offset{wanting}" if wanting else candidate.format

    def _column(self, path: str) -> str:
        return ".".join(quoted(step) for step in self._contract.field(path).steps)

    def _text(self, path: str) -> str:
        declared = self._contract.field(path)
        return self._column(path) if declared.type == "string" else f"{self._column(path)}::varchar"

    def _key_part(self, path: str) -> str:
        text = f"nullif(trim({self._text(path)}), '')"
        return f"lower({text})" if self._contract.field(path).case_insensitive else text

    def _instant(self, candidate: EventTime) -> str:
        if candidate.format == "iso8601":
            return self._iso8601(candidate)
        if candidate.format == "filetime":
            return _filetime(self._text(candidate.path))
        text, form = self._text(candidate.path), candidate.format
        if "%" in form:
            return f"timezone('UTC', try_strptime({text}, {literal(form)}))"
        if self._contract.field(candidate.path).type == "integer":
            number, latest = self._column(candidate.path), int(_LATEST_MICROS / float(_SCALES[form]))
            return f"case when {number} between 1 and {latest} then make_timestamp({_MICROS[form].format(number)}) end"
        whole = _MICROS[form].format(f"try_cast({text} as bigint)")
        rounded = f"round(try_cast({text} as double) * {_SCALES[form]})::bigint"
        micros = f"case when regexp_full_match({text}, '[0-9]+') then {whole} else {rounded} end"
        # Zero is an empty value.
        in_range = f"try_cast({text} as double) * {_SCALES[form]} between 1 and {_LATEST_MICROS}"
        return f"case when {in_range} then try(make_timestamp({micros})) end"

    def _iso8601(self, candidate: EventTime) -> str:
        text = self._text(candidate.path)
        # DuckDB reads `+0200` only without the blank that some exports put before it.
        joined = f"regexp_replace(regexp_replace({text}, '\\s*(UTC|GMT)$', 'Z'), '\\s+([+-][0-9:]+)$', '\\1')"
        offset = f"timezone('UTC', try_cast({joined} as timestamptz))"
        zoned = f"regexp_matches({text}, '(UTC|GMT|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$')"
        # A date alone is no time of an event, and DuckDB would read it as midnight.
        shaped = f"({text} like '____-__-__T__:%' or {text} like '____-__-__ __:%')"
        return (
            f"case when {shaped} then case when suffix({text}, 'Z') then try_cast({text} as timestamp)"
            f" when {zoned} then {offset} else {self._naive(candidate, text)} end end"
        )

    def _naive(self, candidate: EventTime, text: str) -> str:
        if candidate.naive_is_utc:
            return f"try_cast({text} as timestamp)"
        zoned = "null::timestamp"
        if self._contract.time_zone:
            there = f"timezone({literal(self._contract.time_zone)}, try_cast({text} as timestamp))"
            zoned = f"timezone('UTC', {there})"
        if candidate.zone_from is None:
            return zoned
        local, utc = (_finite(f"try_cast({self._text(path)} as timestamp)") for path in candidate.zone_from)
        quarters = f"round(epoch({local} - {utc}) / 900)"
        zone = f"case when {quarters} between {-4 * _MOST_ZONE_HOURS} and {4 * _MOST_ZONE_HOURS} then {quarters} end"
        told = f"try_cast({text} as timestamp) - to_minutes(({zone})::int * 15)"
        return f"coalesce({told}, {zoned})" if self._contract.time_zone else told


def _finite(instant: str) -> str:
    """The instant, NULL before 1970 and after 9999: DuckDB reads `infinity` and the year 20260, and fails to count."""
    return f"case when {instant} between {_FIRST} and timestamp '9999-12-31' then {instant} end"


def _filetime(text: str) -> str:
    """The instant of a number of 100 ns since 1601 (Windows' FILETIME, UTC); before 1970 it is none."""
    ticks = f"try_cast({text} as bigint)"
    first, last = (10 * (each + _MICROS_1601_TO_1970) for each in (1, _LATEST_MICROS))
    instant = f"try(make_timestamp({ticks} // 10 - {_MICROS_1601_TO_1970}))"
    return f"case when {ticks} between {first} and {last} then {instant} end"


class DriftCounter:
    """Counts unknown fields at the record's top and in every object whose properties are declared."""

    def __init__(self, paths: FieldPaths) -> None:
        self._known = paths.known_names()
        self._con = at_hand()
        self._records: dict[str, int] = {}
        self._samples: dict[str, str] = {}
        self._lock = threading.Lock()

    def add(self, lines: pa.Array) -> None:
        """Count the unknown fields of some record texts; texts that are no JSON objects count nothing."""
        if not self._known:
            return
        where = [json_path(steps) for steps in self._known]
        with self._lock:
            self._con.register("lines", pa.table({"line": lines}))
            groups = self._con.execute(
                "select keys, count(*), min_by(line, length(line)) from"
                f" (select line, try(json_keys(line, {listed(where)})) as keys from lines)"
                " where keys is not null group by 1"
            ).fetchall()
            for keys, records, line in groups:
                for (steps, known), names in zip(self._known.items(), keys, strict=True):
                    for name in dict.fromkeys(names or ()):
                        if name not in known:
                            self._count((*steps, name), records, line)

    def count(self, name: str, records: int, sample: str) -> None:
        """Count an unknown field that was found elsewhere, in a header or a pattern."""
        with self._lock:
            self._samples.setdefault(self._counted(name, records), sample)

    def _count(self, steps: Steps, records: int, line: str) -> None:
        if (counted := self._counted(".".join(steps), records)) not in self._samples:
            self._samples[counted] = _sample(steps, line)

    def _counted(self, name: str, records: int) -> str:
        """Count a field, and return under which name."""
        if name not in self._records and len(self._records) >= _MOST_FIELDS:
            name = "(further fields)"
        self._records[name] = self._records.get(name, 0) + records
        return name

    def found(self) -> tuple[Drift, ...]:
        """Return the unknown fields, most frequent first."""
        ranked = sorted(self._records.items(), key=lambda item: (-item[1], item[0]))
        return tuple(Drift(field=name, records=count, sample=self._samples[name]) for name, count in ranked)


def _sample(steps: Steps, line: str) -> str:
    """The value at a path of a record, as JSON. The names are the record's own, so they become no path of DuckDB."""
    value = msgspec.Raw(line.encode())
    try:
        for name in steps:
            value = _OBJECT.decode(value)[name]
    except (msgspec.MsgspecError, RecursionError, KeyError, ValueError):
        return ""
    return bytes(value).decode()[:_SAMPLE_CHARACTERS]


class Reader(ABC):
    """Reads the records of one contract. `stalls_as` says what a `stall` field's violation does once decided."""

    line_form: LineForm | None = None  # None: records are JSON
    coverage_by_object: Mapping[str, int] = MappingProxyType({})  # how many records of coverage each object had

    def __init__(self, contract: Contract, stalls_as: str = "stall") -> None:
        self.contract, self.stalls_as = contract, stalls_as
        self.paths = FieldPaths(contract)
        self.drift = DriftCounter(self.paths)

    @abstractmethod
    def stream(self, batches: Iterator[pa.RecordBatch], report: DecodeReport) -> pa.RecordBatchReader:
        """Return the decoded batches with `arrived_at` (timestamp, µs, UTC without zone) and what `typed` reads."""

    @abstractmethod
    def typed(self) -> str:
        """Return the SQL steps that give `typed`: the contract's columns, `_raw`, and what is wrong with each record.

        They read the stream as `decoded`.
        """

    def coverage(self) -> tuple[Coverage, ...]:
        """Return what the source told of its coverage."""
        return ()

    def consequence(self, declared: Field) -> str:
        """Return what a violation of a field does: quarantine, null or stall."""
        if declared.on_violation == "stall" or (declared.on_violation == "null" and self._stalled()):
            return self.stalls_as
        return declared.on_violation

    def _stalled(self) -> bool:
        """Whether the batch stalled, or may have, because a field has another type in too many records."""
        return self.contract.stall_above is not None and self.stalls_as == "quarantine"


class Reading:
    """Whether a stream is still read. Arrow reads ahead in threads of its own, also after the statement has failed.

    One that does so while Python ends makes the process end with SIGABRT instead of its exit code.
    """

    def __init__(self) -> None:
        self._stopped = False
        self._busy, self._ended = threading.Lock(), threading.Event()

    def watched(self, stream: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches, until someone stops the reading."""
        batches = iter(stream)
        try:
            while not self._stopped:
                with self._busy:
                    batch = next(batches, None)
                if batch is None:
                    break
                yield batch
        finally:
            self._ended.set()

    def stop(self) -> None:
        """Let no further batch be read, and wait for the one that is."""
        self._stopped = True
        with self._busy:
            pass
        self._ended.wait(_READ_AHEAD_SECONDS)
