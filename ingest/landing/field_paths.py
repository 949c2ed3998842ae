"""Where in a record a declared field may stand: under its own name, or under an alias, in each of its holder's places.

What belongs here: paths as steps. What does not: SQL that reads them (`clean_sql`, `careful_sql`), types (`precheck`).

Lists are left out everywhere: a list is read and judged as one value.
"""

from ingest.contracts import Contract, Field
from ingest.contracts.paths import json_path, split_path

Steps = tuple[str, ...]
RECORD: Steps = ()


def spellings(declared: Field, holder: Steps) -> list[Steps]:
    """Return the places of a field in one place of its holder, in the order in which they are tried."""
    return [(*holder, declared.name), *(holder + split_path(alias) for alias in declared.aliases)]


class Layout:
    """The places of all fields of one contract."""

    def __init__(self, contract: Contract) -> None:
        self.fields = [each for each in contract.walk() if "[*]" not in each.steps]
        self.open_record = contract.open_record
        self._by_steps = {each.steps: each for each in self.fields}
        self._places: dict[Steps, list[Steps]] = {RECORD: [RECORD]}
        for each in self.fields:
            self._places[each.steps] = [
                steps for holder in self.holder_places(each) for steps in spellings(each, holder)
            ]

    def holder(self, declared: Field) -> Field | None:
        """Return the object that declares a nested field; None for a field of the record."""
        return self._by_steps[declared.steps[:-1]] if len(declared.steps) > 1 else None

    def holder_places(self, declared: Field) -> list[Steps]:
        """Return the places of the object that holds a field."""
        return self._places[declared.steps[:-1]]

    def places(self, declared: Field) -> list[Steps]:
        """Return all places of a field."""
        return self._places[declared.steps]

    def known_names(self) -> dict[str, tuple[str, ...]]:
        """Return, for the record and each object that is not open (JSONPath), the names that are known there.

        Nothing for a contract whose record is open: there any name may come.
        """
        if self.open_record:
            return {}
        known: dict[Steps, list[str]] = {RECORD: []}
        values: set[Steps] = set()
        for each in self.fields:
            for steps in self.places(each):
                for depth in range(len(steps)):
                    known.setdefault(steps[:depth], []).append(steps[depth])
                if each.type == "object":
                    known.setdefault(steps, [])
                elif each.type in ("map", "any"):
                    values.add(steps)
        return {json_path(steps): tuple(dict.fromkeys(names)) for steps, names in known.items() if steps not in values}
