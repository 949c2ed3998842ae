"""What published events must not say: placeholders of vendors and of mappings, where a value should be absent.

A value is a fact or absent (I11). OCSF requires some attributes, or one of several: such a one may say `Unknown`, and
so may the caption of a number that says it. Nothing of the kind is an observable.
"""

from collections.abc import Iterator
from typing import Any

from lake.ocsf.attributes import Attribute, Shape

PLACEHOLDERS = {"", "-", "unknown", "n/a", "none", "null", "(null)", "undefined", "not available"}
NO_ADDRESS = {"0.0.0.0", "::", "0:0:0:0:0:0:0:0"}  # a socket may listen on them; nobody looks for them
# What people and programs wrote: any text is a fact there. `enrichments` say what reference tables say.
_FREE = {"unmapped", "enrichments", "data", "message", "cmd_line", "value", "reg_string_data", "status_detail", "desc"}


def unfounded(event: dict[str, Any], shape: Shape) -> Iterator[str]:
    """Yield `path = value` of what is no fact in an event or an object of one."""
    yield from _of_object(event, shape, "")
    for each in event.get("observables") or []:
        if _is_placeholder(each["value"]) or each["value"] in NO_ADDRESS:
            yield f"observables {each['name']} = {each['value']!r}"


def _of_object(found: dict[str, Any], shape: Shape, path: str) -> Iterator[str]:
    if found.get("lat") == 0 and found.get("long") == 0:
        yield f"{path}lat, long = 0, 0"
    captions = {each.sibling for each in shape.attributes if each.enum and each.sibling}
    for attribute in shape.attributes:
        value = found.get(attribute.name)
        if value is None or attribute.name in _FREE or attribute.name == "observables":
            continue
        name = f"{path}{attribute.name}"
        for each in value if attribute.is_list else [value]:
            if attribute.shape is not None:
                yield from _of_object(each, attribute.shape, f"{name}.")
            elif attribute.name not in captions and _is_wrong(attribute, each):
                needed = each == "Unknown" and (attribute.required or _is_needed(attribute, found, shape))
                if not needed:
                    yield f"{name} = {each!r}"


def _is_wrong(attribute: Attribute, value: Any) -> bool:
    if attribute.name in ("number", "pid"):  # of an autonomous system, of a process
        return bool(value == 0)
    if attribute.name == "port":
        return not 0 <= value <= 65535
    return _is_placeholder(value)


def _is_needed(attribute: Attribute, found: dict[str, Any], shape: Shape) -> bool:
    """Whether the object needs one of several attributes, and this is the only one that it has."""
    one_of = shape.at_least_one or shape.just_one
    return attribute.name in one_of and all(found.get(each) is None for each in one_of if each != attribute.name)


def _is_placeholder(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    text = value.strip().lower()
    return text in PLACEHOLDERS or (len(text) > 16 and not text.strip("{}-0"))
