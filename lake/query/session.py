"""Reading the lake with SQL: one connection with a view for every table, and no way to write.

Bronze and quarantine show what receipts name, so a file that a killed step left is never seen. Views are made only
for the schemas that the question mentions: the ledger of three years takes a second to read.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from lake import ledger
from lake.base.errors import REPAIR, WRONG_CALL, HeadwaterError, tell_omission
from lake.base.sql import empty_select, listed, literal, quoted
from lake.ledger import build_receipts
from lake.ledger.balance import balance
from lake.ledger.export_receipts import ExportReceipt, exported, exporting
from lake.ledger.live_files import addresses, live_files
from lake.query import quarantine
from lake.storage import duck, paths
from lake.storage.duck import partitioned, typed_select
from lake.storage.store import Store

Columns = Sequence[tuple[str, str]]
_SILVER_PIPELINE: Columns = (("_batch", "VARCHAR"), ("_source_object", "VARCHAR"), ("_source_row", "BIGINT"))
_PARTITION: Columns = (("source", "VARCHAR"), ("date", "VARCHAR"), ("hour", "VARCHAR"))
_HOUR_KEYS = ("date", "hour")
_EXPLAIN = re.compile(
    r"\A(?:\s|--[^\n]*\n|/\*.*?\*/)*explain\b\s*(?:analy[sz]e\b\s*)?(?:\([^()]*\)\s*(?=[a-z]))?",
    re.IGNORECASE | re.DOTALL,
)


# Functions of a SELECT that write files or settings, and those that run a text, which could name them.
_ACTS = re.compile(
    r"\b(?:(?:en|dis)able_(?:logging|profiling)|truncate_duckdb_logs|write_log|(?:force_)?checkpoint)\b"
    r'|\b(?:query|query_table)\b"?(?:\s|--[^\n]*\n|/\*.*?\*/)*\(',
    re.IGNORECASE | re.DOTALL,
)


class ReadOnly(HeadwaterError, ValueError):
    """A statement that is not a question. The lake is written by landing and building alone."""

    exit_code = WRONG_CALL


class QuestionFailed(HeadwaterError):
    """DuckDB cannot answer a question; `missing` is the table that there is not, if that is why."""

    def __init__(self, said: str, missing: str = "") -> None:
        super().__init__(said)
        self.missing = missing


def connect(
    store: Store,
    sources: Mapping[str, Columns],
    classes: Mapping[str, Columns],
    question: str = "",
    reference: Mapping[str, str] | None = None,
    marts: Mapping[str, str] | None = None,
    without: Collection[str] = (),
) -> duckdb.DuckDBPyConnection:
    """Return a connection with views over the lake; only for the schemas that `question` mentions, if it is given.

    `sources` and `classes` give the columns that a table has even before its first file; `reference`
    gives SELECTs, and so does `marts`, of what stands in gold beside the marts and is made of them. Files of `without`
    (keys) are left out, for they are damaged.
    """
    con = duck.connect(store)
    for schema in ("bronze", "silver", "gold", "quarantine", "refused", "ledger", "reference"):
        con.execute(f"create schema {schema}")
        if not question or re.search(rf"\b{schema}\b", question, re.IGNORECASE) or _browses(question):
            named = {name: each for name, each in sources.items() if _names(question, name) or _browses(question)}
            for name, select in _views(store, schema, named, classes, reference or {}, marts or {}, con, without):
                try:
                    con.execute(f"create view {schema}.{quoted(name)} as {select}")
                except duckdb.Error:  # a file of it is damaged
                    if question and _names(question, name):
                        raise
                    tell_omission(f"{schema}.{name} cannot be read: {REPAIR}")
    con.execute("set allowed_directories = ?", [[store.url("")]])
    con.execute("set enable_external_access = false")
    con.execute("set python_enable_replacements = false")  # else a name may mean a variable of this program
    con.execute("set lock_configuration = true")
    return con


@dataclass(frozen=True)
class Answer:
    """What DuckDB answers: columns with DuckDB's types, and a cursor that makes rows as they are asked for."""

    names: list[str]
    types: list[Any]
    cursor: duckdb.DuckDBPyConnection
    question: str
    is_plan: bool = False  # of EXPLAIN: texts of several lines

    def rows(self, limit: int = 0) -> list[tuple[Any, ...]]:
        """Return the next rows, at most `limit` (0: all)."""
        return self.cursor.fetchmany(limit) if limit else self.cursor.fetchall()

    def count(self) -> int | None:
        """Return how many rows the whole answer has; None where it cannot be counted. The cursor is spent then."""
        try:
            found = self.cursor.execute(f"select count(*) from (\n{self.question.rstrip().rstrip(';')}\n)").fetchone()
        except duckdb.Error:
            return None
        return int(found[0]) if found else None


