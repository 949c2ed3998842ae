"""Reading the lake with SQL: one connection with a view for every table, and no way to write.

Bronze and quarantine show what receipts name, so a file that a killed step left is never seen. Views are made only
for the schemas that the question mentions: the ledger of three years takes a second to read.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import duckdb
import msgspec
import pyarrow as pa

from lake import ledger
from lake.base.errors import WRONG_CALL, HeadwaterError
from lake.base.sql import empty_select, literal, quoted
from lake.ledger import build_receipts
from lake.ledger.balance import balance
from lake.ledger.export_receipts import exported, exporting
from lake.ledger.live_files import addresses, live_files
from lake.query import quarantine
from lake.storage import duck, paths
from lake.storage.duck import typed_select
from lake.storage.store import Store

Columns = Sequence[tuple[str, str]]
_SILVER_PIPELINE: Columns = (("_batch", "VARCHAR"), ("_source_object", "VARCHAR"), ("_source_row", "BIGINT"))
_PARTITION: Columns = (("source", "VARCHAR"), ("date", "VARCHAR"), ("hour", "VARCHAR"))
_EXPLAIN = re.compile(
    r"\A(?:\s|--[^\n]*\n|/\*.*?\*/)*explain\b\s*(?:analy[sz]e\b\s*)?(?:\([^()]*\)\s*(?=[a-z]))?",
    re.IGNORECASE | re.DOTALL,
)


class ReadOnly(HeadwaterError, ValueError):
    """A statement that is not a question. The lake is written by landing and building alone."""

    exit_code = WRONG_CALL


def connect(
    store: Store,
    sources: Mapping[str, Columns],
    classes: Mapping[str, Columns],
    question: str = "",
    reference: Mapping[str, str] | None = None,
    marts: Mapping[str, str] | None = None,
) -> duckdb.DuckDBPyConnection:
    """Return a connection with views over the lake; only for the schemas that `question` mentions, if it is given.

    `sources` and `classes` give the columns that a table has even before its first file; `reference`
    gives SELECTs, and so does `marts`, of what stands in gold beside the marts and is made of them.
    """
    con = duck.connect(store)
    for schema in ("bronze", "silver", "gold", "quarantine", "refused", "ledger", "reference"):
        con.execute(f"create schema {schema}")
        if not question or re.search(rf"\b{schema}\b", question, re.IGNORECASE) or _browses(question):
            for name, select in _views(store, schema, sources, classes, reference or {}, marts or {}, con):
                con.execute(f"create view {schema}.{quoted(name)} as {select}")
    con.execute("set allowed_directories = ?", [[store.url("")]])
    con.execute("set enable_external_access = false")
    con.execute("set lock_configuration = true")
    return con


def ask(con: duckdb.DuckDBPyConnection, question: str) -> tuple[list[str], list[tuple[object, ...]]]:
    """Return the column names and rows of one question.

    Raises:
        ReadOnly: it is not one statement that only reads.
        duckdb.Error: DuckDB cannot answer it.
    """
    statements = con.extract_statements(question)
    if len(statements) != 1:
        raise ReadOnly(f"expected one statement, found {len(statements)}")
    kind = _explained(con, statements[0])
    if kind != duckdb.StatementType.SELECT:
        raise ReadOnly(
            f"a {kind.name} statement may change things; only questions (SELECT, DESCRIBE, SHOW) are answered"
        )
    cursor = con.execute(statements[0])
    return [column[0] for column in cursor.description or ()], cursor.fetchall()


def _explained(con: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> duckdb.StatementType:
    """Return the type of a statement, or of the one that it explains: EXPLAIN ANALYZE runs what it explains."""
    if statement.type != duckdb.StatementType.EXPLAIN:
        return statement.type
    inner = con.extract_statements(_EXPLAIN.sub("", statement.query, count=1))
    return inner[0].type if len(inner) == 1 else statement.type


def _browses(question: str) -> bool:
    return bool(re.search(r"\b(show|information_schema|duckdb_)\w*", question, re.IGNORECASE))


def _views(
    store: Store,
    schema: str,
    sources: Mapping[str, Columns],
    classes: Mapping[str, Columns],
    reference: Mapping[str, str],
    marts: Mapping[str, str],
    con: duckdb.DuckDBPyConnection,
) -> Iterable[tuple[str, str]]:
    if schema == "bronze":
        for source, columns in sources.items():
            files = live_files(ledger.landings(store, source))
            with_hour = [*columns, ("date", "VARCHAR"), ("hour", "VARCHAR")]
            yield source, typed_select(with_hour, addresses(store, files), hive=True)
    elif schema == "quarantine":
        for source in sources:
            yield source, quarantine.select(store, source)
    elif schema == "silver":
        for table, columns in classes.items():
            yield table, _folder(store, f"{paths.SILVER}/{table}", "source=*/date=*/hour=*/*.parquet", columns)
    elif schema == "gold":
        for mart in (each for each in store.folders(paths.GOLD) if each not in marts):
            pattern = literal(store.url(f"{paths.GOLD}/{mart}/date=*/hour=*/*.parquet"))
            options = "union_by_name = true, hive_partitioning = true, hive_types_autocast = false"
            yield mart, f"select * from read_parquet({pattern}, {options})"
        yield from marts.items()
    elif schema == "refused":
        for destination in store.folders(paths.REFUSED):
            pattern = literal(store.url(f"{paths.REFUSED}/{destination}/*/date=*/hour=*/part.parquet"))
            yield (
                destination,
                "select split_part(filename, '/', -4) as \"table\", * exclude (filename) from read_parquet("
                f"{pattern}, filename = true, hive_partitioning = true, hive_types_autocast = false)",
            )
    elif schema == "reference":
        yield from reference.items()
    else:
        yield from _ledger(store, con)


def _folder(store: Store, folder: str, pattern: str, columns: Columns) -> str:
    with_pipeline = [*columns, *_SILVER_PIPELINE, *_PARTITION]
    if next(iter(store.list(folder)), None) is None:
        return empty_select(with_pipeline)
    return typed_select(with_pipeline, [store.url(f"{folder}/{pattern}")], hive=True)


def _ledger(store: Store, con: duckdb.DuckDBPyConnection) -> Iterable[tuple[str, str]]:
    from lake.ledger.frames import lateness, volume  # Polars takes 0.2 s to import; only questions to the ledger wait

    receipts = list(ledger.landings(store))
    landings = [msgspec.to_builtins(receipt) for receipt in receipts]
    builds = [
        msgspec.to_builtins(receipt)
        for model in build_receipts.models(store)
        for receipt in build_receipts.of_model(store, model).values()
    ]
    hours = [msgspec.to_builtins(row) for row in balance(store, deliveries=True).hours]
    exports = [
        msgspec.to_builtins(receipt) | {"matches": receipt.matches}
        for destination, table in exporting(store)
        for receipt in exported(store, destination, table).values()
    ]
    for name, rows in (("landings", landings), ("builds", builds), ("balance", hours), ("exports", exports)):
        if rows:
            flat = [{key: _plain(value) for key, value in row.items()} for row in rows]
            con.register(f"_ledger_{name}", pa.Table.from_pylist(flat))
            yield name, f"select * from _ledger_{name}"
    for name, frame in (("lateness", lateness(receipts)), ("volume", volume(receipts))):
        con.register(f"_ledger_{name}", frame.to_arrow())
        yield name, f"select * from _ledger_{name}"
    folder = f"{paths.LEDGER}/dispositions"
    if next(iter(store.list(folder)), None) is not None:
        files = literal(store.url(f"{folder}/source=*/date=*/hour=*/*.parquet"))
        yield (
            "dispositions",
            f"select * from read_parquet({files}, hive_partitioning = true, hive_types_autocast = false)",
        )


def _plain(value: object) -> object:
    """Receipts hold lists and maps whose shape varies: they become JSON text in the ledger's tables."""
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict | tuple) else value
