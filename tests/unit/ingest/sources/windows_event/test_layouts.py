"""One event in every layout is the same record."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ingest.contracts import contract_of
from ingest.decode.windows_xml import with_events
from ingest.sources.windows_event.layouts import plain
from tests.unit.ingest.sources.windows_event.collectors import COLLECTORS, MESSAGE, winlogbeat_modules
from tests.unit.ingest.sources.windows_event.events import COMPUTER, EVENTS

OWN_NAMES = {each.name.lower(): each.name for each in contract_of("windows_event").fields}
SAME = {"SourceProcessGuid": "SourceProcessGUID", "TargetProcessGuid": "TargetProcessGUID"}  # as the contract has it


def read(record: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(record)
    made = plain(json.loads(with_events(text) or text), OWN_NAMES)
    assert made is not None
    return made


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_what_winlogbeats_modules_move_into_ecs_is_event_data_again(event: dict[str, Any]) -> None:
    data = read(winlogbeat_modules(event))["EventData"]
    lost = ("UtcTime", "SourceIsIpv6", "DestinationIsIpv6")  # dropped by the pipelines
    expected = {SAME.get(name, name): value for name, value in event["data"].items() if name not in lost}
    expected = {name: value for name, value in expected.items() if value != "-" or name in data}
    assert {name: _number(value) for name, value in expected.items()} == {
        name: _number(str(data.get(name))) for name in expected
    }


def _number(text: str) -> str:
    """Process ids are decimal in ECS, and hashes are in small letters."""
    return str(int(text, 0)) if text.startswith("0x") and len(text) < 8 else text.lower()


@pytest.mark.parametrize("collector", COLLECTORS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_every_layout_gives_the_header_and_the_data_of_the_event(collector: Any, event: dict[str, Any]) -> None:
    made = read(collector(event))
    assert (str(event["id"]), event["channel"], COMPUTER, event["provider"]) == (
        str(made["EventID"]), made["Channel"], made["Hostname"], made["SourceName"],
    )  # fmt: skip
    assert str(event["record"]) == str(made.get("RecordNumber", event["record"]))  # Azure's Event has none
    beside = {**made, **made.get("EventData", {})}
    expected = {SAME.get(name, name): value for name, value in event["data"].items()}
    assert expected == {name: str(beside.get(name)) for name in expected}
    assert made.get("Message", MESSAGE).strip('"') == MESSAGE


@pytest.mark.parametrize("collector", [*COLLECTORS, winlogbeat_modules], ids=lambda each: each.__name__)
@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_no_value_is_lost(collector: Any, event: dict[str, Any]) -> None:
    record = collector(event)
    kept = json.dumps(read(record), ensure_ascii=False)
    written_otherwise = {"SUCCESS", *SAME}  # a name of the number 0; names of values in lists of elements
    assert set() == {value for value in _values(record) if value not in kept} - written_otherwise


def _values(node: Any) -> Iterator[str]:
    """The values as JSON, without those that are written in another way: times, XML, JSON in a text, Wazuh's texts."""
    other_ways = ("SystemTime", "TimeCreated", "timestamp", "RawXml", "original", "EventData", "xmlns", "message")
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        if isinstance(value, dict | list):
            yield from _values(value)
    for name, value in node.items() if isinstance(node, dict) else ((str(at), each) for at, each in enumerate(node)):
        if name not in other_ways and isinstance(value, str) and value:
            yield json.dumps(value.replace("\\\\", "\\"), ensure_ascii=False)[1:-1]
        elif name not in other_ways and isinstance(value, int | float):
            yield json.dumps(value)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            {"winlog": {"event_id": 4624, "channel": "Security", "computer_name": "a", "record_id": 7}},
            {"EventID": 4624, "Channel": "Security", "Hostname": "a", "RecordNumber": 7},
        ),
        (
            {"Event": {"System": {"EventID": {"#text": 1, "#attributes": {"Qualifiers": 0}}, "Channel": "System"}}},
            {"EventID": 1, "Channel": "System"},
        ),
        (
            {"event_id": 3, "channel": "security", "Computer": "e"},
            {"EventID": 3, "Channel": "security", "Hostname": "e"},
        ),
        # In a header the process is the writer's, beside event data the event's.
        (
            {"EventID": 1, "ProcessID": 700, "ThreadID": 8, "EventData": {"ProcessId": 7}},
            {"ExecutionProcessID": 700, "EventData": {"ProcessId": 7}},
        ),
        ({"EventID": 5156, "ProcessID": 700, "Application": "a"}, {"ProcessId": 700, "Application": "a"}),
        ({"EventID": 4688, "ProcessId": "0x1", "ThreadId": 2, "Id": 5}, {"ExecutionProcessID": "0x1", "Id": 5}),
        # Event data without names, and of one name twice.
        ({"EventID": 1, "EventData": {"Data": {"#text": ["a", "b"]}}}, {"EventData": {"param1": "a", "param2": "b"}}),
        (
            {"EventID": 1, "EventData": {"Channel": "a"}, "UserData": {"x": {"Channel": "b"}}, "Channel": "c"},
            {"Channel": "c", "EventData": {"Channel": "a", "UserData.Channel": "b"}},
        ),
        # Strings of an event whose template is not known stay.
        ({"EventID": 1, "ProviderName": "X", "StringInserts": ["a"]}, {"StringInserts": ["a"]}),
        (
            {"EventID": "104", "SourceName": "Microsoft-Windows-Eventlog", "StringInserts": ["a", "b", "System", ""]},
            {"EventData": {"SubjectUserName": "a", "SubjectDomainName": "b", "Channel": "System"}},
        ),
        # Wazuh has user data beside the header.
        (
            {"win": {"system": {"eventID": "1102", "processID": "4"}, "logFileCleared": {"subjectUserName": "a"}}},
            {"EventID": "1102", "ExecutionProcessID": "4", "EventData": {"SubjectUserName": "a"}},
        ),
        (
            {"EventID": 1, "TimeGenerated [UTC]": "3/14/2026, 9:12:15.123 AM"},
            {"TimeCreated": "2026-03-14T09:12:15.123000+00:00"},
        ),
        ({"EventID": 1, "time": 1773479541.5}, {"TimeCreated": "2026-03-14T09:12:21.500000+00:00"}),
        ({"eventid": 1, "message": '{"a": 1}'}, {"EventID": 1, "Message": '{"a": 1}'}),
        ({"message": '{"EventID": 1, "Computer": "a"}', "host": "b"}, {"EventID": 1, "Hostname": "a", "host": "b"}),
        ({"event": {"EventID": 1}, "sourcetype": "x"}, {"EventID": 1, "sourcetype": "x"}),
    ],
)  # fmt: skip
def test_fields_stand_where_the_contract_has_them(record: dict[str, Any], expected: dict[str, Any]) -> None:
    made = read(record)
    assert expected == {name: made.get(name) for name in expected}


