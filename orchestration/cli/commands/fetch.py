"""The command that lands arrival hours from where the settings say that a source is read from."""

from datetime import datetime
from typing import Annotated

import typer

from lake.base.errors import HeadwaterError
from lake.ledger import LandingReceipt
from orchestration.cli.app import Json, app, contract, err, hour_range, print_json, say, settings
from orchestration.steps.collect import AnnouncedUnreadable, PartlyFetched, SourceNotConfigured, due_hours, land_hour


@app.command()
def fetch(
    source: Annotated[str, typer.Argument(help="A source of the settings: an API, a folder or a bucket.")],
    first: Annotated[
        str | None,
        typer.Option("--from", help="First arrival hour or day (UTC); default: the one behind the newest that landed."),
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", help="Last arrival hour or day (UTC), included; default: the newest settled.")
    ] = None,
    json: Json = False,
) -> None:
    """Fetch hours of a source and land them, each as a batch; without hours those that are due, and those due again."""
    held, (begin, end) = contract(source), hour_range(first, last)
    hours = due_hours(settings(), held, *(datetime.fromisoformat(each) if each else None for each in (begin, end)))
    receipts, failed = list[LandingReceipt](), dict[str, HeadwaterError]()
    for hour in hours:
        try:
            receipts.append(land_hour(settings(), held, hour))
        except SourceNotConfigured:
            raise
        except (AnnouncedUnreadable, PartlyFetched) as problem:
            receipts.append(problem.receipt)
            failed[f"{hour:%Y-%m-%dT%H}"] = problem
        except HeadwaterError as problem:
            failed[f"{hour:%Y-%m-%dT%H}"] = problem
    if json:
        print_json({"source": source, "receipts": receipts, "failed": {hour: str(why) for hour, why in failed.items()}})
    else:
        _say(source, receipts, failed, bool(hours))
    if failed:
        raise typer.Exit(max(each.exit_code for each in failed.values()))


def _say(source: str, receipts: list[LandingReceipt], failed: dict[str, HeadwaterError], any_due: bool) -> None:
    for each in receipts:
        say(f"{source} {each.batch}: {each.read:,} read = {each.landed:,} landed + {each.quarantined:,} quarantined")
    for hour, why in failed.items():
        err.print(f"{hour}: {why}", style="red", soft_wrap=True, markup=False)
    if not any_due:
        say(f"{source}: no hour is due")
