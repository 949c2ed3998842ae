"""The command that lists the sources."""

from typing import Annotated

import typer

from ingest.contracts import Contract, load_contracts
from ingest.sources import BrokenModule, api_of
from lake import ledger
from orchestration.cli.app import Json, app, err, lake, out, print_json, print_table, say, settings


@app.command()
def sources(
    available: Annotated[
        bool,
        typer.Option("--available", help="Those that are neither in the settings nor in the lake: how to add them."),
    ] = False,
    json: Json = False,
) -> None:
    """List the sources: what each delivers, where it is configured, and what has landed."""
    configured, store = settings().sources, lake()
    if available:
        used = {*configured, *ledger.sources(store)}
        _print_available([each for name, each in sorted(load_contracts().items()) if name not in used], json)
        return
    rows, broken = [], list[str]()
    for name, each in sorted(load_contracts().items()):
        receipts = list(ledger.landings(store, name, broken))
        rows.append(
            {
                "source": name,
                "title": each.title,
                "version": each.version,
                "owner": each.owner,
                "configured": configured[name].address if name in configured else "",
                "batches": len(receipts),
                "landed": sum(receipt.landed for receipt in receipts),
                "quarantined": sum(receipt.quarantined for receipt in receipts),
                "newest_event_hour": max((mark.hour for each in receipts for mark in each.files), default=""),
            }
        )
    for line in broken:
        err.print(line, style="yellow", soft_wrap=True)
    if json:
        print_json(rows)
    else:
        shown = [name for name in rows[0] if out.width >= 120 or name not in ("title", "version", "owner")]
        heads = [name.replace("_", "\n") for name in shown]
        print_table("", heads, [[row[name] for name in shown] for row in rows])
    if broken:
        raise typer.Exit(1)


def _print_available(contracts: list[Contract], json: bool) -> None:
    rows = [
        {"source": each.source, "vendor": each.vendor, "product": each.title, "transport": each.transport}
        | {"add": _how_to_add(each), "needs": _needs(each)}
        for each in contracts
    ]
    if json:
        print_json(rows)
        return
    for row in rows:
        say(f"{row['source']}: {row['vendor']}, {row['product']}, by {row['transport']}. Add: {row['add']}")
        for need in row["needs"]:
            say(f"  needs {need}")
    if not rows:
        say("every source is in the settings or has landed")


def _how_to_add(contract: Contract) -> str:
    """Return the line of settings, or the command, that brings a source in."""
    try:
        api = api_of(contract.source)
    except BrokenModule as problem:
        return f"not before this is corrected: {problem}"
    example = api.EXAMPLE if api else "root: s3://bucket/prefix"
    return (
        f"`sources: {{{contract.source}: {{{example}}}}}` to the settings, or `headwater land {contract.source} PATH`"
    )


def _needs(contract: Contract) -> list[str]:
    """Return what an API needs: where its secret goes, what that may have to do, the settings that must be given."""
    api = contract.api
    if api is None:
        return []
    given = [f"the setting {name}: {each.description}" for name, each in api.settings.items() if each.default is None]
    if not api.base_url:
        given.insert(0, f"the setting base_url: {api.base_url_example or 'its address'}")
    return [f"{api.auth.what} in {api.auth.secret}", *api.scopes, *given]