@pytest.mark.parametrize("record", [{}, {"a": 1}, {"properties": {"DeviceId": "x"}}, {"event": {"code": None}}])
def test_a_record_of_no_known_layout_is_left_to_the_contract(record: dict[str, Any]) -> None:
    assert plain(record, OWN_NAMES) is None


ROW = {
    "Timestamp": "2026-03-14T09:12:21.1234567Z", "DeviceId": "d", "DeviceName": "ws-31.example.com", "ReportId": 7,
    "InitiatingProcessId": 4001, "InitiatingProcessFolderPath": "c:\\windows\\explorer.exe",
    "InitiatingProcessAccountName": "dora", "InitiatingProcessAccountDomain": "example",
    "InitiatingProcessCommandLine": "explorer.exe",
}  # fmt: skip
IMAGE = {"ProcessId": 4001, "Image": "c:\\windows\\explorer.exe", "CommandLine": "explorer.exe"}
PROCESS = IMAGE | {"User": "example\\dora"}
ROWS = {
    "ProcessCreated": (
        {"FileName": "cmd.exe", "FolderPath": "C:\\Windows\\System32", "ProcessId": 7356, "SHA1": "a1", "MD5": "b2",
         "ProcessCommandLine": "cmd.exe /c dir", "AccountName": "erik", "AccountDomain": "example", "LogonId": 9},
        1,
        {"Image": "C:\\Windows\\System32\\cmd.exe", "ProcessId": 7356, "CommandLine": "cmd.exe /c dir", "LogonId": 9,
         "Hashes": "SHA1=a1,MD5=b2", "User": "example\\erik", "ParentUser": "example\\dora", "ParentProcessId": 4001,
         "ParentImage": "c:\\windows\\explorer.exe", "ParentCommandLine": "explorer.exe"},
    ),
    "LogonFailed": (
        {"AccountName": "erik", "AccountDomain": "example", "LogonType": "Network", "RemoteIP": "203.0.113.9",
         "FailureReason": "InvalidUserNameOrPassword", "AccountSid": ""},
        4625,
        {"TargetUserName": "erik", "TargetDomainName": "example", "LogonType": "3", "IpAddress": "203.0.113.9",
         "FailureReason": "InvalidUserNameOrPassword", "SubjectUserName": "dora", "SubjectDomainName": "example",
         "ProcessId": 4001, "ProcessName": "c:\\windows\\explorer.exe"},
    ),
    "InboundConnectionAccepted": (
        {"LocalIP": "10.0.0.31", "LocalPort": 445, "RemoteIP": "10.0.0.9", "RemotePort": 50001, "Protocol": "Tcp"},
        3,
        {"Initiated": "false", "SourceIp": "10.0.0.9", "SourcePort": 50001, "DestinationIp": "10.0.0.31",
         "DestinationPort": 445, "Protocol": "Tcp", **PROCESS},
    ),
    "RegistryValueSet": (
        {"RegistryKey": "HKEY_LOCAL_MACHINE\\Software\\Run", "RegistryValueName": "x", "RegistryValueData": "a.exe"},
        13,
        {"EventType": "SetValue", "TargetObject": "HKEY_LOCAL_MACHINE\\Software\\Run\\x", "Details": "a.exe",
         **PROCESS},
    ),
    "ConnectionFailed": (
        {"LocalIP": "10.0.0.31", "LocalPort": 50001, "RemoteIP": "203.0.113.9", "RemotePort": 443},
        0,
        {"Initiated": "true", "SourceIp": "10.0.0.31", "SourcePort": 50001, "DestinationIp": "203.0.113.9",
         "DestinationPort": 443, "SubjectUserName": "dora", "SubjectDomainName": "example", **IMAGE},
    ),
    "AntivirusScanCompleted": ({}, 0, {"SubjectUserName": "dora", "SubjectDomainName": "example", **IMAGE}),
}  # fmt: skip


@pytest.mark.parametrize("kind", ROWS)
def test_a_row_of_defenders_tables_is_the_event_that_it_tells_of(kind: str) -> None:
    columns, number, data = ROWS[kind]
    row = {"category": "AdvancedHunting-DeviceEvents", "properties": {**ROW, **columns, "ActionType": kind}}
    made = read(row)
    assert (number, "DeviceEvents", "ws-31.example.com", kind) == (
        made["EventID"], made["Channel"], made["Hostname"], made["EventType"],
    )  # fmt: skip
    assert data == made.get("EventData")
    assert 7 == made["ReportId"]
