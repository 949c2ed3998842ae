"""The command that follows one event back: OCSF row → disposition → bronze record → batch, and where it came from."""

import json as json_text
from typing import Annotated, Any

import typer

from lake.base.text import shown
from lake.query import trace as following
from orchestration.cli.app import Json, NotFound, app, lake, print_json, print_table, say
from orchestration.steps.query import reading
from orchestration.steps.verify import event_values


@app.command()
def trace(
    uid: Annotated[str, typer.Argument(help="metadata.uid of an OCSF row, which is the event key of its source.")],
    fields: Annotated[
        bool, typer.Option("--fields", help="Say of each value of the record where it is in the row.")
    ] = False,
    json: Json = False,
) -> None:
    """Follow an event: its OCSF rows, what became of each copy, the raw text, the object and row, the receipts."""
    store = lake()
    con = reading(store)
    found = following.trace(con, store, uid)
    if not found["events"] and not found["records"]:
        raise NotFound(
            f"no event with uid {uid!r} in silver or bronze (quarantined records have none: try `headwater quarantine`)"
        )
    if fields:
        found["values"] = [
            {"class": event["class"], "source": event["source"], "values": rows}
            for event in found["events"]
            for rows in event_values(con, event["source"], event["class"], uid)
        ]
    if json:
        print_json(found)
    elif fields:
        _tell_values(found)
    else:
        _tell(found)


def _tell_values(found: dict[str, Any]) -> None:
    for event in found["values"]:
        say(f"silver.{event['class']} (source {event['source']})", style="bold")
        print_table(
            "",
            ("field", "value", "is", "where"),
            [(row["path"], row["value"], row["kind"], ", ".join(row["where"])) for row in event["values"]],
        )
    if not found["values"]:
        say("no published row: what became of the record is told without --fields")


def _tell(found: dict[str, Any]) -> None:
    for event in found["events"]:
        say(f"silver.{event['class']} (source {event['source']})", style="bold")
        say(json_text.dumps(event["event"], indent=2, ensure_ascii=False))
    for record in found["records"]:
        say(f"bronze.{record['source']}: {record['disposition']}", style="bold")
        say(shown(f"  object {record['object']} row {record['row']}"))
        say(f"  event {record['event_at']}, arrived {record['arrived_at']} (UTC), batch {record['batch']}")
        say(f"  {shown(record['raw'])}")
    for batch in found["batches"]:
        say("batch " + ", ".join(f"{key} {value}" for key, value in batch.items() if key != "batch"))
