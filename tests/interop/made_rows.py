"""Silver files made by hand, with what is hard to carry from one reader to the next.

Belongs here: rows of every declared type, and files as builds write them. Not here: reading them.

Each row has one value of a kind in every place of its type: extremes, nothing, emptiness. A later version of a mapping
is made by adding a column and an attribute within an object, as OCSF's own versions do.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from lake.base.sql import literal, quoted
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ocsf.attributes import Attribute, EventClass
from lake.ocsf.columns import duckdb_type
from lake.storage.store import Store

# As the macro `lake_copy` writes.
COPY = "format parquet, compression zstd, compression_level 1, row_group_size 61440"
KINDS = ("extreme", "least", "nothing", "emptiness", "plain")
PIPELINE = (("_batch", "VARCHAR"), ("_source_object", "VARCHAR"), ("_source_row", "BIGINT"))
LATER_COLUMN, LATER_ATTRIBUTE = "later_attribute", "later_name"

_VALUES: dict[str, tuple[str | None, ...]] = {
    "BIGINT": ("9223372036854775807", "-9223372036854775808", None, "0", "1772463600123"),
    "INTEGER": ("2147483647", "-2147483648", None, "0", "99"),
    "BOOLEAN": ("true", "false", None, "false", "true"),
    "DOUBLE": ("1.7976931348623157e308", "-5e-324", None, "0.0", "0.1"),
    "TIMESTAMP": ("9999-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999", None, "1970-01-01", None),
    "VARCHAR": ("Łódź ✓ 漢字 \t \"'", " ", None, "", "10.0.0.1"),
    "JSON": ('{"a":[1,2.50,{"b":null}],"ü":"x"}', "[]", None, "{}", "null"),
}


def select(event_class: EventClass, kind: str, uid: str, later: bool = False) -> str:
    """Return a SELECT of one row of a class with values of a kind everywhere, and a `metadata.uid` of its own."""
    at = KINDS.index(kind)
    parts = [f"{_value(each, at, uid, later)} as {quoted(each.name)}" for each in event_class.shape.attributes]
    parts += [f"{_scalar(type_, at)}::{type_} as {quoted(name)}" for name, type_ in PIPELINE]
    if later:
        parts.append(f"{{'note': {_scalar('VARCHAR', at)}::VARCHAR, 'parts': [1, null]::BIGINT[]}} as {LATER_COLUMN}")
    return f"select {', '.join(parts)}"


def write(file: Path, event_class: EventClass, prefix: str, later: bool = False) -> list[str]:
    """Write a file with one row of every kind; return their uids."""
    uids = [f"{prefix}-{kind}" for kind in KINDS]
    rows = [select(event_class, kind, uid, later) for kind, uid in zip(KINDS, uids, strict=True)]
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as con:
        con.execute(f"copy ({' union all '.join(rows)}) to {literal(str(file))} ({COPY})")
    return uids


def note(store: Store, key: str, source: str, hour: str) -> None:
    """Write the receipt of a file, as the build that would have made it."""
    info = store.info(key)
    assert info
    table = key.split("/")[1]
    receipt = BuildReceipt(
        model=f"{table}__{source}",
        source=source,
        table=table,
        hour=hour,
        rows=len(KINDS),
        bytes=info.size,
        inputs=(),
        mapping="made by hand",
        built_at="2026-03-03T00:00:00+00:00",
        file=key,
    )
    for where, text in build_receipts.merged_days(store, receipt.model, [receipt]):
        store.write(where, text.encode())


def _value(attribute: Attribute, at: int, uid: str, later: bool) -> str:
    if attribute.name == "metadata":
        return _struct(attribute, at, {"uid": literal(uid)}, later)
    if KINDS[at] == "nothing":
        return f"null::{duckdb_type(attribute)}"
    if attribute.is_list:
        return f"{_list(attribute, at, later)}::{duckdb_type(attribute)}"
    return _element(attribute, at, later)


def _list(attribute: Attribute, at: int, later: bool) -> str:
    if KINDS[at] == "emptiness":
        return "[]"
    return f"[{_element(attribute, at, later)}, null, {_element(attribute, (at + 3) % len(KINDS), later)}]"


def _element(attribute: Attribute, at: int, later: bool) -> str:
    if attribute.shape is not None:
        return _struct(attribute, at, {}, later)
    type_ = duckdb_type(attribute).removesuffix("[]")
    return f"{_scalar(type_, at)}::{type_}"


def _struct(attribute: Attribute, at: int, given: dict[str, str], later: bool) -> str:
    assert attribute.shape
    fields = [
        f"{literal(each.name)}: {given.get(each.name) or _value(each, at, '', later)}" for each in _fields(attribute)
    ]
    if later and attribute.name == "metadata":
        fields.append(f"{literal(LATER_ATTRIBUTE)}: {_scalar('VARCHAR', at)}::VARCHAR")
    return f"{{{', '.join(fields)}}}"


def _fields(attribute: Attribute) -> Sequence[Attribute]:
    return attribute.shape.attributes if attribute.shape else ()


def _scalar(type_: str, at: int) -> str:
    value = _VALUES[type_][at]
    return "null" if value is None else literal(value)
