"""A contract as SQL: typed columns, event key and time, and for every record that breaks the contract, how.

What belongs here: putting the two ways of reading together. What does not: either of them. `clean_sql` reads records
of which `precheck` says that they keep their types; `careful_sql` reads and judges all others, and also those of the
first kind that turn out to lack a required field or not to parse. Both give the same row for the same record
(tests/unit/ingest/landing/test_two_readings.py).
"""

from functools import cached_property

from ingest.contracts import Contract
from ingest.landing.fast_path_sql import CleanSql
from ingest.landing.field_paths import Layout
from ingest.landing.identity import IdentitySql
from ingest.landing.read_json import CarefulSql


class ContractSql:
    """The expressions of one contract. `stalls_as` says what a `stall` field's violation does once decided."""

    def __init__(self, contract: Contract, stalls_as: str = "stall") -> None:
        self.contract = contract
        self.layout = Layout(contract)
        self.clean = CleanSql(self.layout)
        self.careful = CarefulSql(contract, self.layout, stalls_as)
        self.identity = IdentitySql(contract, self.layout)

    @cached_property
    def columns(self) -> list[tuple[str, str]]:
        """Return (name, expression) of each top-level field, in the contract's order."""
        return [
            (each.name, f"case when __careful then {self.careful.value(each)} else {self.clean.value(each)} end")
            for each in self.contract.fields
        ]

    def is_careful(self) -> str:
        """Return a condition, never NULL: whether a record is read the careful way."""
        doubts = [
            "r.checked > 1",
            *(f"{name} is null" for name, _ in self.clean.shapes()),
            *self.clean.lacks_required(),
        ]
        return f"r.problem is null and ({' or '.join(doubts)})"

    def rejection(self) -> str:
        """Return an expression that is NULL or the list [reason, field, expected, found] of the first violation."""
        problem = "[r.problem, '', '', coalesce(r.detail, '')]"
        return f"case when r.problem is not null then {problem}\n    when __careful then {self.careful.rejection()} end"

    def violations(self) -> str:
        """Return an expression for the list of optional fields that were emptied."""
        return f"case when __careful then {self.careful.violations()} else []::varchar[] end"
