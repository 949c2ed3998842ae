"""What a vendor lost before delivery is seen: in the landing report, under the balance sheet, and as a warning."""

from pathlib import Path

import dagster as dg
import pytest

from ingest.contracts import load_contracts
from ingest.landing import land
from lake.storage.publish import open_store
from orchestration.assets.landing_metadata import landing_metadata
from orchestration.checks.landing import COVERAGE, landing_check_specs, landing_checks
from tests.integration.lakes import headwater
from tests.unit.ingest.landing.landed import raw

CONTRACT = load_contracts()["aws_vpc_flow"]
HEADER = " ".join(CONTRACT.format.columns)
FLOW = "2 111122223333 eni-1 192.0.2.7 192.0.2.8 40000 22 6 20 4249 1772427600 1772427660 ACCEPT OK"
QUIET = "2 111122223333 eni-2 - - - - - - - 1772427600 1772427660 - NODATA"
SKIPPED = "2 111122223333 eni-3 - - - - - - - 1772427600 1772427660 - SKIPDATA"


def test_the_landing_report_and_the_balance_tell_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_LAKE", str(tmp_path / "lake"))
    file = tmp_path / "flow.log"
    file.write_text("\n".join((HEADER, FLOW, QUIET, SKIPPED, "")))
    answer = headwater("land", "aws_vpc_flow", file)
    assert 0 == answer.code, answer.err
    said = answer.out + answer.err
    assert (
        "1 × SKIPDATA: lost by the vendor before delivery; 1 place (most: account_id=111122223333 interface_id=eni-3)"
        in said
    )
    assert "1 × NODATA: nothing happened there" in said
    assert "1 read = 1 landed + 0 quarantined" in said
    sheet = headwater("balance")
    told = sheet.out + sheet.err
    assert "aws_vpc_flow: 1 × SKIPDATA" in told
    assert "NODATA" not in told


@pytest.mark.parametrize(("lines", "passed"), [((FLOW, QUIET), True), ((FLOW, SKIPPED), False)])
def test_the_check_warns_of_what_was_lost(tmp_path: Path, lines: tuple[str, ...], passed: bool) -> None:
    store, key = open_store(tmp_path / "lake"), dg.AssetKey(["bronze", "aws_vpc_flow"])
    receipt = land(CONTRACT, [raw("\n".join((HEADER, *lines, "")).encode())], store, "b")
    results = {each.check_name: each for each in landing_checks(key, store, CONTRACT, [receipt])}
    assert {each.name for each in landing_check_specs(key, CONTRACT)} == set(results)
    check = results[COVERAGE]
    assert (passed, dg.AssetCheckSeverity.WARN) == (check.passed, check.severity)
    assert results["balance"].passed
    told = landing_metadata(store, CONTRACT, receipt)
    assert 1 == told["coverage_records"]
    assert "account_id=111122223333 interface_id=eni-" in told["coverage"].value


def test_a_source_without_coverage_has_no_such_check() -> None:
    specs = landing_check_specs(dg.AssetKey("a"), load_contracts()["aws_cloudtrail"])
    assert COVERAGE not in {each.name for each in specs}
