"""The command that lists the sources."""

from ingest.contracts import load_contracts
from lake import ledger
from orchestration.cli.app import Json, app, lake, out, print_json, print_table, settings


@app.command()
def sources(json: Json = False) -> None:
    """List the sources: what each delivers, where it is configured, and what has landed."""
    configured, store = settings().sources, lake()
    rows = []
    for name, each in sorted(load_contracts().items()):
        receipts = list(ledger.landings(store, name))
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
    if json:
        print_json(rows)
    else:
        shown = [name for name in rows[0] if out.width >= 120 or name not in ("title", "version", "owner")]
        heads = [name.replace("_", "\n") for name in shown]
        print_table("", heads, [[row[name] for name in shown] for row in rows])
