"""The command that lists what can be asked."""

from typing import Annotated

import typer

from lake.base.sql import quoted
from lake.query.session import answer
from lake.storage.store import Store
from orchestration.cli.app import Json, UsageError, app, lake, print_json, print_table, say
from orchestration.steps.query import nearest, reading, table_names
from orchestration.steps.tables import Column, Table, columns
from orchestration.steps.tables import tables as known_tables


@app.command()
def tables(
    name: Annotated[
        str | None, typer.Argument(help="A table, such as silver.authentication; with a column, what that is made of.")
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Also tables without rows.")] = False,
    json: Json = False,
) -> None:
    """List the tables that can be asked: hours, rows, the newest; with NAME its columns, and a question to try."""
    if name is None:
        list_tables(known_tables(lake()), all, json)
    else:
        describe(lake(), name, json)


def list_tables(found: list[Table], all: bool, json: bool) -> None:
    """Print what there is, a table of each layer."""
    if json:
        print_json(found)
        return
    shown = [each for each in found if all or each.rows != 0]
    for layer in dict.fromkeys(each.name.split(".")[0] for each in shown):
        mine = [each for each in shown if each.name.startswith(f"{layer}.")]
        heads = ["table", "source", "hours", "rows", "newest hour", "description"]
        rows = [
            [each.name, ", ".join(each.sources), each.hours, each.rows, each.newest, each.description] for each in mine
        ]
        kept = [at for at in range(len(heads)) if any(row[at] not in (None, "") for row in rows)]
        if layer in ("bronze", "quarantine"):
            kept.remove(1)  # the table's name is the source's
        print_table("", [heads[at] for at in kept], [[row[at] for at in kept] for row in rows])
        say("")
    if len(shown) < len(found):
        say(f"{len(found) - len(shown)} more tables have no rows: --all lists them")
    say("columns of one: headwater tables NAME")


def describe(store: Store, name: str, json: bool) -> None:
    """Print the columns of a table, or the parts of a column. Raises UsageError naming those that are meant perhaps."""
    layer, table, *path = [*name.split("."), ""]
    named, known = f"{layer}.{table}", table_names(store)
    if named not in known:
        meant = nearest(name, known)
        near = f"; near it: {', '.join(meant)}" if meant else ""
        raise UsageError(f"there is no table {name}{near} (`headwater tables --all` lists all)")
    example = f"select * from {named} limit 10"
    with reading(store, example) as con:
        found = answer(con, f"describe {layer}.{quoted(table)}").rows()
    try:
        told: list[Column] = columns([(row[0], row[1]) for row in found], ".".join([named, *path]).rstrip("."))
    except LookupError as problem:
        raise UsageError(str(problem)) from None
    example = _example(named, {each.name for each in told}) if not any(path) else example
    if json:
        print_json({"table": named, "columns": told, "example": example})
        return
    print_table("", ("column", "type", "description"), [(each.name, each.type, each.description) for each in told])
    say("")
    if objects := [each.name for each in told if each.type.endswith("object")]:
        say(f"what an object is made of: headwater tables {named}.{objects[0]}")
    say(f'for instance: headwater query "{example}"')


def _example(table: str, names: set[str]) -> str:
    """Return a question that a table can answer."""
    if "class_name" in names and "source" in names:
        return f"select source, activity_name, count(*) as events from {table} group by all order by events desc"
    at = next((name for name in ("time_dt", "_event_at", "_arrived_at") if name in names), "")
    return f"select * from {table}" + (f" order by {at} desc" if at else "") + " limit 10"
