"""What becomes of fuzzed records behind landing: the lake is built, balanced and queried, and every row validated."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from lake.ledger.balance import balance
from lake.ocsf.validate import validate_table
from lake.storage.publish import open_store
from orchestration.dbt.project import load_project
from orchestration.steps.query import reading

_COMMAND = "from orchestration.cli import main; main()"
_SHOWN = 3


def publish(lake: Path, sources: Sequence[str]) -> list[str]:
    """Build the lake, balance it, query it, and hold all published rows against the official schema.

    Prints a line for each source. Returns what is wrong, a sentence each.
    """
    wrong = [*_built(lake)]
    rules = {source: Counter[str]() for source in sources}
    wrong += [*_invalid(lake, rules)]
    store = open_store(str(lake))
    sheet = balance(store, sources, mappings=load_project().mappings)
    for row in sheet.sources:
        broken = rules[row.source]
        _say(
            f"{row.source}: {row.landed:,} landed = {row.published:,} published + {row.duplicates:,} duplicates"
            f" + {row.filtered:,} filtered + {row.unprocessable:,} unprocessable; invalid by rule: {dict(broken) or 0}"
        )
        if not row.balanced:
            wrong.append(f"{row.source} is {row.state}: {row.why}")
    with reading(store) as con:
        views = con.execute("select view_name from duckdb_views() where schema_name = 'silver' order by 1").fetchall()
        for (table,) in views:
            rows = con.sql(f"select count(*), count(distinct metadata.uid), max(unmapped::varchar) from silver.{table}")
            if rows.fetchone() is None:
                wrong.append(f"silver.{table} cannot be read")
        kept_out = (
            "select error, count(*) from ledger.dispositions where error is not null group by all order by 2 desc"
        )
        for error, events in con.execute(kept_out).fetchall():
            _say(f"  unprocessable: {events:,} events: {error}")
    return wrong


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _built(lake: Path) -> Iterator[str]:
    """Build in a process of its own, so that a crash is told. After rows were made valid, nothing is left to build."""
    done = _build(lake)
    if done.returncode == 1 and "were made valid" in done.stderr and "Traceback" not in done.stderr:
        done = _build(lake)
    if done.returncode < 0:
        yield f"build: ended by signal {-done.returncode}"
    elif done.returncode or "Traceback" in done.stderr:
        yield f"build: exit code {done.returncode}: {done.stderr[-2000:]}"


def _build(lake: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _COMMAND, "build"],
        env=os.environ | {"HEADWATER_LAKE": str(lake)},
        capture_output=True,
        text=True,
        check=False,
    )


def _invalid(lake: Path, rules: dict[str, Counter[str]]) -> Iterator[str]:
    for folder in sorted(lake.glob("silver/*/source=*")):
        table, source = folder.parent.name, folder.name.removeprefix("source=")
        report = validate_table([*folder.glob("date=*/hour=*/*.parquet")], table, examples=_SHOWN)
        rules.setdefault(source, Counter()).update({f"{table}: {rule}": rows for rule, rows in report.by_rule.items()})
        if report.invalid:
            found = "; ".join(str(finding) for each in report.examples for finding in each.findings)[:600]
            yield f"{table} of {source}: {report.invalid:,} of {report.rows:,} rows are invalid: {found}"
