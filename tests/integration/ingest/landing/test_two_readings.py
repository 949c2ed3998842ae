"""The fast path and the strict reading give the same row for the records of every vendor's contract."""

import pytest

from ingest.contracts import load_contracts
from tests.unit.ingest.landing.test_two_readings import both_readings_agree

CONTRACTS = {name: each for name, each in load_contracts().items() if not each.format.is_text}


@pytest.mark.parametrize("source", sorted(CONTRACTS))
def test_both_readings_agree_on_any_record_that_may_be_read_quickly(source: str) -> None:
    both_readings_agree(CONTRACTS[source])
