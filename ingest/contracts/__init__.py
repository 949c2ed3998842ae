"""Contracts: what a source promises, read from its ODCS file.

Belongs here: the contract's own words (`model`), paths into records (`paths`), the DuckDB types that
follow from declared types (`model`), reading and checking ODCS v3 YAML (`odcs`, `fields`, `durations`).
Does not belong here: reading records, deciding what is quarantined, dbt or documentation text.
"""

from ingest.contracts.model import Contract, CoverageRule, EventTime, Field, Format, Leaf, ServiceLevel
from ingest.contracts.odcs import ContractError, load_contract, load_contracts

__all__ = [
    "Contract",
    "ContractError",
    "CoverageRule",
    "EventTime",
    "Field",
    "Format",
    "Leaf",
    "ServiceLevel",
    "load_contract",
    "load_contracts",
]
