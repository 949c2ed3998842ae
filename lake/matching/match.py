"""Matching: what is new in the lists is held against the lake's past, and what is new in the lake against the lists.

What belongs here: one run, from indicators to published matches. What does not: its steps, dbt, Dagster.

A run may be killed anywhere and started again: each part of the hours is published as one act with its receipts, and
what a run has to do follows from those alone.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from lake.matching import probe
from lake.matching.ended_indicators import ended_hours, publish_seen
from lake.matching.indicators import Indicators, Sought
from lake.matching.planning import Hour, Plan, plan
from lake.matching.publishing import publish_found
from lake.matching.search import Search, parts
from lake.ocsf.attributes import EventClass
from lake.storage import duck
from lake.storage.publish import Workplace
from lake.storage.store import LocalStore, Store

DAYS = 90.0
_THREADS_AT_A_BUCKET = 16  # index files are small: each is a few requests


@dataclass
class Matched:
    """What a run did. `found` are new matches by feed; `failed` and `mended` tell of files, `left` of hours.

    `indicators` are those that the lake has of kinds that events have observables of, `sought` those that were held
    against at least one hour, `passed_over` those of other kinds. `observables` counts index rows that were looked at.
    """

    indicators: int = 0
    sought: int = 0
    passed_over: int = 0
    hours: int = 0
    current: int = 0
    files: int = 0
    observables: int = 0
    found: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    mended: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rows(self) -> int:
        """Return how many matches are new."""
        return sum(self.found.values())


@dataclass(frozen=True)
class Limits:
    """What a run may use: memory of the search in bytes, and threads."""

    memory_bytes: int = 1 << 30
    threads: int = 2


def match(
    store: Store,
    indicators: str,
    classes: Mapping[str, EventClass],
    *,
    days: float = DAYS,
    feeds: Collection[str] = (),
    again: bool = False,
    dry_run: bool = False,
    limits: Limits = Limits(),
    told: Callable[[Matched], None] = lambda _: None,
) -> Matched:
    """Hold indicators against the observables of the lake and publish `gold.threat_matches`; return what was done.

    `indicators` is a SELECT with the columns of `reference.indicators`; `classes` are those that the project declares.
    An indicator is held against events up to `days` before it was learned. With `feeds`, only what is new of these
    counts; with `again`, every hour is searched anew; with `dry_run`, nothing is published. `told` hears of each part.

    Raises:
        duckdb.Error: the indicators cannot be read, or memory does not suffice.
    """
    began, done = time.monotonic(), Matched()
    with Workplace(store, "match") as place, duck.connect(store, _config(store, place, limits)) as con:
        con.execute("set preserve_insertion_order = false")
        known = Indicators.read(con, indicators)
        done.indicators, done.passed_over = known.rows, known.other
        wanted = plan(store, known, days, feeds, again, ended_hours(con, store, known))
        done.current = wanted.current
        search = Search(con, store, place, classes, keep=not dry_run)
        signed = duck.Signed(con, store)
        while wanted.searches:
            damaged: list[Hour] = []
            for sought, hours in wanted.searches.items():
                done.sought = max(done.sought, known.seek(sought))
                prefixes = probe.networks(con)
                for part in parts(store, hours):
                    signed.renew()  # a run may outlive the credentials of a role
                    search.run(part, prefixes)
                    published = publish_found(con, store, place, known, sought, part, dry_run)
                    damaged += published.damaged
                    for feed, new in published.new.items():
                        done.found[feed] = done.found.get(feed, 0) + new
                    done.left += published.left
                    done.failed |= part.failed
                    done.mended |= part.mended
                    done.hours += len(part.hours) - len(published.damaged)
                    done.files += len(part.files)
                    done.observables += part.observables
                    done.seconds = time.monotonic() - began
                    told(done)
            wanted = Plan({Sought(days): damaged} if damaged else {})
        if not dry_run and not feeds and not done.failed and not done.left:
            publish_seen(store, known)
    done.seconds = time.monotonic() - began
    return done


def _config(store: Store, place: Workplace, limits: Limits) -> dict[str, str | int]:
    waiting = not isinstance(store, LocalStore)  # for a bucket's answers, more than for the processor
    return {
        "memory_limit": f"{limits.memory_bytes}B",
        "threads": max(limits.threads, _THREADS_AT_A_BUCKET) if waiting else limits.threads,
        "temp_directory": str(place.path / "spill"),
    }
