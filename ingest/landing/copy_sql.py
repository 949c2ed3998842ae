"""The one statement that lands a batch: types, judges and files every decoded record.

What belongs here: SQL text. What does not: running it (`land`), or the expressions of a contract (`typing_sql`).
"""

from datetime import datetime
from pathlib import Path

from ingest.contracts import Contract
from ingest.contracts.bronze import pipeline_columns
from ingest.contracts.model import quoted
from ingest.landing.json_sql import ContractSql
from ingest.landing.text_sql import TextSql
from lake.base.sql import literal

QUARANTINE_PARTITION = "quarantine"
PIPELINE_COLUMNS = tuple((each.name, each.duckdb_type) for each in pipeline_columns)
# Level 1 and a small dictionary limit: raw text compresses better and faster so (750 MB of CloudTrail, 2 cores).
# DuckDB gathers a row group for each open hour before it writes: 3.4 GB over 24 hours peak at 1.9 GiB, at 2.1 with
# 20,480 rows.
ROW_GROUP_ROWS = 12288
_FEWEST_ROW_GROUP_ROWS = 2048
_PARQUET = "format parquet, compression zstd, compression_level 1, dictionary_size_limit 1000"


def copy_by_hour(query: str, batch: str, out: Path, row_group_rows: int = ROW_GROUP_ROWS) -> str:
    """Return the COPY of a query with date and hour to a folder of each event hour under `out`."""
    target = f"partition_by (date, hour), filename_pattern {literal(batch)}, overwrite_or_ignore true"
    return f"copy ({query}) to {literal(str(out))} ({_PARQUET}, row_group_size {row_group_rows}, {target})"


def copy_unsorted(query: str, out: Path) -> str:
    """Return the COPY of a query to one file, which needs little memory however many event hours there are."""
    return f"copy ({query}) to {literal(str(out))} ({_PARQUET}, row_group_size {_FEWEST_ROW_GROUP_ROWS})"


def hours_query(unsorted: Path) -> str:
    """Return the query for the date and hour folders (as one text) of a file made by `copy_unsorted`, in order."""
    return f"select distinct date || hour from {_file(unsorted)} order by 1"


def slice_query(unsorted: Path, first: str, last: str) -> str:
    """Return the query for the records of a file made by `copy_unsorted` that belong to a range of hours."""
    return f"select * from {_file(unsorted)} where date || hour between {literal(first)} and {literal(last)}"


def row_group_rows(budget_bytes: int, record_bytes: float) -> int:
    """Return how many records of a size a row group may have to fit into a budget."""
    rows = int(budget_bytes / max(record_bytes, 1.0))
    return max(_FEWEST_ROW_GROUP_ROWS, min(ROW_GROUP_ROWS, rows))


def judged_query(sql: ContractSql | TextSql, batch: str, latest_event_at: datetime) -> str:
    """Return the query that types and judges each record of the stream `decoded`: bronze's columns, date and hour.

    The date of a rejected record is `quarantine`, and its `_violations` are [reason, field, expected, found].
    `decoded` has line, object, row, problem, detail, arrived_at (TIMESTAMP, UTC) and either checked (0 keeps the
    contract, 1 keeps its types, 2 not known) or the values of text records (`text_fields`). Columns of one step begin
    with two underscores, which no bronze column does.
    """
    names = ", ".join(quoted(each.name) for each in sql.contract.fields)
    made = {
        "_batch": literal(batch),
        "_content_hash": "hash(_raw)",  # md5 costs a tenth of the landing; DuckDB may change this hash with a version
        "_violations": "coalesce(__rejected, _violations)",
    }
    pipeline = ", ".join(f"{made.get(name, name)}::{duckdb_type} as {name}" for name, duckdb_type in PIPELINE_COLUMNS)
    return f"""
with {_typed_json(sql) if isinstance(sql, ContractSql) else sql.typed()},
identified as (
  select *, {sql.identity.event_key()} as _event_key, {sql.identity.event_at()} as _event_at from typed
),
judged as (
  select *, coalesce(__rejection, {sql.identity.rejection(latest_event_at)}) as __rejected from identified
)
select {names}, {pipeline},
  case when __rejected is null then strftime(_event_at, '%Y-%m-%d') else '{QUARANTINE_PARTITION}' end as date,
  case when __rejected is null then strftime(_event_at, '%H') else '00' end as hour
from judged
"""


def _typed_json(sql: ContractSql) -> str:
    """The steps that give `typed`: the contract's columns of JSON records, and what is wrong with each."""
    shapes = ",\n      ".join(
        f"case when r.problem is null and r.checked <= 1 then {expression} end as {name}"
        for name, expression in sql.clean.shapes()
    )
    lists = ",\n      ".join(
        f"case when __careful then {expression} end as {name}" for name, expression in sql.careful.lists()
    )
    typed = ",\n      ".join(f"{expression} as {quoted(name)}" for name, expression in sql.columns)
    return f"""parsed as (
  select r.*,
    {shapes}
  from decoded as r
),
sorted as (
  select r.*, {sql.is_careful()} as __careful from parsed as r
),
looked_up as (
  select r.*,
    {lists}
  from sorted as r
),
typed as (
  select
    {typed},
    r.line as _raw, r.object as _source_object, r.row as _source_row, r.arrived_at as _arrived_at,
    {sql.rejection()} as __rejection,
    {sql.violations()} as _violations
  from looked_up as r
)"""


def quarantine_statement(contract: Contract, staged: Path, out: Path) -> str:
    """Return the COPY that gives the rejected records quarantine's own shape, filed by arrival hour.

    A line that needs its object's header line to be read is kept with it: the two are an object that can be landed.
    """
    header = quoted(contract.format.header_field) if contract.format.header_field else ""
    raw = f"coalesce({header} || chr(10), '') || _raw" if header else "_raw"
    return f"""
copy (
  select {raw} as _raw, _violations[1] as reason, _violations[2] as field, _violations[3] as expected,
    _violations[4] as found, _source_object, _source_row, _batch, _arrived_at,
    {literal(contract.version)} as contract_version,
    strftime(_arrived_at, '%Y-%m-%d') as date, strftime(_arrived_at, '%H') as hour
  from read_parquet({literal(str(staged / "**" / "*.parquet"))}, hive_partitioning = false)
) to {literal(str(out))} ({_PARQUET}, partition_by (date, hour), filename_pattern 'q')
"""


def _file(path: Path) -> str:
    return f"read_parquet({literal(str(path))}, hive_partitioning = false)"
