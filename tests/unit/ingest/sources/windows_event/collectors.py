"""How collectors write an event (see `events`): one function each, named after the collector or its setting."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from tests.unit.ingest.sources.windows_event.events import AT, COMPUTER

Event = dict[str, Any]
MESSAGE = "What happened.\r\n\r\nAnd more of it."


def evtx_dump(event: Event) -> Event:
    xmlns = {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"}
    return {"Event": {"#attributes": xmlns, "System": _system(event), "EventData": _numbers(event["data"])}}


def evtx_dump_separate_attributes(event: Event) -> Event:
    system = {}
    for name, value in _system(event).items():
        if isinstance(value, dict) and "#attributes" in value:
            system[f"{name}_attributes"] = value["#attributes"]
        system[name] = value.get("#text") if isinstance(value, dict) else value
    return {"Event_attributes": {"xmlns": "x"}, "Event": {"System": system, "EventData": event["data"]}}


def xmltodict(event: Event) -> Event:
    data = [{"@Name": name, "#text": value} for name, value in event["data"].items()]
    system = {
        name: {f"@{key}": each for key, each in value["#attributes"].items()} if isinstance(value, dict) else str(value)
        for name, value in _system(event).items()
    }
    return {"Event": {"@xmlns": "x", "System": system, "EventData": {"Data": data}}}


def velociraptor(event: Event) -> Event:
    system = {
        name: value["#attributes"] if isinstance(value, dict) else value for name, value in _system(event).items()
    }
    at = datetime.fromisoformat(AT).timestamp()
    return {
        "System": {**system, "EventID": {"Value": event["id"]}, "TimeCreated": {"SystemTime": at}},
        "EventData": _numbers(event["data"]),
        "Message": MESSAGE,
    }


def winlogbeat(event: Event) -> Event:
    keywords = {"0x802": "Überwachung erfolgreich", "0x801": "Überwachung gescheitert"}.get(event["keywords"][:5])
    outcome = {"0x802": "success", "0x801": "failure"}.get(event["keywords"][:5])
    return {
        "@timestamp": AT,
        "event": {"code": str(event["id"]), "kind": "event", "provider": event["provider"], "action": "Logon",
                  "created": "2026-03-14T09:12:25.000Z", **({"outcome": outcome} if outcome else {})},
        "host": {"name": COMPUTER}, "log": {"level": "information"}, "message": MESSAGE,
        "agent": {"type": "winlogbeat", "version": "8.15.1"}, "ecs": {"version": "8.0.0"},
        "winlog": {
            "api": "wineventlog", "channel": event["channel"], "computer_name": COMPUTER, "event_id": str(event["id"]),
            "keywords": [keywords] if keywords else [], "opcode": "Info", "provider_guid": event["guid"],
            "process": {"pid": event["pid"], "thread": {"id": event["tid"]}}, "provider_name": event["provider"],
            "record_id": event["record"], "task": "Logon", "version": event["version"], "event_data": event["data"],
            **({"user": {"identifier": event["user"], "name": "SYSTEM", "domain": "NT AUTHORITY", "type": "User"}}
               if event["user"] else {}),
        },
    }  # fmt: skip


_SYSMON = {
    "ProcessGuid": "process.entity_id", "ProcessId": "process.pid", "Image": "process.executable",
    "CommandLine": "process.command_line", "CurrentDirectory": "process.working_directory",
    "ParentProcessGuid": "process.parent.entity_id", "ParentProcessId": "process.parent.pid",
    "ParentImage": "process.parent.executable", "ParentCommandLine": "process.parent.command_line",
    "OriginalFileName": "process.pe.original_file_name", "Protocol": "network.transport",
    "DestinationPortName": "network.protocol", "SourceIp": "source.ip", "SourceHostname": "source.domain",
    "SourcePort": "source.port", "DestinationIp": "destination.ip", "DestinationHostname": "destination.domain",
    "DestinationPort": "destination.port", "QueryName": "dns.question.name", "SourceProcessGuid": "process.entity_id",
    "SourceProcessId": "process.pid", "SourceImage": "process.executable", "TargetFilename": "file.path",
    "TargetObject": "registry.path", "RuleName": "rule.name", "ScriptBlockText": "powershell.file.script_block_text",
    "ScriptBlockId": "powershell.file.script_block_id", "MessageNumber": "powershell.sequence",
    "MessageTotal": "powershell.total", "Path": "file.path",
}  # fmt: skip
_SECURITY = {"ProcessName": "process.executable", "IpAddress": "source.ip", "IpPort": "source.port"}
_STARTED = {"NewProcessId": "process.pid", "NewProcessName": "process.executable"}
_PARENT = {"ParentProcessName": "process.parent.executable"}


def winlogbeat_modules(event: Event) -> Event:
    """What the modules Security, Sysmon and PowerShell make of it: they move values into ECS (ingest pipelines)."""
    made, data = winlogbeat(event), dict(event["data"])
    security = event["channel"] == "Security"
    moved = (_SECURITY | _STARTED | _PARENT) if security else _SYSMON
    if event["id"] in (4624, 4625):
        moved = {**moved, "ProcessId": "process.pid", "WorkstationName": "source.domain"}
        who = {part: data[f"Target{name}"] for part, name in (("name", "UserName"), ("domain", "DomainName"))}
        made["user"] = {**who, "id": data["TargetUserSid"]}
        made["winlog"]["logon"] = {"type": {"3": "Network", "10": "RemoteInteractive"}[data["LogonType"]]}
    if not security:
        data = {name: value for name, value in data.items() if value not in ("-", "")}
        made["@timestamp"] = data.pop("UtcTime", AT).replace(" ", "T").removesuffix("Z") + "Z"
        domain, _, name = data.pop("User", "").partition("\\")
        made["user"] = {"id": "S-1-5-18", **({"name": name, "domain": domain} if name else {})}
    if "Hashes" in data:
        hashes = {each.split("=")[0].lower(): each.split("=")[1].lower() for each in data.pop("Hashes").split(",")}
        made["process"] = {"hash": hashes, "pe": {"imphash": hashes.pop("imphash")}}
    if "Initiated" in data:
        made["network"] = {"direction": "egress" if data.pop("Initiated") == "true" else "ingress", "type": "ipv4"}
    if "QueryResults" in data:
        del data["QueryResults"], data["QueryStatus"]
        made["sysmon"] = {"dns": {"status": "SUCCESS"}}
        made["dns"] = {"answers": [{"type": "CNAME", "data": "edge.example.net"}, {"type": "A", "data": "203.0.113.80"},
                                   {"type": "AAAA", "data": "2001:db8::80"}]}  # fmt: skip
    if "Details" in data:
        del data["Details"]
        made["registry"] = {"hive": "HKLM", "value": "x", "data": {"type": "SZ_DWORD", "strings": ["1"]}}
    for name, path in moved.items():
        if name in data:
            _put(made, path.split("."), data.pop(name))
    made["winlog"]["event_data"] = data
    return made


def _put(node: Event, steps: list[str], value: str) -> None:
    for step in steps[:-1]:
        node = node.setdefault(step, {})
    number = steps[-1] in ("pid", "port")
    node[steps[-1]] = int(value, 0) if number else value


def winlogbeat_dotted(event: Event) -> Event:
    """As Kibana and Elasticsearch's `fields` give it: paths as names."""
    found: Event = {}

    def walk(node: Event, prefix: str) -> None:
        for name, value in node.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{name}.")
            else:
                found[prefix + name] = value if isinstance(value, list) else [value]

    walk(winlogbeat(event), "")
    return {"_index": "winlogbeat-8", "_id": "x", "fields": found}


