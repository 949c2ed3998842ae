"""Contracts: what a source promises, read from its ODCS file."""

from ingest.contracts.fields import ContractError
from ingest.contracts.model import Contract, CoverageRule, EventTime, Field, Format, ServiceLevel
from ingest.contracts.odcs import contract_of, load_contract, load_contracts, read_contracts, source_names

__all__ = [
    "Contract",
    "ContractError",
    "CoverageRule",
    "EventTime",
    "Field",
    "Format",
    "ServiceLevel",
    "contract_of",
    "load_contract",
    "load_contracts",
    "read_contracts",
    "source_names",
]
