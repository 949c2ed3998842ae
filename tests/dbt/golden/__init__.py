"""How expected events are written down: what a mapping decides, and why each event is there; nothing else.

A case is `<source>/<case>.ndjson` (`.log` where records are text) with at most ten records, and `<case>.yml` beside it.
The file is compared with the whole of what is published. To be short without being weaker it leaves out only what can
be computed again, by `short`, which the comparison applies to both sides: a wrong value stays and shows.

- captions that OCSF gives to numbers (`status` of `status_id`, `class_name`, `type_name`), and `type_uid`
- a time in milliseconds beside the same time as text (`time` beside `time_dt`)
- an observable's value where its name leads to one value of the event
- nulls within objects, whose types other tests check
- under `same`, what all events of a class in this file have in common is written once; `as_before` names columns that
  are those of the event of that class before

`python -m tests.dbt.golden [CASE]` writes files anew and keeps every `why`; review the diff.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml

from lake.ocsf.attributes import EventClass, Shape, declared_classes

Event = dict[str, Any]

FOLDER = Path(__file__).parent
UNSAID = "TODO"
_JSON = ("unmapped", "data")  # columns whose objects are a vendor's: kept as they are
_ONE_LINE = 100


def read(file: Path) -> tuple[list[str], list[Event]]:
    """Return why each event is there, and the events as `short` makes them."""
    written = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)
    whys, events = [], []
    for row in written["events"]:
        event = _merged(deepcopy(written.get("same", {}).get(row["class"], {})), row)
        whys.append(event.pop("why"))
        event.setdefault("metadata", {})["uid"] = event.pop("uid")
        before = next((each for each in reversed(events) if each["class"] == event["class"]), {})
        event |= {name: deepcopy(before[name]) for name in event.pop("as_before", ())}
        events.append(event)
    return whys, events


def write(file: Path, events: list[Event]) -> None:
    """Write published events; those that the file had keep their reasons."""
    known: dict[str, str] = {}
    if file.exists():
        whys, before = read(file)
        known = {event["metadata"]["uid"]: why for why, event in zip(whys, before, strict=True)}
    file.write_text(text([short(event) for event in events], known), encoding="utf-8")


def text(events: list[Event], whys: Mapping[str, str]) -> str:
    """Return a file of events that `short` made."""
    same = {}
    for name in dict.fromkeys(event["class"] for event in events):
        of_class = [event for event in events if event["class"] == name]
        if len(of_class) > 1:
            same[name] = _without(_common(of_class), {"class": name})
    rows, before = [], dict[str, Event]()
    for event in events:
        uid = event["metadata"]["uid"]
        row = _without(deepcopy(event), same.get(event["class"], {}))
        del row["metadata"]["uid"]
        head = {"why": whys.get(uid, UNSAID), "uid": uid, "class": event["class"]}
        again = [name for name, value in row.items() if _repeats(value, before.get(event["class"], {}).get(name))]
        if again:
            head["as_before"] = sorted(again)
            row = {name: value for name, value in row.items() if name not in again}
        before[event["class"]] = _without(event, same.get(event["class"], {}))
        rows.append(head | {name: row[name] for name in sorted(row) if row[name] or name != "metadata"})
    written = {"same": same, "events": rows} if same else {"events": rows}
    return yaml.dump(_marked(written), Dumper=_Dumper, width=118, sort_keys=False, allow_unicode=True)


def short(event: Event) -> Event:
    """Return an event without what can be computed from the rest of it."""
    known = _by_uid()[event["class_uid"]]
    derived = {
        "class_name": known.caption,
        "category_uid": known.category_uid,
        "category_name": known.category_name,
        "type_uid": known.uid * 100 + event["activity_id"],
        "type_name": f"{known.caption}: {event.get('activity_name')}",
    }
    rest = {name: value for name, value in event.items() if name not in derived or value != derived[name]}
    rest["class"] = known.name
    del rest["class_uid"]
    if "observables" in rest:
        rest["observables"] = [_observable(each, event, known) for each in rest["observables"]]
    return _object(rest, known.shape)


def _object(found: Event, shape: Shape) -> Event:
    """An object without nulls, captions of its own numbers, and times that are there as text too."""
    held = {name: value for name, value in found.items() if value is not None}
    left = {}
    captions = {}
    for attribute in shape.attributes:
        if attribute.sibling and attribute.enum and attribute.name in held:
            number = held[attribute.name]
            many = isinstance(number, list)
            captions[attribute.sibling] = list(map(attribute.enum.get, number)) if many else attribute.enum.get(number)
        if attribute.shape and attribute.name in held and attribute.name != "observables":
            inner = held[attribute.name]
            each = partial(_object, shape=attribute.shape)
            held[attribute.name] = list(map(each, inner)) if isinstance(inner, list) else each(inner)
    for name, value in held.items():
        if name in captions and value == captions[name]:
            continue
        if f"{name}_dt" in held and value == _milliseconds(held[f"{name}_dt"]):
            continue
        left[name] = value
    return {name: left[name] for name in sorted(left)}


def _milliseconds(at: str) -> int:
    return int(datetime.fromisoformat(at).astimezone(UTC).timestamp() * 1000)


def _observable(found: Event, event: Event, known: EventClass) -> str | Event:
    """`<type_id> <name>` where the name leads to the one value, else ` = <value>` behind it, else the whole object."""
    (attribute,) = [each for each in known.shape.attributes if each.name == "observables"]
    types = {each.name: each.enum for each in attribute.shape.attributes} if attribute.shape else {}
    told = set(found) - {name for name, value in found.items() if value is None}
    if told != {"name", "type", "type_id", "value"} or found["type"] != types["type_id"].get(found["type_id"]):
        return found
    brief = f"{found['type_id']} {found['name']}"
    values = [str(each) for each in _values(event, found["name"].replace("[]", "").split("."))]
    return brief if values == [found["value"]] else f"{brief} = {found['value']}"


def _values(found: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(found, list):
        for each in found:
            yield from _values(each, path)
    elif not path:
        if found is not None:
            yield found
    elif isinstance(found, dict):
        yield from _values(found.get(path[0]), path[1:])


def _repeats(value: Any, before: Any) -> bool:
    return value == before and len(str(value)) > _ONE_LINE


def _common(events: list[Event]) -> Event:
    first, *others = events
    same = {}
    for name, value in first.items():
        if not all(name in each for each in others):
            continue
        if isinstance(value, dict) and name not in _JSON:
            if inner := _common([each[name] for each in events]):
                same[name] = inner
        elif all(each[name] == value for each in others):
            same[name] = value
    return same


def _without(event: Event, same: Event) -> Event:
    left = {}
    for name, value in event.items():
        if name not in same:
            left[name] = value
        elif isinstance(value, dict) and name not in _JSON and (inner := _without(value, same[name])):
            left[name] = inner
    return left


def _merged(same: Event, row: Event) -> Event:
    merged = dict(same)
    for name, value in row.items():
        both = isinstance(value, dict) and isinstance(same.get(name), dict) and name not in _JSON
        merged[name] = _merged(same[name], value) if both else value
    return merged


@cache
def _by_uid() -> dict[int, EventClass]:
    return {each.uid: each for each in declared_classes().values()}


class _Dumper(yaml.SafeDumper):
    """Objects and lists that fit on a line stand on one; a vendor's own JSON is run on over as few as it needs."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _flow(node: yaml.CollectionNode, data: Any) -> yaml.CollectionNode:
    node.flow_style = len(str(data)) <= _ONE_LINE and "why" not in data
    return node


class _Vendors(dict[str, Any]):
    """A value of a column of `_JSON`."""


def _marked(found: Any, name: str = "") -> Any:
    if isinstance(found, dict):
        marked = {key: _marked(value, key) for key, value in found.items()}
        return _Vendors(marked) if name in _JSON else marked
    return [_marked(each) for each in found] if isinstance(found, list) else found


def _run_on(dumper: yaml.SafeDumper, data: _Vendors) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=True)


_Dumper.add_representer(_Vendors, _run_on)
_Dumper.add_representer(dict, lambda dumper, data: _flow(yaml.SafeDumper.represent_dict(dumper, data), data))
_Dumper.add_representer(list, lambda dumper, data: _flow(yaml.SafeDumper.represent_list(dumper, data), data))
