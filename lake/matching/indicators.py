"""The indicators of a search: whom they concern, from when to when, and which of them are new since an earlier search.

Rows of one entry of a feed follow each other in time: each holds up to its `valid_to`. An indicator that nobody knew
yet may have been hostile before, so the first row of an entry is also held against events before its `valid_from`,
and a later row against those since the one before it ended; both as far back as the search goes before `learned_at`.
So of each entry at most one row meets an event, and none meets an event after its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from lake.base.sql import literals, texts
from lake.storage import paths

KINDS = ("ip", "domain", "url", "email", "hash", "cve")  # of which events have observables
TABLE, SOUGHT = "indicator", "sought"
# Columns of `gold.threat_matches` that describe an indicator → columns of the reference table.
OF_INDICATOR = {
    "indicator_value": "value",
    "indicator_uid": "uid",
    "indicator_name": "name",
    "category": "category",
    "malware": "malware",
    "threat_actor": "threat_actor",
    "confidence": "confidence",
    "indicator_severity": "severity",
    "tlp": "tlp",
    "feed": "feed",
    "provider": "provider",
    "version": "version",
    "valid_from": "valid_from",
    "valid_to": "valid_to",
    "learned_at": "learned_at",
}
_IDENTITY = "feed, entry, kind, value, learned_at::varchar, valid_from::varchar"


@dataclass(frozen=True)
class FeedState:
    """What a feed held: its newest version, when its newest rows were learned, and a digest of the rows' identities."""

    version: str
    learned_until: datetime
    identities: str

    def text(self) -> str:
        """Return the state as receipts keep it."""
        return f"{self.version} {self.learned_until.isoformat()} {self.identities}"

    @classmethod
    def parsed(cls, text: str) -> "FeedState | None":
        """Return the state of a text, or None."""
        version, _, rest = text.rpartition(" ")
        version, _, until = version.rpartition(" ")
        try:
            return cls(version, datetime.fromisoformat(until), rest)
        except ValueError:
            return None


@dataclass(frozen=True)
class Sought:
    """Which indicators are held against some hours: all, or per feed those learned after a time (None: all of it).

    `days` is how far a search goes back before an indicator was learned.
    """

    days: float
    whole: bool = True
    since: tuple[tuple[str, datetime | None], ...] = ()


@dataclass(frozen=True)
class Indicators:
    """The indicators of the lake, in the table `indicator` of a connection.

    `states` is by feed, `ends` a digest by feed that also covers when rows end; `first_learned` is by feed; `other` is
    how many are of kinds that events have no observables of.
    """

    con: duckdb.DuckDBPyConnection
    states: Mapping[str, FeedState]
    ends: Mapping[str, str]
    first_learned: Mapping[str, datetime]
    rows: int
    other: int

    @classmethod
    def read(cls, con: duckdb.DuckDBPyConnection, select: str) -> "Indicators":
        """Read indicators from a SELECT with the columns of `reference.indicators`."""
        kinds = literals(KINDS)
        columns = ", ".join(dict.fromkeys(("feed", "entry", "kind", "value", *OF_INDICATOR.values())))
        con.execute(f"""
create or replace temp table {TABLE} as
select row_number() over ()::integer as n, * from (
  select md5(concat_ws(chr(31), {_IDENTITY})) as indicator_id, {columns}, prefix, key_high, key_low,
    max(valid_to) over (
      partition by feed, entry, kind, value order by learned_at, valid_from
      rows between unbounded preceding and 1 preceding) as held_before
  from ({select}) where kind in {kinds}
  qualify row_number() over (partition by indicator_id) = 1
)""")
        other = _one(con, f"select count(*) from ({select}) where kind not in {kinds}")
        rows = con.execute(
            f"select feed, max_by(version, learned_at), max(learned_at), {_digest('indicator_id')},"
            f" {_digest('indicator_id || valid_to::varchar')}, min(learned_at), count(*) from {TABLE} group by feed"
        ).fetchall()
        states = {row[0]: FeedState(str(row[1]), row[2], row[3]) for row in rows}
        ends, first = {row[0]: row[4] for row in rows}, {row[0]: row[5] for row in rows}
        return cls(con, states, ends, first, sum(row[6] for row in rows), other)

    def since(self, recorded: Mapping[str, FeedState]) -> dict[str, datetime | None]:
        """Return the feeds that have rows which were not there when states were recorded: since when, None for all."""
        news = [feed for feed, now in self.states.items() if not _same(recorded.get(feed), now)]
        return {feed: self._since(feed, recorded.get(feed)) for feed in news}

    def _since(self, feed: str, recorded: FeedState | None) -> datetime | None:
        """Return when the rows of then were learned, if they are all there; None when the feed is another."""
        if recorded is None:
            return None
        held = self.con.execute(
            f"select {_digest('indicator_id')} from {TABLE} where feed = ? and learned_at <= ?",
            [feed, recorded.learned_until],
        ).fetchone()
        return recorded.learned_until if held and held[0] == recorded.identities else None

    def seek(self, sought: Sought) -> int:
        """Make the table `sought` of what is held against some hours; return how many indicators it has.

        `search_from` and `valid_to` are the events' times that each is held against.
        """
        back = f"date_trunc('hour', learned_at) - to_hours({round(sought.days * 24)})"
        until = texts("" if each is None else str(each) for _, each in sought.since)
        self.con.execute(
            f"create or replace temp table since as select unnest({texts(feed for feed, _ in sought.since)}) as feed,"
            f" nullif(unnest({until}), '')::timestamp as learned_until"
        )
        new = (
            " where exists (select 1 from since where since.feed = i.feed"
            " and (since.learned_until is null or i.learned_at > since.learned_until))"
        )
        self.con.execute(
            f"create or replace temp table {SOUGHT} as select n, kind, prefix, key_high, key_low,"
            f" greatest(held_before, {back}) as search_from, valid_to from {TABLE} as i{'' if sought.whole else new}"
        )
        return _one(self.con, f"select count(*) from {SOUGHT}")

    def reaches(self, hour: datetime, sought: Sought) -> bool:
        """Whether indicators sought may concern an event of an hour: none was learned too long after it."""
        since = dict.fromkeys(self.states) if sought.whole else dict(sought.since)
        starts = [until or self.first_learned[feed] for feed, until in since.items()]
        back = timedelta(days=sought.days)
        return any(paths.floor_hour(start) - back < hour + timedelta(hours=1) for start in starts)


def _same(recorded: FeedState | None, now: FeedState) -> bool:
    return recorded is not None and (recorded.learned_until, recorded.identities) == (now.learned_until, now.identities)


def _digest(text: str) -> str:
    """SQL of a digest over rows, whatever their order."""
    return f"printf('%016x', (sum(md5_number_lower({text})::hugeint) % 18446744073709551616)::ubigint)"


def _one(con: duckdb.DuckDBPyConnection, question: str) -> int:
    row = con.execute(question).fetchone()
    return int(row[0]) if row else 0
