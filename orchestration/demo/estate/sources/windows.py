"""Forwarded Windows events of the estate, in the two field layouts collectors really write.

 - "nxlog": `EventTime` and `EventReceivedTime` are the collector's wall clock (UTC-5, no offset), `@timestamp` is the
   moment of receipt in UTC, `RecordNumber` is there. The true time is EventTime + (@timestamp - EventReceivedTime);
   Sysmon says it itself in `UtcTime`. Some collectors spell the channel `security`.
 - "created": `TimeCreated` and `@timestamp` are the event's time in UTC; numbers are text; there is no record number.

Both as in the public OTRF Security-Datasets. What the events say stands in `windows_events`,
which of them happen on a normal day in `windows_background`.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from itertools import accumulate

from orchestration.demo.estate.company import Company, Host
from orchestration.demo.estate.events import Event, Record, dump, sysmon_utc, utc_millis, wall_clock
from orchestration.demo.estate.sources.windows_background import CATALOGUE
from orchestration.demo.estate.sources.windows_events import Draft, Scene

SOURCE = "windows_event"
UNMAPPED = "Security/5379"
SECURITY, SYSTEM = "Security", "System"
SYSMON, POWERSHELL = "Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-PowerShell/Operational"
_PROVIDERS = {
    SECURITY: ("Microsoft-Windows-Security-Auditing", "{54849625-5478-4994-A5BA-3E3B0328C30D}"),
    SYSTEM: ("Service Control Manager", "{555908D1-A6D7-4695-8E1E-26931D2012F4}"),
    SYSMON: ("Microsoft-Windows-Sysmon", "{5770385F-C22A-43E0-BF4C-06F5698FFBD9}"),
    POWERSHELL: ("Microsoft-Windows-PowerShell", "{A0C1853B-5C40-4B15-8766-3CF1C58F985A}"),
}
# (channel, event id) → (task, category, first line of the message)
META: dict[tuple[str, int], tuple[int, str, str]] = {
    (SECURITY, 1102): (104, "Log clear", "The audit log was cleared"),
    (SECURITY, 4624): (12544, "Logon", "An account was successfully logged on"),
    (SECURITY, 4625): (12544, "Logon", "An account failed to log on"),
    (SECURITY, 4634): (12545, "Logoff", "An account was logged off"),
    (SECURITY, 4648): (12544, "Logon", "A logon was attempted using explicit credentials"),
    (SECURITY, 4672): (12548, "Special Logon", "Special privileges assigned to new logon"),
    (SECURITY, 4688): (13312, "Process Creation", "A new process has been created"),
    (SECURITY, 4697): (12289, "Security System Extension", "A service was installed in the system"),
    (SECURITY, 4698): (12804, "Other Object Access Events", "A scheduled task was created"),
    (SECURITY, 4720): (13824, "User Account Management", "A user account was created"),
    (SECURITY, 4728): (13826, "Security Group Management", "A member was added to a security-enabled global group"),
    (SECURITY, 4732): (13826, "Security Group Management", "A member was added to a security-enabled local group"),
    (SECURITY, 4768): (
        14339,
        "Kerberos Authentication Service",
        "A Kerberos authentication ticket (TGT) was requested",
    ),
    (SECURITY, 4769): (14337, "Kerberos Service Ticket Operations", "A Kerberos service ticket was requested"),
    (SECURITY, 4771): (14339, "Kerberos Authentication Service", "Kerberos pre-authentication failed"),
    (SECURITY, 4776): (
        14336,
        "Credential Validation",
        "The computer attempted to validate the credentials for an account",
    ),
    (SECURITY, 5140): (12808, "File Share", "A network share object was accessed"),
    (SECURITY, 5145): (
        12811,
        "Detailed File Share",
        "A network share object was checked to see whether client can be granted desired access",
    ),
    (SECURITY, 5379): (13824, "User Account Management", "Credential Manager credentials were read"),
    (SYSTEM, 7045): (0, "", "A service was installed in the system"),
    (SYSMON, 1): (1, "Process Create (rule: ProcessCreate)", "Process Create"),
    (SYSMON, 3): (3, "Network connection detected (rule: NetworkConnect)", "Network connection detected"),
    (SYSMON, 5): (5, "Process terminated (rule: ProcessTerminate)", "Process terminated"),
    (SYSMON, 7): (7, "Image loaded (rule: ImageLoad)", "Image loaded"),
    (SYSMON, 8): (8, "CreateRemoteThread detected (rule: CreateRemoteThread)", "CreateRemoteThread detected"),
    (SYSMON, 10): (10, "Process accessed (rule: ProcessAccess)", "Process accessed"),
    (SYSMON, 11): (11, "File created (rule: FileCreate)", "File created"),
    (SYSMON, 12): (12, "Registry object added or deleted (rule: RegistryEvent)", "Registry object added or deleted"),
    (SYSMON, 13): (13, "Registry value set (rule: RegistryEvent)", "Registry value set"),
    (SYSMON, 22): (22, "Dns query (rule: DnsQuery)", "Dns query"),
    (POWERSHELL, 4103): (106, "Executing Pipeline", "Command invocation"),
    (POWERSHELL, 4104): (2, "Execute a Remote Command", "Creating Scriptblock text (1 of 1)"),
}
_SUCCESS, _FAILURE, _CLASSIC = -9214364837600034816, -9218868437227405312, -9223372036854775808


@dataclass(frozen=True, slots=True)
class Moment:
    """When an event happened, and when the collector received it (epoch seconds, UTC)."""

    at: float
    received: float


class WindowsFeed:
    """Builds records and counts the record numbers of every host's logs."""

    def __init__(self, company: Company, rng: random.Random) -> None:
        self.company, self.rng = company, rng
        self.scene = Scene(company, rng)
        self.makers = [maker for _, maker in CATALOGUE]
        self.weights = list(accumulate(weight for weight, _ in CATALOGUE))
        self.numbers: dict[tuple[str, str], int] = {}

    def event(self, at: float, arrived: float) -> Event:
        """One background event drawn by weight."""
        maker = self.rng.choices(self.makers, cum_weights=self.weights)[0]
        return self.wrap(maker(self.scene), at, arrived)

    def wrap(self, draft: Draft, at: float, arrived: float) -> Event:
        """The draft in its host's layout. A late event was received just before it was delivered."""
        host, moment = draft.host, Moment(at, max(at + 1.0, arrived - 299.0))
        if draft.channel == SYSMON:
            draft.data = {"RuleName": "-", **draft.data}
            draft.data["UtcTime"] = sysmon_utc(at)
        record = self._nxlog(draft, moment) if host.layout == "nxlog" else self._created(draft, moment)
        key = f"{host.fqdn}|{record['Channel']}|{record['RecordNumber']}" if host.layout == "nxlog" else ""
        return Event(SOURCE, at, arrived, dump(record), key, f"{draft.channel}/{draft.event_id}")

    def _number(self, host: Host, channel: str) -> int:
        first = 100_000 + int(hashlib.md5(f"{host.name}/{channel}".encode()).hexdigest()[:5], 16)
        number = self.numbers.get((host.name, channel), first) + 1
        self.numbers[host.name, channel] = number
        return number

    def _nxlog(self, draft: Draft, moment: Moment) -> Record:
        host, channel = draft.host, draft.channel
        task, category, title = META[channel, draft.event_id]
        provider, guid = _PROVIDERS[channel]
        audit = channel == SECURITY
        record: Record = {
            "EventTime": wall_clock(moment.at),
            "Hostname": host.fqdn,
            "Keywords": (_SUCCESS if draft.success else _FAILURE) if audit else _CLASSIC,
            "SeverityValue": 2 if draft.success else 4,
            "Severity": "INFO" if draft.success else "ERROR",
            "EventID": draft.event_id,
            "SourceName": provider,
            "ProviderGuid": guid,
            "Version": 2,
            "Task": task,
            "OpcodeValue": 0,
            "RecordNumber": self._number(host, channel),
            "ExecutionProcessID": 696,
            "ThreadID": 2000 + self.rng.randrange(8000),
            "Channel": host.security_channel if audit else channel,
            "Category": category,
            "Opcode": "Info",
            **draft.data,
        }
        if audit:
            record["Message"] = _message(title, draft.data, audit)
        else:
            record |= {"Domain": "NT AUTHORITY", "AccountName": "SYSTEM", "UserID": "S-1-5-18", "AccountType": "User"}
        if "EventType" in draft.data:  # NXLog loses an event's own EventType (Sysmon 12-14) and sets its own aside
            del record["EventType"]
            record["EventTypeOrignal"] = "INFO"
        elif audit:
            record["EventType"] = "AUDIT_SUCCESS" if draft.success else "AUDIT_FAILURE"
        else:
            record["EventType"] = "INFO"
        return record | {
            "EventReceivedTime": wall_clock(moment.received),
            "SourceModuleName": "eventlog",
            "SourceModuleType": "im_msvistalog",
            "@version": "1",
            "host": "wec01.corp.larkspurhealth.example",
            "port": 64545,
            "tags": ["wec01"],
            "@timestamp": utc_millis(moment.received),
        }

    def _created(self, draft: Draft, moment: Moment) -> Record:
        task, _, title = META[draft.channel, draft.event_id]
        provider, guid = _PROVIDERS[draft.channel]
        audit = draft.channel == SECURITY
        created = utc_millis(moment.at)
        keywords = ("0x8020000000000000" if draft.success else "0x8010000000000000") if audit else "0x8000000000000000"
        return {
            "SourceName": provider,
            "ProviderGuid": guid.lower(),
            "Level": "0" if audit else "4",
            "Keywords": keywords,
            "Channel": draft.channel,
            "Hostname": draft.host.fqdn,
            "TimeCreated": created,
            "@timestamp": created,
            "EventID": draft.event_id,
            "Message": _message(title, draft.data, audit),
            "Task": str(task),
            **draft.data,
        }


def _message(title: str, data: dict[str, str], audit: bool) -> str:
    if audit:
        return f"{title}.\r\n\r\n" + "\r\n".join(f"\t{name}:\t\t{value}" for name, value in data.items())
    return f"{title}:\r\n" + "\r\n".join(f"{name}: {value}" for name, value in data.items())
