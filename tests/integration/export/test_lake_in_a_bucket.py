"""Exports of a lake in a bucket: the unit tests that depend on the store, with another store."""

from pathlib import Path

import pytest

from tests.unit.export import test_push, test_rows_of_files, test_status
from tests.unit.export import test_push_faults as faults
from tests.unit.export.lakes import SmallLake
from tests.unit.lake.stores import opened


@pytest.fixture
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> SmallLake:
    return SmallLake(opened("bucket", tmp_path, request)(), tmp_path)


class TestInABucket:
    test_a_push = test_push.TestReceipts.test_a_push_leaves_a_receipt_of_what_was_pushed_and_what_is_there
    test_refused = test_push.TestRefused.test_refused_rows_are_kept_whole_with_the_destinations_own_code_until_they_go
    refused = staticmethod(test_push.TestRefused.refused)
    test_read_again = faults.TestFaults.test_an_hour_built_anew_while_it_is_read_is_read_again
    test_journal = faults.TestFaults.test_an_hour_whose_new_file_is_there_before_its_receipt_is_read_when_both_are
    test_at_once = faults.TestFaults.test_two_pushes_at_once_push_once
    test_left = (
        test_status.TestSourcesThatLeave
    ).test_a_source_whose_model_the_project_has_no_longer_leaves_the_destination
    test_damaged = test_rows_of_files.TestHours.test_a_damaged_file_is_told_in_one_line
