"""Checks of raw assets, answered by the run that lands: conservation of its batches, and drift from the contract."""

from collections.abc import Iterator, Sequence

import dagster as dg

from ingest.contracts import Contract
from lake.ledger import LandingReceipt, emptied_fields
from lake.ledger.coverage import coverage_of, coverage_sentence
from lake.storage.store import Store
from orchestration.assets.landing_metadata import (
    classified_paths,
    coverage_table,
    is_inside,
    table,
    violations_table,
)

BALANCE, DRIFT, COVERAGE = "balance", "contract_drift", "coverage"
_UNKNOWN = "unknown"


def landing_check_specs(key: dg.AssetKey, contract: Contract) -> list[dg.AssetCheckSpec]:
    """Return the checks that landing a source's hours answers."""
    specs = [
        dg.AssetCheckSpec(
            BALANCE,
            asset=key,
            blocking=True,
            description="Every object was read, every record is in bronze or quarantine, and all files are there.",
        ),
        dg.AssetCheckSpec(
            DRIFT,
            asset=key,
            description="Records carry no field that the contract does not know, and none of another type than it says."
            " Their values are kept in `_raw`.",
        ),
    ]
    if contract.coverage is not None:
        lost = ", ".join(contract.coverage.lost)
        specs.append(
            dg.AssetCheckSpec(COVERAGE, asset=key, description=f"The vendor lost nothing before delivery ({lost}).")
        )
    return specs


def landing_checks(
    key: dg.AssetKey, store: Store, contract: Contract, receipts: Sequence[LandingReceipt]
) -> Iterator[dg.AssetCheckResult]:
    """Yield the results of a run's batches."""
    yield _balance(key, store, contract, receipts)
    yield _drift(key, contract, receipts)
    if contract.coverage is not None:
        yield _coverage(key, receipts)


def _balance(
    key: dg.AssetKey, store: Store, contract: Contract, receipts: Sequence[LandingReceipt]
) -> dg.AssetCheckResult:
    broken = [f"batch {each.batch}: {why}" for each in receipts if (why := _imbalance(store, each))]
    read, landed, quarantined = (
        sum(getattr(each, name) for each in receipts) for name in ("read", "landed", "quarantined")
    )
    stalled = [each for each in receipts if each.status == "stalled"]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=BALANCE,
        passed=not broken,
        description="; ".join(broken) or f"{read:,} read = {landed:,} landed + {quarantined:,} quarantined",
        metadata={"read": read, "landed": landed, "quarantined": quarantined, "batches": len(receipts)}
        | {f"violations of {each.batch}": dg.MetadataValue.md(violations_table(contract, each)) for each in stalled},
    )


def _imbalance(store: Store, receipt: LandingReceipt) -> str:
    if receipt.status == "stalled":
        fields = sorted({each.field for each in receipt.violations if each.consequence == "stall"})
        return f"{receipt.read:,} records wait unpublished for a decision on {', '.join(fields)}"
    if not receipt.conserved:
        gone = f" + {receipt.erased:,} erased" if receipt.erased else ""
        return f"{receipt.read:,} read, but {receipt.landed:,} landed + {receipt.quarantined:,} quarantined{gone}"
    if receipt.unreadable:
        return f"{len(receipt.unreadable):,} objects could not be read (first: {receipt.unreadable[0][1]})"
    rows = sum(mark.rows for mark in receipt.files)
    if rows != receipt.landed:
        return f"{receipt.landed:,} landed, but its bronze files hold {rows:,}"
    held = store.infos(mark.key for mark in (*receipt.files, *receipt.quarantine_files))
    missing = [key for key, found in held.items() if found is None]
    return f"{len(missing)} files are missing (first: {missing[0]})" if missing else ""


def _drift(key: dg.AssetKey, contract: Contract, receipts: Sequence[LandingReceipt]) -> dg.AssetCheckResult:
    told: dict[tuple[str, str], tuple[int, str]] = {}  # what drifted and which field → records, a value
    seen = [((_UNKNOWN, each.field), each.records, each.sample) for receipt in receipts for each in receipt.drift]
    emptied = [each for receipt in receipts for each in emptied_fields(receipt)]
    classified = classified_paths(contract)
    for broken in emptied:
        found = "(classified)" if is_inside(broken.field, classified) else broken.found
        seen.append(((f"not {broken.expected}, emptied", broken.field), broken.records, found))
    for drifted, records, value in seen:
        before, sample = told.get(drifted, (0, ""))
        told[drifted] = before + records, sample or value
    rows = [(name, what, *told[what, name]) for what, name in sorted(told, key=lambda each: -told[each][0])]
    kinds = {
        "fields of another type than the contract says": [row for row in rows if row[1] != _UNKNOWN],
        "fields that the contract does not know": [row for row in rows if row[1] == _UNKNOWN],
    }
    sentences = [
        f"{len(found)} {kind}: {', '.join(f'{name} ({records:,})' for name, _, records, _ in found[:8])}"
        for kind, found in kinds.items()
        if found
    ]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=DRIFT,
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(sentences) or "every field is one that the contract knows, of its type",
        metadata={"fields": dg.MetadataValue.md(table(("field", "drift", "records", "a value"), rows))} if rows else {},
    )


def _coverage(key: dg.AssetKey, receipts: Sequence[LandingReceipt]) -> dg.AssetCheckResult:
    told = coverage_of(receipts)
    lost = [each for each in told if each.meaning == "lost"]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=COVERAGE,
        passed=not lost,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(coverage_sentence(each) for each in told) or "every interval was recorded",
        metadata={"coverage": dg.MetadataValue.md(coverage_table(told))} if told else {},
    )
