"""What a reader of a feed yields, as Parquet files to merge: its entries as rows, and what is no entry.

What belongs here: writing them batch by batch, counting, the checksum. What does not: what changes by them (`changes`).
"""

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

from ingest.reference.rows import NoRow, Row, row_maker
from ingest.reference.tables import ENTITY_TABLES, OBSERVABLE_COLUMNS, PAYLOADS, Entry, Reject

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