def filebeat_time_created(event: Event) -> Event:
    """Elastic Agent before its pipeline: `@timestamp` is when the agent read it."""
    made = winlogbeat(event)
    made["winlog"]["time_created"] = AT
    return {**made, "@timestamp": "2026-03-14T09:15:00.000Z", "data_stream": {"type": "logs", "dataset": "system"}}


def logstash_winlogbeat_6(event: Event) -> Event:
    return {
        "@timestamp": AT, "beat": {"hostname": "x"}, "computer_name": COMPUTER, "event_data": event["data"],
        "event_id": event["id"], "level": "Information", "log_name": event["channel"], "message": MESSAGE,
        "opcode": "Info", "process_id": event["pid"], "provider_guid": event["guid"], "thread_id": event["tid"],
        "record_number": str(event["record"]), "source_name": event["provider"], "type": "wineventlog",
        "keywords": _words(event), "version": event["version"],
    }  # fmt: skip


def fluent_bit_winevtlog(event: Event) -> Event:
    return {
        "ProviderName": event["provider"], "ProviderGuid": event["guid"].upper(), "Qualifiers": "",
        "EventID": event["id"], "Version": event["version"], "Level": event["level"], "Task": event["task"],
        "Opcode": event["opcode"], "Keywords": event["keywords"], "TimeCreated": "2026-03-14 10:12:21 +0100",
        "EventRecordID": event["record"], "ActivityID": "", "RelatedActivityID": "", "ProcessID": event["pid"],
        "ThreadID": event["tid"], "Channel": event["channel"], "Computer": COMPUTER, "UserID": event["user"],
        "Message": MESSAGE, "StringInserts": list(event["data"].values()),
    }  # fmt: skip


