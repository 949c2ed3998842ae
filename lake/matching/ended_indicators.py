"""Indicators that ended: hours with matches of indicators that are no longer as they were are searched again.

What belongs here: holding the matches that stand against today's indicators. What does not: finding matches.

A list may be loaded after events were matched that happened when it no longer had the indicator: their matches go, and
others say when the indicator ended. Which ends were looked at stands in the ledger, so this costs nothing while no list
changes.
"""

from collections.abc import Sequence

import duckdb
import msgspec

from lake import ledger
from lake.ledger.receipts import BuildReceipt
from lake.matching import matches
from lake.matching.index_repair import Unreadable, reading
from lake.matching.indicators import TABLE as INDICATOR
from lake.matching.indicators import Indicators
from lake.storage import paths
from lake.storage.parquet import typed_select
from lake.storage.publish import Change, publish
from lake.storage.store import Store

FILES_AT_ONCE = 480


def ended_hours(con: duckdb.DuckDBPyConnection, store: Store, indicators: Indicators) -> set[str]:
    """Return the hours that have matches of indicators which are not as they were, or whose matches cannot be read."""
    if _seen(store) == dict(indicators.ends):
        return set()
    held = [each for each in ledger.builds(store, matches.TABLE).values() if each.file]
    known = store.infos(each.file for each in held)
    there = [each for each in held if known[each.file] is not None]
    found: set[str] = set()
    for at in range(0, len(there), FILES_AT_ONCE):
        part = there[at : at + FILES_AT_ONCE]
        try:
            found |= _ended(con, store, part)
        except Unreadable:
            found |= {each.hour for each in part if _unread_or_ended(con, store, each)}
    return found


def publish_seen(store: Store, indicators: Indicators) -> None:
    """Remember the ends that the matches were held against."""
    if _seen(store) != dict(indicators.ends):
        text = msgspec.json.encode(dict(sorted(indicators.ends.items()))).decode()
        publish(store, lambda: Change(receipts=((paths.retro_ends(), text),)))


def _seen(store: Store) -> dict[str, str]:
    try:
        return msgspec.json.decode(store.read(paths.retro_ends()), type=dict[str, str])
    except FileNotFoundError:
        return {}


def _unread_or_ended(con: duckdb.DuckDBPyConnection, store: Store, receipt: BuildReceipt) -> bool:
    try:
        return bool(_ended(con, store, [receipt]))
    except Unreadable:
        return True


def _ended(con: duckdb.DuckDBPyConnection, store: Store, part: Sequence[BuildReceipt]) -> set[str]:
    held = typed_select(matches.COLUMNS, [store.url(each.file) for each in part])
    question = (
        f"select distinct strftime(time_dt, '{ledger.HOUR}') from ({held}) as m"
        f" left join {INDICATOR} as i using (indicator_id)"
        " where i.indicator_id is null or m.valid_to is distinct from i.valid_to"
    )
    with reading():
        return {row[0] for row in con.execute(question).fetchall()}
