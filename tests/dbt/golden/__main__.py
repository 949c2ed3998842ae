"""`python -m tests.dbt.golden [CASE]`: write the expected events of all cases, or of those named so, anew."""

import sys

import pytest

TESTS = (
    "tests/dbt/test_golden.py::test_records_become_the_expected_events",
    "tests/dbt/test_gold_lateral_movement.py::test_the_finding_is_the_one_that_was_reviewed",
)

if __name__ == "__main__":
    chosen = ["-k", " or ".join(sys.argv[1:])] if sys.argv[1:] else []
    sys.exit(pytest.main([*TESTS, "--write-golden", *chosen]))
