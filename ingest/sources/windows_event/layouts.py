"""The layouts in which collectors write Windows events, turned into the contract's own: names of the header (System in
the event XML) beside an object `EventData`.

`plain` takes one record. What stands where is said by three lists: `_ENVELOPES` (documents around an event), `_HEADERS`
(objects that hold its header, however attributes are written there) and `_NAMES` (how collectors call each field).
`event_data` has what an event says of itself, `ecs` undoes winlogbeat's modules, `defender` has its tables.
Names are compared without regard to
case. Every value stays: what has no place keeps its own name.

Read from the documentation or the code of evtx_dump (github.com/omerbenamram/evtx), xmltodict, Velociraptor, winlogbeat
5 to 9 (exported fields), fluent-bit (inputs winlog and winevtlog), Vector (windows_event_log), Wazuh (eventchannel),
OpenTelemetry (windowseventlogreceiver), Azure Monitor (tables SecurityEvent, Event, WindowsEvent; Event Hubs), Splunk
(search results, HEC), Graylog (GELF, Beats) and PowerShell's `Get-WinEvent | ConvertTo-Json`.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import msgspec

from ingest.sources.windows_event import defender
from ingest.sources.windows_event.ecs import ecs_data
from ingest.sources.windows_event.event_data import DATA_NAMES, Data, event_data, placed_inserts, wazuh_data
from ingest.sources.windows_event.rendered import event_of, rendered_data, splunk_header

Record = dict[str, Any]
Index = dict[str, tuple[Record, str]]  # a normal path, and where its value stands

# Documents around an event. The event is the object inside; what stands beside it stays.
_ENVELOPES: Final = ("_source", "result", "properties", "body", "data", "event", "message", "log", "full_log", "fields")
_MOST_ENVELOPES: Final = 4
_RENDERED: Final = ("_raw", "raw", "message", "Message", "event", "full_log", "log")  # may be an event as text
_OF_AZURE: Final = {"category": "azure.category", "level": "azure.level"}  # what they say of a record, not of the event
_HEADERS: Final = ("event.system.", "system.", "winlog.", "win.system.", "")
# How collectors call a field of the header, in the order in which they are believed. A dot leads into an object;
# attributes (`#attributes`, `@Name`, `Provider_attributes`) are members.
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "EventID": ("eventid", "event_id", "event_id.id", "eventcode", "eventidentifier", "id", "event.code"),
    "Channel": ("channel", "logname", "log_name", "eventlog", "logfile", "event_log"),
    "Hostname": ("computer", "computer_name", "computername", "machinename", "hostname", "host.name", "host.hostname"),
    "RecordNumber": ("eventrecordid", "record_id", "recordid", "recordnumber", "record_number"),
    "SourceName": (
        "provider.name", "provider_name", "providername", "provider", "eventsourcename", "sourcename", "source_name",
        "provider.event_source", "event.provider", "name", "source",
    ),
    "ProviderGuid": ("provider.guid", "provider_guid", "providerguid", "providerid", "guid"),
    "TimeCreated": (
        "timecreated.systemtime", "systemtime", "time_created", "timecreated", "timegenerated", "timegenerated [utc]",
        "system_time", "timestamp", "_time", "time", "date",
    ),
    "Level": ("level", "eventlevel", "level_value", "log.level"),
    "Keywords": ("keywords",),
    "Category": ("event.renderinginfo.task", "task_name"),
    "Task": ("task", "taskcategory"),
    "Opcode": ("opcode",),
    "Version": ("version",),
    "Message": (
        "message", "renderedmessage", "rendered_message", "rendereddescription",
        "event.renderinginfo.message", "full_message", "description",
    ),
    "ExecutionProcessID": (
        "execution.processid", "execution.process_id", "process.pid", "systemprocessid", "executionprocessid", "pid",
        "processid", "process_id",
    ),
    "ThreadID": (
        "execution.threadid", "execution.thread_id", "process.thread.id", "systemthreadid", "threadid", "thread_id",
        "tid",
    ),
    "ActivityID": ("correlation.activityid", "correlation.activity_id", "activity_id", "activityid"),
    "UserID": ("security.userid", "security.user_id", "user.identifier", "userid", "user_id", "sid"),
    "AccountName": ("user.name",),
    "Domain": ("user.domain",),
    "AccountType": ("user.type",),
    "EventOutcome": ("outcome", "event.outcome"),
}  # fmt: skip
_ONLY_AT_TOP: Final = {"host.name", "host.hostname", "event.code", "event.provider", "event.outcome", "log.level"}
# Elsewhere these are the event's own (ECS), or mean something else.
_NEVER_AT_TOP: Final = {"process.pid", "process.thread.id", "user.name", "user.domain", "user.type", "outcome"}
# At the top these mean the header only beside another name.
_BESIDE: Final = {
    "id": ("logname", "providername"),
    "name": ("guid", "systemtime"),
    "guid": ("name", "systemtime"),
    "processid": ("threadid", "thread_id"),
    "process_id": ("threadid", "thread_id"),
    "pid": ("tid",),
    "description": ("deploymentid",),
    "sid": ("sourcename", "eventtype"),
    "source": ("eventlog",),
}
# A record that has one of these beside the header tells what its message tells.
_OF_AN_EVENT: Final = {
    "SubjectUserName", "TargetUserName", "Image", "CommandLine", "NewProcessName", "ProcessName", "IpAddress",
    "ServiceName", "ObjectName", "ScriptBlockText", "TargetFilename", "TargetObject", "ProcessGuid",
}  # fmt: skip
_CLOCKS: Final = ("EventTime", "EventReceivedTime")
_LISTS: Final = ("Keywords", "tags")
_ATTRIBUTES: Final = ("#attributes", "$", "@attributes")
_TEXTS: Final = ("#text", "_", "value", "content", "#content")
_PREFIXED: Final = re.compile(r"(?:winlogbeat_)?winlog_(event_data|user_data|.+?)(?:(?<=_data)_(.+))?$")
_JSON: Final = msgspec.json.Decoder()
_DOT_NET_TIME: Final = re.compile(r"/Date\((-?\d+)[^)]*\)/")
_NUMBER: Final = re.compile(r"\d{9,19}(?:\.\d+)?")
_AMERICAN: Final = "%m/%d/%Y, %I:%M:%S.%f %p"


def plain(record: Record, own_names: Mapping[str, str]) -> Record | None:
    """Return a record in the contract's layout, None where it names no event. The record given is taken apart.

    `own_names` are the contract's names by their lower case. Only empty objects, empty texts and nulls are left out.
    """
    event = splunk_header(_with_text_taken_apart(_unwrapped(_nested(record))))
    if defender.is_row(event):
        return defender.as_event(event)
    index, found = _index(event)
    header = _header(index)
    if "EventID" not in header:
        return None
    data: Data = {}
    for holder, name in found:
        _add(data, event_data(holder.pop(name), name, own_names), name)
    if isinstance(win := event.get("win"), dict):  # Wazuh has user data beside the header, as `win.logFileCleared`
        for name in [name for name, value in win.items() if name != "system" and isinstance(value, dict)]:
            _add(data, wazuh_data(win.pop(name), own_names), name)
        if isinstance(message := header.get("Message"), str):
            header["Message"] = message.removeprefix('"').removesuffix('"')
    if not data:
        data = placed_inserts(event, header, own_names)
    ecs_data(index, header, data)
    if not data and not any(own_names.get(name.lower()) in _OF_AN_EVENT for name in event):
        data = {name: value for name, value in rendered_data(header, own_names).items() if name not in event}
    made = dict(header)
    for name, value in event.items():
        if isinstance(value, dict):
            value, own = _without_empty(value), name
        else:
            own = own_names.get(name.lower(), name)
            if isinstance(value, list) and len(value) == 1 and name.lower() in own_names and own not in _LISTS:
                value = value[0]  # Kibana and Elasticsearch's `fields` have lists of every value
        if isinstance(value, int | float) and own in _CLOCKS:
            value = _time(value)
        if value is not None and value != "":
            _add(made, {own: value}, "collector")
    if data:
        made["EventData"] = data
        if isinstance(at := data.get("UtcTime"), str):
            made["UtcTime"] = at
    return made


def of_text(line: str) -> Record | None:
    """Return a line of text as a record that `plain` reads, None where it is no event."""
    return {"message": line} if "MSWinEventLog\t" in line[:100] or "WinEvtLog: " in line[:60] else None


def _with_text_taken_apart(record: Record) -> Record:
    """The record with the header of the event that one of its texts is: see `rendered.event_of`."""
    for name in _RENDERED:
        text = record.get(name)
        if not isinstance(text, str) or not (
            "=" in text[:40] or "WinEvtLog: " in text[:60] or "MSWinEventLog\t" in text[:100]
        ):
            continue
        if (event := event_of(text)) is not None:
            others = {key: value for key, value in record.items() if key != name and key not in event}
            return others | event
    return record


def _add(made: Record, more: Mapping[str, Any], holder: str) -> None:
    """Put values beside others; one of a name that has another value there gets the holder's name in front."""
    for name, value in more.items():
        if name in made and made[name] != value and value != "":
            name = f"{holder}.{name}"
        made.setdefault(name, value)


