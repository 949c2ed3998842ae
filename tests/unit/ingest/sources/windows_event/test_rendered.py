"""What the English text of an event tells becomes event data under the names of the event's manifest."""

from typing import Any

import msgspec
import pytest

from ingest.contracts import contract_of
from ingest.landing.layouts import reader_of
from ingest.sources.windows_event.layouts import plain

SID = "S-1-5-21-1-2-3-1105"
SUBJECT = (
    "Subject:\n\tSecurity ID:\t\tCORP\\dora\n\tAccount Name:\t\tdora\n\tAccount Domain:\t\tCORP\n\tLogon ID:\t\t0x3E9"
)
DORA = {"SubjectUserName": "dora", "SubjectDomainName": "CORP", "SubjectLogonId": "0x3E9"}
LOGON = f"""An account failed to log on.

{SUBJECT}

Logon Type:\t\t\t3

Account For Which Logon Failed:
\tSecurity ID:\t\t{SID}
\tAccount Name:\t\tmallory
\tAccount Domain:\t\t-

Failure Information:
\tFailure Reason:\t\tUnknown user name or bad password.
\tSub Status:\t\t0xC000006A

Network Information:
\tWorkstation Name:\tWS1
\tSource Network Address:\t10.0.0.7
\tSource Port:\t\t50122

This event is generated when a logon request fails."""
FAILED = {
    **DORA, "LogonType": "3", "TargetUserSid": SID, "TargetUserName": "mallory",
    "FailureReason": "Unknown user name or bad password.", "SubStatus": "0xC000006A", "WorkstationName": "WS1",
    "IpAddress": "10.0.0.7", "IpPort": "50122",
}  # fmt: skip
MEMBER = f"""A member was added.\n\n{SUBJECT}\n\nMember:\n\tSecurity ID:\t\t{SID}\n\tAccount Name:\t\tCN=Bob, Ray

Group:\n\tSecurity ID:\t\tS-1-5-32-544\n\tGroup Name:\t\tAdministrators\n\tGroup Domain:\t\tBuiltin"""
ADDED = {
    **DORA, "MemberSid": SID, "MemberName": "CN=Bob, Ray", "TargetSid": "S-1-5-32-544",
    "TargetUserName": "Administrators", "TargetDomainName": "Builtin",
}  # fmt: skip
CONTENT = "<Task>\n  <Date>1:2</Date>\n</Task>"
TASK = f"A task.\n\n{SUBJECT}\n\nTask Information:\n\tTask Name: \t\t\\t\n\tTask Content: \t\t{CONTENT}"
INSTALLED = "Installed.\n\nService Name:  a\nService File Name:  b c"
RIGHTS = "Special.\n\nSubject:\n\tAccount Name:\t\tdora\n\nPrivileges:\t\tSeTcbPrivilege\n\t\t\tSeDebugPrivilege"
FILTERED = "A bind.\n\nNetwork Information:\n\tSource Address:\t\t10.0.0.7\n\tSource Port:\t\t80\n\tProtocol:\t\t6"
SYSMON = 'Process Create:\nRuleName: -\nProcessId: 7\nCommandLine: cmd "a\nb: c"\nUser: CORP\\dora'
SCRIPT = "Creating Scriptblock text (1 of 2):\nfunction a {\n b: c }\n\nScriptBlock ID: 1-2\nPath: C:\\a.ps1"


