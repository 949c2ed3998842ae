"""The command that says what is wrong and what to do."""

from typing import Annotated

import typer

from orchestration.cli.app import Json, app, out, print_json, say
from orchestration.steps.health import examine


@app.command()
def doctor(
    json: Json = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Read the whole lake; put damaged files aside in its folder damaged/, mend what can be."
        ),
    ] = False,
) -> None:
    """Look at versions, settings, the lake and the reference data; say what is wrong and what to do.

    With --repair, what is damaged is put aside, and what can be derived again is made again. Nothing is deleted.
    """
    findings = list(examine(repair))
    if json:
        print_json(findings)
    else:
        styles = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "red"}
        for each in findings:
            out.print(f"{each.state:8}", style=styles[each.state], end="")
            say(f"{each.subject}: {each.found}")
            if each.advice:
                say(f"        → {each.advice}")
    if any(each.state == "error" for each in findings):
        raise typer.Exit(1)
