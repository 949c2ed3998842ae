"""Checks of raw assets, answered by the run that lands: conservation of its batches, and drift from the contract."""

from collections.abc import Iterator, Sequence

import dagster as dg

from ingest.contracts import Contract
from lake.ledger import LandingReceipt, coverage_of, coverage_sentence
from lake.storage.store import Store
from orchestration.assets.landing_metadata import coverage_table, table, violations_table

BALANCE, DRIFT, COVERAGE = "balance", "contract_drift", "coverage"


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
            description="Records carry no field that the contract does not know. Such fields are kept in `_raw`.",
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
    yield _drift(key, receipts)
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


def _drift(key: dg.AssetKey, receipts: Sequence[LandingReceipt]) -> dg.AssetCheckResult:
    records: dict[str, int] = {}
    samples: dict[str, str] = {}
    for each in (drift for receipt in receipts for drift in receipt.drift):
        records[each.field] = records.get(each.field, 0) + each.records
        samples.setdefault(each.field, each.sample)
    rows = [(name, count, samples[name]) for name, count in sorted(records.items(), key=lambda item: -item[1])]
    named = ", ".join(f"{name} ({count:,})" for name, count, _ in rows[:8])
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=DRIFT,
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(rows)} fields that the contract does not know: {named}" if rows else "no unknown fields",
        metadata={"fields": dg.MetadataValue.md(table(("field", "records", "a value"), rows))} if rows else {},
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