@pytest.mark.parametrize(
    ("log", "event", "message", "data"),
    [
        ("Security", 4625, LOGON, FAILED),
        ("Security", 4625, LOGON.replace("\n", " ").replace("\t", " "), FAILED),
        ("Security", 4728, MEMBER, ADDED),
        ("Security", 4698, TASK, {**DORA, "TaskName": "\\t", "TaskContent": CONTENT}),
        ("Security", 4672, RIGHTS,
         {"SubjectUserName": "dora", "PrivilegeList": "SeTcbPrivilege\n\t\t\tSeDebugPrivilege"}),
        ("Security", 5158, FILTERED, {"SourceAddress": "10.0.0.7", "SourcePort": "80", "Protocol": "6"}),
        ("System", 7045, INSTALLED, {"ServiceName": "a", "ImagePath": "b c"}),
        ("System", 7036, "The a b service entered the running state.", {"param1": "a b", "param2": "running"}),
        ("x-Sysmon/y", 1, SYSMON, {"ProcessId": "7", "CommandLine": 'cmd "a\nb: c"', "User": "CORP\\dora"}),
        ("x-PowerShell/y", 4104, SCRIPT, {"MessageNumber": "1", "MessageTotal": "2", "ScriptBlockId": "1-2",
                                          "ScriptBlockText": "function a {\n b: c }", "Path": "C:\\a.ps1"}),
    ],
)  # fmt: skip
def test_labels_are_the_fields_of_their_section(log: str, event: int, message: str, data: dict[str, str]) -> None:
    assert data == _plain({"LogName": log, "EventCode": event, "Message": message})["EventData"]


def test_event_data_win_over_the_message() -> None:
    record = {"EventID": 4625, "Channel": "Security", "Message": LOGON}
    assert {"IpAddress": "10.0.0.8"} == _plain({**record, "EventData": {"IpAddress": "10.0.0.8"}})["EventData"]
    assert "EventData" not in _plain({**record, "IpAddress": "10.0.0.8"})


def test_the_text_of_a_search_result_is_an_event() -> None:
    text = f"LogName=Security\nEventCode=4625\nUser=NOT_TRANSLATED\nSid=S-1-0-0\nType=Information\nMessage={LOGON}"
    made = _plain({"preview": False, "result": {"_raw": text, "_time": "2026-03-02T16:00:00Z"}})
    assert FAILED == made["EventData"]
    header = {"EventID": "4625", "TimeCreated": "2026-03-02T16:00:00Z", "UserID": "S-1-0-0", "Level": "Information"}
    assert header.items() <= made.items()
    assert {"User", "AccountName", "Type"}.isdisjoint(made)


def test_the_text_of_ossec_is_an_event() -> None:
    text = "2026 Mar 02 17:00:00 WinEvtLog: Security: AUDIT_FAILURE(4625): Microsoft-Windows-Security-Auditing: "
    text += f"(no user): no domain: WS1: {' '.join(LOGON.split())}"
    made = _plain({"timestamp": "2026-03-02T16:00:00.000+0000", "agent": {"name": "a"}, "full_log": text})
    assert FAILED == made["EventData"]
    header = {"EventID": "4625", "Channel": "Security", "Hostname": "WS1", "EventType": "AUDIT_FAILURE"}
    assert header.items() <= made.items()
    assert {"AccountName", "Domain"}.isdisjoint(made)


def test_a_line_of_snare_is_an_event() -> None:
    flat = LOGON.replace("\n\n", "    ").replace("\n\t", "   ").replace("\t", " ")
    flat = flat.replace("    Network Information", "   Desired Access: 1048577    Network Information")  # not listed
    line = "<14>Mar  2 17:00:00 WS1 MSWinEventLog\t1\tSecurity\t77\tMon Mar 02 17:00:00 2026\t4625\t"
    line += "Microsoft-Windows-Security-Auditing\tN/A\tN/A"
    line += f"\tFailure Audit\tWS1\tLogon\t\t{flat} {{a}}\t952188769"
    read = reader_of("windows_event", contract_of("windows_event").fields)(line)
    made = msgspec.json.decode(read or "{}")
    assert FAILED == made["EventData"]
    header = {"EventID": "4625", "Channel": "Security", "Hostname": "WS1", "EventType": "FailureAudit"}
    header |= {"EventTime": "2026-03-02T17:00:00", "LineHeader": "<14>Mar  2 17:00:00 WS1"}
    assert header.items() <= made.items()
    assert {"AccountName", "AccountType"}.isdisjoint(made)


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    made = plain(record, {each.name.lower(): each.name for each in contract_of("windows_event").fields})
    assert made is not None
    return made
