"""What an event says of itself, in whatever form collectors write it: values by name.

Event data are an object by name; a list of elements (`{"@Name": …, "#text": …}` of xmltodict and its kin, `[{"a": 1}]`
of OpenTelemetry); JSON in a text. Data without names are `param1`, `param2`, as winlogbeat calls them. User data hold
one element that holds the names. `placed_inserts` gives the strings of an event the names that its provider's manifest
has.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec

Data = dict[str, Any]

# In lower case, the one that is believed first first.
DATA_NAMES: Final = ("eventdata", "event_data", "extraeventdata", "raweventdata", "userdata", "user_data")
INSERTS: Final = ("stringinserts", "string_inserts", "message_inserts", "properties", "eventstrings", "strings")
_USER_DATA: Final = ("userdata", "user_data")
_ELEMENTS: Final = ("data", "complexdata")
_NAMES: Final = ("@Name", "Name", "name", "key", "Key")
_TEXTS: Final = ("#text", "Value", "value", "content", "_", "text", "Text", "#content", "$t")
_NOT_DATA: Final = ("#attributes", "@attributes", "$", "@xmlns", "xmlns", "@Name")
_LOGS: Final = {
    "microsoft-windows-security-auditing": "security",
    "microsoft-windows-sysmon": "sysmon",
    "microsoft-windows-powershell": "powershell",
    "microsoft-windows-taskscheduler": "taskscheduler",
    "microsoft-windows-windows defender": "defender",
    "microsoft-windows-eventlog": "eventlog",
}
_JSON: Final = msgspec.json.Decoder()
_UNNAMED: Final = re.compile(r"param\d+")
_SINGLE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\(?!\\)")


def event_data(given: object, holder: str, own_names: Mapping[str, str]) -> Data:
    """Return the event data in one value by name; `holder` is the name under which it stood.

    `own_names` are the contract's names by their lower case: a name is written as there, whatever the collector does
    with capitals. Nulls are left out, and so are empty texts.
    """
    return _owned(_named(_decoded(given), holder.lower() in _USER_DATA), own_names)


def wazuh_data(given: Mapping[str, Any], own_names: Mapping[str, str]) -> Data:
    """Return event data as Wazuh has them: names begin with a small letter, and backslashes are doubled."""
    names = {name: name if _UNNAMED.fullmatch(name) else name[:1].upper() + name[1:] for name in given}
    return _owned({names[name]: without_doubled(value) for name, value in given.items()}, own_names)


def without_doubled(value: Any) -> Any:
    """The text with single backslashes, where it has them in pairs alone."""
    if isinstance(value, str) and "\\\\" in value and not _SINGLE.search(value):
        return value.replace("\\\\", "\\")
    return value


def _owned(given: Data, own_names: Mapping[str, str]) -> Data:
    """The values with the contract's spelling of their names; a list of one value is that value."""
    data: Data = {}
    for name, value in given.items():
        only = value[0] if isinstance(value, list) and len(value) == 1 else value
        if only is not None and only != "":
            data.setdefault(own_names.get(name.lower(), name), only)
    return data


def _decoded(given: object) -> object:
    if isinstance(given, str):
        text = given.strip()
        if text[:1] in ("{", "["):
            try:
                return _JSON.decode(text)
            except (msgspec.DecodeError, RecursionError):
                pass
        return {"Data": given} if text else {}
    return given


def _named(given: object, inside: bool) -> Data:
    """Values by name. `inside`: a single element holds them."""
    if isinstance(given, list):
        return _listed(given)
    if not isinstance(given, dict):
        return {}
    if inside and len(elements := [each for name, each in given.items() if name not in _NOT_DATA]) == 1:
        (only,) = elements
        if isinstance(only, dict) and not any(name in only for name in _TEXTS):
            return _named(only, False)
    data: Data = {}
    for name, value in given.items():
        if name.lower() in _ELEMENTS and not isinstance(value, dict | list):
            data.setdefault("param1" if name == "Data" else name, value)
        elif name.lower() in _ELEMENTS:
            data |= {key: each for key, each in _listed(_elements(value)).items() if key not in data}
        elif name not in _NOT_DATA and not name.endswith("_attributes"):
            data[name.removeprefix("@")] = _text(value)
    return data


def _elements(value: object) -> list[object]:
    """The elements of `Data`: one alone is written without a list, several texts below `#text`."""
    if isinstance(value, dict):
        texts = value.get("#text")
        return texts if isinstance(texts, list) else [value]
    return value if isinstance(value, list) else [value]


def _listed(elements: list[object]) -> Data:
    data: Data = {}
    for number, each in enumerate(elements, 1):
        if not isinstance(each, dict):
            data[f"param{number}"] = each
            continue
        attributes = each.get("#attributes") or each.get("@attributes") or each.get("$") or each
        name = next((attributes[key] for key in _NAMES if isinstance(attributes.get(key), str)), None)
        if name is not None:
            data.setdefault(name, _text({key: value for key, value in each.items() if key not in _NAMES}))
        elif any(key in each for key in _TEXTS):
            data[f"param{number}"] = _text(each)
        else:
            data |= {key: _text(value) for key, value in each.items() if key not in data}
    return data


def _text(value: object) -> object:
    """The text of an element, without its attributes; any other value as it is."""
    if not isinstance(value, dict):
        return value
    inner = {name: each for name, each in value.items() if name not in _NOT_DATA}
    if not inner:
        return None
    if len(inner) == 1 and next(iter(inner)) in _TEXTS:
        return next(iter(inner.values()))
    return inner


def placed_inserts(event: Data, header: Mapping[str, Any], own_names: Mapping[str, str]) -> Data:
    """Return the strings of an event by the names of its provider's manifest, taken out of the event.

    Nothing where no template of the event has as many strings: then they stay where they are.
    """
    key = next((key for key, value in event.items() if key.lower() in INSERTS and isinstance(value, list)), "")
    if not key:
        return {}
    inserts = [each.get("Value") if isinstance(each, dict) else each for each in event[key]]
    log = _LOGS.get(str(header.get("SourceName", "")).lower())
    names = _templates().get((log or "", str(header["EventID"]), len(inserts)))
    if names is None:
        return {}
    del event[key]
    return _owned(dict(zip(names, inserts, strict=True)), own_names)


@cache
def _templates() -> dict[tuple[str, str, int], list[str]]:
    """Names by log, event id and how many there are. A line of the file is a log, ids and names."""
    found = {}
    for line in resources.files(__package__).joinpath("templates.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            log, events, *names = line.split()
            for event in events.split(","):
                found[log, event, len(names)] = names
    return found
