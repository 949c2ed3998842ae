"""Which records keep their contract's types, seen while they stream by and before SQL looks at them.

What belongs here: a contract as msgspec types, and the flag of each record. What does not: saying what is wrong with a
record, and being right about every record: a flag above `TYPES_KEPT` only means that the careful reading has to look
(`careful_sql`). The types here take less than a contract accepts wherever msgspec and DuckDB might read one text in two
ways; they never take more.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.contracts import Field
from ingest.landing.field_paths import Layout, spellings

KEPT, TYPES_KEPT, UNKNOWN = 0, 1, 2  # the contract kept; kept but for unknown fields; to be read carefully
_MOSTLY = 0.5

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
# Numbers whose text is the same whoever writes it, and texts that can only be read in one way.
_Number = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
_TEXTS: dict[str, Any] = {
    "integer": Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,18}\Z")],
    "number": Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,15})?\Z")],
    "boolean": Annotated[str, msgspec.Meta(pattern=r"^(true|false)\Z")],
}
_Any = msgspec.Raw
_Open = msgspec.defstruct("Open", [], gc=False)

Decode = Callable[[memoryview], Any]


class Precheck:
    """Sets the flag of each record of one contract."""

    def __init__(self, layout: Layout) -> None:
        tree = _tree(layout)
        self._strict: Decode = msgspec.json.Decoder(_struct(tree, forbid=not layout.open_record)).decode
        self._lenient: Decode = msgspec.json.Decoder(_struct(tree, forbid=False)).decode
        self._expect_unknown_fields = False

    def flags(self, lines: pa.StringArray) -> npt.NDArray[np.int8]:
        """Return the flag of each record text: `KEPT`, `TYPES_KEPT` or `UNKNOWN`.

        Where most records of a batch carry unknown fields, the next batch is not asked whether they do.
        """
        found = np.fromiter(self._flags(lines), dtype=np.int8, count=len(lines))
        self._expect_unknown_fields = len(found) > 0 and float(np.mean(found == TYPES_KEPT)) > _MOSTLY
        return found

    def _flags(self, lines: pa.StringArray) -> Iterator[int]:
        _, offsets, text = lines.buffers()
        bounds = np.frombuffer(offsets, dtype=np.int32)[lines.offset : lines.offset + len(lines) + 1].tolist()
        data = memoryview(text if text is not None else b"")
        strict, lenient, hopeless = self._strict, self._lenient, self._expect_unknown_fields
        begin = bounds[0]
        for end in bounds[1:]:
            record = data[begin:end]
            begin = end
            if not hopeless:
                try:
                    strict(record)
                except (msgspec.MsgspecError, RecursionError, ValueError):
                    pass
                else:
                    yield KEPT
                    continue
            try:
                lenient(record)
            except (msgspec.MsgspecError, RecursionError, ValueError):
                yield UNKNOWN
            else:
                yield TYPES_KEPT


@dataclass
class _Node:
    """One name in a record: the field that stands there as a value, the names inside it."""

    inside: dict[str, "_Node"] = field(default_factory=dict)
    owner: Field | None = None  # whose value stands here
    clash: bool = False  # fields of different types stand here: no value can be judged in advance
    first_inside: set[str] = field(default_factory=set)  # paths of the fields read from inside before from here


def _tree(layout: Layout) -> _Node:
    top = _Node()
    for each in layout.fields:
        for holder in layout.holder_places(each):
            for steps in spellings(each, holder):
                node = top
                for step in steps:
                    if node.owner is None:
                        node.first_inside.add(each.path)
                    node = node.inside.setdefault(step, _Node())
                if node.owner is not None and _type_of(node.owner) != _type_of(each):
                    node.clash = True
                node.owner = node.owner or each
    return top


def _type_of(declared: Field) -> tuple[object, ...]:
    return declared.type, declared.accepts, declared.items, declared.properties


def _struct(node: _Node, *, forbid: bool, required: bool = False) -> Any:
    """A msgspec type of an object with the names of a node. `required`: each name must be there, and not null."""
    fields: list[Any] = []
    rename: dict[str, str] = {}
    for number, (name, each) in enumerate(node.inside.items()):
        attribute = f"f{number}"
        rename[attribute] = name
        must = required or (each.owner is not None and each.owner.required and not each.owner.aliases)
        accepted = _accepted(each, forbid=forbid)
        if accepted is _Any:
            fields.append((attribute, _Any, _Any()))
        elif must:
            fields.append((attribute, accepted))
        else:
            fields.append((attribute, accepted | None, None))
    fields.sort(key=len)  # those without a default come first
    return msgspec.defstruct("Object", fields, rename=rename, forbid_unknown_fields=forbid, gc=False)


def _accepted(node: _Node, *, forbid: bool) -> Any:
    """The msgspec type of the values of a node; None, which only null is, where no value can be judged in advance."""
    owner = node.owner
    if owner is None:
        return _struct(node, forbid=forbid)
    if node.clash:
        return None
    kinds = _kinds(owner, forbid=forbid)
    if not node.inside:
        return _union(kinds)
    kinds.pop("object", None)
    if owner.type == "object":
        inside: Any = _struct(node, forbid=forbid)
    elif owner.type == "map" or "object" in owner.accepts:
        inside = _struct(node, forbid=False)
    elif "any" in kinds:
        return None
    elif node.first_inside == {owner.path}:
        # A scalar with spellings inside itself ({"#text": 1} or 1): the object must then hold one that is read first.
        inside = _struct(node, forbid=forbid, required=True)
    else:
        return _union(kinds)
    return _union({**kinds, "object": inside})


def _kinds(declared: Field, *, forbid: bool) -> dict[str, Any]:
    """The msgspec types of a field's values by JSON type."""
    if declared.type == "any":
        return {"any": _Any}
    kinds: dict[str, Any] = {}
    for name in (declared.type, *declared.accepts):
        if name == "string":
            kinds["string"] = _TEXTS.get(declared.type, str)
        elif name == "integer":
            kinds["integer"] = _Int64
        elif name == "number":
            if declared.type == "number":
                kinds["number"] = _Number
        elif name == "boolean":
            kinds["boolean"] = bool
        elif name in ("object", "map"):
            kinds["object"] = _Open
        else:
            kinds["array"] = list[_element(declared.items)]  # type: ignore[misc]
    if "number" in kinds:
        kinds.pop("integer", None)  # a float takes whole numbers as well
    return kinds


def _element(items: Field | None) -> Any:
    if items is None or items.type == "any":
        return _Any
    kinds = _kinds(items, forbid=False)
    if items.type == "object":
        node = _Node({each.name: _Node(owner=each) for each in items.properties})
        kinds["object"] = _listed_struct(node)
    return _union(kinds) | None


def _listed_struct(node: _Node) -> Any:
    """Objects in lists: nothing inside them is required, their unknown fields are not counted."""
    fields: list[Any] = []
    rename: dict[str, str] = {}
    for number, (name, each) in enumerate(node.inside.items()):
        assert each.owner is not None
        rename[f"f{number}"] = name
        accepted = _element(each.owner)
        default = _Any() if accepted is _Any else None
        fields.append((f"f{number}", accepted, default))
    return msgspec.defstruct("Element", fields, rename=rename, gc=False)


def _union(kinds: dict[str, Any]) -> Any:
    return reduce(or_, kinds.values())
