"""Contracts: what a source promises, read from its ODCS file."""

from ingest.contracts.model import Contract, CoverageRule, EventTime, Field, Format, ServiceLevel
from ingest.contracts.odcs import load_contract, load_contracts, read_contracts
from ingest.contracts.properties import ContractError

__all__ = [
    "Contract",
    "ContractError",
    "CoverageRule",
    "EventTime",
    "Field",
    "Format",
    "ServiceLevel",
    "load_contract",
    "load_contracts",
    "read_contracts",
]
