"""Keys are made and read back by one grammar."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from lake.storage import paths


def test_a_bronze_key_leads_back_to_its_hour() -> None:
    hour = datetime(2026, 3, 2, 5)
    key = paths.bronze_file("okta_system_log", hour, "20260302T06")
    assert key == "bronze/okta_system_log/date=2026-03-02/hour=05/20260302T06.parquet"
    assert paths.hour_of(key) == hour
    assert paths.hour_of("ledger/landing/x/y.json") is None


@pytest.mark.parametrize("name", ["", "a/b", "../a", "A", ".a", "a\n", "1a", "a b"])
def test_a_source_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(paths.BadName):
        paths.bronze_file(name, datetime(2026, 3, 2), "b")


@pytest.mark.parametrize("name", ["", "a/b", "..", ".a", "-a", "a\n"])
def test_a_batch_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(paths.BadName):
        paths.landing_receipt("source", name)


def test_the_hour_of_an_instant_is_in_utc() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    assert paths.floor_hour(datetime(2026, 3, 2, 5, 15, tzinfo=east)) == datetime(2026, 3, 1, 23)
    assert paths.floor_hour(datetime(2026, 3, 2, 5, 15)) == datetime(2026, 3, 2, 5)


@pytest.mark.parametrize(
    ("first", "end", "hours"),
    [
        (datetime(2026, 3, 2, 5), datetime(2026, 3, 2, 5), []),
        (datetime(2026, 3, 2, 5), datetime(2026, 3, 2, 7), [5, 6]),
        (datetime(2026, 3, 2, 5, 59), datetime(2026, 3, 2, 7), [5, 6]),
        (datetime(2026, 3, 2, 5), datetime(2026, 3, 2, 7, 0, 1), [5, 6, 7]),
        (datetime(2026, 3, 2, 5, 10), datetime(2026, 3, 2, 5, 20), [5]),
        (datetime(2026, 3, 2, 7), datetime(2026, 3, 2, 5), []),
        (datetime(2026, 3, 2, 5, tzinfo=UTC), datetime(2026, 3, 2, 6, tzinfo=UTC), [5]),
    ],
)
def test_hours_between_are_those_that_hold_an_instant_of_the_span(
    first: datetime, end: datetime, hours: list[int]
) -> None:
    assert paths.hours_between(first, end) == [datetime(2026, 3, 2, hour) for hour in hours]
