"""The contract as the rest of the code sees it: frozen values, no file, no ODCS; and what follows from them alone.

That is DuckDB types, paths into records, and the columns that the pipeline adds to every bronze table.

A path is written with dots (`winlog.event_id`). A step that itself holds a dot or a quote-worthy sign may be put in
double quotes: `Event.System.TimeCreated."#attributes".SystemTime`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Final, NamedTuple

from lake.base.sql import quoted

_STEP = re.compile(r'"([^"]+)"|([^."]+)')

TIMES: Final = {"yyyy": "%Y", "mm": "%m", "dd": "%d", "hh": "%H"}
# The shapes of levels that share a folder with others; every other level may have any name.
_SHAPES: Final = {"account": r"\d{12}", "organization": r"o-[a-z0-9]+"}
_PART: Final = re.compile(r"\{([a-z_]+)\}|([^{}]+)")
_SCALARS: Final = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class Field:
    """One declared field of a record.

    `path` is dotted from the record's top, names verbatim; `steps` are its parts, with `[*]` for list elements.
    `type` is string, integer, number, boolean, array, object, which has declared properties, or map and any, which stay
    JSON text.
    `accepts` names other JSON types that are converted without loss (an integer that also comes as "4624"); a number
    may always be an integer, and null is no violation of an optional field. A text that stands for an object, map or
    list is read as the JSON that it holds; an object that stands for a list is a list of one.
    `aliases` are other spellings, read in order when the field itself is absent. An alias is a path relative
    to the object that holds the field; for a top-level field that is the record: `winlog.event_id`.
    `on_violation` is `quarantine`, `null` (kept, emptied and named in `_violations`) or `stall`.
    `case_insensitive`: the value is lower-cased where it becomes part of the event key.
    `fields_inside`: a map that has the names of the record's own fields; other names in it are drift.
    """

    name: str
    path: str
    type: str
    steps: tuple[str, ...]
    required: bool = False
    on_violation: str = "null"
    classification: str | None = None
    description: str = ""
    accepts: tuple[str, ...] = ()
    properties: tuple["Field", ...] = ()
    items: "Field | None" = None
    aliases: tuple[str, ...] = ()
    case_insensitive: bool = False
    fields_inside: bool = False

    @property
    def duckdb_type(self) -> str:
        """Column type in bronze, for instance `STRUCT("id" VARCHAR, "tags" VARCHAR[])`."""
        if self.type == "object":
            return "STRUCT(" + ", ".join(f"{quoted(each.name)} {each.duckdb_type}" for each in self.properties) + ")"
        if self.type == "array":
            return "JSON" if self.items is None else f"{self.items.duckdb_type}[]"
        return _SCALARS.get(self.type, "JSON")

    @property
    def from_json_shape(self) -> object:
        """The same type as the nested structure that DuckDB's `from_json` takes (dict, one-element list or text)."""
        if self.type == "object":
            return {each.name: each.from_json_shape for each in self.properties}
        if self.type == "array" and self.items is not None:
            return [self.items.from_json_shape]
        return _SCALARS.get(self.type, "JSON")

    def walk(self) -> Iterator["Field"]:
        """This field, then everything declared inside it, in order."""
        yield self
        for each in self.properties:
            yield from each.walk()
        if self.items is not None:
            yield from self.items.walk()


