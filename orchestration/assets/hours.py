"""Hours as Dagster's partitions: one definition for every asset, and the way between its keys and the lake's hours.

A raw asset's hour is an arrival hour, a table's an event hour. Dagster is told that the second follows from the first
of the same name, so that a range of both is one run: all arrivals land, then dbt builds all hours at once. Events that
arrive in a later hour make their event hour stale, and the sensor builds it. A mapping that also waited for the next
arrival hour was tried: Dagster then built a day in several dbt runs, and an hour that nobody had asked for.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg

from lake import ledger

KEY = "%Y-%m-%d-%H:%M"
_HOUR = timedelta(hours=1)


def hourly(start: str) -> dg.HourlyPartitionsDefinition:
    """Return the hourly UTC partitions from `start` (`YYYY-MM-DDTHH`) up to the last hour that is over."""
    return dg.HourlyPartitionsDefinition(start_date=ledger.hour(start), timezone="UTC", fmt=KEY)


def hour_of_key(key: str) -> datetime:
    """Return the hour (naive UTC) of a partition key."""
    return datetime.strptime(key, KEY)


def key_of_hour(hour: datetime) -> str:
    """Return the partition key of an hour (naive UTC)."""
    return hour.strftime(KEY)


def hour_texts(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the hour texts of receipts and plans for partition keys."""
    return tuple(ledger.hour_text(hour_of_key(key)) for key in keys)


def newest_closed(settle: timedelta, now: datetime | None = None) -> datetime:
    """Return the newest arrival hour (naive UTC) that is over and settled."""
    at = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None) - settle
    return at.replace(minute=0, second=0, microsecond=0) - _HOUR
