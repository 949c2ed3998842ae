"""A landed batch in the UI: its receipt as Dagster metadata, and a sample of what it holds."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import dagster as dg

from ingest.contracts import Contract, Field
from lake.ledger import Coverage, LandingReceipt, objects_of_hour
from lake.ledger.coverage import COVERAGE
from lake.storage import duck, paths
from lake.storage.store import Store
from orchestration.assets.keys import RECEIPT, receipt_mark

_MOST_ROWS = 20
_LONGEST_VALUE = 200


def landing_metadata(store: Store, contract: Contract, receipt: LandingReceipt) -> dict[str, Any]:
    """Return a batch's receipt as metadata, with a sample record. Fields that the contract classifies are left out."""
    metadata = batch_metadata(contract, receipt)
    if sample := _sample(store, contract, receipt):
        metadata["sample_without_classified_fields"] = dg.MetadataValue.json(sample)
    return metadata


def hour_metadata(contract: Contract, hour: datetime, receipts: Iterable[LandingReceipt]) -> dict[str, Any]:
    """Return what landed of an arrival hour (naive UTC): in the batch of the hour, and in batches of files and queues.

    Of these only the objects that arrived in the hour count; what was erased of them is not known by object.
    """
    own, parts = paths.hour_name(hour), sorted(receipts, key=lambda each: each.batch)
    if [each.batch for each in parts] == [own]:
        return batch_metadata(contract, parts[0])
    rows: list[tuple[str, str, int, int, int]] = []
    for each in parts:
        marks = each.objects if each.batch == own else objects_of_hour(each, hour)
        read, bad = sum(mark.read for mark in marks), sum(mark.quarantined for mark in marks)
        rows.append((each.batch, each.status, len(marks), read, bad if each.status == "published" else read))
    read, bad = sum(row[3] for row in rows), sum(row[4] for row in rows)
    return {
        "read": read,
        "landed": read - bad,
        "quarantined": bad,
        "batches": dg.MetadataValue.md(table(("batch", "status", "objects", "read", "not landed"), rows)),
        "landed_at": _moment(max(each.landed_at for each in parts)),
        "code_version": parts[-1].contract_fingerprint[:12],
        "dagster/partition_row_count": read - bad,
        RECEIPT: receipt_mark(*map(_mark, parts)),
    }


def _mark(receipt: LandingReceipt) -> str:
    told = (receipt.batch, receipt.landed_at, receipt.status, receipt.read, receipt.landed, receipt.quarantined)
    return receipt_mark(*told, receipt.contract_fingerprint)


def _moment(text: str) -> dg.TimestampMetadataValue:
    return dg.MetadataValue.timestamp(datetime.fromisoformat(text))


def batch_metadata(contract: Contract, receipt: LandingReceipt) -> dict[str, Any]:
    """Return a batch's receipt as metadata, without any record. Reads no file."""
    hours = [mark.hour for mark in receipt.files]
    metadata: dict[str, Any] = {
        "read": receipt.read,
        "landed": receipt.landed,
        "quarantined": receipt.quarantined,
        "objects": len(receipt.objects),
        "bytes_read": receipt.bytes_read,
        "bytes_decoded": receipt.bytes_decoded,
        "bytes_written": sum(mark.bytes for mark in (*receipt.files, *receipt.quarantine_files)),
        "seconds": receipt.seconds,
        "batch": receipt.batch,
        "status": receipt.status,
        "landed_at": _moment(receipt.landed_at),
        "contract": f"{receipt.contract_version} ({receipt.contract_fingerprint[:12]})",
        "code_version": receipt.contract_fingerprint[:12],
        "event_hours": dg.MetadataValue.md(
            table(("event hour", "rows", "bytes"), [(mark.hour, mark.rows, mark.bytes) for mark in receipt.files])
        ),
        "event_hours_touched": len(hours),
        "dagster/partition_row_count": receipt.landed,
        RECEIPT: receipt_mark(_mark(receipt)),
    }
    metadata |= {why: getattr(receipt, why) for why in ("erased", "expired") if getattr(receipt, why)}
    metadata |= {f"lateness_{name}_seconds": seconds for name, seconds in receipt.lateness_seconds.items()}
    if receipt.quarantined_by_reason:
        metadata["quarantined_by_reason"] = dg.MetadataValue.md(
            table(("reason", "records"), sorted(receipt.quarantined_by_reason.items()))
        )
    if receipt.violations:
        metadata["violations"] = dg.MetadataValue.md(violations_table(contract, receipt))
    if receipt.unreadable:
        metadata["objects_that_could_not_be_read"] = dg.MetadataValue.md(table(("object", "why"), receipt.unreadable))
    if receipt.coverage:
        metadata["coverage_records"] = sum(each.records for each in receipt.coverage)
        metadata["coverage"] = dg.MetadataValue.md(coverage_table(receipt.coverage))
    if receipt.drift:
        metadata["fields_the_contract_does_not_know"] = dg.MetadataValue.md(
            table(("field", "records"), [(each.field, each.records) for each in receipt.drift])
        )
    if receipt.notes:
        metadata["notes"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in receipt.notes[:_MOST_ROWS]))
    return metadata


