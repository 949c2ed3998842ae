"""The demo: a simulated estate, landed, built, balanced, and the incident that is found in it. `make demo` runs it."""

import argparse
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestration.cli.app import fail, known_errors
from orchestration.demo.context import context_settings
from orchestration.demo.estate import Arguments, generate
from orchestration.demo.tour import TOKEN, TOKEN_VARIABLE, console, step
from orchestration.settings import FILE_VARIABLE, TOP

HOME = TOP / ".headwater" / "demo"


def main(events: int = 200_000) -> int:
    """Run the demo and return an exit code: 0 when every sheet balances and the truth of the estate is met."""
    simulate(HOME, events)
    sources = {"aws_cloudtrail": {"root": "estate/cloudtrail"}, "windows_event": {"root": "estate/windows"}}
    files = {"files": {"type": "files", "root": "exports"}}
    write_settings(HOME, {"lake": "lake", "sources": sources, "destinations": files})
    code = run_tour(HOME, "two folders of objects")
    farewell(json.loads((HOME / "estate/truth.json").read_text()))
    return code


def simulate(home: Path, events: int) -> None:
    """Generate the simulated company in a demo's folder unless it is there."""
    step("1/8", f"a simulated company: 24 hours, about {events:,} events of three sources (deterministic by seed)")
    generate(home / "estate", Arguments(events=events), say=lambda line: console.print(f"    {line}", markup=False))


def run_tour(home: Path, places: str, secrets: Mapping[str, str] | None = None) -> int:
    """Run the steps in a demo's folder, as a process whose environment has the settings file; return its exit code."""
    environment = {TOKEN_VARIABLE: TOKEN, **os.environ, FILE_VARIABLE: str(home / "headwater.yml"), **(secrets or {})}
    console.file.flush()
    words = [sys.executable, "-m", "orchestration.demo.tour", str(home), places]
    return subprocess.run(words, env=environment, check=False).returncode


def write_settings(home: Path, places: dict[str, Any]) -> None:
    """Write a demo's settings file. The port of the simulated Okta stays the one that an earlier file names."""
    file = home / "headwater.yml"
    before = yaml.safe_load(file.read_text()) if file.exists() else {"sources": {}}
    okta = before["sources"].get("okta_system_log") or {
        "base_url": f"http://127.0.0.1:{_free_port()}",
        "budget_share": 1.0,
        "retention_days": 36500,  # the estate's day stays where it is
    }
    settings = {
        **places,
        "sources": {**places["sources"], "okta_system_log": okta},
        **context_settings(),
        "partitions_start": "2026-03-01T00",
    }
    file.write_text("# Written by the demo.\n" + yaml.safe_dump(settings, sort_keys=False))


def farewell(truth: Mapping[str, Any]) -> None:
    """Say where to go on, by commands that work as they stand."""
    found = truth["retro"][0]
    hints = (
        ("make dev", "the Dagster UI on this lake, http://127.0.0.1:3000"),
        (f"export {FILE_VARIABLE}={(HOME / 'headwater.yml').relative_to(TOP)}", ""),
        (".venv/bin/headwater balance --by-hour", "the sheet by event hour"),
        (".venv/bin/headwater quarantine list", "what broke its contract, and why"),
        (".venv/bin/headwater tables", "what can be asked"),
        ('.venv/bin/headwater query "select severity, message from gold.lateral_movement"', ""),
        (".venv/bin/headwater shell", "the same as a prompt"),
        (".venv/bin/headwater signals quality", "from raw events to true signals"),
        (f".venv/bin/headwater reference show indicators {found['indicator']}", "what was known of it, and when"),
        (f".venv/bin/headwater trace {found['found_later'][0]['uid']}", "from an OCSF row back to its raw text"),
        (".venv/bin/headwater export status", "what each destination has, and what is behind"),
    )
    console.print("\n[bold]Look around[/]")
    for command, about in hints:
        console.print(f"    {command:<44}" + (f"  # {about}" if about else ""), markup=False, soft_wrap=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    asked = argparse.ArgumentParser(prog="python -m orchestration.demo.local", description=main.__doc__)
    asked.add_argument("--events", type=int, default=200_000, help="size of the estate")
    try:
        sys.exit(main(asked.parse_args().events))
    except known_errors() as problem:
        sys.exit(fail(problem))
