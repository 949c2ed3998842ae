"""Records of other layouts than their contract's land as if they had it, with the text as delivered beside them."""

import json
from pathlib import Path

import pytest

from ingest.contracts import Contract, contract_of
from orchestration.settings import ObjectSource, Settings, in_zone
from tests.unit.ingest.landing.landed import Landed, landed, landed_together, lines

NXLOG = {"EventTime": "2026-03-02 06:00:00", "EventID": 1, "Channel": "c", "Hostname": "h", "RecordNumber": 1}
BEAT = {
    "@timestamp": "2026-03-02T05:00:00Z",
    "winlog": {"event_id": "4624", "channel": "Security", "computer_name": "h", "api": "x",
               "event_data": {"TargetUserName": "dora", "New": 1}},
}  # fmt: skip
COUNTED = {**NXLOG, "EventTime": 1772427600, "ThreadID": 1, "ProcessID": 2}
SYSLOG = f"<14>Mar  2 06:00:00 h prog[1]: {json.dumps(COUNTED)}"
OBJECTS = {
    "beat": lines(BEAT),
    "syslog": lines(SYSLOG, SYSLOG.replace('"RecordNumber": 1', '"RecordNumber": 2')),
    "hub": json.dumps({"records": [{"time": "x", "properties": BEAT}]}).encode(),
    "naive": lines(NXLOG),
    "none": lines({"a": 1}, {**NXLOG, "EventTime": "2026-03-02T05:00:00Z", "": True, "Computer": 5, "Hostname": 7}),
}


@pytest.fixture(scope="module")
def contract() -> Contract:
    return contract_of("windows_event")


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, contract: Contract) -> Landed:
    return landed_together(tmp_path_factory.mktemp("layouts"), OBJECTS, contract)


@pytest.mark.parametrize(("name", "raw"), [("beat", BEAT), ("hub", {"time": "x", "properties": BEAT})])
def test_bronze_has_the_columns_and_the_text_as_delivered(together: Landed, name: str, raw: object) -> None:
    columns = "EventID, Channel, Hostname, EventData->>'TargetUserName', _event_at::varchar, _raw"
    assert [(4624, "Security", "h", "dora", "2026-03-02 05:00:00", json.dumps(raw))] == together.bronze(columns, name)
    ((record,),) = together.bronze("_record", name)
    assert "x" == json.loads(record)["winlog"]["api"]


def test_json_behind_a_syslog_header_is_the_record(together: Landed) -> None:
    found = together.bronze("RecordNumber, LineHeader, _event_at::varchar, ExecutionProcessID, ProcessId", "syslog")
    beside = ("<14>Mar  2 06:00:00 h prog[1]:", "2026-03-02 05:00:00", 2, None)
    assert [(1, *beside), (2, *beside)] == found


def test_unknown_fields_count_at_every_depth(together: Landed) -> None:
    assert {"EventData.New": 2, "winlog": 2, "a": 1} == {
        each.field: each.records for each in together.receipt.drift if each.field in ("EventData.New", "winlog", "a")
    }


def test_what_is_of_no_layout_is_judged_as_it_is(together: Landed) -> None:
    assert [("missing_field", "EventID"), ("wrong_type", "Hostname")] == together.quarantine("reason, field", "none")


def test_a_time_without_a_zone_is_told_by_its_field_and_the_setting(together: Landed) -> None:
    ((reason, field, expected),) = together.quarantine("reason, field, expected", "naive")
    assert ("bad_event_time", "EventTime") == (reason, field)
    assert "sources.windows_event.time_zone" in expected


@pytest.mark.parametrize(("zone", "at"), [("Europe/Berlin", "05"), ("America/New_York", "11")])
def test_the_sources_zone_is_that_of_times_without_one(tmp_path: Path, contract: Contract, zone: str, at: str) -> None:
    settings = Settings(sources={"windows_event": {"time_zone": zone}})
    zoned = in_zone(settings, contract)
    assert zoned.fingerprint != contract.fingerprint
    found = landed(tmp_path, lines(NXLOG), contract=zoned)
    assert [(f"2026-03-02 {at}:00:00",)] == found.bronze("_event_at::varchar")


def test_a_zone_must_be_one() -> None:
    with pytest.raises(ValueError, match="is no time zone"):
        ObjectSource(time_zone="Berlin")
    assert "" == ObjectSource(time_zone="UTC").address  # alone it is no place to read from
