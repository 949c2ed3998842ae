"""Fuzz from the command line: lands each source's records in a process of its own, so that a crash is counted.

    python -m tests.fuzz --records 100000 --seed 7 [--source okta_system_log] [--keep /tmp/lake] [--kinds --scale 3]

Ends with 1 when anything was lost, stopped, or ended in a traceback or a crash.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.fuzz.kinds import all_kinds
from tests.fuzz.landing import BATCH_RECORDS, Counts, batch, land_batch, sources
from tests.fuzz.publish import publish

_SHOWN = 5
_FEWEST_BATCHES = 3  # of a source: each is of another sample of its records


def main() -> int:
    """Run the fuzzer; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000, help="in all, over all sources")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--source", action="append", help="only these sources")
    parser.add_argument("--keep", type=Path, help="a folder for the lake, which is then left there")
    parser.add_argument("--land-only", action="store_true", help="do not build, query and validate what landed")
    parser.add_argument("--kinds", action="store_true", help="also power loss, names, settings, kills")
    parser.add_argument("--scale", type=int, default=1, help="of --kinds: how many times as many kills and settings")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        return _child(*asked.child, asked.seed, asked.keep)
    wanted = asked.source or sources()
    lake = asked.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    lake.mkdir(parents=True, exist_ok=True)
    size = min(BATCH_RECORDS, -(-asked.records // len(wanted) // _FEWEST_BATCHES))
    each = -(-asked.records // len(wanted) // size)
    wrong, table = 0, list[tuple[str, int, int, int, int, int]]()
    try:
        for source in wanted:
            counts = landed(source, asked.seed, each, lake, size)
            _print(source, counts)
            wrong += counts.wrong
            bad = len(counts.tracebacks) + len(counts.crashes)
            lost = len(counts.untold) + len(counts.astray)
            table.append((f"records: {source}", counts.records, bad, len(counts.failed), len(counts.stopped), lost))
        if not asked.land_only:
            problems = publish(lake, wanted)
            for line in problems:
                print("  published:", line)
            wrong += len(problems)
        if asked.kinds:
            for kind in all_kinds(lake / "kinds", asked.seed, asked.scale):
                found = (kind.tracebacks, kind.wrong_codes, kind.stopped, kind.untold)
                table.append((kind.kind, kind.cases, *map(len, found)))
                wrong += len(kind.wrong)
                for line in kind.wrong[: 4 * _SHOWN]:
                    print(f"  {kind.kind}: {line}", flush=True)
            _print_table(table)
    finally:
        if not asked.keep:
            shutil.rmtree(lake, ignore_errors=True)
    print(f"{wrong} things went wrong")
    return 1 if wrong else 0


def landed(source: str, seed: int, number: int, lake: Path, size: int) -> Counts:
    """Land a number of batches of a source in child processes; one that crashes costs its batch."""
    total, at = Counts(), 0
    while at < number:
        command = [sys.executable, "-m", "tests.fuzz", "--seed", str(seed), "--keep", str(lake), "--child"]
        child = subprocess.Popen([*command, source, str(at), str(number), str(size)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("{"):
                found = json.loads(line)
                found["by_reason"] = Counter(found["by_reason"])
                total.add(Counts(**found))
                at += 1
        if code := child.wait():
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            total.crashes.append(f"{name} in batch {at} of {source}, seed {seed}")
            total.records += size
            at += 1
    return total


def _child(source: str, first: str, last: str, size: str, seed: int, lake: Path) -> int:
    for number in range(int(first), int(last)):
        name, data = batch(source, seed, number, int(size))
        print(json.dumps(vars(land_batch(lake, source, name, data, int(size)))), flush=True)
    return 0


def _print_table(table: list[tuple[str, int, int, int, int, int]]) -> None:
    heads = ("kind", "cases", "tracebacks", "wrong exit codes", "stopped neighbours", "untold losses")
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    for row in table:
        print("| " + " | ".join(f"{each:,}" if isinstance(each, int) else each for each in row) + " |")


def _print(source: str, counts: Counts) -> None:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.by_reason.most_common())
    print(
        f"{source}: {counts.records:,} records, {counts.landed:,} landed, quarantined: {reasons or 'none'};"
        f" {counts.coverage:,} coverage; {len(counts.failed)} batches failed, {len(counts.untold)} untold,"
        f" {len(counts.stopped)} stopped, {len(counts.astray)} astray,"
        f" {len(counts.tracebacks)} tracebacks, {len(counts.crashes)} crashes",
        flush=True,
    )
    for name in ("crashes", "tracebacks", "failed", "untold", "stopped", "astray", "unprocessable"):
        for line in list(dict.fromkeys(getattr(counts, name)))[:_SHOWN]:
            print(f"  {name}: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
