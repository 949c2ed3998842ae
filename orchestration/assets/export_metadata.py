"""Exports in the UI: what goes where, each hour's receipt as Dagster metadata, and the results of checks."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from lake.export.declaration import Export, plain
from lake.export.destination import Held
from lake.ledger.export_receipts import ExportReceipt
from orchestration.assets.keys import RECEIPT, receipt_mark
from orchestration.assets.landing_metadata import table

DELIVERED, REFUSED, UNCHANGED = "delivered", "nothing_refused", "unchanged_there"
CHECKS = {
    DELIVERED: "Per event hour, the destination holds the rows that were pushed: count, and checksum over keys.",
    REFUSED: "No row was refused by the destination by itself. Refused rows are kept whole (`refused.<destination>`).",
    UNCHANGED: "What was delivered earlier is there as its receipt says. An hour that was changed is replaced.",
}
PROOFS = {
    "query": "the destination was asked, by query",
    "file": "the file was read back",
    "acknowledgements": "the destination acknowledged every batch as indexed",
    "responses": "the destination took every batch; whether it is indexed is not known",
}
_COUNTS = ("published", "filtered", "dropped", "sampled_out", "merged", "rows", "refused")
_MOST_HOURS = 5

Changed = Mapping[str, tuple[ExportReceipt, Held]]  # hour text → what its receipt said, and what was there


def described(export: Export, kind: str) -> str:
    """Return in words what goes where; the first sentence stands in the catalogue."""
    said = export.declared
    rows = f"the rows with `{said.filter}`" if said.filter else "every row"
    columns = f"of {len(said.columns)} columns" if said.columns else ""
    columns = f"without {', '.join(said.without)}" if said.without else columns
    reduced = [name for name in ("drop", "sample", "aggregate") if getattr(said.reduction, name)]
    how = f", reduced ({', '.join(reduced)})" if reduced else ""
    where = export.destination if export.destination == kind else f"{export.destination} ({kind})"
    return (
        f"{export.held.table} to {where}: {' '.join(filter(None, (rows, columns)))}{how}.\n\n"
        f"Each event hour replaces that hour of the table `{export.table}` there, and is read back. Declared by the"
        f" model `{export.model}` (`meta.exports`). Materialising an hour that is delivered asks the destination, and"
        " pushes only if it holds something else."
    )


def definition_metadata(export: Export, kind: str) -> dict[str, Any]:
    """Return what is known before anything is pushed."""
    said = _without_empty({**plain(export.declared), "destinations": None})
    metadata: dict[str, Any] = {"destination_type": kind, "table_there": export.table, "made_of": str(export.held)}
    return metadata | ({"declared": dg.MetadataValue.json(said)} if said else {})


def _without_empty(said: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: _without_empty(value) if isinstance(value, dict) else value for name, value in said.items()}
    return {name: value for name, value in kept.items() if value not in (None, {}, [], (), "")}


def receipt_metadata(receipt: ExportReceipt) -> dict[str, Any]:
    """Return a receipt as metadata. Checksums are texts: they are to be compared, not plotted."""
    metadata: dict[str, Any] = {
        "destination": receipt.identity,
        "rows_pushed": receipt.rows,
        "rows_at_destination": receipt.held_rows,
        "checksum_pushed": str(receipt.checksum),
        "checksum_at_destination": str(receipt.held_checksum),
        "proof": PROOFS.get(receipt.proof, receipt.proof),
        "pushed_at": dg.MetadataValue.timestamp(datetime.fromisoformat(receipt.pushed_at)),
        "rows_sent_by_that_push": receipt.sent,
        "seconds": receipt.seconds,
        "bytes_in_the_lake": receipt.bytes_before,
        "bytes_after_reduction": receipt.bytes_after,
        "bytes_pushed": receipt.bytes_pushed,
        "dagster/partition_row_count": receipt.held_rows,
        "code_version": receipt.declaration,
        RECEIPT: receipt_mark(receipt.pushed_at, receipt.declaration, receipt.held_rows, receipt.held_checksum),
    }
    rows = [(source, *(getattr(each, name) for name in _COUNTS)) for source, each in receipt.counted.items()]
    metadata["by_source"] = dg.MetadataValue.md(table(("source", *_COUNTS), rows))
    if receipt.refused:
        metadata["refused_by_code"] = dg.MetadataValue.md(
            table(("code", "rows"), sorted(receipt.refused_by_code.items()))
        )
    if receipt.remote:
        metadata["found_there_as"] = dg.MetadataValue.json(receipt.remote)
    if receipt.notes:
        metadata["notes"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in receipt.notes))
    return metadata


def one_line(receipt: ExportReceipt, pushed_now: bool) -> str:
    """Return what became of one hour, for the run's log."""
    if receipt.mismatch:
        return f"{receipt.hour}: {receipt.mismatch}"
    what = f"pushed in {receipt.seconds:.1f} s" if pushed_now else "delivered earlier, and still so"
    return f"{receipt.hour}: {rows_of(receipt.held_rows)} there, {what} ({PROOFS.get(receipt.proof, receipt.proof)})"


def results(
    key: dg.AssetKey, receipts: Sequence[ExportReceipt], hours: int, changed: Changed
) -> Iterator[dg.AssetCheckResult]:
    """Yield the results of the checks over some hours: those with receipts, of `hours` asked for."""
    wrong = [(each.hour, each.mismatch) for each in receipts if not each.matches]
    rows = sum(each.held_rows for each in receipts)
    proofs = ", ".join(sorted({PROOFS.get(each.proof, each.proof) for each in receipts}))
    delivered = f"{rows_of(rows)} of {_hours(len(receipts))} are there, and are the ones that were pushed: {proofs}"
    nothing = f"nothing to push in {_hours(hours)}: not built, or without rows"
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=DELIVERED,
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description=_first(wrong) if wrong else delivered if receipts else nothing,
        metadata={"rows": rows, "hours": len(receipts), "mismatches": len(wrong)},
    )
    refused: dict[str, int] = {}
    for each in receipts:
        for code, number in each.refused_by_code.items():
            refused[code] = refused.get(code, 0) + number
    codes = ", ".join(f"{number:,} with code {code}" for code, number in sorted(refused.items()))
    where = f"refused.{key.path[1]}"
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=REFUSED,
        passed=not refused,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"refused: {codes}; kept whole in the lake ({where})" if refused else "nothing was refused",
        metadata={"refused": sum(refused.values())},
    )
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=UNCHANGED,
        passed=not changed,
        severity=dg.AssetCheckSeverity.WARN,
        description=_first([(hour, changed_there(*both)) for hour, both in sorted(changed.items())])
        if changed
        else "nothing that was delivered earlier was found changed",
        metadata={"changed_hours": len(changed)},
    )


def changed_there(receipt: ExportReceipt, there: Held) -> str:
    """Return what was found of an hour that had been delivered."""
    found = rows_of(there.rows) if there.rows != receipt.held_rows else "other events"
    return f"{found} were found, {receipt.held_rows:,} were delivered at {receipt.pushed_at}; the hour was pushed again"


def _first(said: Sequence[tuple[str, str]]) -> str:
    more = f"; and {len(said) - _MOST_HOURS:,} more hours" if len(said) > _MOST_HOURS else ""
    return "; ".join(f"{hour}: {why}" for hour, why in said[:_MOST_HOURS]) + more


def rows_of(number: int) -> str:
    """Return a number of rows in words."""
    return f"{number:,} row{'' if number == 1 else 's'}"


def _hours(number: int) -> str:
    return f"{number:,} hour{'' if number == 1 else 's'}"
