"""The records that fail are found by halves, whatever their number and place; what cannot be told apart is said."""

import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

import pytest

from lake.build.search import NotAlone, isolate
from lake.build.unprocessable import Part, Record, is_of_data, is_of_neighbours, what_was_said

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
    assert sorted(bad) == sorted(record.source_row for record, _ in found.alone)
    assert {"Conversion Error: no"} == {why for _, why in found.alone}
    assert not found.together and not found.held_back
    assert len(tries) <= 16 + 20 * len(bad)


def test_one_of_a_hundred_thousand_is_found_by_few_tries() -> None:
    tries: list[Part] = []
    found = isolate(MANY, failing(lambda numbers: 77_777 in numbers, tries))
    assert [MANY[77_777]] == [record for record, _ in found.alone]
    assert len(tries) <= 16 + 25


@pytest.mark.parametrize(
    "bad",
    [
        range(150),
        range(60_000, 60_150),
        random.Random(1).sample(range(100_000), 20),
        random.Random(2).sample(range(100_000), 300),
    ],
)
def test_many_in_a_row_and_some_all_over_are_found(bad: Sequence[int]) -> None:
    found = isolate(MANY, failing(_any_of(bad), []))
    assert sorted(bad) == sorted(record.source_row for record, _ in found.alone)


@pytest.mark.parametrize(
    ("records", "bad", "most"),
    [
        (RECORDS[:30], lambda numbers: True, 60),
        (RECORDS, lambda numbers: True, 16),
        (RECORDS, lambda numbers: len(numbers) > 1, 2100),
        (MANY, lambda numbers: True, 16),
        (MANY, lambda numbers: len(numbers) > 1 or numbers[0] % 2, 400),
        (MANY, lambda numbers: len(numbers) > 9 or any(number % 10 == 0 for number in numbers), 400),
        (MANY, lambda numbers: numbers[0] < 50_000, 16),
        (MANY, lambda numbers: numbers[-1] >= 50_000, 16),
    ],
    ids=[
        "of few",
        "all",
        "together",
        "all of many",
        "every second",
        "every tenth",
        "the first half",
        "the second half",
    ],
)
def test_what_cannot_be_told_apart_or_is_too_much_is_said_soon(
    records: Sequence[Record], bad: Callable[[range], bool], most: int
) -> None:
    tries: list[Part] = []
    with pytest.raises(NotAlone):
        isolate(records, failing(bad, tries))
    assert len(tries) <= most


def test_records_that_fail_together_alone_are_kept_out_together() -> None:
    found = isolate(RECORDS, failing(lambda numbers: 40 in numbers and 41 in numbers, []))
    assert [{39, 40, 41}] == [{record.source_row for record in part} & {39, 40, 41} for part, _ in found.together]
    assert not found.alone and len(found.together[0][0]) < 500


def _of(part: Iterable[Record]) -> set[int]:
    return {record.source_row for record in part}


def test_what_the_tries_do_not_reach_is_held_back_and_searched_by_the_next_build() -> None:
    bad, known, suspected = set(range(7, 100_000, 3000)), set[int](), frozenset[Record]()
    builds = 0
    while builds == 0 or suspected:
        builds += 1
        found = isolate(MANY, failing(_any_of(bad - known), []), 300, suspected)
        known |= _of(record for record, _ in found.alone)
        suspected = frozenset(record for part, _ in found.held_back for record in part)
        assert bad - known <= _of(suspected), "every record that fails is kept out, of the first build too"
        assert len(suspected) <= 10_000, "and few others are"
        errors = [each.error for each in found.kept_out("2026-03-02T03", "model") if each.is_held_back]
        assert len(errors) == len(suspected) and all("others: Conversion Error: no" in each for each in errors)
    assert (bad, True) == (known, 1 < builds < 5)


def test_a_search_ends_by_its_time() -> None:
    """Each try takes a second here."""
    now, tries = iter(range(100_000)), list[Part]()
    few = isolate(MANY, failing(_any_of(range(0, 100_000, 9000)), tries), clock=lambda: float(next(now)))
    assert few.held_back and len(tries) <= 280
    with pytest.raises(NotAlone):
        isolate(MANY, failing(_any_of(range(0, 100_000, 500)), tries), clock=lambda: float(next(now)))
    assert len(tries) <= 560


def test_nothing_is_found_of_nothing() -> None:
    assert not isolate([], failing(lambda numbers: True, []))


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
