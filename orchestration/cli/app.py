"""The application, and what every command works on: settings, lake, contracts, times as people write them."""

import re
from datetime import datetime, timedelta
from typing import Annotated

import typer

from ingest.contracts import Contract, read_contracts
from lake.base import plugins
from lake.storage.publish import recover
from lake.storage.store import Store
from orchestration.cli import commands
from orchestration.cli.output import UsageError
from orchestration.settings import Settings, load_settings, open_lake

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
First = Annotated[str | None, typer.Option("--from", help="First event hour or day (UTC).")]
Last = Annotated[str | None, typer.Option("--to", help="Last event hour or day (UTC), included.")]
Sources = Annotated[list[str] | None, typer.Option("--source", help="Only these sources.")]

_HOUR = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2})(?::\d{2}(?::\d{2})?)?Z?)?\Z")

app = typer.Typer(
    name="headwater",
    help="A security data lake that can be audited: every event accounted for, every hour rebuildable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def headwater() -> None:
    """Keep Typer in group mode when only one command is loaded."""


def load(command: str = "") -> None:
    """Let the file of a command register itself on `app`; all files when there is none of that name.

    A call reads the file of its own: `headwater balance` starts in half the time of all.
    """
    known = plugins.names(commands)
    for name in [command] if command in known else known:
        plugins.load(commands, name)


def settings() -> Settings:
    """Return the settings. Raises SettingsError."""
    return load_settings()


def lake() -> Store:
    """Return the lake's store, after finishing what a killed process left half published."""
    store = open_lake(settings())
    recover(store)
    return store


def contract(source: str) -> Contract:
    """Return a source's contract. Raises UsageError naming the sources there are, ContractError for a broken one."""
    known, problems = read_contracts()
    if source in problems:
        raise problems[source]
    if source not in known:
        raise UsageError(f"no source {source!r}; there are {', '.join(sorted(known))}")
    return known[source]


def hour_range(first: str | None, last: str | None) -> tuple[str | None, str | None]:
    """Return the hour texts of `--from` and `--to`, both included; a day means all its hours."""
    return (_hour(first, 0) if first else None, _hour(last, 23) if last else None)


def _hour(text: str, of_day: int) -> str:
    found = _HOUR.match(text)
    if not found:
        raise UsageError(f"{text!r} is no day or hour (expected 2026-03-02 or 2026-03-02T05, UTC)")
    try:
        day = datetime.strptime(found[1], "%Y-%m-%d")
        hour = int(found[2]) if found[2] else of_day
        return (day + timedelta(hours=hour)).strftime("%Y-%m-%dT%H")
    except (ValueError, OverflowError) as problem:
        raise UsageError(f"{text!r} is no day or hour: {problem}") from problem
