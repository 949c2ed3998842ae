"""Findings land under their own id whatever brought them; what is no finding is quarantined with its reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.contracts import load_contracts
from ingest.transports.listing import delivered_at, why_not
from tests.unit.ingest.landing.landed import Landed, landed, lines

CONTRACT = load_contracts()["aws_guardduty"]
FINDING = {
    "schemaVersion": "2.0", "accountId": "111122223333", "region": "eu-west-1", "partition": "aws", "id": "f1",
    "arn": "arn:aws:guardduty:eu-west-1:111122223333:detector/d/finding/f1", "type": "Recon:EC2/Portscan",
    "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": "i-1"}},
    "service": {"action": {"actionType": "PORT_PROBE", "portProbeAction": {"blocked": False}}, "count": 2},
    "severity": 2.0, "createdAt": "2026-03-02T05:00:00.000Z", "updatedAt": "2026-03-02T05:10:00.000Z",
    "title": "A title.", "description": "A description.",
}  # fmt: skip
KEY = "f1|2026-03-02T05:10:00.000Z"
COLUMNS = (
    "_event_key, accountId, findingRegion, type, severity, resource.resourceType, service.count, _event_at::varchar"
)
ROW = (KEY, "111122223333", "eu-west-1", "Recon:EC2/Portscan", 2.0, "Instance", 2, "2026-03-02 05:10:00")


def pascal(value: Any) -> Any:
    """A value with its names as the API writes them."""
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: pascal(each) for name, each in value.items()}
    return [pascal(each) for each in value] if isinstance(value, list) else value


def envelope(finding: Any) -> dict[str, Any]:
    """What EventBridge sends: its own id, account, region and time around the finding."""
    outer = {"version": "0", "id": "not f1", "detail-type": "GuardDuty Finding", "source": "aws.guardduty"}
    return outer | {"account": "999", "time": "2026-03-02T06:00:00Z", "region": "us-east-1", "detail": finding}


@pytest.mark.parametrize(
    "data",
    [
        lines(FINDING),
        lines(pascal(FINDING)),
        lines(envelope(FINDING)),
        lines(envelope(pascal(FINDING))),
        json.dumps({"Findings": [pascal(FINDING)]}).encode(),
        json.dumps({"findings": [FINDING]}).encode(),
        json.dumps([FINDING]).encode(),
        json.dumps(FINDING, indent=2).encode(),
        lines(FINDING | {"severity": "2", "service": FINDING["service"] | {"count": "2"}}),  # type: ignore[operator]
        lines(FINDING | {"updatedAt": None, "UpdatedAt": FINDING["updatedAt"]}),
    ],
    ids=[
        "export",
        "api",
        "eventbridge",
        "eventbridge of the api",
        "answer",
        "list",
        "array",
        "indented",
        "texts",
        "mixed",
    ],
)
def test_a_finding_is_the_same_whatever_brought_it(data: bytes, tmp_path: Path) -> None:
    result = landed(tmp_path, data, CONTRACT)
    assert [ROW] == result.bronze(COLUMNS)
    assert (1, 1, 0) == (result.receipt.read, result.receipt.landed, result.receipt.quarantined)


def test_records_without_line_ends_between_them_are_told_apart(tmp_path: Path) -> None:
    """Firehose puts nothing between the events that it gathers."""
    states = [FINDING | {"id": each} for each in ("f1", "f2", "f3")]
    result = landed(tmp_path, "".join(json.dumps(envelope(each)) for each in states).encode(), CONTRACT)
    assert [("f1",), ("f2",), ("f3",)] == result.bronze("findingId")


def test_every_state_of_a_finding_is_an_event(tmp_path: Path) -> None:
    later = FINDING | {"updatedAt": "2026-03-02T05:25:00.000Z"}
    result = landed(tmp_path, lines(FINDING, later), CONTRACT)
    assert [(KEY,), ("f1|2026-03-02T05:25:00.000Z",)] == result.bronze("_event_key")


def test_the_time_that_a_table_export_writes_is_utc(tmp_path: Path) -> None:
    result = landed(tmp_path, lines(FINDING | {"updatedAt": "2026-03-02 05:10:00.123"}), CONTRACT)
    assert [("2026-03-02 05:10:00.123",)] == result.bronze("_event_at::varchar")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"Type": "Notification", "Message": json.dumps(FINDING)}, ("missing_field", "findingId")),
        ({"messageType": "DATA_MESSAGE", "logEvents": [{"message": "text"}]}, ("not_json", "")),
        (envelope("a text"), ("missing_field", "updatedAt")),
        ({**FINDING, "updatedAt": None}, ("missing_field", "updatedAt")),
        ({**FINDING, "updatedAt": "yesterday"}, ("bad_event_time", "updatedAt")),
        ({**FINDING, "id": ""}, ("missing_field", "findingId")),
        ({**FINDING, "id": {"odd": 1}}, ("wrong_type", "findingId")),
        ("not JSON", ("not_json", "")),
    ],
    ids=["sns", "cloudwatch", "no finding", "no time", "bad time", "empty id", "odd id", "text"],
)
def test_what_is_no_finding_is_kept_with_its_reason(record: Any, reason: tuple[str, str], tmp_path: Path) -> None:
    result = landed(tmp_path, lines(record), CONTRACT)
    assert [reason] == result.quarantine("reason, field")
    assert (1, 0, 1) == (result.receipt.read, result.receipt.landed, result.receipt.quarantined)


@pytest.mark.parametrize("name", ["resource", "service", "severity", "title"])
def test_an_odd_field_does_not_cost_the_finding(name: str, tmp_path: Path) -> None:
    result: Landed = landed(tmp_path, lines(FINDING | {name: [1]}), CONTRACT)
    assert [([name],)] == result.bronze("_violations")


@pytest.mark.parametrize("folder", ["AWSLogs/111122223333", "prefix/AWSLogs/o-exampleorgid/111122223333"])
def test_an_exported_object_is_found_by_its_day(folder: str) -> None:
    name = f"{folder}/GuardDuty/eu-west-1/2026/03/02/07a3f2ce-1485-3031-b842-e1f324c4a48d.jsonl.gz"
    assert 1 == sum(layout.fits(name) for layout in CONTRACT.key_layouts)
    assert "" == why_not(CONTRACT, name, named=False)
    assert delivered_at(CONTRACT, name) is None  # its LastModified tells
