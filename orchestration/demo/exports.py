"""The demo of exports: a small estate at Snowflake, BigQuery and Splunk, all on loopback. `make demo-exports` runs it.

What belongs here: the counterparts (fakesnow, bqemulator, and the tests' Splunk), started and ended by the demo. What
does not: the steps (`orchestration.demo.local`). The counterparts hold everything in memory; the lake is made once, and
what an earlier run delivered is behind again, for its servers are gone.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import yaml

from orchestration.cli.output import fail, known_errors
from orchestration.demo.local import console, simulate, tour, write_settings
from orchestration.settings import TOP

HOME = TOP / ".headwater" / "demo-exports"
EVENTS = 20_000
COUNTERPARTS = {"snowflake": "fakesnow", "bigquery": "bqemulator", "splunk": "splunk"}
# What the counterparts take; real ones are read from the environment or the vendor's own chain, never from a file.
SECRETS = {"HEADWATER_SNOWFLAKE_PASSWORD": "demo", "HEADWATER_SPLUNK_TOKEN": "3f6f2d1e-0000-4000-8000-00000000demo"}


def main(events: int = EVENTS) -> int:
    """Run the demo of exports and return an exit code: 0 when every destination holds what was pushed."""
    began = time.monotonic()
    truth = simulate(HOME / "estate", events)
    for left in (HOME / "lake" / "ledger" / "export", HOME / "lake" / "_exporting", HOME / "exports"):
        shutil.rmtree(left, ignore_errors=True)
    os.environ |= SECRETS
    with ExitStack() as running:
        start = {name: running.enter_context(counterpart(name)) for name in COUNTERPARTS.values()}
        write(start)
        told = ", ".join(f"{name} at {url}" for name, url in start.items())
        console.print(f"    counterparts on loopback: {told}")
        code = tour(HOME, truth, "two folders of objects")
    console.print(f"    {time.monotonic() - began:.0f} s in all; the counterparts held it in memory and are gone")
    return code


@contextmanager
def counterpart(name: str, *more: str) -> Iterator[str]:
    """Run one counterpart on loopback while the block runs; give its address."""
    words = [sys.executable, "-m", f"tests.simulators.{name}", "--until-stdin-closes", *more]
    server = subprocess.Popen(words, cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip() if server.stdout else ""
        if not url:
            raise RuntimeError(f"{name} did not start; `make demo-exports` installs what it needs")
        yield url
    finally:
        if server.stdin:
            server.stdin.close()
        server.wait(timeout=20)


def write(start: dict[str, str]) -> None:
    """Write the settings file: where the estate is stays, where the counterparts are is new each time."""
    sources = {"aws_cloudtrail": {"root": "estate/cloudtrail"}, "windows_event": {"root": "estate/windows"}}
    write_settings(HOME, {"lake": "lake", "sources": sources})
    file = HOME / "headwater.yml"
    held: dict[str, Any] = yaml.safe_load(file.read_text())
    held["destinations"] = destinations(start)
    file.write_text("# Written by the demo of exports.\n" + yaml.safe_dump(held, sort_keys=False))


def destinations(start: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return the settings of the destinations at the counterparts' addresses."""
    return {kind: destination(kind, start[name]) for kind, name in COUNTERPARTS.items()}


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
