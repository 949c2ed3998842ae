"""Rows of Defender for Endpoint's tables (DeviceProcessEvents, DeviceLogonEvents, …) as the events that they tell of.

They are no records of an event log, and yet the same events: each gets the number that Sysmon or Security gives an
event of its kind, and the names of that event's data. Other kinds of rows get the number 0, and are told apart by
`EventType`, which holds the kind as Defender calls it. Columns that have no place keep their names. Columns: "Advanced
hunting schema", Microsoft Learn.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Record = dict[str, Any]

SOURCE: Final = "Microsoft Defender for Endpoint"
_SECURITY: Final = {"LogonSuccess": 4624, "LogonFailed": 4625}
_EVENTS: Final = _SECURITY | {
    "ProcessCreated": 1, "ConnectionSuccess": 3, "InboundConnectionAccepted": 3, "DriverLoad": 6, "ImageLoaded": 7,
    "CreateRemoteThreadApiCall": 8, "OpenProcessApiCall": 10, "FileCreated": 11, "RegistryKeyCreated": 12,
    "RegistryKeyDeleted": 12, "RegistryValueDeleted": 12, "RegistryValueSet": 13, "FileDeleted": 26,
}  # fmt: skip
_REGISTRY: Final = {
    "RegistryKeyCreated": "CreateKey", "RegistryKeyDeleted": "DeleteKey", "RegistryValueDeleted": "DeleteValue",
    "RegistryValueSet": "SetValue",
}  # fmt: skip
_LOGON_TYPES: Final = {
    "Interactive": "2", "Network": "3", "Batch": "4", "Service": "5", "Unlock": "7", "NetworkCleartext": "8",
    "NewCredentials": "9", "RemoteInteractive": "10", "CachedInteractive": "11",
}  # fmt: skip
# Connections that were seen, with the way that each went where its kind says it.
_CONNECTIONS: Final = {
    "ConnectionSuccess": "true", "InboundConnectionAccepted": "false", "ConnectionFailed": "true",
    "ConnectionRequest": "true", "ConnectionAttempt": "true", "ConnectionAcknowledged": "true", "ConnectionFound": "",
    "InboundConnectionAttempt": "false", "InboundConnectionAcknowledged": "false", "ListeningConnectionCreated": "",
}  # fmt: skip
_INITIATING: Final = {
    "ProcessId": "InitiatingProcessId", "Image": "InitiatingProcessFolderPath",
    "CommandLine": "InitiatingProcessCommandLine", "SubjectUserSid": "InitiatingProcessAccountSid",
}  # fmt: skip
_IN_FILE: Final = _INITIATING | {"TargetFilename": "FolderPath"}
_CREATED: Final = {
    "ProcessId": "ProcessId", "Image": "FolderPath", "CommandLine": "ProcessCommandLine", "LogonId": "LogonId",
    "IntegrityLevel": "ProcessIntegrityLevel", "Company": "ProcessVersionInfoCompanyName",
    "Product": "ProcessVersionInfoProductName", "FileVersion": "ProcessVersionInfoProductVersion",
    "OriginalFileName": "ProcessVersionInfoOriginalFileName", "Description": "ProcessVersionInfoFileDescription",
    "ParentProcessId": "InitiatingProcessId", "ParentImage": "InitiatingProcessFolderPath",
    "ParentCommandLine": "InitiatingProcessCommandLine",
}  # fmt: skip
_LOGON: Final = {
    "TargetUserName": "AccountName", "TargetDomainName": "AccountDomain", "TargetUserSid": "AccountSid",
    "TargetLogonId": "LogonId", "IpAddress": "RemoteIP", "IpPort": "RemotePort", "WorkstationName": "RemoteDeviceName",
    "AuthenticationPackageName": "Protocol", "FailureReason": "FailureReason", "ProcessId": "InitiatingProcessId",
    "ProcessName": "InitiatingProcessFolderPath", "SubjectUserName": "InitiatingProcessAccountName",
    "SubjectDomainName": "InitiatingProcessAccountDomain", "SubjectUserSid": "InitiatingProcessAccountSid",
}  # fmt: skip
_OTHER_PROCESS: Final = {
    "SourceProcessId": "InitiatingProcessId", "SourceImage": "InitiatingProcessFolderPath",
    "TargetProcessId": "ProcessId", "TargetImage": "FolderPath",
}  # fmt: skip
_OUTBOUND: Final = {
    "SourceIp": "LocalIP", "SourcePort": "LocalPort", "DestinationIp": "RemoteIP", "DestinationPort": "RemotePort",
    "DestinationHostname": "RemoteUrl",
}  # fmt: skip
_INBOUND: Final = {
    "SourceIp": "RemoteIP", "SourcePort": "RemotePort", "DestinationIp": "LocalIP", "DestinationPort": "LocalPort",
    "SourceHostname": "RemoteUrl",
}  # fmt: skip
_NAMES: Final[dict[int, dict[str, str]]] = {
    1: _CREATED, 3: _INITIATING | {"Protocol": "Protocol"}, 6: {"ImageLoaded": "FolderPath"},
    7: _INITIATING | {"ImageLoaded": "FolderPath"},
    8: _OTHER_PROCESS, 10: _OTHER_PROCESS, 11: _IN_FILE, 12: _INITIATING,
    13: _INITIATING | {"Details": "RegistryValueData"}, 26: _IN_FILE, 4624: _LOGON, 4625: _LOGON,
    0: _IN_FILE | {
        "SubjectUserName": "InitiatingProcessAccountName", "SubjectDomainName": "InitiatingProcessAccountDomain",
        "Protocol": "Protocol",
    },
}  # fmt: skip
# Tables of Defender for Identity name the ends of what they saw otherwise.
_OF_IDENTITY: Final = {
    "IPAddress": "RemoteIP", "Port": "RemotePort", "DestinationIPAddress": "LocalIP", "DestinationPort": "LocalPort",
}  # fmt: skip


def is_row(event: Mapping[str, Any]) -> bool:
    """Whether an event is a row of such a table."""
    return "ActionType" in event and "DeviceName" in event and "EventID" not in event


def as_event(row: Record) -> Record:
    """Return a row as an event, in the contract's names. The row is taken apart."""
    kind = str(row.pop("ActionType"))
    number = _EVENTS.get(kind, 0)
    table = str(row.get("azure.category") or row.get("Type") or "DeviceEvents").rpartition("-")[2]
    at = row.pop("Timestamp", None) or row.get("TimeGenerated")
    host = row.pop("DeviceName")
    if table.startswith("Identity"):
        for name, column in _OF_IDENTITY.items():
            if name in row and column not in row:
                row[column] = row.pop(name)
        if seen := row.get("DestinationDeviceName"):  # the machine that is signed in to; DeviceName is where from
            row |= {"DestinationDeviceName": None, "RemoteDeviceName": host}
            host = seen
    header = {"EventID": number, "Channel": table, "Hostname": host, "SourceName": SOURCE}
    header |= {"EventType": kind, "Category": kind, "TimeCreated": _iso(at)}
    data = {name: value for name, value in _data(row, number, kind) if value}
    kept = {name: value for name, value in row.items() if value is not None and value != ""}
    return {**kept, **header, **({"EventData": data} if data else {})}