def _unwrapped(record: Record) -> Record:
    """The event inside its envelopes, with what they say beside it."""
    for _ in range(_MOST_ENVELOPES):
        if any(name.lower() in ("eventid", "system", "winlog", "win") for name in record):
            return record
        name, inner = next(((name, inner) for name in _ENVELOPES if (inner := _object(record.get(name)))), ("", {}))
        if not name or (name == "event" and not _names_an_event(inner)):
            return record
        others = _OF_AZURE if name == "properties" else {}
        outer = {others.get(key, key): value for key, value in record.items() if key != name}
        hidden = {key: value for key, value in outer.items() if key in inner}
        record = outer | _nested(inner) | ({name: hidden} if hidden and name not in inner else {})
    return record


def _object(value: object) -> Record:
    """An object, or the one that a text of JSON is; else an empty one."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        try:
            value = _JSON.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _names_an_event(inner: Record) -> bool:
    """Whether an object is an event, and not what ECS says of one."""
    return any(name.lower() in ("eventid", "system", "event_id", "winlog", "eventcode", "event") for name in inner)


def _nested(record: Record) -> Record:
    """Objects in the stead of paths written as names: `winlog.event_id`, Graylog's `winlogbeat_winlog_event_id`."""
    if "version" in record and "host" in record and any(name.startswith("_") for name in record):  # GELF
        names = {"version": "gelf_version", "level": "syslog_level"}
        record = {names.get(name, name.removeprefix("_")): value for name, value in record.items()}
    if not any("." in name or name.startswith(("winlogbeat_winlog_", "winlog_")) for name in record):
        return record
    made: Record = {}
    for name, value in record.items():
        steps = name.split(".")
        if len(steps) == 1 and (found := _PREFIXED.fullmatch(name)):
            steps = ["winlog", *(each for each in found.groups() if each)]
        node = made
        for step in steps[:-1]:
            if not isinstance(inner := node.setdefault(step, {}), dict):
                node, steps = made, [name]
                break
            node = inner
        if isinstance(value, dict) and isinstance(there := node.get(steps[-1]), dict):
            there.update(value)
        else:
            node[steps[-1]] = value
    return made


