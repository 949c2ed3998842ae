"""Drift: fields that records carry and the contract does not know. Counted per batch, with one value each.

An unknown field is never a loss: it stays in `_raw`.
"""

import threading

import pyarrow as pa

from ingest.contracts.model import json_path
from ingest.landing.field_paths import FieldPaths
from lake.base.sql import listed
from lake.ledger.receipts import Drift
from lake.storage.duck import at_hand

_RECORD = "$"
_SAMPLE_CHARACTERS = 200
_MOST_FIELDS = 1000  # a record whose keys are data (ids as names) must not grow the receipt without end


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
        where = list(self._known)
        if not where:
            return
        with self._lock:
            self._con.register("lines", pa.table({"line": lines}))
            groups = self._con.execute(
                "select keys, count(*), min_by(line, length(line)) from"
                f" (select line, try(json_keys(line, {listed(where)})) as keys from lines)"
                " where keys is not null group by 1"
            ).fetchall()
            for keys, records, line in groups:
                for path, names in zip(where, keys, strict=True):
                    known = self._known[path]
                    for name in dict.fromkeys(names or ()):
                        if name not in known:
                            self._count(path, name, records, line)

    def count(self, name: str, records: int, sample: str) -> None:
        """Count an unknown field that was found elsewhere, in a header or a pattern."""
        with self._lock:
            if name not in self._records and len(self._records) >= _MOST_FIELDS:
                name = "(further fields)"
            self._records[name] = self._records.get(name, 0) + records
            self._samples.setdefault(name, sample)

    def _count(self, path: str, name: str, records: int, line: str) -> None:
        shown = name if path == _RECORD else f"{path[2:].replace(chr(34), '')}.{name}"
        if shown not in self._records and len(self._records) >= _MOST_FIELDS:
            shown = "(further fields)"
        self._records[shown] = self._records.get(shown, 0) + records
        if shown not in self._samples:
            self._samples[shown] = self._sample(path, name, line)

    def _sample(self, path: str, name: str, line: str) -> str:
        if '"' in name:
            return ""
        at = json_path((name,)) if path == _RECORD else f'{path}."{name}"'
        row = self._con.execute("select try(json_extract(?::varchar, ?::varchar))::varchar", [line, at]).fetchone()
        return str(row[0] if row and row[0] is not None else "")[:_SAMPLE_CHARACTERS]

    def found(self) -> tuple[Drift, ...]:
        """Return the unknown fields, most frequent first."""
        ranked = sorted(self._records.items(), key=lambda item: (-item[1], item[0]))
        return tuple(Drift(field=name, records=count, sample=self._samples[name]) for name, count in ranked)
