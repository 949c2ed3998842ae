"""The event data that winlogbeat's modules (Security, Sysmon, PowerShell) and Elastic Agent's integrations move into
fields of ECS, put back under the names of the event.

Which field of ECS holds which value depends on the log and the event (ingest pipelines of the packages `system` and
`windows`, github.com/elastic/integrations). A value that the event data have themselves wins; then the ECS field stays.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Data = dict[str, Any]
Index = dict[str, tuple[dict[str, Any], str]]

_SYSMON: Final = {
    "process.pid": "ProcessId",
    "process.entity_id": "ProcessGuid",
    "process.executable": "Image",
    "process.command_line": "CommandLine",
    "process.working_directory": "CurrentDirectory",
    "process.parent.pid": "ParentProcessId",
    "process.parent.entity_id": "ParentProcessGuid",
    "process.parent.executable": "ParentImage",
    "process.parent.command_line": "ParentCommandLine",
    "file.path": "TargetFilename",
    "source.ip": "SourceIp",
    "source.port": "SourcePort",
    "source.domain": "SourceHostname",
    "destination.ip": "DestinationIp",
    "destination.port": "DestinationPort",
    "destination.domain": "DestinationHostname",
    "network.transport": "Protocol",
    "network.protocol": "DestinationPortName",
    "dns.question.name": "QueryName",
    "sysmon.dns.status": "QueryStatus",
    "sysmon.file.archived": "Archived",
    "sysmon.file.is_executable": "IsExecutable",
    "registry.path": "TargetObject",
    "rule.name": "RuleName",
    "error.code": "ID",
    **{
        f"{holder}.pe.{name}": field
        for holder in ("process", "file", "dll")
        for name, field in {
            "company": "Company",
            "description": "Description",
            "product": "Product",
            "file_version": "FileVersion",
            "original_file_name": "OriginalFileName",
        }.items()
    },
    **{
        f"{holder}.code_signature.{name}": field
        for holder in ("file", "dll")
        for name, field in {"signed": "Signed", "subject_name": "Signature", "status": "SignatureStatus"}.items()
    },
}
_ACTS_ON_ANOTHER: Final = {
    "process.pid": "SourceProcessId",
    "process.entity_id": "SourceProcessGUID",
    "process.executable": "SourceImage",
    "process.thread.id": "SourceThreadId",
}
_LOADED: Final = {"file.path": "ImageLoaded", "dll.path": "ImageLoaded"}
_SYSMON_EVENTS: Final[dict[str, dict[str, str]]] = {
    "6": _LOADED,
    "7": _LOADED,
    "8": _ACTS_ON_ANOTHER,
    "10": _ACTS_ON_ANOTHER,
    "17": {"file.name": "PipeName"},
    "18": {"file.name": "PipeName"},
    "20": {"process.executable": "Destination"},
    "25": {"message": "Type"},
}
_SECURITY: Final = {
    "process.pid": "ProcessId",
    "process.executable": "ProcessName",
    "process.command_line": "CommandLine",
    "source.ip": "IpAddress",
    "source.port": "IpPort",
    "source.domain": "WorkstationName",
    "service.name": "ServiceName",
    "service.type": "ServiceType",
    "winlog.logon.id": "TargetLogonId",
}
_STARTED: Final = {
    "process.pid": "NewProcessId",
    "process.executable": "NewProcessName",
    "process.parent.pid": "ProcessId",
    "process.parent.executable": "ParentProcessName",
    "winlog.logon.id": "SubjectLogonId",
}
_CONNECTED: Final = {
    "process.executable": "Application",
    "source.ip": "SourceAddress",
    "source.port": "SourcePort",
    "destination.ip": "DestAddress",
    "destination.port": "DestPort",
    "network.iana_number": "Protocol",
}
_POWERSHELL: Final = {
    "powershell.file.script_block_id": "ScriptBlockId",
    "powershell.file.script_block_text": "ScriptBlockText",
    "powershell.sequence": "MessageNumber",
    "powershell.total": "MessageTotal",
    "powershell.runspace_id": "RunspaceId",
    "process.command_line": "HostApplication",
    "file.path": "Path",
}
_SUBJECT, _TARGET = (
    ("SubjectUserSid", "SubjectUserName", "SubjectDomainName"),
    (
        "TargetUserSid",
        "TargetUserName",
        "TargetDomainName",
    ),
)
_CHANGED: Final = ("TargetSid", "TargetUserName", "TargetDomainName")
# Of these logons ECS's `user` is the account that logs on; of all others it is who acts.
_LOGONS: Final = {
    "4624",
    "4625",
    "4634",
    "4647",
    "4648",
    "4768",
    "4769",
    "4770",
    "4771",
    "4773",
    "4776",
    "4778",
    "4779",
}
_BY_SID: Final = {"4768", "4771"}  # whose SID is called TargetSid
_LOGON_TYPES: Final = {
    "interactive": "2", "network": "3", "batch": "4", "service": "5", "unlock": "7", "networkcleartext": "8",
    "newcredentials": "9", "remoteinteractive": "10", "cachedinteractive": "11", "cachedremoteinteractive": "12",
    "cachedunlock": "13",
}  # fmt: skip
_RECORD_TYPES: Final = {"NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "SRV": 33}
# Winerror.h. Sysmon writes the number, the pipeline its name.
_DNS_ERRORS: Final = {
    "SUCCESS": 0, "ERROR_ACCESS_DENIED": 5, "ERROR_INVALID_DATA": 13, "ERROR_INVALID_NAME": 123,
    "ERROR_CANCELLED": 1223, "ERROR_TIMEOUT": 1460, "ERROR_OBJECT_NOT_FOUND": 4312,
    "DNS_ERROR_RCODE_FORMAT_ERROR": 9001, "DNS_ERROR_RCODE_SERVER_FAILURE": 9002, "DNS_ERROR_RCODE_NAME_ERROR": 9003,
    "DNS_ERROR_RCODE_NOT_IMPLEMENTED": 9004, "DNS_ERROR_RCODE_REFUSED": 9005, "DNS_INFO_NO_RECORDS": 9501,
    "DNS_ERROR_BAD_PACKET": 9502, "DNS_ERROR_NO_PACKET": 9503, "DNS_ERROR_RCODE": 9504, "DNS_REQUEST_PENDING": 9506,
    "DNS_ERROR_INVALID_NAME_CHAR": 9560, "DNS_ERROR_RECORD_DOES_NOT_EXIST": 9701,
}  # fmt: skip


def ecs_data(index: Index, header: Mapping[str, Any], data: Data) -> None:
    """Put the values of ECS that the event data lack into them, and take them out of the event.

    `index` has the places of the event's values by their paths in lower case.
    """
    if not any(path.startswith(_ECS) for path in index):
        return
    event, log = str(header["EventID"]), str(header.get("Channel", "")).lower()
    for path, name in _names(event, log).items():
        if path in index and name not in data and (value := _taken(index, path)) is not None:
            data[name] = _DNS_ERRORS.get(value, value) if name == "QueryStatus" else value
    if "sysmon" in log:
        _sysmon(index, event, data)
    elif log == "security":
        _security(index, event, data)


_ECS: Final = (
    "process.", "source.", "destination.", "dns.", "user.", "file.", "registry.", "powershell.", "group.", "network.",
    "service.", "winlog.logon.", "sysmon.",
)  # fmt: skip


def _names(event: str, log: str) -> dict[str, str]:
    """Names of the event's values by the path in ECS."""
    if "sysmon" in log:
        return _SYSMON | _SYSMON_EVENTS.get(event, {})
    if "powershell" in log:
        return _POWERSHELL
    if log != "security":
        return {}
    if event == "4688":
        return _SECURITY | _STARTED
    if event in ("5152", "5154", "5155", "5156", "5157", "5158", "5159"):
        return _SECURITY | _CONNECTED
    return _SECURITY | ({"source.domain": "Workstation"} if event == "4776" else {})