def answer(con: duckdb.DuckDBPyConnection, question: str) -> Answer:
    """Return the answer to one question.

    Raises:
        ReadOnly: it is not one statement that only reads.
        QuestionFailed: DuckDB cannot answer it.
    """
    with one_sentence():
        statements = con.extract_statements(question)
        if len(statements) != 1:
            raise ReadOnly(f"expected one statement, found {len(statements)}")
        kind = _explained(con, statements[0])
        if kind != duckdb.StatementType.SELECT:
            raise ReadOnly(
                f"a {kind.name} statement may change things; only questions (SELECT, DESCRIBE, SHOW) are answered"
            )
        if acts := _ACTS.search(question):
            raise ReadOnly(f"{acts[0].strip()} does more than to read; only questions are answered")
        cursor = con.execute(statements[0])
        told = cursor.description or ()
        is_plan = statements[0].type == duckdb.StatementType.EXPLAIN
        return Answer([each[0] for each in told], [each[1] for each in told], cursor, question, is_plan)


def ask(con: duckdb.DuckDBPyConnection, question: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the column names and all rows of one question. Raises what `answer` does."""
    found = answer(con, question)
    with one_sentence():
        return found.names, found.rows()


@contextmanager
def one_sentence() -> Iterator[None]:
    """Say what DuckDB finds wrong with a question in one sentence, with the names that are nearest."""
    try:
        yield
    except duckdb.PermissionException as problem:
        place = re.search(r'Cannot access \w+ "([^"]*)"', str(problem))
        what = f"{place[1]} is outside of the lake" if place else str(problem).split("\n")[0]
        raise QuestionFailed(f"{what}: questions read the lake's own tables") from None
    except duckdb.Error as problem:
        raise QuestionFailed(_sentence(str(problem)), missing=_missing_table(str(problem))) from None


def _sentence(message: str) -> str:
    """Return a message of DuckDB without the place in the statement, on one line."""
    said = " ".join(re.split(r"\n\s*LINE \d+:", message, maxsplit=1)[0].split())
    said = re.sub(r"^[A-Z][\w ]* Error: ", "", said)
    said = re.sub(
        r'Could not find key ("[^"]*") in struct Candidate Entries: ', r"there is no \1 in that object; near it: ", said
    )
    found = re.match(r'Referenced column ("[^"]*") not found in FROM clause! Candidate bindings: (.*)', said)
    return f"there is no column {found[1]}; near it: {found[2]}" if found else said


def _missing_table(message: str) -> str:
    found = re.search(r"Table with name (\S+) does not exist", message)
    return found[1] if found else ""


def _explained(con: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> duckdb.StatementType:
    """Return the type of a statement, or of the one that it explains: EXPLAIN ANALYZE runs what it explains."""
    if statement.type != duckdb.StatementType.EXPLAIN:
        return statement.type
    inner = con.extract_statements(_EXPLAIN.sub("", statement.query, count=1))
    return inner[0].type if len(inner) == 1 else statement.type


def _names(question: str, table: str) -> bool:
    return not question or bool(re.search(rf"\b{re.escape(table)}\b", question, re.IGNORECASE))


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
    without: Collection[str],
) -> Iterable[tuple[str, str]]:
    if schema == "bronze":
        for source, columns in sources.items():
            files = [each for each in live_files(_landings(store, source)) if each.key not in without]
            with_hour = [*columns, ("date", "VARCHAR"), ("hour", "VARCHAR")]
            yield source, typed_select(with_hour, addresses(store, files), keys=_HOUR_KEYS, place=store.url(""))
    elif schema == "quarantine":
        for source in sources:
            yield source, quarantine.select(store, source, without)
    elif schema == "silver":
        for table, columns in classes.items():
            yield table, _folder(store, f"{paths.SILVER}/{table}", "source=*/date=*/hour=*/*.parquet", columns, without)
    elif schema == "gold":
        for mart in (each for each in store.folders(paths.GOLD) if each not in marts):
            files_ = _whole(store, f"{paths.GOLD}/{mart}", "date=*/hour=*/*.parquet", without)
            rows = partitioned(listed(files_), store.url(""), _HOUR_KEYS, "union_by_name = true, ")
            yield mart, f"select * from {rows}"
        yield from marts.items()
    elif schema == "refused":
        for destination in store.folders(paths.REFUSED):
            pattern = literal(store.url(f"{paths.REFUSED}/{destination}/*/date=*/hour=*/part.parquet"))
            yield (
                destination,
                "select split_part(filename, '/', -4) as \"table\", * exclude (filename),"
                " split_part(filename, '/', -3)[6:] as date, split_part(filename, '/', -2)[6:] as hour"
                f" from read_parquet({pattern}, filename = true, hive_partitioning = false)",
            )
    elif schema == "reference":
        yield from reference.items()
    else:
        yield from _ledger(store, con, without)


def _landings(store: Store, source: str) -> Iterable[ledger.LandingReceipt]:
    """Return the receipts of a source that can be read; of the others it is told."""
    broken: list[str] = []
    yield from ledger.landings(store, source, broken)
    for each in broken:
        tell_omission(f"{each}; until then the rows of its batch are left out")


def _folder(store: Store, folder: str, pattern: str, columns: Columns, without: Collection[str]) -> str:
    with_pipeline = [*columns, *_SILVER_PIPELINE, *_PARTITION]
    if next(iter(store.list(folder)), None) is None:
        return empty_select(with_pipeline)
    files = _whole(store, folder, pattern, without)
    return typed_select(with_pipeline, files, keys=("source", *_HOUR_KEYS), place=store.url(""))


def _whole(store: Store, folder: str, pattern: str, without: Collection[str]) -> list[str]:
    """Return what to read of a table: a pattern, or where files of it are damaged the others by name."""
    if not any(key.startswith(f"{folder}/") for key in without):
        return [store.url(f"{folder}/{pattern}")]
    return [store.url(each.key) for each in store.list(folder) if each.key not in without]


def _ledger(store: Store, con: duckdb.DuckDBPyConnection, without: Collection[str]) -> Iterable[tuple[str, str]]:
    from lake.ledger.frames import lateness, volume  # Polars takes 0.2 s to import; only questions to the ledger wait

    receipts = [each for source in ledger.sources(store) for each in _landings(store, source)]
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
        for receipt in _exported(store, destination, table)
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
        files = listed(_whole(store, folder, "source=*/date=*/hour=*/*.parquet", without))
        yield (
            "dispositions",
            f"(select * from {partitioned(files, store.url(''), ('source', *_HOUR_KEYS), 'union_by_name = true, ')})"
            " union all by name (select null::varchar as error where false)",
        )


def _exported(store: Store, destination: str, table: str) -> Iterable[ExportReceipt]:
    try:
        return exported(store, destination, table).values()
    except ledger.BrokenReceipt as problem:
        tell_omission(f"{problem}; until then ledger.exports is without what went there")
        return ()


def _plain(value: object) -> object:
    """Receipts hold lists and maps whose shape varies: they become JSON text in the ledger's tables."""
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict | tuple) else value
