"""The statements that Snowflake is sent, as documented under docs.snowflake.com/en/sql-reference.

A push has a temporary stage and a temporary table of its own. Both end with the session, files and all, so that a push
that died leaves nothing. (The stage is a named one, for a load that selects cannot read a table's own.)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lake.base.sql import quoted
from lake.export.declaration import EVENT_ID
from lake.export.destination import Partition
from lake.export.destinations.snowflake.columns import DATE, HOUR, Column, declared
from lake.export.evolution import Evolution

BEGIN, COMMIT = "BEGIN TRANSACTION", "COMMIT"
_COMMENT = "Event hours that Headwater exports: each push replaces one (DATE, HOUR) as a whole"
_HEX = "0123456789abcdef"


def text(value: str) -> str:
    """Return a string constant; a backslash escapes in Snowflake's, so it is doubled as quotes are."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def table_name(table: str) -> str:
    """Return a table's name as an identifier that also answers to the name without quotes."""
    return quoted(table.upper())


def describe(table: str) -> str:
    """Return the statement that lists a table's columns."""
    return f"DESCRIBE TABLE {table_name(table)}"


def create(table: str, columns: Sequence[Column]) -> str:
    """Return the statement that makes a table, clustered as it is read: by day and hour."""
    fields = ", ".join(f"{quoted(name)} {_sized(type_)}" for name, type_ in declared(columns).items())
    return (
        f"CREATE TABLE IF NOT EXISTS {table_name(table)} ({fields})"
        f" CLUSTER BY ({quoted(DATE)}, {quoted(HOUR)}) COMMENT = {text(_COMMENT)}"
    )


def evolve(table: str, change: Evolution) -> list[str]:
    """Return the statements that add and widen a table's columns."""
    name = table_name(table)
    return [
        *(
            f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {quoted(column)} {_sized(type_)}"
            for column, type_ in change.added.items()
        ),
        *(
            f"ALTER TABLE {name} ALTER COLUMN {quoted(column)} SET DATA TYPE {_sized(type_)}"
            for column, type_ in change.widened.items()
        ),
    ]


def create_stage(staged: str) -> str:
    """Return the statement that makes the push's own stage; OR REPLACE, so that it may be sent again."""
    return f"CREATE OR REPLACE TEMPORARY STAGE {staged}"


def create_staged(staged: str, columns: Sequence[Column]) -> str:
    """Return the statement that makes the push's own table; OR REPLACE, so that it may be sent again."""
    fields = ", ".join(f"C{number} {each.staged}" for number, each in enumerate(columns))
    return f"CREATE OR REPLACE TEMPORARY TABLE {staged} ({fields})"


def put(file: Path, staged: str) -> str:
    """Return the statement that uploads a file of this machine to the push's stage."""
    address = text(f"file://{file.as_posix()}")
    return f"PUT {address} @{staged} AUTO_COMPRESS = FALSE SOURCE_COMPRESSION = NONE OVERWRITE = TRUE PARALLEL = 4"


def copy(staged: str, columns: Sequence[Column]) -> str:
    """Return the statement that loads the uploaded files, all or nothing, and removes them."""
    names = ", ".join(f"C{number}" for number in range(len(columns)))
    values = ", ".join(f"$1:C{number}::{each.staged}" for number, each in enumerate(columns))
    return (
        f"COPY INTO {staged} ({names}) FROM (SELECT {values} FROM @{staged})"
        " FILE_FORMAT = (TYPE = PARQUET) ON_ERROR = ABORT_STATEMENT PURGE = TRUE"
    )


def count(staged: str) -> str:
    """Return the query for the rows that were loaded."""
    return f"SELECT COUNT(*) FROM {staged}"


def delete(table: str, partition: Partition) -> str:
    """Return the statement that empties a partition."""
    return f"DELETE FROM {table_name(table)} WHERE {_where(partition)}"


def insert(table: str, partition: Partition, staged: str, columns: Sequence[Column]) -> str:
    """Return the statement that fills a partition from the push's table."""
    names = ", ".join(quoted(name) for name in declared(columns))
    values = ", ".join(each.read for each in columns)
    return (
        f"INSERT INTO {table_name(table)} ({names})"
        f" SELECT {values}, {_day(partition)}, {partition.hour.hour} FROM {staged}"
    )


def held(table: str, partition: Partition) -> str:
    """Return the query for a partition's rows and the checksum over their event ids.

    TO_NUMBER(…, 'XXXXXXXX') would be shorter; this form is understood by Snowflake and by its counterpart in tests.
    """
    digits = " + ".join(
        f"(POSITION(SUBSTR(H, {place}, 1), {text(_HEX)}) - 1) * {16 ** (8 - place)}" for place in range(1, 9)
    )
    return (
        f"SELECT COUNT(*), COALESCE(SUM(CAST({digits} AS NUMBER(38,0))), 0)"
        f" FROM (SELECT MD5({quoted(EVENT_ID.upper())}) AS H FROM {table_name(table)} WHERE {_where(partition)})"
    )


def session_parameters(tag: str, timeout_seconds: int) -> Mapping[str, str | int | bool]:
    """Return what a push's session is set to, whatever the account's defaults are.

    A statement waits no longer for another push's lock than it may take. One whose client is gone is aborted.
    """
    return {
        "QUERY_TAG": tag,
        "AUTOCOMMIT": True,
        "TIMEZONE": "UTC",
        "STATEMENT_TIMEOUT_IN_SECONDS": timeout_seconds,
        "LOCK_TIMEOUT": timeout_seconds,
        "ABORT_DETACHED_QUERY": True,
        "CLIENT_TELEMETRY_ENABLED": False,
    }


def _where(partition: Partition) -> str:
    return f"{quoted(DATE)} = {_day(partition)} AND {quoted(HOUR)} = {partition.hour.hour}"


def _day(partition: Partition) -> str:
    return f"{text(partition.date.isoformat())}::DATE"


def _sized(type_: str) -> str:
    return "TIMESTAMP_NTZ(6)" if type_ == "TIMESTAMP_NTZ" else type_
