"""The demo of exports: a small estate at Snowflake, BigQuery and Splunk, all on loopback. `make demo-exports` runs it.

The counterparts are `orchestration.demo.simulators`, started and ended by the demo. They hold everything in memory; the
lake is made once, and what an earlier run delivered is behind again, for its servers are gone.
"""

import argparse
import shutil
import sys
import time
from contextlib import ExitStack
from typing import Any

from orchestration.cli.app import fail, known_errors
from orchestration.demo.local import run_tour, simulate, write_settings
from orchestration.demo.simulators.loopback import ServerProcess, simulator
from orchestration.demo.tour import console
from orchestration.settings import TOP

HOME = TOP / ".headwater" / "demo-exports"
EVENTS = 20_000
COUNTERPARTS = ("snowflake", "bigquery", "splunk")
# What the counterparts take; real ones are read from the environment or the vendor's own chain, never from a file.
SECRETS = {"HEADWATER_SNOWFLAKE_PASSWORD": "demo", "HEADWATER_SPLUNK_TOKEN": "3f6f2d1e-0000-4000-8000-00000000demo"}


def main(events: int = EVENTS) -> int:
    """Run the demo of exports and return an exit code: 0 when every destination holds what was pushed."""
    began = time.monotonic()
    simulate(HOME, events)
    for left in (HOME / "lake" / "ledger" / "export", HOME / "lake" / "_exporting", HOME / "exports"):
        shutil.rmtree(left, ignore_errors=True)
    with ExitStack() as running:
        urls = {kind: running.enter_context(counterpart(kind)).url for kind in COUNTERPARTS}
        # Where the estate is stays, where the counterparts are is new each time.
        sources = {"aws_cloudtrail": {"root": "estate/cloudtrail"}, "windows_event": {"root": "estate/windows"}}
        destinations = {kind: destination(kind, url) for kind, url in urls.items()}
        write_settings(HOME, {"lake": "lake", "sources": sources, "destinations": destinations})
        console.print(f"    counterparts on loopback: {', '.join(f'{kind} at {url}' for kind, url in urls.items())}")
        code = run_tour(HOME, "two folders of objects", SECRETS)
    console.print(f"    {time.monotonic() - began:.0f} s in all; the counterparts held it in memory and are gone")
    return code


def counterpart(kind: str, *words: str) -> ServerProcess:
    """Return one counterpart on loopback, to be run as a process. `make demo-exports` installs what it needs."""
    return simulator(kind, *words, environment=SECRETS)


def destination(kind: str, url: str) -> dict[str, Any]:
    """Return the settings of one destination at its counterpart's address."""
    host, port = url.removeprefix("http://").split(":")
    known: dict[str, dict[str, Any]] = {
        "snowflake": {
            "type": "snowflake",
            "account": "demo",
            "user": "headwater",
            "password_env": "HEADWATER_SNOWFLAKE_PASSWORD",
            "database": "security",
            "schema": "curated",
            "host": host,
            "port": int(port),
            "protocol": "http",
        },
        "bigquery": {"type": "bigquery", "project": "demo", "dataset": "curated", "endpoint": url},
        "splunk": {"type": "splunk", "url": url, "token_env": "HEADWATER_SPLUNK_TOKEN", "index": "main"},
    }
    return known[kind]


if __name__ == "__main__":
    asked = argparse.ArgumentParser(prog="python -m orchestration.demo.exports", description=main.__doc__)
    asked.add_argument("--events", type=int, default=EVENTS, help="size of the estate")
    try:
        sys.exit(main(asked.parse_args().events))
    except known_errors() as problem:
        sys.exit(fail(problem))