def coverage_table(coverage: Iterable[Coverage]) -> str:
    """Return where nothing was to be seen, as Markdown, lost records first."""
    return table(
        ("status", "meaning", "place", "records", "seconds", "from", "to"),
        [
            (each.status, COVERAGE[each.meaning], place.place, place.records, place.seconds, place.first, place.last)
            for each in coverage
            for place in each.places
        ],
    )


def violations_table(contract: Contract, receipt: LandingReceipt) -> str:
    """Return what broke the contract, as Markdown; found values only of fields that are not classified."""
    classified = classified_paths(contract)
    return table(
        ("records", "reason", "field", "expected", "found", "consequence"),
        [
            (
                each.records,
                each.reason,
                each.field,
                each.expected,
                "(classified)" if is_inside(each.field, classified) else each.found,
                {"null": "field emptied", "stall": "batch stalled"}.get(each.consequence, "quarantined"),
            )
            for each in receipt.violations
        ],
    )


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table of at most twenty rows; how many were left out stands below it."""
    columns, rows = list(columns), [list(row) for row in rows]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows[:_MOST_ROWS]]
    if len(rows) > _MOST_ROWS:
        lines.append(f"\n… and {len(rows) - _MOST_ROWS:,} more")
    return "\n".join(lines)


def unclassified(fields: Iterable[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a record without those of classified fields, and without what is empty."""
    kept: dict[str, Any] = {}
    for each in fields:
        value = values.get(each.name)
        if value is None or any(inner.classification for inner in ([each] if each.properties else each.walk())):
            continue
        if each.properties:
            value = unclassified(each.properties, value) if isinstance(value, Mapping) else None
        if value not in (None, {}, []):
            kept[each.name] = value
    return kept


def _sample(store: Store, contract: Contract, receipt: LandingReceipt) -> dict[str, Any]:
    if not receipt.files:
        return {}
    newest = max(receipt.files, key=lambda mark: mark.rows)
    with duck.connect(store) as con:
        found = con.execute("select * from read_parquet(?, hive_partitioning = false) limit 1", [store.url(newest.key)])
        names = [column[0] for column in found.description or ()]
        row = found.fetchone()
    if row is None:
        return {}
    sample = unclassified(contract.fields, dict(zip(names, row, strict=True)))
    return {name: json.loads(json.dumps(value, default=str)) for name, value in sample.items()}


def classified_paths(contract: Contract) -> set[str]:
    """Return the paths of the fields whose values a contract classifies."""
    return {each.path for each in contract.walk() if each.classification}


def is_inside(path: str, classified: set[str]) -> bool:
    """Whether a field is one of these, or lies in one."""
    return any(path == each or path.startswith((f"{each}.", f"{each}[")) for each in classified)


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    text = " ".join(str(value).split()).replace("|", "\\|")
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
