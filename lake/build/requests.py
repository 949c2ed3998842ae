"""Which builds to request now: the stale hours, each marked with its state, in runs that are not too long.

An hour is requested once per state of its bronze files and mappings. If its build fails, it stays stale and is not
requested again until one of them changes.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from lake import ledger
from lake.ledger.lookup_answers import versions
from lake.ledger.staleness import ANSWERED, Mappings, Stale, bronze_inputs, row_marks, stale_hours
from lake.marts.declaration import Marts
from lake.marts.staleness import Tables, stale_mart
from lake.storage.paths import GOLD
from lake.storage.store import Store

MOST_RUNS, MOST_HOURS = 6, 168  # of one tick, and of one run: a week of hours is one dbt run
_HOUR = timedelta(hours=1)

Requested = dict[str, dict[str, str]]  # source → hour → mark of the state in which its build was requested


@dataclass(frozen=True)
class StaleHour:
    """A stale hour with a mark of the state that makes it stale: its bronze files and its models' mappings."""

    stale: Stale
    mark: str

    @property
    def hour(self) -> datetime:
        """Return the hour (naive UTC)."""
        return ledger.hour(self.stale.hour)


def stale_now(store: Store, mappings: Mappings, source: str) -> list[StaleHour]:
    """Return the stale hours of a source, oldest first."""
    inputs = bronze_inputs(ledger.landings(store, source, []))
    found = []
    for each in stale_hours(store, mappings, source):
        state: list[object] = [row_marks(inputs.get(each.hour, []))]
        state.append([(model, mappings.fingerprint(model)) for model in each.models])
        if each.why == ANSWERED:
            state.append(versions(store))
        found.append(StaleHour(each, hashlib.sha256(json.dumps(state).encode()).hexdigest()[:12]))
    return found


def stale_marts_now(store: Store, mappings: Mappings, marts: Marts) -> list[StaleHour]:
    """Return the hours in which marts are stale, oldest first. They are asked for once what they read is built."""
    tables = Tables(store)
    by_hour: dict[str, dict[str, str]] = {}
    for name, mart in marts.by_name.items():
        for each in stale_mart(store, mappings, mart, tables):
            by_hour.setdefault(each.hour, {})[name] = each.why
    found = []
    for hour, whys in sorted(by_hour.items()):
        made_of = [(name, mappings.fingerprint(name), tables.inputs(marts.by_name[name], hour)) for name in whys]
        state = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
        found.append(StaleHour(Stale(GOLD, hour, tuple(sorted(whys)), next(iter(whys.values()))), state))
    return found


def choose(found: Iterable[StaleHour], before: Requested) -> tuple[list[list[StaleHour]], Requested]:
    """Return the runs to request now, each of hours without a gap and of the same models; and what is requested then.

    What was requested before, and is stale in the same state still, is not requested again.
    """
    requested: Requested = {}
    groups: dict[tuple[str, tuple[str, ...]], dict[datetime, StaleHour]] = {}
    for each in found:
        source, hour = each.stale.source, each.stale.hour
        if before.get(source, {}).get(hour) == each.mark:
            requested.setdefault(source, {})[hour] = each.mark
        else:
            groups.setdefault((source, each.stale.models), {})[each.hour] = each
    runs = [[group[hour] for hour in run] for group in groups.values() for run in runs_of_hours(group, MOST_HOURS)]
    runs = sorted(runs, key=lambda run: (run[0].stale.hour, run[0].stale.source))[:MOST_RUNS]
    for each in (each for run in runs for each in run):
        requested.setdefault(each.stale.source, {})[each.stale.hour] = each.mark
    return runs, requested


def runs_of_hours(hours: Iterable[datetime], longest: int) -> list[list[datetime]]:
    """Return hours grouped into runs without a gap, oldest first, none of more than `longest` hours."""
    runs: list[list[datetime]] = []
    for hour in sorted(hours):
        if runs and hour - runs[-1][-1] == _HOUR and len(runs[-1]) < longest:
            runs[-1].append(hour)
        else:
            runs.append([hour])
    return runs