def _taken(index: Index, path: str) -> Any:
    """The value at a path, no longer in the event; None when it is none or a list of several."""
    holder, key = index[path]
    value = holder[key]
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    if value is None or isinstance(value, dict | list):
        return None
    del holder[key], index[path]
    return value


def _peek(index: Index, path: str) -> Any:
    return index[path][0].get(index[path][1]) if path in index else None


def _sysmon(index: Index, event: str, data: Data) -> None:
    name = _peek(index, "user.name")
    if isinstance(name, str) and "User" not in data and event not in ("8", "10", "255"):
        domain = _peek(index, "user.domain")
        data["User"] = f"{domain}\\{name}" if domain else name
        for path in ("user.name", "user.domain"):
            if path in index:
                _taken(index, path)
    if "Hashes" not in data and "Hash" not in data and (hashes := ",".join(_hashes(index))):
        data["Hash" if event == "15" else "Hashes"] = hashes
    if "Initiated" not in data and (way := _peek(index, "network.direction")) is not None:
        data["Initiated"] = "true" if way in ("egress", "outbound") else "false"
    if "QueryResults" not in data and isinstance(answers := _peek(index, "dns.answers"), list):
        data["QueryResults"] = "".join(f"{each};" for each in _answers(answers))
    if "Details" not in data and (details := _registry_data(index)) is not None:
        data["Details"] = details


