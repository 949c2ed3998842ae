"""A feed without a lake: its snapshots merged one after another, and what its rows say of a time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from ingest.reference.changes import Counts, Merge
from ingest.reference.feeds import Feed
from ingest.reference.load_files import stage, write_rows
from ingest.reference.tables import Entry, Reject

DAY_0 = datetime(2026, 1, 1)


def day(number: float) -> datetime:
    return DAY_0 + timedelta(days=number)


class Held(NamedTuple):
    """One row of a feed's table."""

    entry: str
    name: str | None
    valid_from: datetime
    valid_to: datetime
    learned_at: datetime
    closed_at: datetime | None


@dataclass
class History:
    """A feed's rows, as a file in a folder."""

    feed: Feed
    folder: Path
    loads: int = 0
    rows: list[Held] = field(default_factory=list)

    def load(self, pieces: Iterable[Entry | Reject], at: datetime) -> Counts:
        """Merge one snapshot."""
        entries, rejects = self.folder / "entries.parquet", self.folder / "pieces.parquet"
        stage(self.feed.table, pieces, entries, rejects)
        held = str(self.folder / f"{self.loads}.parquet") if self.loads else ""
        self.loads += 1
        made = self.folder / f"{self.loads}.parquet"
        with duckdb.connect(config={"threads": 1}) as con:
            merge = Merge(con, self.feed, entries, held, at, f"v{self.loads}")
            counts = merge.counts()
            write_rows(merge, made)
            found = con.execute(
                f"select entry, name, valid_from, valid_to, learned_at, closed_at from '{made}'"
                " order by entry, valid_from, learned_at, valid_to"
            ).fetchall()
        self.rows = [Held(*row) for row in found]
        return counts

    def at(self, time: datetime, *, known: bool = False) -> dict[str, Any]:
        """Entry → name, of the rows that hold at a time; with `known`, that had been learned by then."""
        return {
            row.entry: row.name
            for row in self.rows
            if row.valid_from <= time < row.valid_to and (not known or row.learned_at <= time)
        }
