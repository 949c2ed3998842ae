"""Where CloudTrail puts its files: every documented layout is found and dated by its name, other files are left."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.contracts import Contract, load_contracts
from ingest.objects import delivered_at, list_objects

ACCOUNT, ORGANIZATION = "111122223333", "o-exampleorgid"
TRAILS = [f"AWSLogs/{ACCOUNT}", f"AWSLogs/{ORGANIZATION}/{ACCOUNT}", f"any/prefix/AWSLogs/{ORGANIZATION}/{ACCOUNT}"]
READ = ["CloudTrail", "CloudTrail-Insight", "CloudTrail-NetworkActivity"]
LEFT = ["CloudTrail-Digest", "CloudTrail-Aggregated"]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contracts()["aws_cloudtrail"]


def key(trail: str, category: str, time: str = "20260302T0505Z") -> str:
    """A key as CloudTrail writes it (docs: "CloudTrail log file examples", "CloudTrail digest file structure")."""
    name = f"{ACCOUNT}_{category}_eu-west-1_{time}_x5bmtPlPLSHfTbZq.json.gz"
    if category == "CloudTrail-Digest":
        name = f"{ACCOUNT}_CloudTrail-Digest_eu-west-1_a-trail_us-east-1_{time[:-1]}00Z.json.gz"
    return f"{trail}/{category}/eu-west-1/{time[:4]}/{time[4:6]}/{time[6:8]}/{name}"


@pytest.mark.parametrize("trail", TRAILS)
@pytest.mark.parametrize("category", READ)
def test_a_log_file_fits_one_layout_and_tells_its_delivery(contract: Contract, trail: str, category: str) -> None:
    found = key(trail, category)
    assert not contract.ignores(found)
    assert datetime(2026, 3, 2, 5, 5, tzinfo=UTC) == delivered_at(contract, found)
    assert 1 == sum(layout.fits(found) for layout in contract.key_layouts)


@pytest.mark.parametrize("trail", TRAILS)
@pytest.mark.parametrize("category", LEFT)
def test_digests_and_aggregated_events_are_in_no_layout_and_ignored(
    contract: Contract, trail: str, category: str
) -> None:
    found = key(trail, category)
    assert contract.ignores(found)
    assert not any(layout.fits(found) for layout in contract.key_layouts)


@pytest.mark.parametrize("trail", TRAILS)
def test_an_hour_of_a_folder_holds_what_was_delivered_in_it(contract: Contract, trail: str, tmp_path: Path) -> None:
    for category in READ + LEFT:
        for time in ("20260302T0459Z", "20260302T0500Z", "20260302T0559Z", "20260302T0600Z", "20260303T0505Z"):
            path = tmp_path / key(trail, category, time)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    found = list_objects(contract, [tmp_path], datetime(2026, 3, 2, 5)).objects
    told = sorted(str(Path(each.name).relative_to(tmp_path.resolve())) for each in found)
    assert sorted(key(trail, each, time) for each in READ for time in ("20260302T0500Z", "20260302T0559Z")) == told


def test_all_that_is_passed_over_in_a_folder_is_said(contract: Contract, tmp_path: Path) -> None:
    for category in READ + LEFT:
        path = tmp_path / key(TRAILS[1], category)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    listing = list_objects(contract, [tmp_path])
    assert (len(READ), len(LEFT)) == (len(listing.objects), len(listing.ignored))
    assert {"no event data by the contract"} == {why for _, why in listing.ignored}
