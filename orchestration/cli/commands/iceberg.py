"""Commands for Iceberg tables: publish what has changed, list how they stand, forget their past."""

from typing import Annotated

import typer

from orchestration.cli.app import (
    First,
    Json,
    Last,
    app,
    hour_range,
    lake,
    out,
    print_json,
    print_table,
    progress,
    say,
    settings,
)
from orchestration.settings import iceberg_place

iceberg = typer.Typer(help="Silver and gold as Iceberg tables, for engines that read those.", no_args_is_help=True)
app.add_typer(iceberg, name="iceberg")

Tables = Annotated[list[str] | None, typer.Option("--table", help="Only these, for instance authentication.")]


@iceberg.command()
def publish(
    table: Tables = None,
    first: First = None,
    last: Last = None,
    json: Json = False,
) -> None:
    """Publish the event hours that were built anew: one snapshot a table and day. What is current is left alone."""
    from lake.iceberg import publish_tables  # pyiceberg takes seconds to import; only its users wait

    store = lake()
    with progress("publishing", hidden=json) as tell:
        done = publish_tables(store, iceberg_place(settings(), store), table, *hour_range(first, last), told=tell)
    rows = [
        {
            "table": str(each.name),
            "snapshots": list(each.snapshots),
            "hours": [f"{slot.source}/{slot.hour}" for slot in each.hours],
            "rows": each.rows,
            "left": {f"{slot.source}/{slot.hour}": why for slot, why in each.left.items()},
            "expired_snapshots": each.expired,
            "failed": each.failed,
        }
        for each in done
    ]
    if json:
        print_json(rows)
    else:
        news = [each for each in done if each.snapshots]
        table_rows = [[str(each.name), len(each.snapshots), len(each.hours), each.rows] for each in news]
        if news:
            print_table("", ("table", "snapshots", "hours", "rows"), table_rows)
        else:
            out.print("every table is current")
        for each in done:
            for slot, why in list(each.left.items())[:5]:
                say(f"{each.name} {slot.source} {slot.hour}: left for the next time, {why}")
            if each.failed:
                say(f"{each.name}: {each.failed}", style="red")
    if any(each.left or each.failed for each in done):
        raise typer.Exit(1)


@iceberg.command("list")
def list_tables(json: Json = False) -> None:
    """How every table stands: snapshots, rows, event hours to publish; --json also has the metadata file to read."""
    from lake.iceberg import table_status

    store = lake()
    found = table_status(store, iceberg_place(settings(), store))
    if json:
        print_json(found)
        return
    heads = ("table", "snapshots", "rows", "stale\nhours")
    print_table("", heads, [[each.name, each.snapshots, each.rows, each.stale_hours] for each in found])


@iceberg.command()
def forget(table: Tables = None, json: Json = False) -> None:
    """End every snapshot but the current one and remove its files: rows that were erased are then gone here too."""
    from lake.iceberg import forget_history

    store = lake()
    with progress("forgetting", hidden=json) as tell:
        ended = forget_history(store, iceberg_place(settings(), store), table, tell)
    if json:
        print_json({str(name): number for name, number in ended.items()})
    for name, number in () if json else ended.items():
        say(f"{name}: {number} snapshots ended")
