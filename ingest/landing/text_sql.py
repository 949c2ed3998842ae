"""Judging records that were taken apart as text: typed columns as they came, and how a record breaks its contract.

What belongs here: the step `typed` over the stream of `text_fields`. What does not: event key and time
(`identity_sql`), JSON records (`typing_sql`).
"""

from ingest.contracts import Contract, Field
from ingest.contracts.model import quoted
from ingest.landing.field_paths import Layout
from ingest.landing.identity import IdentitySql
from ingest.landing.read_text import column
from lake.base.sql import listed, literal


class TextSql:
    """The expressions of one contract. `stalls_as` says what a `stall` field's violation does once decided."""

    def __init__(self, contract: Contract, stalls_as: str = "stall") -> None:
        self.contract = contract
        self.layout = Layout(contract)
        self.identity = IdentitySql(contract, self.layout)
        self._stalls_as = stalls_as

    def typed(self) -> str:
        """Return the step `typed`: the contract's columns, `_raw`, where it came from, what is wrong with it."""
        values = ",\n    ".join(
            f"r.{column(at)} as {quoted(each.name)}" for at, each in enumerate(self.contract.fields)
        )
        return f"""typed as (
  select
    {values},
    r.line as _raw, r.object as _source_object, r.row as _source_row, r.arrived_at as _arrived_at,
    {self._rejection()} as __rejection,
    {self._violations()} as _violations
  from decoded as r
)"""

    def _rejection(self) -> str:
        """NULL or the list [reason, field, expected, found] of the first violation."""
        cases = ["when r.problem is not null then [r.problem, '', '', coalesce(r.detail, '')]"]
        for at, each in enumerate(self.contract.fields):
            expected, name = literal(each.type), literal(each.path)
            if self._consequence(each) != "null":
                found = f"left(r.wrong_found[list_position(r.wrong, {name})], 120)"
                wrong = f"r.wrong is not null and list_contains(r.wrong, {name})"
                cases.append(f"when {wrong} then ['wrong_type', {name}, {expected}, {found}]")
            if each.required and not (each.path in self.contract.event_key and self.contract.event_key_fallback):
                cases.append(f"when r.{column(at)} is null then ['missing_field', {name}, {expected}, 'absent']")
        joined = "\n      ".join(cases)
        return f"case {joined}\n    end"

    def _violations(self) -> str:
        """The list of optional fields that were emptied."""
        emptied = [each.path for each in self.contract.fields if self._consequence(each) == "null"]
        kept = f"list_filter(r.wrong, lambda name: list_contains({listed(emptied)}::varchar[], name))"
        return f"case when r.wrong is null then []::varchar[] else {kept} end"

    def _consequence(self, declared: Field) -> str:
        return self._stalls_as if declared.on_violation == "stall" else declared.on_violation
