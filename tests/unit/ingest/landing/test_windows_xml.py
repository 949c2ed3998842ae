"""One event as XML, in a text of JSON, as a binary log and as evtx_dump's JSON lands as the same row."""

import json
from pathlib import Path

import pytest

from ingest.contracts import load_contracts
from ingest.decode import evtx
from tests.unit.ingest.evtx_files import event, log
from tests.unit.ingest.landing.landed import Landed, landed_together

XML = (
    '<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System>'
    '<Provider Name="Microsoft-Windows-Security-Auditing"/><EventID>4624</EventID>'
    '<TimeCreated SystemTime="2026-03-02T05:00:00.5Z"/><EventRecordID>1</EventRecordID>'
    '<Execution ProcessID="700" ThreadID="800"/><Channel>Security</Channel><Computer>dc1</Computer></System>'
    '<EventData><Data Name="TargetUserName">dora</Data></EventData></Event>'
)
BROKEN = XML.replace("</System>", "")
JSON = {
    "Event": {
        "System": {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Security-Auditing"}},
            "EventID": 4624,
            "TimeCreated": {"#attributes": {"SystemTime": "2026-03-02T05:00:00.5Z"}},
            "EventRecordID": 1,
            "Execution": {"#attributes": {"ProcessID": 700, "ThreadID": 800}},
            "Channel": "Security",
            "Computer": "dc1",
        },
        "EventData": {"TargetUserName": "dora"},
    }
}
OBJECTS = {
    "dump.json": json.dumps(JSON).encode(),
    "events.xml": f"<Events>\r\n{XML}\r\n{BROKEN}\r\n</Events>".encode(),
    "raw.json": json.dumps({"RawXml": XML}).encode(),
    "late.xml": XML.replace("2026-03-02T05", "the other day").encode(),
}


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    objects = OBJECTS | ({"log.evtx": log([event(1)])} if evtx.parser_of() else {})
    return landed_together(tmp_path_factory.mktemp("windows"), objects, load_contracts()["windows_event"])


def texts(value: object) -> object:
    """The values as texts: XML has no numbers."""
    return {name: texts(each) for name, each in value.items()} if isinstance(value, dict) else str(value)


@pytest.mark.parametrize("name", ["events.xml", "raw.json", "log.evtx"])
def test_a_row_is_the_same_however_its_event_was_delivered(landed: Landed, name: str) -> None:
    if name == "log.evtx":
        pytest.importorskip("evtx")
    own = ", ".join(f'"{each.name}"' for each in load_contracts()["windows_event"].fields)
    assert landed.bronze(own, "dump.json") == landed.bronze(own, name)
    ((dumped,),), ((record,),) = landed.bronze("_record", "dump.json"), landed.bronze("_record", name)
    assert texts(json.loads(dumped)) == texts(json.loads(record))
    assert landed.bronze("_event_key, _event_at", "dump.json") == landed.bronze("_event_key, _event_at", name)


def test_bronze_keeps_the_text_as_delivered_and_the_record_as_json(landed: Landed) -> None:
    ((raw, record),) = landed.bronze("_raw, _record", "events.xml")
    assert (XML, "dora") == (raw, json.loads(record)["EventData"]["TargetUserName"])
    ((raw, record),) = landed.bronze("_raw, _record", "raw.json")
    assert (OBJECTS["raw.json"].decode(), "dora") == (raw, json.loads(record)["EventData"]["TargetUserName"])
    assert [(OBJECTS["dump.json"].decode(),)] == landed.bronze("_raw", "dump.json")


def test_what_is_broken_is_quarantined_with_its_text_and_the_reason(landed: Landed) -> None:
    ((raw, reason, found),) = landed.quarantine("_raw, reason, found", "events.xml")
    assert (BROKEN, "not_xml", True) == (raw, reason, found.startswith("mismatched tag"))
    ((raw, reason, found),) = landed.quarantine("_raw, reason, found", "late.xml")
    assert (OBJECTS["late.xml"].decode(), "bad_event_time", "the other day:00:00.5Z") == (raw, reason, found)


def test_quarantined_xml_lands_once_it_is_mended(landed: Landed, tmp_path: Path) -> None:
    ((raw,),) = landed.quarantine("_raw", "late.xml")
    mended = raw.replace("the other day", "2026-03-02T05").encode()
    again = landed_together(tmp_path, {"again": mended}, load_contracts()["windows_event"])
    assert landed.bronze("_event_key, EventData, _raw", "events.xml") == again.bronze("_event_key, EventData, _raw")
