"""Hours as Dagster's partitions: one definition for every asset, and the way between its keys and the lake's hours.

What belongs here: the partitions, the mapping between arrival and event hours, keys ↔ hours. What does not: work.
"""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg

from ingest.contracts import Contract
from lake import ledger

KEY = "%Y-%m-%d-%H:%M"
_HOUR = timedelta(hours=1)


def hourly(start: str) -> dg.HourlyPartitionsDefinition:
    """Return the hourly UTC partitions from `start` (`YYYY-MM-DDTHH`) up to the last hour that is over."""
    return dg.HourlyPartitionsDefinition(start_date=ledger.hour(start), timezone="UTC", fmt=KEY)


def arrivals_of(contract: Contract) -> dg.TimeWindowPartitionMapping:
    """Return which arrival hours an event hour waits for: its own and those within which 99 % of its events arrive.

    Later events are no reason to wait: they reopen their hour when they come.
    """
    later = max(1, math.ceil(contract.lateness_p99 / _HOUR))
    return dg.TimeWindowPartitionMapping(end_offset=later, allow_nonexistent_upstream_partitions=True)


def hour_of_key(key: str) -> datetime:
    """Return the hour (naive UTC) of a partition key."""
    return datetime.strptime(key, KEY)


def key_of_hour(hour: datetime) -> str:
    """Return the partition key of an hour (naive UTC)."""
    return hour.strftime(KEY)


def hour_texts(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the hour texts of receipts and plans for partition keys."""
    return tuple(ledger.hour_text(hour_of_key(key)) for key in keys)


def runs_of_hours(hours: Iterable[datetime], longest: int) -> list[list[datetime]]:
    """Return hours grouped into runs without a gap, oldest first, none of more than `longest` hours."""
    runs: list[list[datetime]] = []
    for hour in sorted(hours):
        if runs and hour - runs[-1][-1] == _HOUR and len(runs[-1]) < longest:
            runs[-1].append(hour)
        else:
            runs.append([hour])
    return runs


def newest_closed(settle: timedelta, now: datetime | None = None) -> datetime:
    """Return the newest arrival hour (naive UTC) that is over and settled."""
    at = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None) - settle
    return at.replace(minute=0, second=0, microsecond=0) - _HOUR
