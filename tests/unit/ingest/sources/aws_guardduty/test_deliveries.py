"""Findings land under their own id whatever brought them; what is no finding is quarantined with its reason."""

import json
from typing import Any

import pytest

from ingest.contracts import load_contracts
from ingest.objects import delivered_at, why_not
from tests.unit.ingest.landing.landed import Landed, landed_together, lines

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


WAYS = {
    "export": lines(FINDING),
    "api": lines(pascal(FINDING)),
    "eventbridge": lines(envelope(FINDING)),
    "eventbridge of the api": lines(envelope(pascal(FINDING))),
    "answer": json.dumps({"Findings": [pascal(FINDING)]}).encode(),
    "list": json.dumps({"findings": [FINDING]}).encode(),
    "array": json.dumps([FINDING]).encode(),
    "indented": json.dumps(FINDING, indent=2).encode(),
    "texts": lines(FINDING | {"severity": "2", "service": FINDING["service"] | {"count": "2"}}),  # type: ignore[operator]
    "mixed": lines(FINDING | {"updatedAt": None, "UpdatedAt": FINDING["updatedAt"]}),
}
NO_FINDINGS: dict[str, tuple[Any, tuple[str, str]]] = {
    "sns": ({"Type": "Notification", "Message": json.dumps(FINDING)}, ("missing_field", "findingId")),
    "cloudwatch": ({"messageType": "DATA_MESSAGE", "logEvents": [{"message": "text"}]}, ("not_json", "")),
    "no finding": (envelope("a text"), ("missing_field", "updatedAt")),
    "no time": ({**FINDING, "updatedAt": None}, ("missing_field", "updatedAt")),
    "bad time": ({**FINDING, "updatedAt": "yesterday"}, ("bad_event_time", "updatedAt")),
    "empty id": ({**FINDING, "id": ""}, ("missing_field", "findingId")),
    "odd id": ({**FINDING, "id": {"odd": 1}}, ("wrong_type", "findingId")),
    "text": ("not JSON", ("not_json", "")),
}
ODD = ("resource", "service", "severity", "title")
GATHERED = [FINDING | {"id": each} for each in ("f1", "f2", "f3")]
LATER = FINDING | {"updatedAt": "2026-03-02T05:25:00.000Z"}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    """Everything in one batch, an object each: the contract is large, and planning its statement takes long."""
    objects = dict(WAYS)
    objects |= {name: lines(record) for name, (record, _) in NO_FINDINGS.items()}
    objects |= {name: lines(FINDING | {name: [1]}) for name in ODD}
    objects["gathered"] = "".join(json.dumps(envelope(each)) for each in GATHERED).encode()
    objects["states"] = lines(FINDING, LATER)
    objects["table export"] = lines(FINDING | {"updatedAt": "2026-03-02 05:10:00.123"})
    return landed_together(tmp_path_factory.mktemp("findings"), objects, CONTRACT)


@pytest.mark.parametrize("way", WAYS)
def test_a_finding_is_the_same_whatever_brought_it(together: Landed, way: str) -> None:
    assert [ROW] == together.bronze(COLUMNS, of=way)
    assert (1, 0) == together.counts(of=way)


def test_records_without_line_ends_between_them_are_told_apart(together: Landed) -> None:
    """Firehose puts nothing between the events that it gathers."""
    assert [("f1",), ("f2",), ("f3",)] == together.bronze("findingId", of="gathered")


def test_every_state_of_a_finding_is_an_event(together: Landed) -> None:
    assert [(KEY,), ("f1|2026-03-02T05:25:00.000Z",)] == together.bronze("_event_key", of="states")


def test_the_time_that_a_table_export_writes_is_utc(together: Landed) -> None:
    assert [("2026-03-02 05:10:00.123",)] == together.bronze("_event_at::varchar", of="table export")


@pytest.mark.parametrize("name", NO_FINDINGS)
def test_what_is_no_finding_is_kept_with_its_reason(together: Landed, name: str) -> None:
    assert [NO_FINDINGS[name][1]] == together.quarantine("reason, field", of=name)
    assert (1, 1) == together.counts(of=name)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_field_does_not_cost_the_finding(together: Landed, name: str) -> None:
    assert [([name],)] == together.bronze("_violations", of=name)


@pytest.mark.parametrize("folder", ["AWSLogs/111122223333", "prefix/AWSLogs/o-exampleorgid/111122223333"])
def test_an_exported_object_is_found_by_its_day(folder: str) -> None:
    name = f"{folder}/GuardDuty/eu-west-1/2026/03/02/07a3f2ce-1485-3031-b842-e1f324c4a48d.jsonl.gz"
    assert 1 == sum(layout.fits(name) for layout in CONTRACT.key_layouts)
    assert "" == why_not(CONTRACT, name, named=False)
    assert delivered_at(CONTRACT, name) is None  # its LastModified tells
