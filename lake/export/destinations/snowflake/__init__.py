"""Snowflake: one table per export, whose partitions are event hours (DATE, HOUR).

The rows go as Parquet to a temporary stage, are loaded into a temporary table, and one transaction replaces the
partition. Then it is counted. If another push of the same hour committed at the same time, both found nothing to delete
and its rows stand twice: the one that committed last sees it, and replaces the partition again.
"""

import shutil
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from lake.export.declaration import EVENT_ID
from lake.export.destination import NOTHING, Delivery, Held, Partition, Place
from lake.export.destinations.snowflake import sql
from lake.export.destinations.snowflake.columns import PARTITION, Column, columns_of, declared, plain_type, wider
from lake.export.destinations.snowflake.files import Written, write_files
from lake.export.destinations.snowflake.session import Options, Session, session
from lake.export.errors import DestinationUnavailable, SchemaConflict
from lake.export.evolution import Evolution, evolution
from lake.export.json_sql import columns_of as given_columns
from lake.export.rows import Reader
from lake.storage import paths

__all__ = ["NOTES", "TYPES", "Options", "Snowflake", "open_destination"]

TYPES = {
    "boolean": "BOOLEAN",
    "integer": "NUMBER(38,0)",
    "number": "FLOAT (decimals: NUMBER of their digits)",
    "text": "VARCHAR",
    "timestamp": "TIMESTAMP_NTZ(6), UTC",
    "date": "DATE",
    "binary": "BINARY",
    "json": "VARIANT",
    "object": "VARIANT (object)",
    "list": "VARIANT (array)",
    "map": "VARIANT (object)",
}
NOTES = (
    "Names are upper case, so that they need no quotes; fields inside VARIANT keep their case.",
    "DATE (DATE) and HOUR (a number, 0 to 23) are the event hour in UTC.",
    "In VARIANT, NULL fields are left out, instants are ISO 8601 texts with Z, binary is base64.",
    "A value larger than Snowflake takes (VARCHAR 16 MB, BINARY 8 MB, VARIANT 128 MB) refuses its row, not the hour.",
)
_REMOTE = ("copy", "delete", "insert", "commit")  # the queries whose ids a receipt keeps
_ROUNDS = 3  # of replacing, where pushes of one hour overlap


def open_destination(name: str, options: Options, place: Place) -> "Snowflake":
    """Return the destination; no request is made."""
    return Snowflake(name, options, place.work)


class Snowflake:
    """One schema of one database."""

    def __init__(self, name: str, options: Options, work: Path) -> None:
        self._name, self._options, self._work = name, options, work

    @property
    def identity(self) -> str:
        """Return account, database and schema."""
        said = self._options
        return f"snowflake {said.account.upper()} {said.database.upper()}.{said.schema.upper()}"

    def push(self, table: str, partition: Partition, reader: Reader) -> Delivery:
        """Replace the partition in one transaction, and count it; without rows it becomes empty.

        A row with a value that is larger than Snowflake takes is refused by itself.
        """
        paths.checked(table)
        with reader.connect() as con:
            columns = columns_of(given_columns(con.sql("from exported")))
        with self._session(table, partition) as asked:
            held = _described(asked, table)
            if not reader.rows:
                return _emptied(asked, table, partition, exists=held is not None)
            change = _change(table, held, columns)
            staged = f"HEADWATER_PUSH_{uuid.uuid4().hex.upper()}"
            written = self._load(asked, staged, columns, reader)
            _evolve(asked, table, columns, change)
            return _replaced(asked, table, partition, staged, columns, written)

    def read_back(self, table: str, partition: Partition) -> Held:
        """Count the partition's rows and sum their ids; a table that does not exist has none."""
        with self._session(paths.checked(table), partition) as asked:
            return NOTHING if _described(asked, table) is None else _held(asked, table, partition)

    def close(self) -> None:
        """Nothing is open: a push has a session of its own."""

    def _session(self, table: str, partition: Partition) -> AbstractContextManager[Session]:
        """Open a session whose statements say in Snowflake's query history what they are for."""
        said = {"app": "headwater", "destination": self._name, "table": table, "hour": str(partition)}
        tag = msgspec.json.encode(said).decode()
        return session(self._name, self._options, sql.session_parameters(tag, self._options.timeout_seconds))

    def _load(self, asked: Session, staged: str, columns: Sequence[Column], reader: Reader) -> Written:
        """Bring the rows into the push's own table; files of this machine go again."""
        folder = self._work / staged.lower()
        try:
            written = write_files(reader, columns, folder)
            asked.run(sql.create_stage(staged), "making a temporary stage")
            asked.run(sql.create_staged(staged, columns), "making a temporary table")
            for file in written.files:
                asked.run(sql.put(file, staged), "uploading")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        asked.run(sql.copy(staged, columns), "loading")
        loaded = int(asked.run(sql.count(staged), "counting what was loaded")[0][0])
        if loaded != written.held.rows:
            raise DestinationUnavailable(
                f"{self._name}: {written.held.rows:,} rows were uploaded and {loaded:,} loaded; nothing of the hour was"
                " changed. Push again"
            )
        return written