def _data(row: Record, number: int, kind: str) -> Iterator[tuple[str, Any]]:
    names = dict(_NAMES.get(number, {}))
    if kind in _CONNECTIONS or (number == 0 and row.get("RemoteIP") and "LocalIP" in row):
        initiated = _CONNECTIONS.get(kind, "")
        names |= _INBOUND if initiated == "false" else _OUTBOUND
        yield "Initiated", initiated
    file, holder = row.get("FileName"), row.get("FolderPath")
    if file and holder and not str(holder).lower().endswith(str(file).lower()):
        row["FolderPath"] = f"{holder}\\{file}"
    if kind in _REGISTRY:
        yield "EventType", _REGISTRY[kind]
        parts = [row.pop(name, None) for name in ("RegistryKey", "RegistryValueName")]
        yield "TargetObject", "\\".join(str(part) for part in parts if part)
    if number in (4624, 4625) and (kind_of_logon := row.get("LogonType")) in _LOGON_TYPES:
        del row["LogonType"]
        yield "LogonType", _LOGON_TYPES[kind_of_logon]
    if number in (0, 1, 6, 7, 11, 26):
        hashes = [f"{each}={row.pop(each)}" for each in ("SHA1", "SHA256", "MD5") if row.get(each)]
        yield "Hashes", ",".join(hashes)
    if number and number not in _SECURITY.values():
        prefix = "" if number == 1 else "InitiatingProcess"
        if user := _account(row, prefix):
            yield ("SourceUser" if number in (8, 10) else "User"), user
        if number == 1 and (parent := _account(row, "InitiatingProcess")):
            yield "ParentUser", parent
    for name, column in names.items():
        if (value := row.get(column)) is not None and value != "":
            yield name, row.pop(column)


def _account(row: Record, prefix: str) -> str:
    domain, name = row.pop(f"{prefix}AccountDomain", None), row.pop(f"{prefix}AccountName", None)
    return f"{domain}\\{name}" if domain and name else str(name or "")


def _iso(at: object) -> object:
    """Defender's times are UTC; Event Hub's have seven or nine digits and no zone."""
    text = str(at)
    return f"{text[:26]}Z" if text[:1].isdigit() and text[-1:].isdigit() else at
