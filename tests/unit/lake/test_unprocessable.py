"""The records that fail are found by halves, whatever their number and place; what cannot be told apart is said."""

import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

import pytest

from lake.build.unprocessable import NotAlone, Part, Record, is_of_data, is_of_neighbours, isolate, what_was_said

RECORDS = [Record("batch", "object", number) for number in range(1000)]
MANY = [Record("batch", "object", number) for number in range(100_000)]


def failing(bad: Callable[[range], bool], tries: list[Part]) -> Callable[[Part], str]:
    def attempt(part: Part) -> str:
        tries.append(part)
        return "Conversion Error: no" if bad(range(part[0].source_row, part[1].source_row + 1)) else ""

    return attempt


def _any_of(bad: Iterable[int]) -> Callable[[range], bool]:
    places = sorted(bad)
    return lambda numbers: bisect_left(places, numbers.start) < bisect_left(places, numbers.stop)


@pytest.mark.parametrize("bad", [{0}, {999}, {499, 500}, {3, 4, 5, 700}, set(range(0, 1000, 50))])
def test_the_records_that_fail_are_found(bad: set[int]) -> None:
    tries: list[Part] = []
    found = isolate(RECORDS, failing(_any_of(bad), tries))
    assert sorted(bad) == [record.source_row for record, _ in found]
    assert {"Conversion Error: no"} == {why for _, why in found}
    assert len(tries) <= 20 * len(bad)


def test_one_of_a_hundred_thousand_is_found_by_few_tries() -> None:
    tries: list[Part] = []
    (found,) = isolate(MANY, failing(lambda numbers: 77_777 in numbers, tries))
    assert MANY[77_777] == found[0]
    assert len(tries) <= 25


@pytest.mark.parametrize("bad", [range(150), range(60_000, 60_150), random.Random(1).sample(range(100_000), 20)])
def test_many_in_a_row_and_some_all_over_are_found(bad: Sequence[int]) -> None:
    found = isolate(MANY, failing(_any_of(bad), []))
    assert sorted(bad) == [record.source_row for record, _ in found]


@pytest.mark.parametrize(
    ("records", "bad"),
    [
        (RECORDS, lambda numbers: True),
        (RECORDS, lambda numbers: len(numbers) > 1),
        (MANY, lambda numbers: True),
        (MANY, lambda numbers: len(numbers) > 1 or numbers[0] % 2),
        (MANY, lambda numbers: len(numbers) > 9 or any(number % 10 == 0 for number in numbers)),
        (MANY, lambda numbers: numbers[0] < 50_000),
        (MANY, lambda numbers: numbers[-1] >= 50_000),
    ],
    ids=["all", "together", "all of many", "every second", "every tenth", "the first half", "the second half"],
)
def test_what_cannot_be_told_apart_or_is_too_much_is_said_soon(
    records: Sequence[Record], bad: Callable[[range], bool]
) -> None:
    """The hour is read twice at most by some dozens of tries."""
    tries: list[Part] = []
    with pytest.raises(NotAlone):
        isolate(records, failing(bad, tries))
    assert len(tries) < 80
    assert sum(last.source_row - first.source_row + 1 for first, last in tries) < 2.5 * len(records)


def test_the_tries_have_an_end() -> None:
    tries: list[Part] = []
    with pytest.raises(NotAlone, match=r"50 tries have found \d+ records that fail among the first .* of 1,000"):
        isolate(RECORDS, failing(_any_of(range(0, 1000, 50)), tries), 50)
    assert 50 == len(tries)


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
