"""`make bench`: measure, print a table, write it to `.headwater/bench.json`.

Never a timed test: a slow machine is not a broken one. What counts are ratios to bare DuckDB in the same run.
"""

import argparse
import json
import os
import shutil
from contextlib import nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tests.bench import buckets, context, exports, measures, retro, years
from tests.bench.measures import Bench, Row
from tests.bench.process import in_forks

QUICK_EVENTS, QUICK_SOURCES = 3_000, ("okta_system_log",)
MEASURES = {
    **measures.MEASURES,
    "s3": buckets.lakes,
    "objects": buckets.objects,
    "exports": exports.exports,
    "context": context.context,
    "retro": retro.retro,
    "years": years.years,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--events", type=int, default=500_000, help="events of all sources together")
    parser.add_argument("--only", choices=MEASURES, action="append", help="measure only this; may be repeated")
    parser.add_argument("--quick", action="store_true", help="every measure once, on inputs too small to mean much")
    parser.add_argument("--folder", type=Path, default=Path(".headwater"), help="where inputs, lakes, bench.json go")
    parser.add_argument("--repeats", type=int, default=3, help="take each time so often; the best one counts")
    options = parser.parse_args()
    folder = (options.folder / "bench").resolve()
    bench = Bench(options.events, folder, options.repeats, lambda line: print(f"  {line}", flush=True))
    if options.quick:
        bench = replace(bench, events=QUICK_EVENTS, repeats=1, sources=QUICK_SOURCES)
    rows: list[Row] = []
    print(f"{bench.events:,} events; {psutil.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    if options.quick:
        print("quick: every measure is run once in a warm process; times, memory and ratios say nothing")
    try:
        with in_forks() if options.quick else nullcontext():
            for name in options.only or MEASURES:
                print(f"{name} …", flush=True)
                rows += MEASURES[name](bench)
    finally:
        shutil.rmtree(folder / "lakes", ignore_errors=True)
        _write(rows, bench.events, options.folder / "bench.json")
        _print(rows, judged=not options.quick)


def _print(rows: list[Row], judged: bool) -> None:
    for row in rows:
        wanted = "" if row.target is None else f"{'≥' if row.better == 'more' else '≤'} {row.target:g}"
        state = {True: "met", False: "MISSED", None: ""}[row.met if judged else None]
        print(f"{row.what:<48} {row.value:8.2f} {row.unit:<10} {wanted:<7} {state:<7} {row.note}")


def _write(rows: list[Row], events: int, file: Path) -> None:
    told = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "events": events,
        "cores": psutil.cpu_count(),
        "load": os.getloadavg(),
        "rows": [asdict(row) | {"met": row.met} for row in rows],
    }
    file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