def _described(asked: Session, table: str) -> dict[str, str] | None:
    """Return name → type of a table's columns, or None if the role sees no such table."""
    rows = asked.run_unless_missing(sql.describe(table), f"looking at {table}")
    return None if rows is None else {str(row[0]): plain_type(str(row[1])) for row in rows}


def _change(table: str, held: dict[str, str] | None, columns: Sequence[Column]) -> Evolution | None:
    """Return what a table needs before it takes the rows; None if it must be made. Raises SchemaConflict."""
    if held is None:
        return None
    missing = [name for name in (EVENT_ID.upper(), *PARTITION) if name not in held]
    if missing:
        raise SchemaConflict(
            f"{table.upper()} is there already and has no column {', '.join(missing)}, so Headwater did not make it."
            " Nothing was changed there. Export to a new table (`table` in the model's meta.exports)"
        )
    wanted = declared(columns)
    return evolution(table.upper(), held, wanted, wider({*held.values(), *wanted.values()}))


def _evolve(asked: Session, table: str, columns: Sequence[Column], change: Evolution | None) -> None:
    if change is None:
        asked.run(sql.create(table, columns), f"making {table}")
        return
    for statement in sql.evolve(table, change):
        asked.run(statement, f"changing the columns of {table}")


def _emptied(asked: Session, table: str, partition: Partition, exists: bool) -> Delivery:
    held = NOTHING
    if exists:
        asked.run(sql.delete(table, partition), f"emptying {partition} of {table}")
        held = _held(asked, table, partition)
    return Delivery(held=held, bytes=0, proof="query", remote=_remote(asked))


def _replaced(
    asked: Session, table: str, partition: Partition, staged: str, columns: Sequence[Column], written: Written
) -> Delivery:
    """Replace the partition by the loaded rows until it holds them, and say what it holds."""
    where = f"replacing {partition} of {table}"
    for _ in range(_ROUNDS):
        asked.run(sql.BEGIN, where)
        asked.run(sql.delete(table, partition), where)
        asked.run(sql.insert(table, partition, staged, columns), where)
        asked.run(sql.COMMIT, f"{where} (it may have been replaced; pushing again settles it)")
        held = _held(asked, table, partition)
        if held == written.held:
            break
    return Delivery(held=held, bytes=written.bytes, proof="query", refused=written.refused, remote=_remote(asked))


def _remote(asked: Session) -> dict[str, str]:
    return {name: asked.queries[name] for name in _REMOTE if name in asked.queries}


def _held(asked: Session, table: str, partition: Partition) -> Held:
    rows, checksum = asked.run(sql.held(table, partition), f"counting {partition} of {table}")[0]
    return Held(rows=int(rows), checksum=int(checksum))
