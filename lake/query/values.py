"""Where the values of records went: the share that published rows account for (invariant I11), and one event's."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import duckdb

from lake.base.sql import literal, literals, quoted
from lake.ocsf.accounts.rows import ABSENT, CODED, DROPPED
from lake.ocsf.attributes import EventClass
from lake.ocsf.event_sql import published_values_sql, record_sql
from lake.ocsf.values import Account, Accounts, Record

_ROWS_AT_ONCE = 2048
_PARTS = 1_000_000
UNMAPPED, ATTRIBUTE, MISSING = "unmapped", "attribute", "missing"
KINDS = (ATTRIBUTE, UNMAPPED, CODED, DROPPED, MISSING)


@dataclass
class Shares:
    """How many values of a source's records are where; `missing` ones by path, with `metadata.uid` of one row each."""

    rows: int = 0
    values: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, uid: str, accounts: Iterator[Account]) -> None:
        """Count the values of one record."""
        self.rows += 1
        for each in accounts:
            kind = kind_of(each)
            if kind == ABSENT:
                continue
            self.values[kind] += 1
            if kind == MISSING:
                self.missing[each.path] += 1
                self.examples.setdefault(each.path, uid)

    @property
    def share(self) -> float:
        """The share of the values that are accounted for, 1 where there is none."""
        return 1 - self.values[MISSING] / max(1, self.values.total())


def kind_of(account: Account) -> str:
    """Return where a value is: one of `KINDS`, or `absent`."""
    if account.how in (ABSENT, CODED, DROPPED):
        return account.how
    if not account.how:
        return MISSING
    return UNMAPPED if account.where and all(each.startswith("unmapped") for each in account.where) else ATTRIBUTE


def count_values(
    con: duckdb.DuckDBPyConnection,
    source: str,
    record: Record,
    event_class: EventClass,
    share: float = 1.0,
    hours: Sequence[str] = (),
    shares: Shares | None = None,
    told: Callable[[int], None] = lambda rows: None,
) -> Shares:
    """Hold the published rows of a class and source against their records; `share` in 0..1 is the part of the rows.

    `con` reads the lake (see `lake.query.session`). With `hours` (`YYYY-MM-DDTHH`), of these alone. `told` gets how
    many rows were looked at, those of `shares` included.
    """
    found = shares or Shares()
    accounts, sql = _of_class(record, event_class)
    parts = round(share * _PARTS)
    some = "" if share == 1 else f" and md5_number_lower(metadata.uid) % {_PARTS} < {parts}"
    days = f" and date in {literals(sorted({hour[:10] for hour in hours}))}" if hours else ""
    some += f"{days} and date || 'T' || hour in {literals(hours)}" if hours else ""
    rows = con.execute(f"""
with events as (
  select metadata.uid as uid, {sql} as row_values, _batch, _source_object, _source_row, date, hour
  from silver.{quoted(event_class.name)} where source = {literal(source)}{some}
)
select events.uid, {record_sql(record.columns)}, row_values
from events join bronze.{quoted(source)} as bronze using (_batch, _source_object, _source_row, date, hour)
where bronze._event_key = events.uid{days.replace("date", "bronze.date")}""")
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        for uid, raw, values in batch:
            found.add(uid, accounts.trace(raw, values))
        told(found.rows)
    return found


def values_of(
    con: duckdb.DuckDBPyConnection, source: str, record: Record, event_class: EventClass, uid: str
) -> list[list[Account]]:
    """Return, of each published row with this `metadata.uid`, where each value of its record is."""
    accounts, sql = _of_class(record, event_class)
    rows = con.execute(f"""
with events as (
  select {sql} as row_values, _batch, _source_object, _source_row, date, hour
  from silver.{quoted(event_class.name)} where source = {literal(source)} and metadata.uid = {literal(uid)}
)
select {record_sql(record.columns)}, row_values
from events join bronze.{quoted(source)} using (_batch, _source_object, _source_row, date, hour)
where _event_key = {literal(uid)}""").fetchall()
    return [list(accounts.trace(raw, values)) for raw, values in rows]


def _of_class(record: Record, event_class: EventClass) -> tuple[Accounts, str]:
    sql, told = published_values_sql(event_class)
    paths, as_json = zip(*told, strict=True)
    return Accounts(record, paths, as_json), sql
