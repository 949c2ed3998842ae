"""Event key and event time as SQL over the typed columns of a record, and what is wrong when one cannot be made."""

from datetime import datetime

from ingest.contracts import Contract, EventTime
from ingest.contracts.model import json_path
from ingest.landing.field_paths import FieldPaths
from lake.base.sql import coalesced, listed, literal, quoted

_MICROS = {
    "epoch_seconds": "{} * 1000000",
    "epoch_millis": "{} * 1000",
    "epoch_micros": "{}",
    "epoch_nanos": "{} // 1000",
}
_SCALES = {"epoch_seconds": "1e6", "epoch_millis": "1e3", "epoch_micros": "1", "epoch_nanos": "1e-3"}
_LATEST_MICROS = 253402300799 * 10**6  # the year 9999: what is later is no time, and would not fit into a TIMESTAMP
_MICROS_1601_TO_1970 = 11644473600 * 10**6
_FOUND_CHARACTERS = 120


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
        """Return an expression for the event time (TIMESTAMP, UTC), NULL when no candidate can be read."""
        return coalesced(self._instant(each) for each in self._contract.event_times)

    def rejection(self, latest_event_at: datetime) -> str:
        """Return an expression that is NULL or [reason, field, expected, found], over `_event_key` and `_event_at`.

        `latest_event_at` is UTC without a zone: no event can be of a later time.
        """
        first = self._contract.event_times[0]
        key = self._contract.event_key[0] if self._contract.event_key else ""
        without = " ".join(
            f"when {self._key_part(path)} is null then {literal(path)}" for path in self._contract.event_key
        )
        paths = [
            json_path(steps)
            for each in self._contract.event_times
            for steps in self._paths.of(self._contract.field(each.path))
        ]
        read = f"try(json_extract_string(_raw, {listed(paths)}))"
        if self._contract.format.is_text:
            read = f"[{', '.join(self._text(each.path) for each in self._contract.event_times)}]"
        found = f"list_filter({read}, lambda x: x is not null)"
        shown = f"left({found}[1], {_FOUND_CHARACTERS})"
        not_after = f"not after {latest_event_at:%Y-%m-%dT%H:%M:%SZ}"
        return f"""case
      when _event_key is null then
        ['missing_field', case when false then '' {without} else {literal(key)} end, 'the event key', 'absent or empty']
      when _event_at is null then case when coalesce(len({found}), 0) = 0
        then ['missing_field', {literal(first.path)}, 'the event time', 'absent']
        else ['bad_event_time', {literal(first.path)}, {literal(first.format)}, {shown}] end
      when _event_at > timestamp '{latest_event_at:%Y-%m-%d %H:%M:%S}' then
        ['event_in_future', {literal(first.path)}, {literal(not_after)}, {shown}]
    end"""

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
        # A date alone is no time of an event, and DuckDB would read it as midnight. Years before 1970 are empty values.
        shaped = f"({text} like '____-__-__T__:%' or {text} like '____-__-__ __:%') and {text} >= '1970'"
        return (
            f"case when {shaped} then case when suffix({text}, 'Z') then try_cast({text} as timestamp)"
            f" when {zoned} then {offset} else {self._naive(candidate, text)} end end"
        )

    def _naive(self, candidate: EventTime, text: str) -> str:
        if candidate.naive_is_utc:
            return f"try_cast({text} as timestamp)"
        if candidate.zone_from is None:
            return "null::timestamp"
        local, utc = (f"try_cast({self._text(path)} as timestamp)" for path in candidate.zone_from)
        return f"try_cast({text} as timestamp) - to_minutes(round(epoch({local} - {utc}) / 900)::int * 15)"


def _filetime(text: str) -> str:
    """The instant of a number of 100 ns since 1601 (Windows' FILETIME, UTC); before 1970 it is none."""
    ticks = f"try_cast({text} as bigint)"
    first, last = (10 * (each + _MICROS_1601_TO_1970) for each in (1, _LATEST_MICROS))
    instant = f"try(make_timestamp({ticks} // 10 - {_MICROS_1601_TO_1970}))"
    return f"case when {ticks} between {first} and {last} then {instant} end"