def _hashes(index: Index) -> Iterator[str]:
    """`SHA1=…`, from the file that the event is about, or else from the process."""
    for holder in ("file", "dll", "process"):
        found = [path for path in index if path.startswith((f"{holder}.hash.", f"{holder}.pe.imphash"))]
        for path in found:
            if isinstance(value := _taken(index, path), str):
                yield f"{path.rpartition('.')[2].upper()}={value}"
        if found:
            return


def _answers(answers: list[Any]) -> Iterator[str]:
    for each in answers:
        if isinstance(each, dict) and (text := each.get("data")) is not None:
            number = _RECORD_TYPES.get(str(each.get("type")))
            yield f"type:  {number} {text}" if number else str(text)


def _registry_data(index: Index) -> Any:
    """The data as Sysmon writes them: numbers are hexadecimal there."""
    texts, kind = _peek(index, "registry.data.strings"), str(_peek(index, "registry.data.type") or "")
    if not isinstance(texts, list) or not texts:
        return None
    text = "\n".join(map(str, texts))
    if kind.endswith("DWORD") and text.isdigit():
        return f"DWORD (0x{int(text):08x})"
    if kind.endswith("QWORD") and text.isdigit():
        return f"QWORD (0x{int(text) >> 32:08x}-0x{int(text) & 0xFFFFFFFF:08x})"
    return text


def _security(index: Index, event: str, data: Data) -> None:
    kind = _peek(index, "winlog.logon.type")
    if "LogonType" not in data and isinstance(kind, str) and kind.lower() in _LOGON_TYPES:
        data["LogonType"] = _LOGON_TYPES[kind.lower()]
    whose = (_CHANGED[:1] if event in _BY_SID else _TARGET[:1]) + _TARGET[1:] if event in _LOGONS else _SUBJECT
    _account(index, "user", whose, data)
    _account(index, "user.target", _CHANGED, data)
    _account(index, "group", _CHANGED, data)


def _account(index: Index, holder: str, names: tuple[str, ...], data: Data) -> None:
    """An account or group whose parts the event data lack."""
    for part, name in zip(("id", "name", "domain"), names, strict=True):
        path = f"{holder}.{part}"
        if name not in data and path in index and (value := _taken(index, path)) is not None:
            data[name] = value
