"""The simulated estate, all sources with all their faults: the lake arrives at exactly the truth that was planted."""

import json
import shutil
from pathlib import Path

import pytest

from orchestration.estate import Arguments, generate
from orchestration.settings import PROJECT
from tests.e2e.lakes import headwater

PLACES = {"aws_cloudtrail": "cloudtrail", "okta_system_log": "okta", "windows_event": "windows"}


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small estate, landed and built by the whole dbt project; the lake lies in it."""
    place = tmp_path_factory.mktemp("estate")
    generate(place / "estate", Arguments(events=3000, hours=4))
    unneeded = shutil.ignore_patterns("target", "logs", ".user.yml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.building.PROJECT", Path(shutil.copytree(PROJECT, place / "dbt", ignore=unneeded)))
        patch.setenv("HEADWATER_LAKE", str(place / "lake"))
        for source, folder in PLACES.items():
            assert headwater("land", source, place / "estate" / folder).code == 0
        built = headwater("build")
        assert built.code == 0, built.err
        sheet = headwater("balance", "--json")
        (place / "balance.json").write_text(sheet.out)
        assert sheet.code == 0, sheet.out
    return place


@pytest.mark.parametrize("source", PLACES)
def test_the_sheet_is_the_planted_truth(source: str, estate: Path) -> None:
    truth = json.loads((estate / "estate/truth.json").read_text())["sources"][source]
    sheet = json.loads((estate / "balance.json").read_text())
    [row] = [row for row in sheet["sources"] if row["source"] == source]
    expected = {name: truth[name] for name in ("read", "landed", "duplicates")}
    expected |= {"quarantined": sum(truth["quarantined"].values()), "collisions": truth["collision_rows"]}
    assert {name: row[name] for name in expected} == expected
    assert row["published"] == row["landed"] - row["duplicates"] - row["filtered"]
    hours = {row["hour"]: row["landed"] for row in sheet["hours"] if row["source"] == source and row["landed"]}
    assert hours == {hour: counts["landed"] for hour, counts in truth["by_event_hour"].items()}


@pytest.mark.parametrize("source", PLACES)
def test_records_are_quarantined_for_the_planted_reasons(
    source: str, estate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = json.loads((estate / "estate/truth.json").read_text())["sources"][source]
    monkeypatch.setenv("HEADWATER_LAKE", str(estate / "lake"))
    found: dict[str, int] = {}
    for row in headwater("quarantine", "list", source, "--json").json:
        found[row["reason"]] = found.get(row["reason"], 0) + row["records"]
    assert found == truth["quarantined"]
