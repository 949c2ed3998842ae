"""The files of a load: what a reader yields, staged for the merge, and what the merge makes of it."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.reference.changes import GIVEN_AGAIN, Merge, file_columns
from ingest.reference.rows import NoRow, Row, row_maker
from ingest.reference.tables import ENTITY_TABLES, NAME_COLUMNS, OBSERVABLE_COLUMNS, PAYLOADS, Entry, Reject
from lake.base.sql import literal, quoted

BATCH_ROWS = 20_000
MOST_REASONS = 50  # in a receipt; the rows of `reference.rejects` have them all
MOST_TEXT = 200
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")  # as repr() writes a value
UNUSABLE = "a name or address that cannot be joined by"

_TIMESTAMP = pa.timestamp("us")
_ARROW: dict[str, Any] = {
    "VARCHAR": pa.string(),
    "VARCHAR[]": pa.list_(pa.string()),
    "UTINYINT": pa.uint8(),
    "UBIGINT": pa.uint64(),
    "BOOLEAN": pa.bool_(),
    "TIMESTAMP": _TIMESTAMP,
}
_KEY = [(name, _ARROW[type_]) for name, type_ in OBSERVABLE_COLUMNS.items()]
NAMES = pa.list_(pa.struct([("name_kind", pa.string()), ("rank", pa.uint8()), *_KEY]))
REJECT_SCHEMA = pa.schema(
    [("position", pa.int64()), ("reason", pa.string()), ("where", pa.string()), ("text", pa.string())]
)


@dataclass
class Staged:
    """What became of the pieces of one snapshot: `read` of them, `rejected` by reason, names that are `unusable`."""

    read: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    unusable: int = 0
    first_rejects: list[str] = field(default_factory=list)
    sha256: str = ""

    def reject(self, reason: str, where: str, text: str) -> None:
        """Count a piece that is no entry, by its reason without the values in it."""
        general = _QUOTED.sub("…", reason)
        known = general in self.rejected or len(self.rejected) < MOST_REASONS
        self.rejected[general if known else "other reasons"] += 1
        if len(self.first_rejects) < 3:
            self.first_rejects.append(f"{where}: {reason}: {text[:80]!r}")


def entry_schema(table: str) -> pa.Schema:
    """Return the schema of staged entries: position in the snapshot, key, payload, the provider's own times."""
    payload = [(name, _ARROW[type_]) for name, type_ in PAYLOADS[table].items()]
    own = [("given_from", _TIMESTAMP), ("given_to", _TIMESTAMP)]
    names = [("names", NAMES)] if table in ENTITY_TABLES else []
    return pa.schema([("position", pa.int64()), ("entry", pa.string()), *_KEY, *payload, *own, *names])


def stage(table: str, pieces: Iterable[Entry | Reject], entries: Path, rejects: Path) -> Staged:
    """Write what a reader yields to two files; memory does not grow with the feed."""
    staged, digest, encoder = Staged(), hashlib.sha256(), msgspec.json.Encoder(enc_hook=str)
    row_of = row_maker(table)
    with _Writer(entries, entry_schema(table)) as rows, _Writer(rejects, REJECT_SCHEMA) as told:
        for position, piece in enumerate(pieces, 1):
            staged.read = position
            digest.update(_bytes(encoder, piece))
            if isinstance(piece, Reject):
                _reject(staged, told, position, piece)
                continue
            try:
                row, unusable = row_of(piece)
            except NoRow as problem:
                _reject(staged, told, position, Reject(_shown(piece), f"entry {position}", str(problem)))
                continue
            rows.add(row | {"position": position})
            for text, why in unusable:
                staged.unusable += 1
                told.add(_told(position, Reject(text, f"entry {position} ({row['entry']})", f"{UNUSABLE}: {why}")))
    staged.sha256 = digest.hexdigest()
    return staged


def _bytes(encoder: msgspec.json.Encoder, piece: Entry | Reject) -> bytes:
    try:
        return encoder.encode(piece)
    except UnicodeError:  # a lone surrogate
        return ascii(piece).encode()


def _reject(staged: Staged, told: "_Writer", position: int, piece: Reject) -> None:
    staged.reject(piece.reason, piece.where, piece.text)
    told.add(_told(position, piece))


def _told(position: int, piece: Reject) -> Row:
    return {"position": position, "reason": piece.reason, "where": piece.where, "text": _printable(piece.text)}


def _printable(text: str) -> str:
    return text[:MOST_TEXT].encode("utf-8", "backslashreplace").decode()