def vector(event: Event) -> Event:
    return {
        "activity_id": "{E654B5F9-9FCD-4E9A-9F18-E433DB7ACBAC}", "channel": event["channel"], "computer": COMPUTER,
        "event_data": event["data"], "event_id": event["id"], "host": COMPUTER, "keywords": event["keywords"],
        "level": "Information", "level_value": event["level"], "message": MESSAGE, "process_id": event["pid"],
        "provider_guid": event["guid"], "provider_name": event["provider"], "record_id": event["record"],
        "source_type": "windows_event_log", "task": event["task"], "thread_id": event["tid"], "timestamp": AT,
        "user_id": event["user"] or None, "version": event["version"],
        "string_inserts": list(event["data"].values()),
    }  # fmt: skip


def wazuh(event: Event) -> Event:
    """An alert: names in lower camel case, backslashes doubled."""
    data = {name[0].lower() + name[1:]: value.replace("\\", "\\\\") for name, value in event["data"].items()}
    return {
        "timestamp": "2026-03-14T09:12:30.000+0000", "id": "1773479550.123", "location": "EventChannel",
        "rule": {"id": "60106", "level": 3, "description": "Windows event"}, "agent": {"id": "007", "name": "DC1"},
        "manager": {"name": "wazuh"}, "decoder": {"name": "windows_eventchannel"},
        "data": {"win": {"eventdata": data, "system": {
            "channel": event["channel"], "computer": COMPUTER, "eventID": str(event["id"]),
            "keywords": event["keywords"],
            "eventRecordID": str(event["record"]), "level": str(event["level"]), "message": f'"{MESSAGE}"',
            "opcode": "0", "processID": str(event["pid"]), "providerGuid": event["guid"], "task": str(event["task"]),
            "providerName": event["provider"], "severityValue": "INFORMATION", "systemTime": AT,
            "threadID": str(event["tid"]), "version": str(event["version"]),
        }}},
    }  # fmt: skip


def opentelemetry(event: Event) -> Event:
    return {
        "channel": event["channel"], "computer": COMPUTER, "event_id": {"id": event["id"], "qualifiers": 0},
        "event_data": {"data": [{name: value} for name, value in event["data"].items()]}, "keywords": _words(event),
        "execution": {"process_id": event["pid"], "thread_id": event["tid"]}, "level": "Information", "opcode": "Info",
        "message": MESSAGE, "provider": {"guid": event["guid"], "name": event["provider"], "event_source": ""},
        "record_id": event["record"], "system_time": AT, "task": "Logon", "version": event["version"],
        "security": {"user_id": event["user"]},
    }  # fmt: skip


def azure_security_event(event: Event) -> Event:
    return {
        "TenantId": "t", "TimeGenerated": AT, "SourceSystem": "OpsManager", "Account": r"EXAMPLE\x",
        "AccountType": "User", "Computer": COMPUTER, "EventSourceName": event["provider"], "Channel": event["channel"],
        "Task": event["task"], "Level": "8", "EventData": "", "EventID": event["id"], "Activity": "An event.",
        "EventLevelName": "LogAlways", "EventRecordId": str(event["record"]), "Keywords": event["keywords"],
        "Type": "SecurityEvent", **event["data"],
    }  # fmt: skip


