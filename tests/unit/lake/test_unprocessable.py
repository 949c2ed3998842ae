"""The records that fail are found by halves, whatever their number and place; what cannot be told apart is said."""

from collections.abc import Callable

import pytest

from lake.build.unprocessable import NotAlone, Part, Record, is_of_data, is_of_neighbours, isolate, what_was_said

RECORDS = [Record("batch", "object", number) for number in range(1000)]


def failing(bad: Callable[[list[int]], bool], tries: list[Part]) -> Callable[[Part], str]:
    def attempt(part: Part) -> str:
        tries.append(part)
        return "Conversion Error: no" if bad(list(range(part[0].source_row, part[1].source_row + 1))) else ""

    return attempt


@pytest.mark.parametrize("bad", [{0}, {999}, {499, 500}, {3, 4, 5, 700}, set(range(0, 1000, 50))])
def test_the_records_that_fail_are_found(bad: set[int]) -> None:
    tries: list[Part] = []
    found = isolate(RECORDS, failing(lambda numbers: bool(bad & {*numbers}), tries))
    assert sorted(bad) == [record.source_row for record, _ in found]
    assert {"Conversion Error: no"} == {why for _, why in found}
    assert len(tries) <= 20 * len(bad)


@pytest.mark.parametrize("bad", [lambda numbers: True, lambda numbers: len(numbers) > 1])
def test_what_cannot_be_told_apart_is_said_soon(bad: Callable[[list[int]], bool]) -> None:
    tries: list[Part] = []
    with pytest.raises(NotAlone):
        isolate(RECORDS, failing(bad, tries))
    assert len(tries) < 100


def test_nothing_is_found_of_nothing() -> None:
    assert [] == isolate([], failing(lambda numbers: True, []))


HEAD = "Runtime Error in model x (models/x.sql)\n  "


@pytest.mark.parametrize(
    ("message", "of_data"),
    [
        ("Conversion Error: Could not convert string 'a' to INT32\nLINE 1: select", True),
        ("Invalid Input Error: JSON path error near '{HOME}'", True),
        ("Out of Range Error: Overflow in multiplication", True),
        ("INTERNAL Error: Attempted to access index 1", True),
        ("Out of Memory Error: failed to pin block", False),
        ("IO Error: No files found", False),
        ("INTERRUPT Error: Interrupted!", False),
        ("Binder Error: Referenced column not found", False),
        ("Catalog Error: Table does not exist", False),
    ],
)
def test_only_data_are_tried_in_halves(message: str, of_data: bool) -> None:
    assert (of_data, of_data) == (is_of_data(message), is_of_data(HEAD + message))
    assert message.partition("\nLINE")[0] == what_was_said(HEAD + message)


def test_a_dead_database_is_its_neighbours() -> None:
    said = "FATAL Error: Failed: database has been invalidated because of a previous fatal error"
    assert (True, False) == (is_of_neighbours(said), is_of_data(said))
    assert not is_of_data("Compilation Error in model x (models/x.sql)\n  RowsChanged: the mapping gave 3 rows")
