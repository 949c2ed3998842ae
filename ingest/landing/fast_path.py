"""Reading records that keep their contract's types in one parse, and telling which records those are.

`FastPath` marks each record while it streams by: a contract as msgspec types. They take less than a contract accepts
wherever msgspec and DuckDB might read one text in two ways; they never take more. `FastPathSql` has the expressions
that read such records. All others are read and judged by `read_json.StrictSql`.

DuckDB compares the names of a STRUCT without regard to case. Paths that cannot stand side by side in one shape
(`Channel` and `channel`, a map and a field inside it) go to further shapes, each one more parse.
"""

import json
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
from ingest.landing.fields import FieldPaths, Steps, paths_of
from lake.base.sql import coalesced, literal, quoted

KEPT, TYPES_KEPT, UNKNOWN = 0, 1, 2  # the contract kept; kept but for unknown fields; to be judged by StrictSql
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
Marks = npt.NDArray[np.int8]


class FastPath:
    """Tells which records of one contract keep its types.

    Above `TYPES_KEPT` a mark only says that the strict reading has to look.
    """

    def __init__(self, paths: FieldPaths) -> None:
        tree = _tree(paths)
        self._strict: Decode = msgspec.json.Decoder(_struct(tree, forbid=not paths.open_record)).decode
        self._lenient: Decode = msgspec.json.Decoder(_struct(tree, forbid=False)).decode
        self._expect_unknown_fields = False

    def check(self, lines: pa.StringArray) -> Marks:
        """Return the mark of each record text: `KEPT`, `TYPES_KEPT` or `UNKNOWN`.

        Where most records of a batch carry unknown fields, the next batch is not asked whether they do.
        """
        found = np.fromiter(self._marks(lines), dtype=np.int8, count=len(lines))
        self._expect_unknown_fields = len(found) > 0 and float(np.mean(found == TYPES_KEPT)) > _MOSTLY
        return found

    def _marks(self, lines: pa.StringArray) -> Iterator[int]:
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
    """One name in a record: the field whose value is there, the names inside it."""

    inside: dict[str, "_Node"] = field(default_factory=dict)
    owner: Field | None = None  # whose value is here
    clash: bool = False  # no value can be judged in advance: fields of different types, or of another layout
    first_inside: set[str] = field(default_factory=set)  # paths of the fields read from inside before from here


def _tree(paths: FieldPaths) -> _Node:
    top = _Node()
    for each in paths.fields:
        for holder in paths.holder_paths(each):
            for steps in paths_of(each, holder):
                node = top
                for step in steps:
                    if node.owner is None:
                        node.first_inside.add(each.path)
                    node = node.inside.setdefault(step, _Node())
                if node.owner is not None and _type_of(node.owner) != _type_of(each):
                    node.clash = True
                node.owner = node.owner or each
        if paths.has_layouts and len(each.steps) == 2:  # names joined instead of objects are another layout
            for mark in "._":
                top.inside.setdefault(mark.join(each.steps), _Node(owner=each, clash=True))
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
            fields.append((attribute, accepted | None if accepted else None, None))
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
        # A scalar with aliases inside itself ({"#text": 1} or 1): the object must then hold one that is read first.
        inside = _struct(node, forbid=forbid, required=True)
    else:
        return _union(kinds)
    return _union({**kinds, "object": inside})


def _kinds(declared: Field, *, forbid: bool) -> dict[str, Any]:
    """The msgspec types of a field's values by JSON type."""
    if declared.type == "any":
        return {"any": _Any}
    kinds: dict[str, Any] = {}
    unfolded = declared.type in ("object", "map", "array")  # what else they accept StrictSql turns into them
    for name in (declared.type,) if unfolded else (declared.type, *declared.accepts):
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


class FastPathSql:
    """The expressions of one contract over the columns `__shape0`, `__shape1`, …"""

    def __init__(self, paths: FieldPaths) -> None:
        self._paths = paths
        self._shapes: list[dict[str, Any]] = []
        self._closed: set[tuple[int, Steps]] = set()  # objects that are taken whole: nothing may be added to them
        self._at: dict[Steps, int] = {}
        for each in paths.fields:
            if self._placed_whole(each):
                for steps in paths.of(each):
                    self._place(steps, each)

    def shapes(self) -> list[tuple[str, str]]:
        """Return (column, expression) of each shape, over one decoded row `r`."""
        return [
            (f"__shape{number}", f"try(from_json(r.line, {literal(json.dumps(_filled(shape)))}))")
            for number, shape in enumerate(self._shapes)
        ]

    def value(self, declared: Field) -> str:
        """Return an expression for a field of the record, typed as in bronze."""
        return self._value(declared, ())

    def lacks_required(self) -> list[str]:
        """Return conditions under which a required field is absent, as far as `FastPath` leaves them open."""
        found = []
        for each in self._paths.fields:
            if each.required and each.aliases:
                for holder in self._paths.holder_paths(each):
                    present = f"{self._whole(holder)} is not null and " if holder else ""
                    found.append(f"({present}{self._value(each, holder)} is null)")
        return found

    def _value(self, declared: Field, holder: Steps) -> str:
        paths = paths_of(declared, holder)
        if declared.type != "object" or _plain(declared):
            return coalesced(self._whole(steps) for steps in paths)
        cases = " ".join(
            f"when {self._whole(steps)} is not null then {self._packed(declared, steps)}" for steps in paths
        )
        return f"case {cases} end"

    def _packed(self, declared: Field, steps: Steps) -> str:
        parts = (f"{quoted(each.name)} := {self._value(each, steps)}" for each in declared.properties)
        return f"struct_pack({', '.join(parts)})"

    def _whole(self, steps: Steps) -> str:
        column = f"__shape{self._at[steps]}"
        return ".".join((column, *(quoted(step) for step in steps)))

    def _placed_whole(self, declared: Field) -> bool:
        """Whether a field has a place of its own: not when an object above it is taken whole."""
        holder = self._paths.holder(declared)
        return holder is None or (not _plain(holder) and self._placed_whole(holder))

    def _place(self, steps: Steps, declared: Field) -> None:
        whole = declared.type != "object" or _plain(declared)
        shape = declared.from_json_shape if whole else {}
        for number in range(len(self._shapes) + 1):
            if number == len(self._shapes):
                self._shapes.append({})
            if self._fits(number, steps, shape, whole):
                self._at[steps] = number
                if whole and declared.type == "object":
                    self._closed.add((number, steps))
                return

    def _fits(self, number: int, steps: Steps, shape: object, whole: bool) -> bool:
        """Put a shape at its place, unless something else is there."""
        node: object = self._shapes[number]
        for depth, step in enumerate(steps):
            if not isinstance(node, dict) or (number, steps[:depth]) in self._closed:
                return False
            if step not in node:
                if step.lower() in (name.lower() for name in node):
                    return False
                break
            node = node[step]
        else:
            return node == shape if whole else isinstance(node, dict)
        target = self._shapes[number]
        for step in steps[:-1]:
            target = target.setdefault(step, {})
        target[steps[-1]] = shape
        return True


def _filled(node: object) -> object:
    """A shape without empty structs, which DuckDB does not know: what has no names is only looked at for presence."""
    if not isinstance(node, dict):
        return node
    return {name: _filled(each) for name, each in node.items()} or "JSON"


def _plain(declared: Field) -> bool:
    """Whether nothing inside a field has an alias."""
    return not any(each.aliases for each in declared.walk() if each is not declared)