def azure_windows_event(event: Event) -> Event:
    return {
        "TenantId": "t", "TimeGenerated": AT, "Computer": COMPUTER, "Channel": event["channel"],
        "Provider": event["provider"], "EventID": event["id"], "EventLevel": event["level"], "Type": "WindowsEvent",
        "EventLevelName": "Information", "Task": event["task"], "Opcode": "0", "Keywords": event["keywords"],
        "EventRecordId": str(event["record"]), "EventData": event["data"], "RawEventData": "",
        "SystemProcessId": event["pid"], "SystemThreadId": event["tid"], "Version": event["version"],
        "SystemUserId": event["user"], "Correlation": "",
    }  # fmt: skip


def azure_event(event: Event) -> Event:
    """The table Event, whose data are XML."""
    xml = f'<DataItem type="System.XmlData" time="{AT}">{_xml_data(event)}</DataItem>'
    return {
        "TenantId": "t", "SourceSystem": "OpsManager", "TimeGenerated": AT, "Source": event["provider"],
        "EventLog": event["channel"], "Computer": COMPUTER, "EventLevel": event["level"], "UserName": "N/A",
        "EventLevelName": "Information", "ParameterXml": "", "EventData": xml, "EventID": event["id"],
        "RenderedDescription": MESSAGE, "EventCategory": event["task"], "Type": "Event",
    }  # fmt: skip


def azure_event_hub(event: Event) -> Event:
    """One of the `records` of Event Hub, event data as JSON in a text."""
    made = azure_windows_event(event)
    made["EventData"] = json.dumps(made["EventData"])
    return {
        "time": AT,
        "category": "WindowsEvent",
        "operationName": "x",
        "properties": made,
    }


def splunk_xml_fields(event: Event) -> Event:
    """A search result of XmlWinEventLog: the fields that its add-on takes from the XML, side by side."""
    return {"preview": False, "result": {
        "Name": event["provider"], "Guid": event["guid"], "EventID": str(event["id"]), "Level": str(event["level"]),
        "Task": str(event["task"]), "Opcode": "0", "Keywords": event["keywords"], "SystemTime": AT,
        "EventRecordID": str(event["record"]), "ProcessID": str(event["pid"]), "ThreadID": str(event["tid"]),
        "Channel": event["channel"], "Computer": COMPUTER, "_time": "2026-03-14T10:12:21.123+01:00", "host": "DC1",
        "index": "wineventlog", "source": "XmlWinEventLog:Security", "sourcetype": "XmlWinEventLog", **event["data"],
    }}  # fmt: skip


def graylog_beats(event: Event) -> Event:
    found = {
        "winlogbeat_winlog_channel": event["channel"], "winlogbeat_winlog_computer_name": COMPUTER,
        "winlogbeat_winlog_event_id": str(event["id"]), "winlogbeat_winlog_provider_name": event["provider"],
        "winlogbeat_winlog_provider_guid": event["guid"], "winlogbeat_winlog_record_id": event["record"],
        "winlogbeat_winlog_process_pid": event["pid"], "winlogbeat_winlog_keywords": _words(event),
        "timestamp": AT, "message": MESSAGE, "source": "DC1", "gl2_source_input": "x",
    }  # fmt: skip
    return found | {f"winlogbeat_winlog_event_data_{name}": value for name, value in event["data"].items()}


def nxlog_gelf(event: Event) -> Event:
    header = {
        "EventID": event["id"], "Channel": event["channel"], "SourceName": event["provider"],
        "ProviderGuid": event["guid"], "RecordNumber": event["record"], "Keywords": event["keywords"],
        "ExecutionProcessID": event["pid"], "ThreadID": event["tid"], "Hostname": COMPUTER,
    }  # fmt: skip
    return {
        "version": "1.1", "host": COMPUTER, "short_message": "What happened.", "full_message": MESSAGE, "level": 6,
        "timestamp": datetime.fromisoformat(AT).timestamp(),
        **{f"_{name}": each for name, each in (header | event["data"]).items()},
    }  # fmt: skip


