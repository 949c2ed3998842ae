"""Merging one snapshot of a feed into the feed's rows: which rows go on, which end, which begin, and when.

The terms: a *claim* is what the snapshot says of an entry; a feed may say several things of one entry if it gives their
times. A *held* row is one that the feed's table has. T is the snapshot's time.

- Of an observable the last claim of a snapshot counts. An asset or identity may have a history in one snapshot: claims
  of different starts, each until the next one starts.
- A claim goes on with the open row of its entry that says the same; only the row's end may move, and not over a time in
  which it had ended.
- Other open rows end: at T, or where the row begins that takes their place, or where the provider says. In a partial
  feed only rows of entries that the snapshot names.
- Other claims begin rows: where the provider says if that is after everything held of the entry, else at T. Of an entry
  that is not held: where the provider says, else at the default (1970 for context in a feed's first snapshot, else T).
- So rows of one entry never overlap, and what was held of the time before T changes only by what the provider dates.
  A changed indicator begins at T whatever its provider dates, so that what was known until then stays known.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from ingest.reference.feeds import PARTIAL, Feed
from ingest.reference.tables import (
    ENTITY_TABLES,
    INDICATORS,
    OBSERVABLE_COLUMNS,
    PAYLOADS,
    columns_of,
)
from lake.base.sql import empty_select, literal, quoted

FIRST, LAST = datetime(1970, 1, 1), datetime(9999, 12, 31)
GIVEN_AGAIN = "given again later in the same snapshot, with other values"
_NAME_STRUCT = (
    'STRUCT(name_kind VARCHAR, "rank" UTINYINT, '
    + ", ".join(f"{quoted(name)} {type_}" for name, type_ in OBSERVABLE_COLUMNS.items())
    + ")[]"
)


@dataclass(frozen=True)
class Counts:
    """What a merge does, in entries of the snapshot; `closed` and `rows` in rows. See `feeds.LoadReceipt`."""

    opened: int
    changed: int
    extended: int
    unchanged: int
    duplicates: int
    again: int
    closed: int
    open_before: int


def file_columns(table: str) -> dict[str, str]:
    """Return column → type of a feed's file of rows: the table's columns, and what merging needs besides."""
    own = {"_given_from": "TIMESTAMP"}
    return columns_of(table) | own | ({"_names": _NAME_STRUCT} if table in ENTITY_TABLES else {})


class Merge:
    """One merge, on a connection of its own. `held`: address of the feed's present rows, empty when there are none."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, feed: Feed, entries: Path, held: str, as_of: datetime, version: str
    ) -> None:
        """Find out what changes; nothing is written. `as_of` is naive UTC, later than every load before."""
        self._con, self.feed, self.version = con, feed, version
        self.at, self._last = f"timestamp '{as_of}'", f"timestamp '{LAST}'"
        first = not held and feed.table != INDICATORS
        self._is_indicator = feed.table == INDICATORS
        self._default = f"timestamp '{FIRST}'" if first else self.at
        payload = PAYLOADS[feed.table]
        entity = feed.table in ENTITY_TABLES
        self._kinds = "'' as kind, '' as value" if entity else "kind, value"
        self._start = ", given_from" if entity else ""
        self._no_kinds = f", {self._kinds}" if entity else ""
        self._same = " and ".join(f"c.{quoted(name)} is not distinct from h.{quoted(name)}" for name in payload)
        self._payload_columns = ", ".join(map(quoted, payload))
        con.execute(f"create temp view raw as select * from read_parquet({literal(str(entries))})")
        self._read_held(held)
        self._claims()
        self._match()
        self._begin()
        self._end()

    def run(self, sql: str) -> None:
        """Run a statement on the merge's connection."""
        self._con.execute(sql)

    def counted(self, sql: str) -> tuple[int, ...]:
        """Return the numbers of the one row that a question has."""
        found = self._con.execute(sql).fetchone()
        return tuple(int(each or 0) for each in found or ())

    def _read_held(self, address: str) -> None:
        typed = [*file_columns(self.feed.table).items(), ("file_row_number", "BIGINT")]
        read = f"select * from read_parquet({literal(address)}, hive_partitioning = false, file_row_number = true)"
        self.run(
            f"create temp view held_rows as {empty_select(typed)}" + (f" union all by name {read}" if address else "")
        )
        self.run(f"""
            create temp table held as
            select file_row_number as row_id, entry, {self._kinds}, valid_from, valid_to, closed_at, _given_from
            from held_rows""")

    def _claims(self) -> None:
        """One claim for each asset or identity and start, and for each observable: the last one counts."""
        self.run(f"""
            create temp table counted as
            select entry, kind, value{self._start}, max(position) as position, count(*) as pieces
            from raw group by all""")
        self.run("create temp table several as select entry, kind, value from counted group by all having count(*) > 1")
        self.run(f"""
            create temp table claim as
            select position, entry, kind, value, given_from, coalesce(given_to, {self._last}) as ends, true as is_alone
            from raw semi join counted using (position) anti join several using (entry, kind, value)
            union all
            {self._lines()}""")

    def _lines(self) -> str:
        """SELECT of the claims of entries that have several.

        Each ends where the next one starts. One that goes on where the one before ends, and says the same, is of one
        claim with it.
        """
        of_entry = "over (partition by entry, kind, value order by given_from nulls first)"
        return f"""
            select
                min(position) filter (is_first), entry, kind, value, min(given_from) filter (is_first), max(ends), false
            from (
                select *, count(*) filter (not goes_on) {of_entry} as line, not goes_on as is_first
                from (
                    select *,
                        coalesce(
                            says is not distinct from lag(says) {of_entry} and given_from = lag(ends) {of_entry}, false
                        ) as goes_on
                    from (
                        select position, entry, kind, value, given_from, row({self._payload_columns}) as says,
                            least(coalesce(given_to, {self._last}), coalesce(lead(given_from) {of_entry}, {self._last}))
                                as ends
                        from raw semi join counted using (position) semi join several using (entry, kind, value)
                    )
                )
            )
            group by entry, kind, value, line"""

    def _match(self) -> None:
        """Pair claims with the open rows that say the same, one to one; a row of the same start is preferred."""
        self.run(f"""
            create temp table going_on as
            with pair as (
                select c.position, h.file_row_number as row_id, h.valid_from, h.valid_to, k.ends,
                    k.given_from is not distinct from h._given_from as same_start
                from claim k
                join raw c on c.position = k.position
                join (select *{self._no_kinds} from held_rows where closed_at is null) h
                    on h.entry = k.entry and h.kind = k.kind and h.value = k.value
                where {self._same}
                    and (
                        same_start
                        or h.valid_from <= {self.at}
                        and (k.is_alone or coalesce(k.given_from <= {self.at}, true) and {self.at} < k.ends)
                        and (
                            k.given_from is null or h._given_from is null
                            or k.given_from > h.valid_from and k.given_from <= h.valid_to
                        )
                    )
                    and (h.valid_to >= {self.at} or k.ends <= h.valid_to)
            ),
            of_claim as (
                select * from pair
                qualify row_number() over (partition by position order by same_start desc, valid_from desc) = 1
            )
            select * from of_claim
            qualify row_number() over (partition by row_id order by same_start desc, ends desc, position) = 1""")

    def _begin(self) -> None:
        """Find where claims that go on with no row begin, and which rows end by this snapshot."""
        given = "semi join claim k on h.entry = k.entry" if self.feed.mode == PARTIAL else ""
        self.run(f"""
            create temp table leaving as
            select h.* from held h {given} anti join going_on g on h.row_id = g.row_id where h.closed_at is null""")
        self.run(f"""
            create temp table before as
            select h.entry, h.kind, h.value,
                max(
                    case
                        when g.row_id is not null then greatest(h.valid_from, g.ends)
                        when {self._is_indicator} then
                            case when l.row_id is null then h.valid_to else least(h.valid_to, {self.at}) end
                        when h.valid_from < h.valid_to and h.valid_from < {self.at}
                            then h.valid_from + interval 1 microsecond
                    end
                ) as taken_until,
                count(l.row_id) as leaving
            from held h
            semi join (from claim anti join going_on using (position)) n
                on h.entry = n.entry and h.kind = n.kind and h.value = n.value
            left join going_on g on h.row_id = g.row_id
            left join leaving l on h.row_id = l.row_id
            group by all""")
        self.run(f"""
            create temp table beginning as
            select position, entry, kind, value, given_from, held, leaving,
                case when held then starts else least(starts, ends) end as valid_from,
                greatest(case when held then starts else least(starts, ends) end, ends) as valid_to
            from (
                select n.*, b.entry is not null as held, coalesce(b.leaving, 0) as leaving,
                    case
                        when b.entry is null then coalesce(n.given_from, {self._default})
                        when n.given_from >= coalesce(taken_until, n.given_from) then n.given_from
                        else {self.at}
                    end as starts
                from (from claim anti join going_on using (position)) n
                left join before b on b.entry = n.entry and b.kind = n.kind and b.value = n.value
            )""")

    def _end(self) -> None:
        """Find the new ends of held rows, and of new ones that others follow."""
        self.run(f"""
            create temp table ending as
            with place as (  -- rows that leave, and closed ones that would have gone on without being open
                select row_id, entry, kind, value, valid_from, valid_to, _given_from from leaving
                union all
                select h.row_id, h.entry, h.kind, h.value, h.valid_from, h.valid_to, h._given_from
                from held h semi join leaving l on h.entry = l.entry and h.kind = l.kind and h.value = l.value
                where h.closed_at is not null and h.valid_to > {self.at}
            ),
            successor as (
                select entry, kind, value, min(valid_from) as starts
                from beginning where valid_from < valid_to group by all
            )
            select p.row_id, p.entry, p.kind, p.value, p.valid_from,
                case
                    when p.valid_from >= {self.at} then p.valid_from
                    else greatest(
                        p.valid_from,
                        least(p.valid_to, coalesce(s.starts, {self.at}), coalesce(c.ends, {self._last}))
                    )
                end as valid_to,
                {self.at} as closed_at
            from place p
            left join successor s on p.entry = s.entry and p.kind = s.kind and p.value = s.value
            left join claim c
                on p.entry = c.entry and p.kind = c.kind and p.value = c.value
                and p._given_from is not distinct from c.given_from
            union all
            select g.row_id, h.entry, h.kind, h.value, h.valid_from, greatest(g.valid_from, g.ends), null
            from going_on g join held h on g.row_id = h.row_id
            where g.valid_to <> greatest(g.valid_from, g.ends)""")
        self._cut()

    def _cut(self) -> None:
        """Let no row of an entry that begins another one run over the start of the next."""
        self.run("""
            create temp table cut as
            with line as (
                select h.row_id, null::bigint as position, h.entry, h.kind, h.value, h.valid_from,
                    coalesce(e.valid_to, h.valid_to) as valid_to
                from held h
                semi join beginning b on h.entry = b.entry and h.kind = b.kind and h.value = b.value
                left join ending e on h.row_id = e.row_id
                union all
                select null, position, entry, kind, value, valid_from, valid_to from beginning where held
            )
            select row_id, position, least(valid_to, next_start) as valid_to
            from (
                select *, lead(valid_from) over (
                    partition by entry, kind, value order by valid_from, row_id nulls last, position
                ) as next_start
                from line where valid_from < valid_to
            )
            where next_start < valid_to""")

    def counts(self) -> Counts:
        """Return what the merge does."""
        pieces, starts = self.counted("select sum(pieces), count(*) from counted")
        again = self.counted(f"select count(*) from ({self.given_again()})")[0] if pieces > starts else 0
        (claims,) = self.counted("select count(*) from claim")
        (matched,) = self.counted("select count(*) from going_on")
        (extended,) = self.counted("select count(*) from going_on where valid_to <> greatest(valid_from, ends)")
        begun, changed = self.counted("select count(*), count(*) filter (leaving > 0) from beginning")
        (closed,) = self.counted("""
            select count(*) from leaving l
            anti join beginning b on l.entry = b.entry and l.kind = b.kind and l.value = b.value""")
        (open_before,) = self.counted("select count(*) from held where closed_at is null")
        return Counts(
            opened=begun - changed,
            changed=changed,
            extended=extended,
            unchanged=matched - extended,
            duplicates=pieces - claims - again,
            again=again,
            closed=closed,
            open_before=open_before,
        )

    def given_again(self) -> str:
        """SELECT of pieces that a later one of the same entry and start replaces, for it says something else."""
        same = self._same.replace("h.", "n.")
        for name in ("given_from", "given_to"):
            same += f" and c.{name} is not distinct from n.{name}"
        start = "and c.given_from is not distinct from k.given_from" if self._start else ""
        return f"""
            select c.position, c.entry, n.position as later
            from raw c
            join counted k on c.entry = k.entry and c.kind = k.kind and c.value = k.value
                and c.position < k.position {start}
            join raw n on n.position = k.position
            where not ({same})"""
