"""What the `layouts.py` of several sources share: an event is taken out of the documents around it, and gets its
contract's names.

Names are compared without regard to case, underscores, hyphens and blanks: `userPrincipalName`, `UserPrincipalName` and
`user_principal_name` are one. Names that no contract has stay as they are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

Record = dict[str, Any]

_MOST_HOLDERS: Final = 6
_JSON: Final = msgspec.json.Decoder()
_UNSEEN: Final = str.maketrans("", "", "_- ")


def key(name: str) -> str:
    """Return what is compared of a name."""
    return name.translate(_UNSEEN).lower()


def taken_out(
    record: Record, is_event: Callable[[Record], bool], holders: Iterable[str], prefixes: Iterable[str] = ()
) -> tuple[Record, Record]:
    """Return the event inside other documents, and what stood beside it; the record itself where none holds an event.

    `holders` are paths of the objects, or texts of JSON, that may hold it. `prefixes` are what joins names instead of
    objects begin with (`azure.signinlogs.`).
    """
    beside: Record = {}
    for _ in range(_MOST_HOLDERS):
        if is_event(record):
            break
        record = _unjoined(record, prefixes)
        for path in holders:
            around, name = _holder(record, path)
            event = read_json(around.get(name))
            if isinstance(event, dict) and event:
                del around[name]
                beside |= {each: value for each, value in record.items() if each not in beside}
                record = event
                break
        else:
            break
    return record, beside


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return the same with own names (by `key`) at every depth, without nulls; texts of objects and lists are read."""
    value = read_json(value)
    if isinstance(value, list):
        return [renamed(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    made: Record = {}
    for name, each in value.items():
        if each is not None:
            own = names.get(key(name), name)
            made[own if own not in made else name] = renamed(each, names)
    return made


def names_by_key(*names: Iterable[str]) -> dict[str, str]:
    """Return names by what is compared of them."""
    return {key(name): name for listed in names for name in listed}


def read_json(value: Any) -> Any:
    """Return what a text of JSON holds; other values as they are."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return _JSON.decode(value)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return value
    return value


def not_told(beside: Record, event: Record) -> Record:
    """Return what stood beside an event and says what the event does not."""
    told = set(_leaves(event))
    return {name: value for name, value in beside.items() if not set(_leaves(value)) <= told}


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif value is not None and value != "":
        yield str(value)


def _holder(record: Record, path: str) -> tuple[Record, str]:
    *steps, name = (path,) if path in record else path.split(".")
    for step in steps:
        inner = record.get(step)
        record = inner if isinstance(inner, dict) else {}
    return record, name


def _unjoined(record: Record, prefixes: Iterable[str]) -> Record:
    """The same with objects instead of names that are joined by dots, where these begin with a prefix."""
    joined = tuple(prefixes)
    if not joined or not any(name.startswith(joined) for name in record):
        return record
    made: Record = {}
    for name, value in record.items():
        *steps, last = name.split(".") if name.startswith(joined) else (name,)
        at = made
        for step in steps:
            inner = at.setdefault(step, {})
            at = inner if isinstance(inner, dict) else made
        at[last] = value
    return made
