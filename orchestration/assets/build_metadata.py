"""What is told about a built table in the UI: its receipt of each event hour as Dagster metadata."""

from datetime import datetime
from typing import Any

import dagster as dg

from lake import ledger
from lake.ledger.receipts import BuildReceipt
from lake.storage.store import Store
from orchestration.assets.landing_metadata import table


def building_metadata(store: Store, model: str, hours: tuple[str, ...]) -> dict[datetime, dict[str, Any]]:
    """Return, by event hour (naive UTC), the receipts of one model as metadata; nothing for a view."""
    days = {day: ledger.build_day(store, model, day) for day in {ledger.hour(hour).date() for hour in hours}}
    found = {ledger.hour(hour): days[ledger.hour(hour).date()].get(hour) for hour in hours}
    return {hour: _told(receipt) for hour, receipt in found.items() if receipt is not None}


def _told(receipt: BuildReceipt) -> dict[str, Any]:
    told: dict[str, Any] = {
        "rows": receipt.rows,
        "bytes": receipt.bytes,
        **_made_of(receipt),
        "mapping": receipt.mapping,
        "file": receipt.file or "none: the hour has no rows",
        "dagster/partition_row_count": receipt.rows,
    }
    told |= {f"events_{name}": number for name, number in receipt.counts.items()}
    if receipt.invalid:
        rows = [(rule, number, receipt.samples.get(rule, "")) for rule, number in receipt.invalid.items()]
        told["ocsf_rules_broken"] = dg.MetadataValue.md(table(("rule", "rows", "metadata.uid of one"), rows))
    if receipt.context:
        told["reference_tables"] = dg.MetadataValue.json(receipt.context)
    return told


def _made_of(receipt: BuildReceipt) -> dict[str, Any]:
    """Return how many bronze files a table was made of, or of a mart what it read, with the hours before and after."""
    if receipt.source:
        return {"bronze_files": len(receipt.inputs)}
    return {"reads": ", ".join(name for name, _ in receipt.inputs)}
