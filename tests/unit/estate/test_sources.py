"""The records look like those of their vendors."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections import Counter
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import maxminddb

from orchestration.demo.estate import bench_lines

from .readback import READERS, defect


def _good(source: str, estate: Path) -> list[dict[str, Any]]:
    return [record for record in READERS[source](estate) if defect(source, record) is None]


def test_cloudtrail_records_carry_what_every_real_record_carries(estate: Path, shared_data: Path) -> None:
    sample = next((shared_data / "aws_dataset/CloudTrail").glob("*.json"))
    real = [set(record) for record in json.loads(sample.read_text())["Records"]]
    always = set.intersection(*real) - {"tlsDetails"}

    assert all(always <= set(record) for record in _good("aws_cloudtrail", estate))


def test_cloudtrail_identities_and_outcomes_are_mixed(estate: Path) -> None:
    records = _good("aws_cloudtrail", estate)
    identities = Counter(record["userIdentity"].get("type") for record in records)
    sign_ins = [record["additionalEventData"]["MFAUsed"] for record in records if record["eventName"] == "ConsoleLogin"]

    assert {"AssumedRole", "IAMUser", "AWSService", "FederatedUser"} <= set(identities)
    assert {"Yes", "No"} == set(sign_ins)
    assert any("errorCode" in record for record in records)


def test_cloudtrail_keys_name_the_account_region_and_delivery_of_their_records(estate: Path) -> None:
    for path in list(estate.glob("cloudtrail/**/CloudTrail/**/*.json.gz"))[::40]:
        account, _, region, stamp, _ = path.name.split("_")
        try:
            records = json.loads(gzip.decompress(path.read_bytes()))["Records"]
        except (EOFError, ValueError):
            continue
        plain = [record for record in records if defect("aws_cloudtrail", record) is None]
        delivered = datetime.strptime(stamp + "+0000", "%Y%m%dT%H%MZ%z")
        assert {account} >= {record["recipientAccountId"] for record in plain}
        assert path.parts[-5] == region
        assert all(datetime.fromisoformat(record["eventTime"]) <= delivered for record in plain)


def test_some_okta_events_are_stored_hours_after_later_ones(estate: Path) -> None:
    published = [datetime.fromisoformat(event["published"]) for event in _good("okta_system_log", estate)]
    newest = accumulate(published, max)
    behind = [latest - at for at, latest in zip(published, newest, strict=True)]

    assert max(behind) > timedelta(hours=2)
    assert sum(delay > timedelta(minutes=15) for delay in behind) < 0.03 * len(published)


def test_windows_records_come_in_both_layouts_with_a_true_time_in_each(estate: Path) -> None:
    records = _good("windows_event", estate)
    nxlog = [record for record in records if "EventTime" in record]
    created = [record for record in records if "TimeCreated" in record]

    assert len(nxlog) + len(created) == len(records)
    assert len(nxlog) > 1000
    assert len(created) > 500
    assert not any("RecordNumber" in record for record in created)
    assert {"Security", "security"} <= {record["Channel"] for record in nxlog}
    for record in nxlog:
        if "UtcTime" in record:
            offset = datetime.fromisoformat(record["@timestamp"][:19]) - datetime.fromisoformat(
                record["EventReceivedTime"]
            )
            assert offset == timedelta(hours=5)
            true = datetime.fromisoformat(record["EventTime"]) + offset
            assert true == datetime.fromisoformat(record["UtcTime"][:19])


def test_windows_records_have_the_fields_of_real_ones(estate: Path, shared_data: Path) -> None:
    archive = next(shared_data.glob("Security-Datasets/datasets/atomic/windows/lateral_movement/host/empire*.zip"))
    real: dict[tuple[str, int], set[str]] = {}
    with zipfile.ZipFile(archive) as zipped, zipped.open(zipped.namelist()[0]) as lines:
        for line in lines:
            record = json.loads(line)
            real.setdefault((record["Channel"], record["EventID"]), set()).update(record)
    made: dict[tuple[str, int], set[str]] = {}
    for record in _good("windows_event", estate):
        if "EventTime" in record:
            made.setdefault((record["Channel"], record["EventID"]), set()).update(record)
    known = {"CollectorRegion", "User", "ProcessId", "Message"}  # drift; and what this one archive lost or renamed
    alone = {kind: sorted(made[kind] - real[kind] - known) for kind in made if kind in real}

    assert len(alone) > 12
    assert {kind: fields for kind, fields in alone.items() if fields} == {}


def test_the_zip_of_one_hour_has_junk_beside_every_member(estate: Path) -> None:
    (archive,) = estate.glob("windows/**/*.zip")
    names = zipfile.ZipFile(archive).namelist()

    assert (
        {f"__MACOSX/._{name}" for name in names if "/" not in name} == {name for name in names if "/" in name} != set()
    )


def test_the_geography_of_every_sign_in_is_in_the_database(estate: Path) -> None:
    with (
        maxminddb.open_database(estate / "reference/geoip-city.mmdb") as city,
        maxminddb.open_database(estate / "reference/geoip-asn.mmdb") as asn,
    ):
        for event in _good("okta_system_log", estate):
            address = event["client"]["ipAddress"]
            assert event["client"]["geographicalContext"]["city"] == city.get(address)["city"]["names"]["en"]
            assert event["securityContext"]["asNumber"] == asn.get(address)["autonomous_system_number"]


def test_bench_lines_are_clean_unique_and_spread_over_the_hours() -> None:
    for source, key in (("aws_cloudtrail", "eventID"), ("okta_system_log", "uuid")):
        records = [json.loads(line) for line in bench_lines(source, 1500, hours=6)]
        assert len({record[key] for record in records}) == len(records) == 1500
        assert all(defect(source, record) is None for record in records)
    lines = list(bench_lines("windows_event", 1500, hours=6))
    records = [json.loads(line) for line in lines]
    times = {record["@timestamp"][:13] for record in records}
    assert len(set(lines)) == 1500
    assert all(defect("windows_event", record) is None for record in records)
    assert {f"2026-03-02T0{hour}" for hour in range(6)} == times
