"""The yardstick: what bare DuckDB needs to turn the same bytes into typed Parquet, without any of the guarantees.

read_json with the contract's top-level types, written as zstd Parquet by date and hour, all settings at their defaults.
"""

import shutil
import tempfile
import time
from pathlib import Path

import duckdb

from ingest.contracts import load_contracts


def bare_copy_seconds(source: str, path: Path) -> float:
    """Seconds of one COPY, the connection already open."""
    contract = load_contracts()[source]
    columns = {each.name: each.duckdb_type for each in contract.fields}
    names = [each.path for each in contract.event_times if each.path in columns]
    at = "coalesce(" + ", ".join(f"""try_cast("{name}"::varchar as timestamp)""" for name in names) + ")"
    declared = ", ".join(f"{_text(name)}: {_text(type_)}" for name, type_ in columns.items())
    out = Path(tempfile.mkdtemp(dir=path.parent))
    con = duckdb.connect()
    try:
        began = time.perf_counter()
        con.execute(
            f"copy (select *, strftime({at}, '%Y-%m-%d') as date, strftime({at}, '%H') as hour"
            f" from read_json({_text(str(path))}, format = 'newline_delimited', columns = {{{declared}}}))"
            f" to {_text(str(out))} (format parquet, compression zstd, partition_by (date, hour), overwrite_or_ignore)"
        )
        return time.perf_counter() - began
    finally:
        con.close()
        shutil.rmtree(out, ignore_errors=True)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
