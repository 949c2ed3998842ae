"""Rows of a question as CSV, JSON, NDJSON or Parquet: values are exact, JSON is JSON, objects are objects."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow.parquet as pq

from lake.base.sql import quoted
from lake.base.text import no_formula, shown_json

TEXTS = ("csv", "json", "ndjson")
FORMATS = ("table", *TEXTS, "parquet")
_ROWS = 10_000  # of a group of Parquet
_NESTED = ("struct", "list", "array", "map", "union")
_JSON_NUMBERS = range(-(2**63), 2**64)

Type = Any  # a DuckDBPyType
Convert = Callable[[Any], Any]


def text_lines(
    form: str, names: Sequence[str], types: Sequence[Type], rows: Iterable[Sequence[Any]], no_formulas: bool = True
) -> Iterator[str]:
    """Yield the lines of rows in one of `TEXTS`, each with its end.

    With `no_formulas` a CSV cell that a spreadsheet would take for a formula gets a `'` before it.
    """
    if form == "csv":
        yield from _csv(names, types, rows, no_formula if no_formulas else str)
        return
    keys, converts = distinct(names), [plain(each) for each in types]
    objects = (
        shown_json(_encoded({key: to(value) for key, to, value in zip(keys, converts, row, strict=True)}))
        for row in rows
    )
    if form == "ndjson":
        yield from (f"{each}\n" for each in objects)
        return
    before = "["
    for each in objects:
        yield f"{before}\n  {each}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def write_parquet(cursor: duckdb.DuckDBPyConnection, file: Path, limit: int, told: Callable[[int], None]) -> int:
    """Write what a cursor has to give to a Parquet file, at most `limit` rows (0: all); return how many, as `told`."""
    reader = cursor.to_arrow_reader(_ROWS)
    names, written = distinct(reader.schema.names), 0
    schema = reader.schema.empty_table().rename_columns(names).schema
    with pq.ParquetWriter(file, schema, compression="zstd") as to:
        for batch in reader:
            part = batch.slice(0, limit - written) if limit else batch
            to.write_batch(part.rename_columns(names))
            written += part.num_rows
            told(written)
            if limit and written >= limit:
                break
    return written


def distinct(names: Sequence[str]) -> list[str]:
    """Return column names of which none stands twice: `a`, `a_1`."""
    found: list[str] = []
    for name in names:
        number, free = 0, name
        while free in found:
            number += 1
            free = f"{name}_{number}"
        found.append(free)
    return found


def plain(type_: Type) -> Convert:
    """Return what makes plain JSON values of a type's Python values: JSON texts become what they say."""
    if type_ is None:
        return _scalar
    kind = type_.id
    if str(type_) == "JSON":
        return _json
    if kind == "struct":
        fields = {name: plain(inner) for name, inner in type_.children}
        return lambda value: None if value is None else {name: to(value.get(name)) for name, to in fields.items()}
    if kind in ("list", "array"):
        each = plain(type_.children[0][1])
        return lambda value: None if value is None else [each(inner) for inner in value]
    if kind == "map":
        to = plain(dict(type_.children)["value"])
        return lambda value: None if value is None else {str(key): to(inner) for key, inner in value.items()}
    return _scalar


def _json(text: Any) -> Any:
    """Return a JSON text as it stands, so that no number of it is rounded."""
    if text is None:
        return None
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return text
    return msgspec.Raw(" ".join(text.splitlines()).encode()) if "\n" in text else msgspec.Raw(text.encode())


def _scalar(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bool | str | float | None):
        return value
    if isinstance(value, int):
        return value if value in _JSON_NUMBERS else msgspec.Raw(str(value).encode())
    if isinstance(value, Decimal):
        return msgspec.Raw(f"{value:f}".encode())
    return value.isoformat() if isinstance(value, date | datetime | time) else _binary(value)


def _binary(value: Any) -> str:
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _csv(
    names: Sequence[str], types: Sequence[Type], rows: Iterable[Sequence[Any]], guard: Callable[[str], str]
) -> Iterator[str]:
    nested = [plain(each) if each is not None and each.id in _NESTED else None for each in types]
    yield ",".join(_text(guard(name)) for name in names) + "\n"
    for row in rows:
        cells = (
            _csv_cell(value if to is None or value is None else _encoded(to(value)), guard)
            for value, to in zip(row, nested, strict=True)
        )
        yield ",".join(cells) + "\n"


def _csv_cell(value: Any, guard: Callable[[str], str]) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(guard(value))
    if isinstance(value, int | float | Decimal):
        return str(value)
    return _text(str(_scalar(value)))


def _text(text: str) -> str:
    """Return a CSV cell; an empty text is `""`, for nothing is NULL."""
    plain_cell = text and not any(each in text for each in ',"\r\n') and text == text.strip()
    return text if plain_cell else quoted(text)  # CSV quotes as SQL quotes names
