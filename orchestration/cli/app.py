"""The commands' assembly: one place that puts the groups together.

What belongs here: the Typer application and what every command needs (settings, store, contracts).
"""

from importlib import import_module
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

app = typer.Typer(
    name="headwater",
    help="A security data lake that can be audited: every event accounted for, every hour rebuildable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# Which file has which commands. A call reads the file of its own: `headwater balance` starts in half the time of all.
COMMANDS = {
    "accounts": ("balance", "quarantine"),
    "collect": ("sources", "land", "build"),
    "verdict": ("disposition",),
    "doctor": ("doctor",),
    "erase": ("erase",),
    "export": ("export",),
    "iceberg": ("iceberg",),
    "lookup": ("lookup",),
    "upkeep": ("compact", "retain"),
    "query": ("query",),
    "reference": ("reference",),
    "match": ("match",),
    "signals": ("signals",),
    "trace": ("trace",),
    "verify": ("verify",),
}


@app.callback()
def headwater() -> None:
    """Stand before the commands: one that is there alone must be named all the same."""


def load(command: str = "") -> None:
    """Let a command register itself on `app`, or all of them when there is none of that name."""
    for file in [file for file, commands in COMMANDS.items() if command in commands] or COMMANDS:
        import_module(f"orchestration.cli.{file}")
