"""How fast curated tables reach each destination, against its counterpart on this machine, and in how much memory.

One hour is pushed the whole way, from the lake's files to the receipt that was read back, in a process of its own whose
memory is watched. The counterparts (`orchestration.demo.simulators`) share the cores with the push.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lake.storage.store import LocalStore
from orchestration.demo.exports import COUNTERPARTS, SECRETS, counterpart, destination
from orchestration.demo.simulators.bigquery import bqemulator
from orchestration.demo.simulators.snowflake import fakesnow
from tests.bench.measures import GIB, Bench, Row
from tests.bench.process import Measured, module
from tests.unit.export.lakes import HOUR, SmallLake, export

_SHARE, _MORE = 10, 4  # of the bench's events, and how many times as many for the growth of memory
_SPLUNK_TARGET = 20_000
_MEMORY_BYTES = 1 * GIB

_MISSING = {"snowflake": fakesnow.MISSING, "bigquery": "" if bqemulator.installed() else bqemulator.ABSENT}

Options = dict[str, Any]


def exports(bench: Bench) -> Iterator[Row]:
    """Rows and megabytes a second to every destination, and how memory grows with the rows of an hour."""
    os.environ |= SECRETS
    few = max(1000, bench.events // _SHARE)
    for kind in ("files", *COUNTERPARTS):
        if missing := _MISSING.get(kind):
            bench.say(f"{kind}: {missing}")
            continue
        with _started(bench.folder, kind) as options:
            best = min((_pushed(bench, kind, options, few) for _ in range(bench.repeats)), key=_seconds)
            more = _pushed(bench, kind, options, few * _MORE)
        told = json.loads(more.printed.splitlines()[-1])
        fixed = _seconds(best)
        rate = told["rows"] / told["seconds"]
        note = (
            f"{told['rows']:,} rows in {told['seconds']:.1f} s, {told['bytes'] / 1e6 / told['seconds']:.1f} MB/s pushed"
            f" ({told['bytes'] / 1e6:.0f} MB); {few:,} rows in {fixed:.1f} s"
        )
        yield Row(f"{kind}: rows a second", rate, "rows/s", _SPLUNK_TARGET if kind == "splunk" else None, note=note)
        note = f"{best.peak_bytes / GIB:.2f} GiB with {few:,} rows, of {_MEMORY_BYTES / GIB:.0f} GiB for DuckDB"
        yield Row(f"{kind}: peak memory with {_MORE}×", more.peak_bytes / GIB, "GiB", 2.0, "less", note)


def _pushed(bench: Bench, kind: str, options: Options, rows: int) -> Measured:
    folder = bench.folder / "lakes" / f"export-{kind}"
    shutil.rmtree(folder, ignore_errors=True)
    SmallLake(LocalStore(folder / "lake"), folder).silver(HOUR, rows=rows)
    return module(folder / "lake", "tests.bench.exports", kind, json.dumps(options))


def _seconds(pushed: Measured) -> float:
    return float(json.loads(pushed.printed.splitlines()[-1])["seconds"])


@contextmanager
def _started(folder: Path, kind: str) -> Iterator[Options]:
    """Run the counterpart of a kind while the block runs; give the settings of a destination there."""
    if kind == "files":
        yield {"root": str(folder / "lakes" / "exported"), "format": "parquet"}
        return
    more = ("--ack-delay", "0.2") if kind == "splunk" else ()
    with counterpart(kind, *more) as running:
        yield {name: value for name, value in destination(kind, running.url).items() if name != "type"}


def main(kind: str, options: str) -> None:
    """Push the hour of the lake that HEADWATER_LAKE names; print rows, bytes and seconds as JSON."""
    folder = Path(os.environ["HEADWATER_LAKE"]).parent
    lake = SmallLake(LocalStore(folder / "lake"), folder)
    there = lake.destination(kind, **json.loads(options))
    began = time.perf_counter()
    receipt = lake.push(there, export())
    seconds = time.perf_counter() - began
    there.close()
    if not receipt.matches:
        raise RuntimeError(receipt.mismatch)
    print(json.dumps({"rows": receipt.rows, "bytes": receipt.bytes_pushed, "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