@dataclass(frozen=True, slots=True)
class EventTime:
    """One place where a record may carry the time of its event.

    `format` is `iso8601`, `epoch_seconds`, `epoch_millis`, `epoch_micros`, `epoch_nanos` (zero says that there is no
    time), `filetime` (100 ns since 1601, as Windows counts) or a strptime format with `%z`. Text without an offset is
    UTC only if `naive_is_utc`. `zone_from` names two other fields that hold one instant, first in the zone of this
    field and then in UTC: their difference, rounded to a quarter of an hour, is the zone in which naive text is read.
    A candidate that is absent or cannot be read gives way to the next one.
    """

    path: str
    format: str = "iso8601"
    naive_is_utc: bool = False
    zone_from: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """How a source's records are written: `json`, `delimited` values or lines that a `pattern` takes apart.

    Of delimited lines, `has_header` says that an object begins with a line of field names, which is kept in the field
    `header_field`; `columns` are the names where an object has none. `pattern` is a regular expression whose named
    groups are fields. `nulls` are texts that stand for nothing. Objects that turn out to be JSON or Parquet are read
    as such whatever the kind. `xml` names what records of a JSON source may be besides: `windows_event` in XML, also
    in a text of the JSON, or a binary log (.evtx).
    """

    kind: str = "json"
    xml: str = ""
    delimiter: str = ""
    has_header: bool = False
    header_field: str | None = None
    columns: tuple[str, ...] = ()
    pattern: str = ""
    nulls: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether values are cut out of lines rather than read from JSON."""
        return self.kind != "json"


@dataclass(frozen=True, slots=True)
class CoverageRule:
    """Records that are no events: by a value of `field` they say that nothing happened (`idle`) or was `lost`.

    `by` are the fields that say where, `interval` those that say when (start and end, epoch seconds).
    """

    field: str
    idle: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    interval: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """A service level other than latency, frequency and retention, as ODCS states it."""

    property: str
    value: str
    unit: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class CompleteBatch:
    """Objects whose names `pattern` finds belong to the batch that its group `batch` names, a folder.

    The batch is complete once that folder holds an object called `marker`.
    """

    pattern: re.Pattern[str]
    marker: str

    def of(self, name: str) -> str | None:
        """Return the batch of an object, or None for objects that stand alone."""
        found = self.pattern.search(name)
        return found["batch"].rstrip("/") if found else None

    def completed_by(self, name: str) -> str | None:
        """Return the batch that a marker of this name completes, or None for other names."""
        folder, _, last = name.rpartition("/")
        return folder if last == self.marker else None


@dataclass(frozen=True, slots=True)
class Level:
    """A part of a key that differs from object to object: an account, a region, or a part of a time.

    `ends_with` is the character that follows it in a key: what a listing of its values is cut at.
    """

    name: str
    ends_with: str

    @property
    def time_format(self) -> str | None:
        """The strftime format of a part of a time; None for what has to be looked up."""
        return TIMES.get(self.name)

    @property
    def shape(self) -> str:
        """A regular expression for its values."""
        if self.name in TIMES:
            return r"\d{4}" if self.name == "yyyy" else r"\d{2}"
        return _SHAPES.get(self.name, rf"[^/{re.escape(self.ends_with)}]+")


@dataclass(frozen=True)
class KeyLayout:
    """What keys begin with, below the folder that a source's root names or that the root lies in.

    `parts` are texts and levels. What follows the last `/` is the beginning of the object's own name; a time in
    it is the delivery time, while a time in the folders is only near it.
    """

    template: str
    parts: tuple[str | Level, ...]

    @property
    def name_at(self) -> int:
        """The number of the first part that belongs to the object's own name alone."""
        ends = [at for at, each in enumerate(self.parts) if isinstance(each, str) and "/" in each]
        return ends[-1] + 1 if ends else 0

    @cached_property
    def day(self) -> "KeyLayout":
        """The same layout, no narrower than a day: its folders, or where those tell no time the name up to the day."""
        folder = self.template[: self.template.rfind("/") + 1]
        has_day = "{yyyy}" in folder or "{hh}" not in self.template
        return read_template(folder if has_day else re.split(r"[^{}]*\{hh\}", self.template)[0])

    @property
    def has_time(self) -> bool:
        """Whether a listing can be narrowed to an hour or a day."""
        return any(isinstance(each, Level) and each.time_format for each in self.parts)

    def fits(self, key: str) -> bool:
        """Whether a key, at any depth of a bucket, is laid out so."""
        return self._pattern.search(key) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        seen: set[str] = set()
        text = "(?:^|/)"
        for each in self.parts:
            if isinstance(each, str):
                text += re.escape(each)
            elif each.name in TIMES:
                text += each.shape
            elif each.name in seen:
                text += f"(?P={each.name})"
            else:
                seen.add(each.name)
                text += f"(?P<{each.name}>{each.shape})"
        return re.compile(text)


def read_template(template: str) -> KeyLayout:
    """The layout of a template. Raises ValueError saying what is wrong with it."""
    if not template or template.startswith("/"):
        raise ValueError(f"{template!r}: expected folders such as AWSLogs/{{account}}/, from the root on")
    if "".join(found[0] for found in _PART.finditer(template)) != template:
        raise ValueError(f"{template!r}: expected texts and {{levels}} in small letters")
    found = [match.groups() for match in _PART.finditer(template)]
    parts: list[str | Level] = []
    for number, (name, text) in enumerate(found):
        follows = found[number + 1] if number + 1 < len(found) else (None, None)
        if name is None:
            parts.append(text)
            continue
        if name not in TIMES and follows[1] is None:
            raise ValueError(f"{template!r}: expected a text behind {{{name}}}, where its name ends in a key")
        parts.append(Level(name, (follows[1] or "/")[0]))
    return KeyLayout(template, tuple(parts))


