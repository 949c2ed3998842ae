"""Files: one per table and hour, in a folder or bucket, as Parquet, NDJSON, NDJSON of ECS documents, or CSV.

`<root>/<table>/date=YYYY-MM-DD/hour=HH/part.<format>` is replaced by one act; an hour without rows has no file. CSV
holds objects and lists as JSON texts; an empty text is `""`, NULL is nothing. A text that a spreadsheet would take for
a formula has a `'` before it, unless the setting `csv_escape_formulas` is false.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import duckdb

from lake import ledger
from lake.base.sql import literal, quoted
from lake.base.text import FORMULA, NUMBER
from lake.export.declaration import EVENT_ID
from lake.export.destination import NOTHING, Delivery, Held, Partition, Place
from lake.export.ecs import OWN, classes_of, document
from lake.export.files_store import Bucket, altered_in, held_in, reading, remove_left, store_of, writing
from lake.export.json_sql import columns_of, json_text, json_value
from lake.export.rows import Reader
from lake.storage import paths
from lake.storage.store import Store

TYPES = {
    "boolean": "Parquet BOOLEAN · JSON true/false · CSV true/false",
    "integer": "INT32, INT64 · number · number",
    "number": "DOUBLE · number · number",
    "text": "UTF8 · text · text",
    "timestamp": "TIMESTAMP (µs, UTC, no zone) · ISO text with Z · ISO text with Z",
    "date": "DATE · text · text",
    "binary": "BYTE_ARRAY · base64 · base64",
    "json": "JSON · as it is · JSON text",
    "object": "group · object · JSON text",
    "list": "LIST · array · JSON text",
    "map": "MAP · object · JSON text",
}
NOTES = (
    "NDJSON leaves NULL out; an object whose fields are all NULL is `{}`.",
    "`ecs.ndjson` holds the documents that go to Elasticsearch (see `elastic`).",
    "A changed `root` or `format` is another destination: all hours go there, and files of before stay where they are.",
)
# Bytes: DuckDB takes memory by the largest line it must expect. Rows may hold texts of 16 MB several times.
_LARGEST_LINES = (1 << 25, 1 << 28)


class Options(Bucket, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A root, how it is reached, and a format."""

    format: Literal["parquet", "ndjson", "ndjson.gz", "ecs.ndjson", "ecs.ndjson.gz", "csv", "csv.gz"] = "parquet"


def open_destination(name: str, options: Options, place: Place) -> "Files":
    """Return the destination; no request is made."""
    return Files(options, store_of(options, place), place)


class Files:
    """A folder or bucket of files."""

    def __init__(self, options: Options, store: Store, place: Place) -> None:
        self._format, self._store, self._place = options.format, store, place

    @property
    def identity(self) -> str:
        """Return root and format."""
        return f"files {self._store.url('').rstrip('/')} as {self._format}"

    def push(self, table: str, partition: Partition, reader: Reader) -> Delivery:
        """Replace the hour's file; of an hour without rows it is removed."""
        key, size, digests = self._key(table, partition), 0, dict[str, str]()
        made = reader.path.with_name(f"part.{self._format}-to-go")
        if reader.rows:
            self._write(reader, made)
            size, digests = made.stat().st_size, {key: ledger.digest_of(made)}
        with writing(self._store.url(key)):
            remove_left(self._store, key)
            if reader.rows:
                self._store.put(made, key)
                made.unlink()
            else:
                self._store.delete(key)
        held = self.read_back(table, partition)
        return Delivery(held=held, bytes=size, proof="file", remote={"file": self._store.url(key)}, digests=digests)

    def read_back(self, table: str, partition: Partition) -> Held:
        """Count the file's rows and sum their ids."""
        key = self._key(table, partition)
        with reading(self._store.url(key)):
            return self._asked(key) if self._store.info(key) is not None else NOTHING

    def altered(self, digests: Mapping[str, str]) -> dict[str, str]:
        """Return the files that are not as they were written, and what is found of each."""
        return altered_in(self._store, digests)

    def _asked(self, key: str) -> Held:
        *first, last = self._relations(key)
        for relation in first:
            try:
                return held_in(self._store, relation, self._place, self._place.threads)
            except (duckdb.InvalidInputException, duckdb.OutOfMemoryException, UnicodeDecodeError):
                continue  # perhaps only because of a larger line, of which the message may hold half a letter
        return held_in(self._store, last, self._place, 1)

    def close(self) -> None:
        """Nothing is open."""

    def _key(self, table: str, partition: Partition) -> str:
        return f"{paths.checked(table)}/{partition.folder}/part.{self._format}"

    def _write(self, reader: Reader, to: Path) -> None:
        compression = "gzip" if self._format.endswith(".gz") else "none"
        if self._format == "parquet":
            reader.write("select * from exported", to)
            return
        with reader.connect() as con:
            columns = columns_of(con.sql("from exported"))
            classes = classes_of(con, columns)
        if "ndjson" in self._format:
            # One text a line: JSON has no line break outside its strings, and none inside them that is not escaped.
            options = f"format csv, header false, delim '\x01', quote '', escape '', compression {compression}"
            own = {"event_id": f"to_json({EVENT_ID})::varchar"}
            ecs = self._format.startswith("ecs.")
            text = document(columns, classes, own) if ecs else json_text(columns)
            reader.write(f"select {text} from exported", to, options)
            return
        guard = self._place.escape_formulas
        chosen = ", ".join(f"{_flat(each.name, each.type, guard)} as {quoted(each.name)}" for each in columns)
        reader.write(f"select {chosen} from exported", to, f"format csv, header true, compression {compression}")

    def _relations(self, key: str) -> Iterator[str]:
        """Yield what reads the file: with little memory, then with what its lines may need at most."""
        url = literal(self._store.url(key))
        if self._format == "parquet":
            yield f"read_parquet({url}, hive_partitioning = false)"
            return
        for size in _LARGEST_LINES:
            if "ndjson" in self._format:
                ecs = self._format.startswith("ecs.")
                held = f"{{{OWN}: 'STRUCT(event_id VARCHAR)'}}" if ecs else f"{{{EVENT_ID}: 'VARCHAR'}}"
                options = f"columns = {held}, maximum_object_size = {size}, hive_partitioning = false"
                lines = f"read_json({url}, format = 'newline_delimited', {options})"
                yield f"(select {OWN}.event_id as {EVENT_ID} from {lines})" if ecs else lines
            else:
                options = f"delim = ',', quote = '\"', escape = '\"', max_line_size = {size}, buffer_size = {size}"
                yield f"read_csv({url}, header = true, all_varchar = true, parallel = false, {options})"


def _flat(name: str, type_: object, no_formulas: bool) -> str:
    """Return SQL for a value of CSV: objects and lists are JSON texts, and a text is no formula of a spreadsheet.

    The event id stays as it is: it begins with its source, and what is read back is held against it.
    """
    column = quoted(name)
    kind = getattr(type_, "id", "")
    if kind in ("struct", "list", "array", "map"):
        return f"case when {column} is not null then to_json({json_value(column, type_)})::varchar end"  # type: ignore[arg-type]
    if kind == "blob" or kind.startswith("timestamp"):
        return json_value(column, type_)  # type: ignore[arg-type]
    if no_formulas and kind == "varchar" and str(type_) != "JSON" and name != EVENT_ID:
        acts = f"regexp_matches({column}, {literal(FORMULA)}) and not regexp_matches({column}, {literal(NUMBER)})"
        return f"case when {acts} then chr(39) || {column} else {column} end"
    return column
