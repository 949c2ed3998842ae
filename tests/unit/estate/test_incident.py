"""The incident is there, whole, and so is its look-alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestration.demo.estate.sources.windows import SOURCE as WINDOWS

from .readback import KEYS, READERS, defect


def _labelled(story: dict[str, Any], estate: Path) -> list[tuple[str, dict[str, Any]]]:
    """(step, record) of every labelled event, found again in the files by its key."""
    found = []
    for source in READERS:
        steps = {event["key"]: event["step"] for event in story["events"] if event["source"] == source}
        for record in READERS[source](estate):
            if defect(source, record) is None:
                key = "|".join(str(record.get(name)) for name in KEYS[source])
                if key in steps:
                    found.append((steps[key], record))
    return found


@pytest.mark.parametrize("name", ["incident", "look_alike"])
def test_every_labelled_event_is_in_the_files_once(name: str, estate: Path, truth: dict[str, Any]) -> None:
    story = truth[name]
    found = _labelled(story, estate)

    assert sorted(event["step"] for event in story["events"]) == sorted(step for step, _ in found)


def test_the_finance_controller_is_worn_down_and_taken_to_the_card_data(estate: Path, truth: dict[str, Any]) -> None:
    records: dict[str, list[dict[str, Any]]] = {}
    for step, record in _labelled(truth["incident"], estate):
        records.setdefault(step, []).append(record)

    assert len(records["mfa_push_denied"]) == 5
    assert {"FAILURE"} == {record["outcome"]["result"] for record in records["mfa_push_denied"]}
    assert records["mfa_push_accepted"][0]["client"]["ipAddress"] == truth["hostile_address"]
    assert records["mfa_push_accepted"][0]["client"]["geographicalContext"]["country"] == "Moldova"
    assert records["remote_desktop_logon"][0]["LogonType"] == "10"
    assert records["remote_desktop_logon"][0]["TargetUserName"] == "dana.whitfield"
    assert [record["EventID"] for record in records["process"]] == [4688, 1]
    assert all("-EncodedCommand" in record["CommandLine"] for record in records["process"])
    assert records["connection"][0]["DestinationIp"] == truth["hostile_address"]
    assert {truth["hostile_address"]} == {record["sourceIPAddress"] for record in records["get_object"]}
    assert len(records["get_object"]) == 60
    assert records["put_bucket_policy"][0]["requestParameters"]["bucketPolicy"]["Statement"][0]["Principal"] == "*"


def test_the_look_alike_walks_the_same_path_without_the_hostile_address(estate: Path, truth: dict[str, Any]) -> None:
    steps = {step for step, _ in _labelled(truth["incident"], estate)}
    innocent = _labelled(truth["look_alike"], estate)

    assert {step for step, _ in innocent} == steps - {"mfa_push_denied", "credential_access"}
    assert not any(truth["hostile_address"] in str(record) for _, record in innocent)


def test_nobody_but_the_intruder_and_the_administrator_ever_logs_on_to_the_server(
    estate: Path, truth: dict[str, Any]
) -> None:
    server = truth["incident"]["server"]
    people = {
        record["TargetUserName"]
        for record in READERS[WINDOWS](estate)
        if defect(WINDOWS, record) is None and record["EventID"] == 4624 and record["Hostname"].startswith(server)
    }

    assert {"dana.whitfield", "marcus.oyelaran"} == people
