"""Rows as the events of a HEC: one SELECT writes the whole envelope, batches are cut from what it gives.

An envelope is `{"time", "host", "source", "sourcetype", "index", "fields", "event"}`; `event` is the row by
`lake.export.json_sql` without `_event_id`, which stands in `fields` with the hour and the time of the push: indexed
fields, by which a search finds duplicates without reading an event.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import yaml
from duckdb.sqltypes import DuckDBPyType

from lake.base.sql import literal, quoted
from lake.export.declaration import EVENT_ID
from lake.export.destination import Partition
from lake.export.json_sql import Column, columns_of, fields_of, json_text

CIM = Path(__file__).with_name("cim.yml")
_ROWS = 2048  # DuckDB's own vector


@dataclass
class Batch:
    """Some events: their ids, sources, content hashes, and envelopes (one a line)."""

    ids: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    contents: list[int] = field(default_factory=list)
    lines: list[memoryview] = field(default_factory=list)
    size: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, first: int, last: int) -> "Batch":
        """Return the events from `first` up to `last`, which is not included."""
        lines = self.lines[first:last]
        return Batch(
            self.ids[first:last], self.sources[first:last], self.contents[first:last], lines, sum(map(len, lines))
        )

    @property
    def body(self) -> bytes:
        """Return the envelopes as one body."""
        return b"".join(self.lines)

    def without_lines(self) -> "Batch":
        """Return the batch without its envelopes, for as long as only ids are needed."""
        return Batch(self.ids, self.sources, self.contents, [], self.size)


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How rows become events: index, and the events' own fields. `host` and `time` are paths of the row.

    `sourcetype` and `source` may contain `{table}`, `sourcetype` also `{class}`.
    """

    index: str = ""
    sourcetype: str = "headwater:ocsf:{class}"
    source: str = "headwater:{table}"
    host: str = "device.hostname"
    time: str = "time_dt"


def content(columns: Sequence[Column]) -> str:
    """Return the SQL of the hash (UBIGINT) of what a row says; it is the same in every version of DuckDB."""
    return f"md5_number_lower({json_text(_own(columns))})"


def select(
    shape: Shape, table: str, partition: Partition, pushed_at: int, columns: Sequence[Column], chosen: str = "true"
) -> str:
    """Return a SELECT of id, source, content hash and envelope over `exported`, where `chosen` is true."""
    fixed = {each.name: each for each in columns}
    values = {
        "id": EVENT_ID,
        "source": f"coalesce({quoted('source')}, '')" if "source" in fixed else "''",
        "at": _time(shape, partition, fixed),
        "host": _host(shape, fixed),
        "sourcetype": _sourcetype(shape, table, fixed),
        "event": json_text(_own(columns)),
    }
    inner = ", ".join(f"{sql} as _hec_{name}" for name, sql in values.items())
    named = _text(shape.source.replace("{table}", table))
    index = f""" || ',"index":' || {_text(shape.index)}""" if shape.index else ""
    line = f"""concat(
        '{{"time":', _hec_at, ',"host":', to_json(_hec_host), ',"source":' || {named} || ',"sourcetype":',
        to_json(_hec_sourcetype), ''{index} || ',"fields":{{"event_id":', to_json(_hec_id),
        ',"event_hour":"{partition}","pushed_at":"{pushed_at}"}},"event":', _hec_event, '}}' || chr(10))"""
    return (
        f"select _hec_id as id, _hec_source as source, md5_number_lower(_hec_event) as content, {line} as line"
        f" from (select {inner} from exported where {chosen})"
    )


def _text(value: str) -> str:
    return literal(msgspec.json.encode(value).decode())


def batches(con: duckdb.DuckDBPyConnection, sql: str, most: int, most_bytes: int) -> Iterator[Batch]:
    """Yield batches of at most `most` events and `most_bytes`; an event that is larger goes alone."""
    con.execute("set arrow_large_buffer_size = true")
    held = Batch()
    for rows in con.execute(sql).to_arrow_reader(_ROWS):
        lines = _lines(rows.column("line"))
        told = zip(*(rows.column(name).to_pylist() for name in ("id", "source", "content")), lines, strict=True)
        for id_, source, hashed, line in told:
            if held.ids and (len(held.ids) >= most or held.size + len(line) > most_bytes):
                yield held
                held = Batch()
            held.ids.append(id_)
            held.sources.append(source)
            held.contents.append(hashed)
            held.lines.append(line)
            held.size += len(line)
    if held.ids:
        yield held


def _lines(column: pa.Array) -> Iterator[memoryview]:
    """Yield the bytes of a column of text without copying them."""
    text = column.cast(pa.large_string())
    _, offsets, data = text.buffers()
    at = memoryview(offsets).cast("q")[text.offset : text.offset + len(text) + 1]
    held = memoryview(data)
    for number in range(len(text)):
        yield held[at[number] : at[number + 1]]


def _own(columns: Sequence[Column]) -> list[Column]:
    return [each for each in columns if each.name != EVENT_ID]


def _time(shape: Shape, partition: Partition, columns: dict[str, Column]) -> str:
    """Epoch seconds with microseconds, exactly: a DOUBLE would not do after the year 2106."""
    began = int(partition.hour.replace(tzinfo=UTC).timestamp())
    path = _path(shape.time, columns, "TIMESTAMP")
    if path is None:
        return literal(f"{began}.000000")
    return f"((coalesce(epoch_us({path}), {began}000000))::decimal(20, 0) * 0.000001::decimal(7, 6))::varchar"


def _host(shape: Shape, columns: dict[str, Column]) -> str:
    path = _path(shape.host, columns)
    found = [f"nullif({path}::varchar, '')"] if path else []
    found += [f"nullif({quoted('source')}, '')"] if "source" in columns else []
    return f"coalesce({', '.join([*found, literal('headwater')])})"


def _sourcetype(shape: Shape, table: str, columns: dict[str, Column]) -> str:
    """The class is the one that the row names; a table without classes stands for itself."""
    if "{class}" not in shape.sourcetype:
        return literal(shape.sourcetype.replace("{table}", table))
    named = literal(table.partition("__")[0])
    if "class_uid" in columns:
        cases = " ".join(f"when {uid} then {literal(name)}" for name, uid in class_uids().items())
        named = f"case class_uid {cases} else {named} end"
    return f"replace({literal(shape.sourcetype.replace('{table}', table))}, '{{class}}', {named})"


def _path(path: str, columns: dict[str, Column], begins: str = "") -> str | None:
    """Return the SQL of a path of the row, or None when the rows have none, or one of another type."""
    names = path.split(".")
    if names[0] not in columns:
        return None
    type_: DuckDBPyType = columns[names[0]].type
    for name in names[1:]:
        if (below := fields_of(type_).get(name)) is None:
            return None
        type_ = below
    return ".".join(map(quoted, names)) if str(type_).startswith(begins) else None


@cache
def declared() -> dict[str, Any]:
    """Return what `cim.yml` declares."""
    told: dict[str, Any] = yaml.safe_load(CIM.read_text())
    return told


def class_uids() -> dict[str, int]:
    """Return the OCSF classes that have a sourcetype of their own, by name."""
    return {name: told["uid"] for name, told in declared()["classes"].items()}


def columns(con: duckdb.DuckDBPyConnection) -> list[Column]:
    """Return the columns of `exported`."""
    return columns_of(con.sql("from exported"))
