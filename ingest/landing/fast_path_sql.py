"""Values of records that are known to keep their contract's types: read in one parse, taken as they come.

What belongs here: the shapes that `from_json` parses into, and expressions over them. What does not: judging
(`careful_sql`), and knowing which records may be read so (`precheck`).

A shape is a tree of names, and DuckDB compares the names of a STRUCT without regard to case. Spellings that cannot
stand side by side (`Channel` and `channel`, a map and a field inside it) go to further shapes, each one more parse.
"""

import json
from typing import Any

from ingest.contracts import Field
from ingest.contracts.model import quoted
from ingest.landing.field_paths import Layout, Steps, spellings
from lake.base.sql import coalesced, literal

Node = dict[str, Any]  # name → DuckDB type, one-element list, or a Node


class CleanSql:
    """The expressions of one contract over the columns `__shape0`, `__shape1`, …"""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._shapes: list[Node] = []
        self._closed: set[tuple[int, Steps]] = set()  # objects that are taken whole: nothing may be added to them
        self._at: dict[Steps, int] = {}
        for each in layout.fields:
            if self._placed_whole(each):
                for steps in layout.places(each):
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
        """Return conditions under which a required field is absent, as far as `precheck` leaves them open."""
        found = []
        for each in self._layout.fields:
            if each.required and each.aliases:
                for holder in self._layout.holder_places(each):
                    present = f"{self._whole(holder)} is not null and " if holder else ""
                    found.append(f"({present}{self._value(each, holder)} is null)")
        return found

    def _value(self, declared: Field, holder: Steps) -> str:
        places = spellings(declared, holder)
        if declared.type != "object" or _plain(declared):
            return coalesced(self._whole(steps) for steps in places)
        cases = " ".join(
            f"when {self._present(declared, steps)} then {self._packed(declared, steps)}" for steps in places
        )
        return f"case {cases} end"

    def _packed(self, declared: Field, steps: Steps) -> str:
        parts = (f"{quoted(each.name)} := {self._value(each, steps)}" for each in declared.properties)
        return f"struct_pack({', '.join(parts)})"

    def _present(self, declared: Field, steps: Steps) -> str:
        return f"{self._whole(steps)} is not null"

    def _whole(self, steps: Steps) -> str:
        column = f"__shape{self._at[steps]}"
        return ".".join((column, *(quoted(step) for step in steps)))

    def _placed_whole(self, declared: Field) -> bool:
        """Whether a field has a place of its own: not when an object above it is taken whole."""
        holder = self._layout.holder(declared)
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
    """Whether nothing inside a field has a second spelling."""
    return not any(each.aliases for each in declared.walk() if each is not declared)
