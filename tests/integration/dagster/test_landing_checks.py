"""The checks of a raw asset, from receipts alone."""

from pathlib import Path

import dagster as dg

from orchestration.checks.landing import DRIFT, landing_checks
from tests.unit.ingest.landing.landed import GOOD, landed, lines, strange


def test_drift_names_unknown_fields_and_fields_of_another_type(tmp_path: Path) -> None:
    found = landed(tmp_path, lines(GOOD, {**GOOD, "label": {"a": 1}}, {**GOOD, "new": "n"}))
    checks = {
        each.check_name: each for each in landing_checks(dg.AssetKey("x"), found.store, strange(), [found.receipt])
    }
    assert not checks[DRIFT].passed
    assert checks[DRIFT].description == (
        "1 fields of another type than the contract says: label (1); 1 fields that the contract does not know: new (1)"
    )
    table = str(checks[DRIFT].metadata["fields"].value)
    assert '| label | not string, emptied | 1 | OBJECT {"a":1} |' in table
    assert '| new | unknown | 1 | "n" |' in table
