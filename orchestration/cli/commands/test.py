"""The command that runs the unit tests of a model."""

import csv
import io
import json as encoding
from typing import Annotated

import typer

from orchestration.cli.app import Json, NotFound, app, filled, print_json, print_table, progress, say
from orchestration.dbt import warm


@app.command()
def test(
    model: Annotated[str, typer.Argument(help="A mapping, a class, a view, or a mart.")],
    source: Annotated[str | None, typer.Option(help="The source, when MODEL is a class.")] = None,
    json: Json = False,
) -> None:
    """Run the unit tests of a model, or of all mappings of a class."""
    with progress("testing", hidden=json) as tell:
        found = warm.call("test", tell, name=model, source=source or "")
    if not found:
        raise NotFound(f"{model} has no unit tests; they stand in the .yml beside it")
    failed = [each for each in found if each["status"] != "pass"]
    if json:
        print_json(found)
    else:
        for each in found:
            say(f"{each['status']:5} {each['model']}: {each['name']}", style="red" if each in failed else None)
            if each in failed:
                _tell(each["message"].strip("\n"))
        say(f"{len(found) - len(failed)} of {len(found)} unit tests pass")
    if failed:
        raise typer.Exit(1)


def _tell(message: str) -> None:
    """Print what dbt says; the rows that differ as a table, without the parts of objects that are NULL."""
    before, differs, told = message.partition("actual differs from expected:")
    head, *rows = csv.reader(io.StringIO(told.strip())) if told.strip() else ([""],)
    if before or head[0].strip() != "@@":
        say(message)
        return
    kinds = {"+++": "not expected", "---": "missing", "→": "expected → actual"}
    found = [(kinds.get(row[0].strip(), ""), *map(_short, row[1:])) for row in rows]
    say(differs)
    print_table("", ("", *(name.strip() for name in head[1:])), [row for row in found if row[0]])


def _short(cell: str) -> str:
    """Return a cell, or the two sides of one, without the parts of objects that are NULL."""
    try:
        value = encoding.loads(cell)
    except ValueError:
        sides = cell.strip().split("→")
        return " → ".join(map(_short, sides)) if len(sides) > 1 else sides[0]
    return cell.strip() if not isinstance(value, dict | list) else encoding.dumps(filled(value), ensure_ascii=False)
