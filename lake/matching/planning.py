"""What a search has to look at, derived from the lake as staleness is: nothing has to remember what is new.

The receipt of an hour of `threat_matches` names the builds of silver that were searched (`inputs`), and in `context`
the state of every feed and how many days back. An hour whose tables were built anew is searched with all indicators,
others with those that are new since. Hours that no indicator reaches are passed over.

A list may be loaded after events were matched that happened when it no longer had the indicator. So hours with matches
of indicators that ended since are searched again. The ledger says which ends were compared, so this costs nothing while
no list changes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import msgspec

from lake import ledger
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.staleness import files_there, lost_file
from lake.matching.index import Unreadable, reading
from lake.matching.indicators import TABLE as INDICATOR
from lake.matching.indicators import FeedState, Indicators, Sought
from lake.matching.matches import COLUMNS, TABLE
from lake.storage import paths
from lake.storage.duck import typed_select
from lake.storage.publish import Change, publish
from lake.storage.store import Store

MATCHING = "2"  # of what a search finds; hours searched by another are searched again
DAYS, FEED = "retro_days", "indicators/"

Inputs = tuple[tuple[str, str], ...]
Since = tuple[tuple[str, datetime | None], ...]
FILES_AT_ONCE = 480


@dataclass(frozen=True)
class Hour:
    """One event hour to search: its files of silver, the receipt of the last search, and whether its file is lost."""

    hour: str
    files: Mapping[str, BuildReceipt]  # by key
    before: BuildReceipt | None
    lost: bool = False


@dataclass
class Plan:
    """The searches to make: hours by what is sought in them; and how many hours have nothing new."""

    searches: dict[Sought, list[Hour]] = field(default_factory=dict)
    current: int = 0


def inputs_of(files: Mapping[str, BuildReceipt]) -> Inputs:
    """Return every file with the mark of its rows."""
    return tuple(sorted((key, receipt.rows_mark) for key, receipt in files.items()))


def plan(
    store: Store,
    indicators: Indicators,
    days: float,
    feeds: Collection[str] = (),
    again: bool = False,
    ended: Collection[str] = (),
) -> Plan:
    """Return what has to be searched; with `again`, every hour with all indicators, and the hours `ended` in any case.

    With `feeds`, only their new indicators count; hours whose tables were built anew need all of them all the same.
    """
    held, found = silver_hours(store), Plan()
    before = build_receipts.of_model(store, TABLE)
    there = files_there(store, [before])
    sought_since = _Since(indicators, frozenset(feeds))
    for hour in sorted({*held, *before}):
        files, receipt = held.get(hour, {}), before.get(hour)
        reach = max(days, _days(receipt))
        lost = receipt is not None and bool(lost_file(receipt, there))
        if receipt is None or again or lost or hour in ended or _changed(receipt, files, reach):
            sought = Sought(reach)
        else:
            sought = Sought(reach, False, sought_since(receipt.context))
        wanted = (sought.whole and receipt is not None) or indicators.reaches(ledger.hour(hour), sought)
        if wanted and (files or receipt):
            found.searches.setdefault(sought, []).append(Hour(hour, files, receipt, lost))
        else:
            found.current += 1
    return found


def silver_hours(store: Store) -> dict[str, dict[str, BuildReceipt]]:
    """Return, by event hour, the files of silver with the builds that made them."""
    hours: dict[str, dict[str, BuildReceipt]] = {}
    for model in build_receipts.models(store):
        for hour, receipt in build_receipts.of_model(store, model).items():
            if receipt.file.startswith(f"{paths.SILVER}/"):
                hours.setdefault(hour, {})[receipt.file] = receipt
    return hours


def context_of(indicators: Indicators, sought: Sought, before: BuildReceipt | None) -> dict[str, str]:
    """Return what the receipt of a searched hour says of the feeds; feeds that were not asked keep what stood."""
    asked = indicators.states if sought.whole else [feed for feed, _ in sought.since]
    states = {f"{FEED}{feed}": indicators.states[feed].text() for feed in asked}
    stood = {} if sought.whole or before is None else before.context
    return {**stood, **states, DAYS: f"{sought.days:g}"}


def _changed(receipt: BuildReceipt, files: Mapping[str, BuildReceipt], days: float) -> bool:
    return (receipt.mapping, receipt.inputs) != (MATCHING, inputs_of(files)) or _days(receipt) < days


def _days(receipt: BuildReceipt | None) -> float:
    return float(receipt.context.get(DAYS, 0)) if receipt else 0.0


class _Since:
    """What is new since the states of a receipt; hours that were searched together are asked about once."""

    def __init__(self, indicators: Indicators, feeds: Collection[str]) -> None:
        self._indicators, self._feeds = indicators, feeds
        self._known: dict[tuple[tuple[str, str], ...], Since] = {}

    def __call__(self, context: Mapping[str, str]) -> Since:
        states = tuple(sorted((name, text) for name, text in context.items() if name.startswith(FEED)))
        if states not in self._known:
            parsed = {name.removeprefix(FEED): state for name, text in states if (state := FeedState.parsed(text))}
            news = self._indicators.since(parsed)
            wanted = {feed: until for feed, until in news.items() if not self._feeds or feed in self._feeds}
            self._known[states] = tuple(sorted(wanted.items(), key=lambda each: each[0]))
        return self._known[states]


def ended_hours(con: duckdb.DuckDBPyConnection, store: Store, indicators: Indicators) -> set[str]:
    """Return the hours that have matches of indicators which are not as they were, or whose matches cannot be read."""
    if _recorded_ends(store) == dict(indicators.ends):
        return set()
    receipts = [each for each in build_receipts.of_model(store, TABLE).values() if each.file]
    infos = store.infos(each.file for each in receipts)
    held = [each for each in receipts if infos[each.file] is not None]
    found: set[str] = set()
    for at in range(0, len(held), FILES_AT_ONCE):
        found |= _ended(con, store, held[at : at + FILES_AT_ONCE])
    return found


def publish_ends(store: Store, indicators: Indicators) -> None:
    """Record the ends that the matches were compared with."""
    if _recorded_ends(store) != dict(indicators.ends):
        text = msgspec.json.encode(dict(sorted(indicators.ends.items()))).decode()
        publish(store, lambda: Change(receipts=((paths.indicator_ends(), text),)))


_ends = msgspec.json.Decoder(dict[str, str])


def _recorded_ends(store: Store) -> dict[str, str]:
    try:
        return ledger.decoded(paths.indicator_ends(), store.read(paths.indicator_ends()), _ends)
    except FileNotFoundError:
        return {}


def _ended(con: duckdb.DuckDBPyConnection, store: Store, part: Sequence[BuildReceipt]) -> set[str]:
    """Return the hours of some files that have matches of ended indicators; an unreadable file's hour is among them."""
    held = typed_select(COLUMNS, [store.url(each.file) for each in part])
    question = (
        f"select distinct strftime(time_dt, '{ledger.HOUR}') from ({held}) as m"
        f" left join {INDICATOR} as i using (indicator_id)"
        " where i.indicator_id is null or m.valid_to is distinct from i.valid_to"
    )
    try:
        with reading():
            return {row[0] for row in con.execute(question).fetchall()}
    except Unreadable:
        if len(part) == 1:
            return {part[0].hour}
        return {hour for each in part for hour in _ended(con, store, [each])}
