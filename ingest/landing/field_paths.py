"""Where in a record a declared field may stand: under its own name or an alias, at each path of the object around it.

Lists are left out everywhere: a list is read and judged as one value.
"""

from ingest.contracts import Contract, Field
from ingest.contracts.model import json_path, split_path

Steps = tuple[str, ...]
RECORD: Steps = ()


def paths_of(declared: Field, holder: Steps) -> list[Steps]:
    """Return the paths of a field below one path of its holder, in the order in which they are tried."""
    return [(*holder, declared.name), *(holder + split_path(alias) for alias in declared.aliases)]


class FieldPaths:
    """The paths of all fields of one contract."""

    def __init__(self, contract: Contract) -> None:
        self.fields = [each for each in contract.walk() if "[*]" not in each.steps]
        self.open_record = contract.open_record
        self._by_steps = {each.steps: each for each in self.fields}
        self._paths: dict[Steps, list[Steps]] = {RECORD: [RECORD]}
        for each in self.fields:
            self._paths[each.steps] = [steps for holder in self.holder_paths(each) for steps in paths_of(each, holder)]

    def holder(self, declared: Field) -> Field | None:
        """Return the object that declares a nested field; None for a field of the record."""
        return self._by_steps[declared.steps[:-1]] if len(declared.steps) > 1 else None

    def holder_paths(self, declared: Field) -> list[Steps]:
        """Return the paths of the object that holds a field."""
        return self._paths[declared.steps[:-1]]

    def of(self, declared: Field) -> list[Steps]:
        """Return all paths of a field."""
        return self._paths[declared.steps]

    def known_names(self) -> dict[str, tuple[str, ...]]:
        """Return, for the record and each object that is not open (JSONPath), the names that are known there.

        Nothing for a contract whose record is open: there any name may come.
        """
        if self.open_record:
            return {}
        known: dict[Steps, list[str]] = {RECORD: []}
        values: set[Steps] = set()
        for each in self.fields:
            for steps in self.of(each):
                for depth in range(len(steps)):
                    known.setdefault(steps[:depth], []).append(steps[depth])
                if each.type == "object":
                    known.setdefault(steps, [])
                elif each.type in ("map", "any"):
                    values.add(steps)
        return {json_path(steps): tuple(dict.fromkeys(names)) for steps, names in known.items() if steps not in values}
