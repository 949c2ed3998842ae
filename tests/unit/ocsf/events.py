"""OCSF events made from the declaration, ways to break them, and the tables that hold them."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa

from lake.base.sql import at_hand
from lake.ocsf.attributes import Attribute, EventClass, Shape
from lake.ocsf.columns import columns
from lake.ocsf.rules import rules

Event = dict[str, Any]
Step = str | int

_BY_TYPE = {
    "boolean_t": True,
    "datetime_t": "2026-01-02T03:04:05.000006Z",
    "email_t": "ada@example.org",
    "float_t": 1.5,
    "ip_t": "2001:db8::7",
    "json_t": {"any": [1, None, "thing"]},
    "mac_t": "00:00:5e:00:53:af",
    "object_t": {"left": {"over": 1}},
    "port_t": 443,
    "uuid_t": "0b9cf5de-5ee1-4e1d-a3ef-0f6c1b7a0001",
}
_BY_BASE_TYPE = {"integer_t": 7, "long_t": 1_700_000_000_000, "string_t": "text"}

# Values of the right DuckDB type that may be wrong in OCSF.
_SUSPICIOUS: dict[str, list[Any]] = {
    "string_t": [
        "",
        "x" * 50,
        "10.0.0.1",
        "10a0b0c1",
        " 10.0.0.1 ",
        "::ffff:10.0.0.1",
        "fe80::1%eth0",
        "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
        "s3.amazonaws.com",
        "-",
    ],
    "integer_t": [-1, 0, 1, 50, 65535, 65536, 99],
    "long_t": [-1, 0, 300202],
    "float_t": [-500.25],
    "boolean_t": [False],
    "json_t": ["a text", 5, [], {}],
    "object_t": ["a text", 5, [], {}],
}


def full_event(event_class: EventClass) -> Event:
    """A valid event in which every declared attribute is filled, as far as the constraints allow."""
    event = _filled(event_class.shape, required_only=False)
    return _with_head(event, event_class, event_class.profiles)


def minimal_event(event_class: EventClass) -> Event:
    """A valid event with what the class requires, and nothing else."""
    return _with_head(_filled(event_class.shape, required_only=True), event_class, ())


def _with_head(event: Event, event_class: EventClass, profiles: tuple[str, ...]) -> Event:
    event |= {
        "class_uid": event_class.uid,
        "category_uid": event_class.category_uid,
        "activity_id": 99,
        "type_uid": event_class.uid * 100 + 99,
    }
    event["metadata"] |= {"version": event_class.version, "uid": "a-uid"}
    if profiles:
        event["metadata"]["profiles"] = list(profiles)
    return event


def _filled(shape: Shape, required_only: bool) -> Event:
    one_of = {*shape.at_least_one[:1], *shape.just_one[:1]}
    others = set(shape.just_one[1:])
    wanted = [
        attribute
        for attribute in shape.attributes
        if attribute.name not in others
        and (not required_only or attribute.name in one_of or (attribute.required and not attribute.profiles))
    ]
    return {attribute.name: _value(attribute, required_only) for attribute in wanted}


def _value(attribute: Attribute, required_only: bool) -> Any:
    value = _one_value(attribute, required_only)
    return [value, copy.deepcopy(value)] if attribute.is_list else value


def _one_value(attribute: Attribute, required_only: bool) -> Any:
    if attribute.shape:
        return _filled(attribute.shape, required_only)
    if attribute.enum:
        return next(reversed(attribute.enum))
    return copy.deepcopy(_BY_TYPE.get(attribute.type, _BY_BASE_TYPE.get(attribute.base_type)))


def broken(event: Event, shape: Shape) -> Iterator[tuple[str, Event]]:
    """Yield variants of an event with one thing changed, each with what was done; many of them are invalid."""
    for path, attribute in _paths(event, shape, ()):
        where = ".".join(map(str, path))
        yield f"without {where}", _without(event, path)
        if isinstance(path[-1], int):
            yield f"null at {where}", _with(event, path, None)
        if attribute.shape and not (attribute.is_list and isinstance(path[-1], str)):
            yield f"nothing in {where}", _with(event, path, dict.fromkeys(a.name for a in attribute.shape.attributes))
            yield f"empty {where}", _with(event, path, {})
        elif attribute.is_list and isinstance(path[-1], str):
            yield f"empty list {where}", _with(event, path, [])
        elif attribute.type != "datetime_t":
            for value in _SUSPICIOUS[attribute.base_type]:
                yield f"{where} = {value!r}", _with(event, path, value)


def _paths(event: Any, shape: Shape, parent: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], Attribute]]:
    for attribute in shape.attributes:
        if not isinstance(event, dict) or attribute.name not in event:
            continue
        path = (*parent, attribute.name)
        yield path, attribute
        value = event[attribute.name]
        if attribute.is_list:
            yield (*path, 0), attribute
            path, value = (*path, 0), value[0]
        if attribute.shape:
            yield from _paths(value, attribute.shape, path)


def _with(place: Any, path: tuple[Step, ...], value: Any) -> Any:
    """A copy with another value at the path; what does not lie on the path is shared with the original."""
    changed = place.copy()
    changed[path[0]] = _with(place[path[0]], path[1:], value) if path[1:] else value
    return changed


def _without(place: Any, path: tuple[Step, ...]) -> Any:
    changed = place.copy()
    if path[1:]:
        changed[path[0]] = _without(place[path[0]], path[1:])
    else:
        del changed[path[0]]
    return changed


def without_nulls(value: Any) -> Any:
    """The event as it is after its NULLs were dropped; a null in a list stays."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def table_of(event_class: EventClass, events: list[Event]) -> duckdb.DuckDBPyConnection:
    """A connection whose table `event` holds the events in the columns of the class, in order."""
    connection = at_hand()
    described = ", ".join(f'"{name}" {type_}' for name, type_ in columns(event_class))
    connection.execute(f"create temp table event ({described})")
    structure = json.dumps(_structure(event_class.shape))
    # As a table, not as a parameter: DuckDB looks for pandas, which is not installed, once for each text of a list.
    connection.register("given", pa.table({"text": [json.dumps(event) for event in events]}))
    connection.execute(f"insert into event select unnest(from_json(text, '{structure}')) from given")
    return connection


def _structure(shape: Shape) -> dict[str, Any]:
    return {attribute.name: _typed(attribute) for attribute in shape.attributes}


def _typed(attribute: Attribute) -> Any:
    if attribute.shape:
        inner: Any = _structure(attribute.shape)
    elif attribute.type == "datetime_t":
        inner = "TIMESTAMP"
    else:
        inner = {
            "boolean_t": "BOOLEAN",
            "float_t": "DOUBLE",
            "integer_t": "INTEGER",
            "long_t": "BIGINT",
            "string_t": "VARCHAR",
            "json_t": "JSON",
            "object_t": "JSON",
        }[attribute.base_type]
    return [inner] if attribute.is_list else inner


def broken_rules(event_class: EventClass, connection: duckdb.DuckDBPyConnection) -> list[set[str]]:
    """The names of the rules that each row of the table `event` breaks, in order."""
    cases = ", ".join(f"case when {rule.sql} then '{rule.name}' end" for rule in rules(event_class))
    return [set(row[0]) - {None} for row in connection.execute(f"select [{cases}] from event").fetchall()]