@dataclass(frozen=True, slots=True)
class Contract:
    """What one source delivers and promises.

    `event_times` are in order of preference. `lateness_p99` and `lateness_max` are from the event to its arrival,
    `cadence` is the time between deliveries. `volatile` are top-level fields that differ between deliveries of one
    event and do not count when two records of one key are compared. `arrival_pattern` finds the delivery time in an
    object's name (group `at`), read with `arrival_format` (strptime, UTC). `key_layouts` say what keys in a bucket
    begin with, `notifications` what a queue's messages look like (`s3_event` or `crowdstrike_fdr`), `vendor` whose
    limits its requests count against. `fingerprint` is the sha256 of the file, `limitations` what a reader of the data
    has to know. `complete_batch` says which objects are read only once their writer has marked them all as written.
    `open_record`: the source has far more fields than anyone declares; what is not declared stays in `_raw` and is no
    drift. `stall_above`: a batch stalls when one optional field has another type in a larger share of its records.
    `layouts`: the source's `layouts.py` gives records of other layouts the contract's. `time_zone` is no part of the
    file, but the user's: the zone of event times without an offset, where nothing else tells it.
    `placeholders` are texts that the vendor writes where it has no value. `coded` names, by path, the OCSF attributes
    that say a field's value in other words; `dropped` says why its value is worth nothing; `kept` are fields that stand
    in `unmapped` in any case. A path may lead into a map. `api` says how the vendor's API is asked.
    """

    source: str
    version: str
    title: str
    description: str
    owner: str
    alert_channel: str
    fields: tuple[Field, ...]
    event_key: tuple[str, ...]
    event_key_fallback: str | None
    event_times: tuple[EventTime, ...]
    lateness_p99: timedelta
    lateness_max: timedelta
    cadence: timedelta
    future_tolerance: timedelta
    retention: timedelta | None
    service_levels: tuple[ServiceLevel, ...]
    volatile: tuple[str, ...]
    transport: str
    records_keys: tuple[str, ...]
    arrival_pattern: re.Pattern[str] | None
    arrival_format: str | None
    ignore: tuple[str, ...]
    fingerprint: str
    vendor: str
    key_layouts: tuple[KeyLayout, ...] = ()
    wrappers: tuple[str, ...] = ()
    notifications: str = "s3_event"
    limitations: str = ""
    open_record: bool = False
    layouts: bool = False
    time_zone: str = ""
    stall_above: float | None = None
    complete_batch: CompleteBatch | None = None
    format: Format = Format()
    coverage: CoverageRule | None = None
    placeholders: tuple[str, ...] = ()
    coded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    api: Any = None  # ingest.contracts.api.ApiDeclaration

    def walk(self) -> Iterator[Field]:
        """Every declared field at any depth, parents first."""
        for each in self.fields:
            yield from each.walk()

    def field(self, path: str) -> Field:
        """The declared field at this path. Raises KeyError."""
        for each in self.walk():
            if each.path == path:
                return each
        raise KeyError(path)

    def ignores(self, name: str) -> bool:
        """Whether an object of this name is no event data (digests, markers)."""
        return any(fnmatchcase(name, pattern) for pattern in self.ignore)


def header_names(fields: Iterable[Field]) -> Iterator[str]:
    """The names under which declared fields may stand in a header, in lower case."""
    for each in fields:
        yield each.name.lower()
        yield from (alias.lower() for alias in each.aliases)


def split_path(text: str) -> tuple[str, ...]:
    """Steps of a written path. Raises ValueError when the text is not a path."""
    steps: list[str] = []
    at = 0
    while True:
        match = _STEP.match(text, at)
        if match is None:
            raise ValueError(f"not a path: {text!r}")
        steps.append(match[1] or match[2])
        at = match.end()
        if at == len(text):
            return tuple(steps)
        if text[at] != ".":
            raise ValueError(f"not a path: {text!r}")
        at += 1


class PipelineColumn(NamedTuple):
    """Name, DuckDB type and meaning of one column."""

    name: str
    duckdb_type: str
    description: str


pipeline_columns: Final = (
    PipelineColumn("_raw", "VARCHAR", "The record as it was delivered."),
    PipelineColumn(
        "_record", "VARCHAR", "The record as its contract has it, where `_raw` is XML or of another layout; else NULL."
    ),
    PipelineColumn("_event_key", "VARCHAR", "What identifies the event; copies of one event share it."),
    PipelineColumn("_event_at", "TIMESTAMP", "When the event happened, UTC."),
    PipelineColumn("_arrived_at", "TIMESTAMP", "When the vendor delivered or published the record, UTC."),
    PipelineColumn("_batch", "VARCHAR", "Raw run that landed the record; has the name of its receipt."),
    PipelineColumn("_source_object", "VARCHAR", "Object or page in which the record came."),
    PipelineColumn("_source_row", "BIGINT", "Number of the record in that object, from 1."),
    PipelineColumn("_content_hash", "UBIGINT", "DuckDB's hash of _raw: equal for copies landed by one version."),
    PipelineColumn("_violations", "VARCHAR[]", "Paths of optional fields that broke the contract and were emptied."),
)