def get_win_event(event: Event) -> Event:
    """PowerShell: Get-WinEvent | ConvertTo-Json."""
    millis = int(datetime.fromisoformat(AT).timestamp() * 1000)
    return {
        "Id": event["id"], "Version": event["version"], "Qualifiers": None, "Level": event["level"],
        "Task": event["task"], "Opcode": event["opcode"], "Keywords": _signed(event["keywords"]),
        "RecordId": event["record"], "ProviderName": event["provider"], "ProviderId": event["guid"][1:-1],
        "LogName": event["channel"], "ProcessId": event["pid"], "ThreadId": event["tid"], "MachineName": COMPUTER,
        "UserId": None, "TimeCreated": f"/Date({millis})/", "ActivityId": None, "RelatedActivityId": None,
        "ContainerLog": event["channel"], "LevelDisplayName": "Information", "OpcodeDisplayName": "Info",
        "Properties": [{"Value": value} for value in event["data"].values()], "Message": MESSAGE,
    }  # fmt: skip


def winlogbeat_with_xml(event: Event) -> Event:
    """With `include_xml`, or Elastic Agent with `preserve_original_event`, after the modules."""
    made = winlogbeat_modules(event)
    made["event"]["original"] = f"<Event xmlns='x'>{_xml_system(event)}{_xml_data(event)}</Event>"
    return made


def azure_diagnostics(event: Event) -> Event:
    """Event Hub's records of the Windows Azure diagnostics extension."""
    return {
        "time": AT, "category": "WindowsEventLogsTable", "level": "Informational",
        "properties": {
            "DeploymentId": "d", "Role": "IaaS", "RoleInstance": "_dc1", "ProviderGuid": event["guid"],
            "ProviderName": event["provider"], "EventId": event["id"], "Level": event["level"], "Pid": event["pid"],
            "Tid": event["tid"], "Opcode": 0, "Task": event["task"], "Channel": event["channel"],
            "Description": MESSAGE, "RawXml": f"<Event xmlns='x'>{_xml_system(event)}{_xml_data(event)}</Event>",
        },
    }  # fmt: skip


COLLECTORS: list[Callable[[Event], Event]] = [
    evtx_dump, evtx_dump_separate_attributes, xmltodict, velociraptor, winlogbeat, winlogbeat_dotted,
    filebeat_time_created, logstash_winlogbeat_6, fluent_bit_winevtlog, vector, wazuh, opentelemetry,
    azure_security_event, azure_windows_event, azure_event_hub, splunk_xml_fields, graylog_beats, nxlog_gelf,
    get_win_event, azure_event, azure_diagnostics, winlogbeat_with_xml,
]  # fmt: skip


def _system(event: Event) -> Event:
    return {
        "Provider": {"#attributes": {"Name": event["provider"], "Guid": event["guid"]}}, "EventID": event["id"],
        "Version": event["version"], "Level": event["level"], "Task": event["task"], "Opcode": event["opcode"],
        "Keywords": event["keywords"], "TimeCreated": {"#attributes": {"SystemTime": AT}},
        "EventRecordID": event["record"], "Channel": event["channel"], "Computer": COMPUTER,
        "Execution": {"#attributes": {"ProcessID": event["pid"], "ThreadID": event["tid"]}},
        "Security": {"#attributes": {"UserID": event["user"]}},
    }  # fmt: skip


def _xml_system(event: Event) -> str:
    return (
        f"<System><Provider Name={quoteattr(event['provider'])} Guid={quoteattr(event['guid'])}/>"
        f"<EventID>{event['id']}</EventID><Version>2</Version><Level>0</Level><Task>{event['task']}</Task>"
        f"<Opcode>0</Opcode><Keywords>{event['keywords']}</Keywords><TimeCreated SystemTime='{AT}'/>"
        f"<EventRecordID>{event['record']}</EventRecordID><Correlation/><Execution ProcessID='700' ThreadID='800'/>"
        f"<Channel>{event['channel']}</Channel><Computer>{COMPUTER}</Computer><Security/></System>"
    )


def _xml_data(event: Event) -> str:
    data = "".join(f"<Data Name={quoteattr(name)}>{escape(value)}</Data>" for name, value in event["data"].items())
    return f"<EventData>{data}</EventData>"


def _numbers(data: Event) -> Event:
    """Numbers are numbers in evtx_dump."""
    return {name: int(value) if value.isdigit() else value for name, value in data.items()}


def _words(event: Event) -> list[str]:
    return {"0x802": ["Audit Success"], "0x801": ["Audit Failure"]}.get(event["keywords"][:5], [])


def _signed(keywords: str) -> int:
    number = int(keywords, 16)
    return number - 2**64 if number >= 2**63 else number
