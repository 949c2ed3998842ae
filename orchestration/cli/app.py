"""The commands' assembly: one place that puts the groups together.

What belongs here: the Typer application and what every command needs (settings, store, contracts).
"""

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

from orchestration.cli import (  # noqa: E402 - commands register themselves on app
    accounts,
    collect,
    doctor,
    erasing,
    export,
    iceberg,
    maintenance,
    query,
    trace,
    verify,
)

__all__ = [
    "accounts",
    "app",
    "collect",
    "doctor",
    "erasing",
    "export",
    "iceberg",
    "maintenance",
    "query",
    "trace",
    "verify",
]
