"""The command that validates everything that a user writes."""

import typer

from orchestration.cli.app import Json, app, out, print_json, say
from orchestration.steps.check import problems


@app.command()
def check(json: Json = False) -> None:
    """Validate settings, contracts, products, models and routes in one pass; nothing of the lake is read.

    Prints each problem as `file: reason`, and what to do.
    """
    found = list(problems())
    if json:
        print_json([{"kind": each.kind, "file": each.file, "reason": each.reason, "do": each.advice} for each in found])
    else:
        for each in found:
            say(f"{each.file}: {each.reason}")
            say(f"        → {each.advice}")
        if not found:
            out.print("settings, contracts, products, models and routes are sound")
    if found:
        raise typer.Exit(1)
