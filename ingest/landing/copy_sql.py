"""The one statement that lands a batch: types, judges and files every decoded record.

What belongs here: SQL text. What does not: running it (`land`), or the expressions of a contract (`typing_sql`).
"""

from datetime import datetime
from pathlib import Path

from ingest.contracts import Contract
from ingest.contracts.model import quoted
from ingest.landing.typing_sql import ContractSql, literal

QUARANTINE_PARTITION = "quarantine"
PIPELINE_COLUMNS = (
    ("_raw", "VARCHAR"),
    ("_event_key", "VARCHAR"),
    ("_event_at", "TIMESTAMP"),
    ("_arrived_at", "TIMESTAMP"),
    ("_batch", "VARCHAR"),
    ("_source_object", "VARCHAR"),
    ("_source_row", "BIGINT"),
    ("_content_hash", "UBIGINT"),
    ("_violations", "VARCHAR[]"),
)
# Level 1 and a small dictionary limit: raw text compresses better and faster so (750 MB of CloudTrail, 2 cores).
# Row groups of 61,440 rows let two threads compress one hour side by side.
PARQUET = "format parquet, compression zstd, compression_level 1, dictionary_size_limit 1000, row_group_size 61440"


def copy_statement(sql: ContractSql, batch: str, latest_event_at: datetime, out: Path) -> str:
    """Return the COPY from the stream `decoded` to partitions under `out`.

    `decoded` has line, object, row, problem, detail, arrived_at (TIMESTAMP, UTC) and checked (0 keeps the contract,
    1 keeps its types, 2 not known).
    """
    columns = sql.columns()
    typed = ",\n    ".join(f"{expression} as {quoted(name)}" for name, _, expression in columns)
    names = ", ".join(quoted(name) for name, _, _ in columns)
    anys = f"try(json_extract(r.line, {_list(sql.any_paths)}))" if sql.any_paths else "null::json[]"
    return f"""
copy (
  with parsed as (
    select r.*,
      case when r.problem is null then try(json_extract_string(r.line, {_list(sql.paths)})) end as vals,
      case when r.problem is null and r.checked > 1 then try(json_type(r.line, {_list(sql.paths)})) end as types,
      case when r.problem is null then {anys} end as anys
    from decoded as r
  ),
  typed as (
    select
    {typed},
    r.line as _raw, r.object as _source_object, r.row as _source_row, r.arrived_at as _arrived_at, vals,
    {sql.event_key()} as event_key,
    {sql.event_at()} as event_at,
    {sql.rejection()} as rejection,
    {sql.violations()} as violations
    from parsed as r
  ),
  judged as (
    select *, coalesce(rejection, {sql.identity_rejection(latest_event_at)}) as rejected from typed
  )
  select {names}, _raw, event_key as _event_key, event_at as _event_at, _arrived_at,
    {literal(batch)} as _batch, _source_object, _source_row, md5_number_lower(_raw) as _content_hash,
    coalesce(rejected, violations) as _violations,
    case when rejected is null then strftime(event_at, '%Y-%m-%d') else '{QUARANTINE_PARTITION}' end as date,
    case when rejected is null then strftime(event_at, '%H') else '00' end as hour
  from judged
) to {literal(str(out))} ({PARQUET}, partition_by (date, hour), filename_pattern {literal(batch)})
"""


def quarantine_statement(contract: Contract, staged: Path, out: Path) -> str:
    """Return the COPY that gives the rejected records quarantine's own shape, filed by arrival hour."""
    return f"""
copy (
  select _raw, _violations[1] as reason, _violations[2] as field, _violations[3] as expected, _violations[4] as found,
    _source_object, _source_row, _batch, _arrived_at, {literal(contract.version)} as contract_version,
    strftime(_arrived_at, '%Y-%m-%d') as date, strftime(_arrived_at, '%H') as hour
  from read_parquet({literal(str(staged / "**" / "*.parquet"))}, hive_partitioning = false)
) to {literal(str(out))} ({PARQUET}, partition_by (date, hour), filename_pattern 'q')
"""


def _list(texts: list[str]) -> str:
    return "[" + ", ".join(literal(text) for text in texts) + "]"
