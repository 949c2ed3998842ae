"""How fast events go to Splunk: one hour pushed to a simulated collector, acknowledged, both on this machine.

Belongs here: one measurement. Not here: which are taken (`measures`). From the shell:
`python -m tests.bench.exports_splunk [EVENTS]`.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from lake.store import LocalStore
from tests.bench.process import ROOT
from tests.lake.delivery.lakes import SmallLake, export

_TOKEN_ENV = "HEADWATER_BENCH_SPLUNK_TOKEN"
ACK_DELAY_SECONDS = 0.2


@dataclass(frozen=True)
class Pushed:
    """One push: events a second by the clock, bytes of an event, and processor time an event (µs) of both sides."""

    events_per_second: float
    bytes_per_event: float
    push_cpu_micros: float
    collector_cpu_micros: float


def measure(events: int, folder: Path, columns: str | None = None) -> Pushed:
    """Push one hour of authentication events from reading the lake to the receipt; all must be acknowledged.

    Raises:
        RuntimeError: the receipt is not what was pushed.
    """
    lake = SmallLake(LocalStore(folder / "lake"), folder)
    lake.silver(rows=events, **({"columns": columns} if columns else {}))
    environment = {**os.environ, _TOKEN_ENV: "bench"}
    words = [sys.executable, "-m", "tests.simulators.splunk", "--token-env", _TOKEN_ENV, "--until-stdin-closes"]
    words += ["--ack-delay", str(ACK_DELAY_SECONDS)]
    os.environ[_TOKEN_ENV] = "bench"
    with subprocess.Popen(words, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        url = process.stdout.readline().decode().strip()
        there = lake.destination("splunk", url=url, token_env=_TOKEN_ENV)
        before, other, began = _cpu(os.getpid()), _cpu(process.pid), time.monotonic()
        receipt = lake.push(there, export())
        seconds = time.monotonic() - began
        own, other = _cpu(os.getpid()) - before, _cpu(process.pid) - other
        there.close()
        process.stdin.close()
    if not receipt.matches or receipt.sent != events or receipt.proof != "acknowledgements":
        raise RuntimeError(f"{receipt.mismatch or receipt}")
    with lake.read(export()).connect() as con:
        size = con.execute("select avg(length(to_json(exported)::varchar)) from exported").fetchone()
    return Pushed(events / seconds, float(size[0]) if size else 0.0, own / events * 1e6, other / events * 1e6)


def _cpu(process: int) -> float:
    times = psutil.Process(process).cpu_times()
    return times.user + times.system


def main(words: list[str]) -> None:
    """Measure once, and print it."""
    with tempfile.TemporaryDirectory() as folder:
        print(measure(int(words[0]) if words else 50_000, Path(folder)))


if __name__ == "__main__":
    main(sys.argv[1:])
