"""The simulated estate, all sources with all their faults: the lake arrives at exactly the truth that was planted."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.estate.conftest import PLACES
from tests.integration.lakes import headwater


@pytest.fixture(scope="module")
def sheet(estate: Path) -> dict[str, Any]:
    said = headwater("balance", "--json")
    assert said.code == 0, said.out
    found: dict[str, Any] = said.json
    return found


@pytest.mark.parametrize("source", PLACES)
def test_the_sheet_is_the_planted_truth(source: str, sheet: dict[str, Any], truth: dict[str, Any]) -> None:
    told = truth["sources"][source]
    [row] = [row for row in sheet["sources"] if row["source"] == source]
    expected = {name: told[name] for name in ("read", "landed", "duplicates")}
    expected |= {"quarantined": sum(told["quarantined"].values()), "collisions": told["collision_rows"]}
    assert {name: row[name] for name in expected} == expected
    assert row["published"] == row["landed"] - row["duplicates"] - row["filtered"]
    hours = {row["hour"]: row["landed"] for row in sheet["hours"] if row["source"] == source and row["landed"]}
    assert hours == {hour: counts["landed"] for hour, counts in told["by_event_hour"].items()}


@pytest.mark.parametrize("source", PLACES)
def test_records_are_quarantined_for_the_planted_reasons(source: str, estate: Path, truth: dict[str, Any]) -> None:
    found: dict[str, int] = {}
    for row in headwater("quarantine", "list", source, "--json").json:
        found[row["reason"]] = found.get(row["reason"], 0) + row["records"]
    assert found == truth["sources"][source]["quarantined"]
