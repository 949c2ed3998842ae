"""Mutated records of every source land or go to quarantine, and none of them stops a batch.

Few of each, since sources are many: `make fuzz` and the storm land the many (see `tests.fuzz`).
"""

from pathlib import Path

import pytest

from tests.fuzz.landing import batch, land_batch, sources


@pytest.mark.parametrize("source", sources())
def test_mutated_records_are_accounted_for_and_stop_nothing(tmp_path: Path, source: str) -> None:
    name, data = batch(source, seed=12, number=0, records=200)
    counts = land_batch(tmp_path, source, name, data, 200)
    assert not counts.wrong, counts
    assert not counts.unprocessable, counts
    assert counts.landed > 50
    assert counts.by_reason
