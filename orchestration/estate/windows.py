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

from orchestration.estate.company import Company, Host
from orchestration.estate.events import Event, Record, dump, sysmon_utc, utc_millis, wall_clock
from orchestration.estate.windows_background import CATALOGUE
from orchestration.estate.windows_events import META, Draft, Scene

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
        self.weights = [weight for weight, _ in CATALOGUE]
        self.numbers: dict[tuple[str, str], int] = {}

    def event(self, at: float, arrived: float) -> Event:
        """One background event drawn by weight."""
        maker = self.rng.choices(self.makers, self.weights)[0]
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
            "Message": _message(title, draft.data, audit),
            "Category": category,
            "Opcode": "Info",
            **draft.data,
        }
        if not audit:
            record |= {"Domain": "NT AUTHORITY", "AccountName": "SYSTEM", "UserID": "S-1-5-18", "AccountType": "User"}
        if "EventType" in draft.data:  # NXLog keeps its own EventType aside when the event brings one (Sysmon 12-14)
            record["EventTypeOrignal"] = "INFO"
        else:
            record["EventType"] = ("AUDIT_SUCCESS" if draft.success else "AUDIT_FAILURE") if audit else "INFO"
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
