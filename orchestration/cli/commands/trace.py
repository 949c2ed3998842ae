"""The command that follows one event back: OCSF row → disposition → bronze record → batch, and where it came from."""

import json as json_text
from typing import Annotated, Any

import typer

from lake.base.text import shown
from lake.query import trace as following
from orchestration.cli.app import Json, NotFound, app, lake, print_json, say
from orchestration.steps.query import reading


@app.command()
def trace(
    uid: Annotated[str, typer.Argument(help="metadata.uid of an OCSF row, which is the event key of its source.")],
    json: Json = False,
) -> None:
    """Follow an event: its OCSF rows, what became of each copy, the raw text, the object and row, the receipts."""
    store = lake()
    found = following.trace(reading(store), store, uid)
    if not found["events"] and not found["records"]:
        raise NotFound(
            f"no event with uid {uid!r} in silver or bronze (quarantined records have none: try `headwater quarantine`)"
        )
    if json:
        print_json(found)
    else:
        _tell(found)


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
