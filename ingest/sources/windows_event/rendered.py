"""Event data out of the English text that Windows renders of an event, for records that have nothing else.

Such are Splunk's classic `WinEventLog` texts, Azure's table `Event`, syslog forwarders and others. Sections
(`Subject:`, `New Logon:`) hold labels (`Account Name:`), and a label means another field of the event in each section.
What is not listed here stays in the text alone, and so does a SID that was rendered as a name.

Sources: the messages of "Advanced security audit policy settings" (Microsoft Learn, events 1102 to 6424), Sysmon's and
PowerShell's manifests; "Windows event log" (OSSEC documentation).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any, Final

from ingest.decode.windows_text import header_of

_ACCOUNT: Final = ("Security ID", "Account Name", "Account Domain", "Logon ID", "Logon GUID")
_SUBJECT: Final = ("SubjectUserSid", "SubjectUserName", "SubjectDomainName", "SubjectLogonId", "LogonGuid")
_LOGON: Final = ("TargetUserSid", "TargetUserName", "TargetDomainName", "TargetLogonId", "LogonGuid")
_CHANGED: Final = ("TargetSid", "TargetUserName", "TargetDomainName")
# Sections whose labels are those of an account, and the fields of its parts.
_ACCOUNTS: Final[dict[str, tuple[str, ...]]] = {
    "Subject": _SUBJECT,
    "Creator Subject": _SUBJECT,
    "Target Subject": _LOGON,
    "New Logon": _LOGON,
    "Account For Which Logon Failed": _LOGON,
    "Account Whose Credentials Were Used": (*_LOGON[:4], "TargetLogonGuid"),
    "Account Information": (*_CHANGED, "", "LogonGuid"),
    **dict.fromkeys(
        (
            "Target Account", "New Account", "Account That Was Locked Out", "New Computer Account", "Target Computer",
            "Computer Account That Was Changed", "Group", "New Group", "Deleted Group", "User",
        ),
        _CHANGED,
    ),
    "Member": ("MemberSid", "MemberName"),
}  # fmt: skip
# Labels that mean the same wherever they stand.
_LABELS: Final = {
    "Logon Type": "LogonType", "Impersonation Level": "ImpersonationLevel",
    "Restricted Admin Mode": "RestrictedAdminMode", "Remote Credential Guard": "RemoteCredentialGuard",
    "Virtual Account": "VirtualAccount", "Elevated Token": "ElevatedToken", "Linked Logon ID": "TargetLinkedLogonId",
    "Network Account Name": "TargetOutboundUserName", "Network Account Domain": "TargetOutboundDomainName",
    "Process ID": "ProcessId", "Process Name": "ProcessName", "Caller Process ID": "ProcessId",
    "Caller Process Name": "ProcessName", "New Process ID": "NewProcessId", "New Process Name": "NewProcessName",
    "Creator Process ID": "ProcessId", "Creator Process Name": "ParentProcessName",
    "Process Command Line": "CommandLine", "Token Elevation Type": "TokenElevationType",
    "Mandatory Label": "MandatoryLabel", "Application Name": "Application", "Workstation Name": "WorkstationName",
    "Source Network Address": "IpAddress", "Network Address": "IpAddress", "Client Address": "IpAddress",
    "Port": "IpPort", "Client Port": "IpPort", "Source Workstation": "Workstation", "Logon Process": "LogonProcessName",
    "Authentication Package": "AuthenticationPackageName", "Transited Services": "TransmittedServices",
    "Package Name (NTLM only)": "LmPackageName", "Key Length": "KeyLength", "Failure Reason": "FailureReason",
    "Status": "Status", "Sub Status": "SubStatus", "Exit Status": "Status", "Failure Code": "Status",
    "Result Code": "Status", "Error Code": "Status", "Supplied Realm Name": "TargetDomainName",
    "User ID": "TargetSid", "Service Name": "ServiceName", "Service ID": "ServiceSid",
    "Service File Name": "ServiceFileName", "Service Type": "ServiceType", "Service Start Type": "ServiceStartType",
    "Service Account": "ServiceAccount", "Ticket Options": "TicketOptions",
    "Ticket Encryption Type": "TicketEncryptionType", "Pre-Authentication Type": "PreAuthType",
    "Certificate Issuer Name": "CertIssuerName", "Certificate Serial Number": "CertSerialNumber",
    "Certificate Thumbprint": "CertThumbprint", "Target Server Name": "TargetServerName",
    "Logon Account": "TargetUserName", "Group Name": "TargetUserName", "Group Domain": "TargetDomainName",
    "Old Account Name": "OldTargetUserName", "New Account Name": "NewTargetUserName",
    "SAM Account Name": "SamAccountName", "Display Name": "DisplayName", "User Principal Name": "UserPrincipalName",
    "Password Last Set": "PasswordLastSet", "SID History": "SidHistory", "User Workstations": "UserWorkstations",
    "Account Expires": "AccountExpires", "Primary Group ID": "PrimaryGroupId", "Old UAC Value": "OldUacValue",
    "New UAC Value": "NewUacValue", "User Account Control": "UserAccountControl", "DNS Host Name": "DnsHostName",
    "Service Principal Names": "ServicePrincipalNames", "Caller Computer Name": "TargetDomainName",
    "Object Server": "ObjectServer", "Object Type": "ObjectType", "Object Name": "ObjectName", "Handle ID": "HandleId",
    "Object Value Name": "ObjectValueName", "Operation Type": "OperationType", "Old Value Type": "OldValueType",
    "Old Value": "OldValue", "New Value Type": "NewValueType", "New Value": "NewValue", "Accesses": "AccessList",
    "Access Mask": "AccessMask", "Access Reasons": "AccessReason", "Share Name": "ShareName",
    "Share Path": "ShareLocalPath", "Relative Target Name": "RelativeTargetName", "Privileges": "PrivilegeList",
    "Privileges Used for Access Check": "PrivilegeList", "Task Name": "TaskName", "Task Content": "TaskContent",
    "Task New Content": "TaskContentNew", "Direction": "Direction", "Destination Address": "DestAddress",
    "Destination Port": "DestPort", "Protocol": "Protocol", "Filter Run-Time ID": "FilterRTID",
    "Layer Name": "LayerName", "Layer Run-Time ID": "LayerRTID", "Domain Name": "SubjectDomainName",
    "Session Name": "SessionName", "Client Name": "ClientName", "Group Membership": "GroupMembership",
    "Source Address": "IpAddress", "Source Port": "IpPort",
}  # fmt: skip
# Where an event has other fields for a label.
_FILTERED: Final = {"Source Address": "SourceAddress", "Source Port": "SourcePort"}
_OF_EVENTS: Final[dict[str, dict[str, str]]] = {
    "4673": {"Server": "ObjectServer", "Service Name": "Service"},
    "4776": {"Authentication Package": "PackageName"},
    "7045": {
        "Service File Name": "ImagePath", "Service Start Type": "StartType", "Service Account": "AccountName",
    },
    **dict.fromkeys(("5150", "5151", "5152", "5153", "5154", "5155", "5156", "5157", "5158", "5159"), _FILTERED),
}  # fmt: skip
_SIDS: Final = {"SubjectUserSid", "TargetUserSid", "TargetSid", "MemberSid", "ServiceSid"}
_SID: Final = re.compile(r"%?\{?(S-1-[\d-]+)\}?")
_SECTION: Final = re.compile(r"(\S[^:=]{0,60}?) ?:\s*")
_LABEL: Final = re.compile(r"(\s*)([A-Za-z][\w .()/-]{0,50}?) ?:(?:\s+(.*)|)")
_OWN_LABEL: Final = re.compile(r"(\w+): ?(.*)")  # Sysmon labels values with the names of its fields
_TASKS: Final = {"TaskContent", "TaskContentNew"}
_MANY_LINES: Final = {*_TASKS, "AccessList", "PrivilegeList", "GroupMembership", "SidHistory"}
_SCRIPT: Final = re.compile(
    r"Creating Scriptblock text \((\d+) of (\d+)\):\r?\n(.*?)\s*\r?\nScriptBlock ID: ?(\S*)\s*(?:Path: ?(.*?)\s*)?$",
    re.DOTALL,
)
_STATE: Final = re.compile(r"The (.+) service entered the (.+) state\.")
_PIPELINE: Final = re.compile(r"(.*?)\s*Context:\s*\r?\n(.*?)\s*(?:User Data:\s*(.*))?$", re.DOTALL)


def rendered_data(header: Mapping[str, Any], own_names: Mapping[str, str]) -> dict[str, Any]:
    """Return the event data that a record's `Message` tells, by the names of the event's manifest; {} where none are.

    `own_names` are the contract's names by their lower case.
    """
    text, event = header.get("Message"), str(header["EventID"])
    if not isinstance(text, str) or ":" not in text:
        return _of_sentence(text) if isinstance(text, str) else {}
    log = f"{header.get('Channel', '')} {header.get('SourceName', '')}".lower()
    if "sysmon" in log:
        return _by_own_names(text, own_names)
    if "powershell" in log:
        return _of_powershell(text, event)
    data: dict[str, Any] = {}
    for section, label, value in _labelled(text):
        name = _name(section, label, event)
        found = value.strip()
        if name in _SIDS:
            sid = _SID.fullmatch(found)
            found = sid[1] if sid else ""
        if name and found not in ("", "-"):
            data.setdefault(name, found)
    return data


def _name(section: str, label: str, event: str) -> str:
    names = _ACCOUNTS.get(section, ())
    if label in _ACCOUNT[: len(names)]:
        return names[_ACCOUNT.index(label)]
    if section and label in _ACCOUNT[:3]:
        return ""  # of an account that no field is for
    return _OF_EVENTS.get(event, {}).get(label) or _LABELS.get(label, "")


def _labelled(text: str) -> list[tuple[str, str, str]]:
    """Section, label and value of every labelled value. Lines further in go on with the value before them."""
    lines = text.splitlines()
    if len(lines) < 3:
        lines = _broken(text)
    found: list[tuple[str, str, str]] = []
    section, goes_on, depth = "", False, 0
    for line in lines:
        inside = line[:1] in " \t"
        indent = len(line) - len(line.lstrip())
        if not inside and (head := _SECTION.fullmatch(line)) is not None and head[1] not in _ANYWHERE:
            section, goes_on = head[1], False
            continue
        label = _LABEL.fullmatch(line)
        if label is not None and (label[2] in _KNOWN or not goes_on or indent <= depth):
            section = section if inside or label[2] in _ACCOUNT else ""
            found.append((section, label[2], label[3] or ""))
            goes_on, depth = _LABELS.get(label[2]) in _MANY_LINES, indent
        elif goes_on and line.strip() and (indent > depth or _LABELS[found[-1][1]] in _TASKS):
            last = found.pop()
            found.append((*last[:2], f"{last[2]}\n{line.rstrip()}" if last[2] else line.strip()))
        elif line.strip():
            section, goes_on = "", False  # the sentences that explain the event
    return found


_KNOWN: Final = frozenset((*_LABELS, *_ACCOUNT))
_ANYWHERE: Final = frozenset(_LABELS) - {"Process ID"}


@cache
def _marks() -> re.Pattern[str]:
    names = sorted({*_ACCOUNTS, *_KNOWN, *_OTHER_SECTIONS}, key=len, reverse=True)
    return re.compile(r"(?<=\s)(" + "|".join(map(re.escape, names)) + r") ?:(?=\s)")


_OTHER_SECTIONS: Final = (
    "Logon Information", "Process Information", "Network Information", "Service Information", "Failure Information",
    "Detailed Authentication Information", "Additional Information", "Certificate Information", "Object", "Attributes",
    "Changed Attributes", "Share Information", "Access Request Information", "Task Information", "Target Server",
    "Application Information", "Filter Information",
)  # fmt: skip


def _broken(text: str) -> list[str]:
    """Lines of a text in which line ends became blanks."""
    lines = []
    cut = [*_marks().finditer(text)]
    for number, mark in enumerate(cut):
        value = text[mark.end() : cut[number + 1].start() if number + 1 < len(cut) else None].strip()
        value = re.split(r"\s+(?:This event is generated|Token Elevation Type indicates)\s", value)[0]
        if (name := _LABELS.get(mark[1])) != "CommandLine" and name not in _MANY_LINES:
            value = value.split("   ")[0]  # a label that is not known begins behind a line end of several blanks
        is_section = not value and (mark[1] in _ACCOUNTS or mark[1] in _OTHER_SECTIONS)
        lines.append(f"{mark[1]}:" if is_section else f"\t{mark[1]}: {value}")
    return lines


def _by_own_names(text: str, own_names: Mapping[str, str]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    last = ""
    for line in text.splitlines()[1:]:
        found = _OWN_LABEL.fullmatch(line)
        if found is not None and found[1].lower() in own_names:
            last = own_names[found[1].lower()]
            data.setdefault(last, found[2].rstrip())
        elif found is not None and re.fullmatch(r"[A-Z]\w{2,30}", found[1]) and last != "CommandLine":
            last = found[1]
            data.setdefault(last, found[2].rstrip())
        elif last and line.strip():
            data[last] = f"{data[last]}\n{line}"
    return {name: value for name, value in data.items() if value and value != "-"}


def _of_powershell(text: str, event: str) -> dict[str, Any]:
    if event == "4104" and (script := _SCRIPT.match(text)) is not None:
        names = ("MessageNumber", "MessageTotal", "ScriptBlockText", "ScriptBlockId", "Path")
        return {name: value for name, value in zip(names, script.groups(), strict=True) if value}
    if event == "4103" and (ran := _PIPELINE.match(text)) is not None:
        return {name: value for name, value in (("ContextInfo", ran[2]), ("Payload", ran[1])) if value.strip()}
    return {}


def _of_sentence(text: str) -> dict[str, Any]:
    found = _STATE.match(text)
    return {"param1": found[1], "param2": found[2]} if found else {}


# OSSEC's text, which Wazuh has as `full_log`: log, kind, number, provider, account, its domain, computer, message.
_OSSEC: Final = re.compile(
    r"(?:.{0,40}\s)?WinEvtLog: ([^:]+): (\w+)\((\d+)\): ([^:]*): ([^:]*): ([^:]*): ([^:]*): (.*)", re.DOTALL
)
_OSSEC_NAMES: Final = (
    "LogName", "EventType", "EventCode", "SourceName", "AccountName", "Domain", "ComputerName", "Message",
)  # fmt: skip


# Snare, "MSWinEventLog" format, behind a syslog header; the message stands in one line, a checksum may follow.
_SNARE: Final = re.compile(
    r"(.{0,80}?)\bMSWinEventLog\t(\d+)\t([^\t]+)\t(\d+)\t([^\t]+)\t(\d+)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)"
    r"\t([^\t]+)\t([^\t]*)\t([^\t]*)\t(.*?)(?:\t(\d*))?\s*",
    re.DOTALL,
)
_SNARE_NAMES: Final = (
    "LineHeader", "SnareCriticality", "LogName", "SnareCounter", "EventTime", "EventCode", "SourceName", "AccountName",
    "AccountType", "EventType", "ComputerName", "Category", "SnareData", "Message", "SnareChecksum",
)  # fmt: skip


def event_of(text: str) -> dict[str, Any] | None:
    """Return the header and the message of an event that a text is, as Splunk's classic input, OSSEC or Snare renders
    it."""
    if (found := _SNARE.fullmatch(text)) is not None:
        made = dict(zip(_SNARE_NAMES, found.groups(), strict=True))
        return {name: value for name, value in _snare(made) if value and value != "N/A"}
    if (found := _OSSEC.fullmatch(text)) is None:
        return header_of(text)
    made = dict(zip(_OSSEC_NAMES, found.groups(), strict=True))
    return {name: value for name, value in made.items() if value and not value.startswith(("(no ", "no "))}


def _snare(made: dict[str, str]) -> Iterator[tuple[str, str | None]]:
    for name, value in made.items():
        text: str | None = value.strip() if value else value
        if name == "EventTime" and text:
            with suppress(ValueError):
                text = datetime.strptime(text, "%a %b %d %H:%M:%S %Y").isoformat()
        elif name == "EventType" and text:
            text = text.replace(" ", "")  # Success Audit
        yield name, text


_RENAMED: Final = {
    "Type": "Level", "User": "AccountName", "Sid": "UserID", "SidType": "AccountType", "TaskCategory": "Category",
}  # fmt: skip


def splunk_header(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with the names of Splunk's classic header, whose `User` and `Type` are none of the event's."""
    if "LogName" not in record or "EventCode" not in record:
        return record
    made = {_RENAMED.get(name, name): value for name, value in record.items()}
    if made.get("AccountName") == "NOT_TRANSLATED":
        del made["AccountName"]
    return made