def _shown(entry: Entry) -> str:
    kept = {name: value for name, value in entry.payload.items() if value is not None}
    return f"{entry.entry} {entry.kind} {entry.value} {kept}".strip()


class _Writer:
    """A Parquet file that is written as rows come, a batch at a time."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer, self._schema = pq.ParquetWriter(path, schema, compression="zstd"), schema
        self._pending: list[Row] = []

    def __enter__(self) -> "_Writer":
        return self

    def add(self, row: Row) -> None:
        self._pending.append(row)
        if len(self._pending) == BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        columns = [pa.array([row.get(of.name) for row in self._pending], of.type) for of in self._schema]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        self._pending = []

    def __exit__(self, *_: object) -> None:
        if self._pending:
            self._flush()
        self._writer.close()


# A row group is what a join may leave out. DuckDB makes them of multiples of 2,048 rows.
ROW_GROUP_ROWS = 16_384


def write_rows(merge: Merge, file: Path) -> tuple[int, int]:
    """Write the feed's rows as they are after the merge; return how many there are, and how many are open.

    Observables lie in the order of their keys, so that a reader of few keys reads few row groups.
    """
    key = [*OBSERVABLE_COLUMNS][2:]  # no kind, value: `order` has kind, and the key stands for the value
    order = ["kind", *key] if merge.feed.table not in ENTITY_TABLES else []
    columns = ", ".join(quoted(name) for name in file_columns(merge.feed.table))
    in_order = ", ".join([*order, "entry", "valid_from", "learned_at"])
    _copy(merge, f"select {columns} from ({_rows(merge)}) order by {in_order}", file)
    rows, rows_open = merge.counted(f"select count(*), count(*) filter (closed_at is null) from {_read(file)}")
    return rows, rows_open


def _rows(merge: Merge) -> str:
    texts = {"feed": merge.feed.name, "provider": merge.feed.provider, "version": merge.version}
    given = ", ".join(f"{literal(text)} as {name}" for name, text in texts.items())
    names = ", r.names as _names" if merge.feed.table in ENTITY_TABLES else ""
    return f"""
        select h.* replace (
            coalesce(x.valid_to, e.valid_to, h.valid_to) as valid_to,
            coalesce(h.closed_at, e.closed_at) as closed_at
        )
        from held_rows h
        left join ending e on h.file_row_number = e.row_id
        left join cut x on h.file_row_number = x.row_id
        union all by name
        select r.*, r.given_from as _given_from{names}, {given}, {merge.at} as learned_at,
            b.valid_from, coalesce(x.valid_to, b.valid_to) as valid_to, null::timestamp as closed_at
        from raw r
        join beginning b on r.position = b.position
        left join cut x on r.position = x.position"""


def write_names(merge: Merge, rows: Path, file: Path) -> None:
    """Write the names of the entities in a file of rows, one row each, with the validity of the entity's row.

    Rows that never held have none.
    """
    own = {"name_kind", "rank", *OBSERVABLE_COLUMNS}
    columns = ", ".join(f"n.{quoted(name)} as {quoted(name)}" if name in own else quoted(name) for name in NAME_COLUMNS)
    _copy(
        merge,
        f"select {columns} from (select *, unnest(_names) as n from {_read(rows)} where valid_from < valid_to)"
        " order by n.kind, n.prefix, n.key_high, n.key_low, entry, valid_from",
        file,
    )


def write_rejects(merge: Merge, staged: Path, file: Path) -> int:
    """Write what the snapshot gave that is no row of the feed, in its order; return how many pieces those are."""
    feed = merge.feed
    stamps = f'{literal(feed.name)} as feed, {literal(feed.table)} as "table", {literal(merge.version)} as version'
    again = f"""
        select a.position, {literal(GIVEN_AGAIN)} as reason, 'entry ' || a.position as "where",
            a.entry || ' (again as entry ' || a.later || ')' as text
        from ({merge.given_again()}) a"""
    _copy(
        merge,
        f'select {stamps}, {merge.at} as as_of, reason, "where", text'
        f" from (select * from {_read(staged)} union all by name {again}) order by position",
        file,
    )
    return merge.counted(f"select count(*) from {_read(file)}")[0]


def _copy(merge: Merge, select: str, file: Path) -> None:
    options = f"format parquet, compression zstd, row_group_size {ROW_GROUP_ROWS}"
    merge.run(f"copy ({select}) to {literal(str(file))} ({options})")


def _read(file: Path) -> str:
    return f"read_parquet({literal(str(file))}, hive_partitioning = false)"
