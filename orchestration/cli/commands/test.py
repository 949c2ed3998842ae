"""The command that runs the unit tests of a model."""

from contextlib import nullcontext
from typing import Annotated

import typer

from orchestration.cli.app import Json, NotFound, app, err, print_json, say
from orchestration.dbt import warm


@app.command()
def test(
    model: Annotated[str, typer.Argument(help="A mapping, a class, a view, or a mart.")],
    source: Annotated[str | None, typer.Option(help="The source, when MODEL is a class.")] = None,
    json: Json = False,
) -> None:
    """Run the unit tests of a model, or of all mappings of a class."""
    with err.status("testing …") if not json else nullcontext():
        found = warm.call("test", name=model, source=source or "")
    if not found:
        raise NotFound(f"{model} has no unit tests; they stand in the .yml beside it")
    failed = [each for each in found if each["status"] != "pass"]
    if json:
        print_json(found)
    else:
        for each in found:
            say(f"{each['status']:5} {each['model']}: {each['name']}", style="red" if each in failed else None)
            if each in failed:
                say(each["message"].strip("\n"))
        say(f"{len(found) - len(failed)} of {len(found)} unit tests pass")
    if failed:
        raise typer.Exit(1)