def _index(event: Record) -> tuple[Index, list[tuple[Record, str]]]:
    """Where each value of an event stands, by its path in lower case; and where event data stand, best first."""
    index: Index = {}
    found: list[tuple[int, Record, str]] = []

    def walk(node: Record, prefix: str) -> None:
        for key, value in node.items():
            name = key.lower()
            if name in DATA_NAMES and prefix != "win.":
                found.append((DATA_NAMES.index(name), node, key))
            elif isinstance(value, dict):
                name = "" if name in _ATTRIBUTES else name.removesuffix("_attributes") + "."
                walk(value, prefix + name)
            elif prefix and name in _TEXTS:
                index[prefix[:-1]] = (node, key)
            else:
                name = name[1:] if prefix and name[:1] in "@#" else name
                index.setdefault(prefix + name, (node, key))

    walk(event, "")
    return index, [(node, key) for _, node, key in sorted(found, key=lambda each: each[0])]


def _header(index: Index) -> Record:
    """The fields of the header, taken out of the event."""
    header: Record = {}
    prefixes = tuple(each for each in _HEADERS if not each or any(path.startswith(each) for path in index))
    there = frozenset(index)
    for field, path, beside in _candidates(prefixes):
        if path not in there or field in header or (beside and there.isdisjoint(beside)):
            continue
        holder, key = index[path]
        value = holder[key]
        if isinstance(value, list) and field not in _LISTS:
            value = value[0] if len(value) == 1 else None
        if value is None or value == "" or isinstance(value, dict):
            continue
        del holder[key], index[path]
        header[field] = _time(value) if field == "TimeCreated" else value
    return header


@cache
def _candidates(prefixes: tuple[str, ...]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Fields, the paths where they may stand, and the paths of which one must be there beside it."""
    return [
        (field, prefix + name, () if prefix else _BESIDE.get(name, ()))
        for field, names in _NAMES.items()
        for prefix in prefixes
        for name in names
        if name not in (_ONLY_AT_TOP if prefix else _NEVER_AT_TOP)
    ]


def _time(value: object) -> object:
    """A time in ISO 8601, where it is written as a number of seconds (or of thousandths, and so on) since 1970, as .NET
    writes it in JSON, or as the portal of Azure does."""
    text = str(value)
    if found := _DOT_NET_TIME.fullmatch(text):
        text = found[1]
    if _NUMBER.fullmatch(text):
        whole, _, part = text.partition(".")
        power = 0 if len(whole) <= 11 else 3 if len(whole) <= 14 else 6 if len(whole) <= 17 else 9
        micros = int(whole) * 10**6 // 10**power + (int(part[:6].ljust(6, "0")) // 10**power if part else 0)
        try:
            return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).isoformat()
        except OverflowError:
            return value
    try:
        return datetime.strptime(text, _AMERICAN).replace(tzinfo=UTC).isoformat() if "/" in text[:3] else value
    except ValueError:
        return value


def _without_empty(value: object) -> object:
    """The value without the objects that hold nothing, and without XML's namespaces; None when nothing is left."""
    if not isinstance(value, dict):
        return value
    kept = {
        name: each
        for name, inner in value.items()
        if not name.startswith(("xmlns", "@xmlns")) and (each := _without_empty(inner)) is not None
    }
    return kept or None
