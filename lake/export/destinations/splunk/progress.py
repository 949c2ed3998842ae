"""What a HEC has acknowledged of an event hour, kept in the lake: ids and hashes of events, no values.

A file is a table (id, content, pushed_at): `content` is the hash of what was acknowledged, NULL where an event was
about to be sent and nothing is known of it yet. Files are only added while a push runs (what a killed push had
journaled is there), and become one when it ends. Of one id the newest line counts. File names begin with a digest of
the destination's identity: at another Splunk, or in another index, nothing has been acknowledged.
"""

import hashlib
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lake.base.sql import literal
from lake.export.declaration import EVENT_ID
from lake.export.destination import Held, Partition
from lake.export.rows import CHECKSUM
from lake.ledger.export_receipts import exported_day
from lake.storage import paths
from lake.storage.store import Store

_SHAPE = pa.schema([("id", pa.string()), ("content", pa.uint64()), ("pushed_at", pa.int64())])
# Of one push, what was acknowledged is newer than what was about to be sent.
_NEWEST = "arg_max({'content': content}, pushed_at * 2 + (content is not null)::int).content"


class Progress:
    """The progress of one hour; SQL over it runs in the connection that reads the hour's rows."""

    def __init__(
        self, store: Store, identity: str, destination: str, table: str, partition: Partition, work: Path
    ) -> None:
        self._store = store
        self.folder = paths.export_progress(destination, table, partition.hour)
        self._destination, self._table, self._hour, self._identity = destination, table, str(partition), identity
        self._mark = hashlib.sha256(identity.encode()).hexdigest()[:12]
        self._work = work / f"progress-{table}-{partition}"
        self._files = 0
        self._own: list[str] = []
        self.pushed_at = 0

    def load(self, con: duckdb.DuckDBPyConnection) -> bool:
        """Make the table `known` (id, content; NULL: sent, not acknowledged). Return whether anything is."""
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True)
        self._own = []
        last = 0
        for found in self._store.list(self.folder):
            if not found.key.rsplit("/", 1)[-1].startswith(self._mark):
                continue
            with self._store.open(found.key) as held, (self._work / f"{len(self._own)}.parquet").open("wb") as out:
                shutil.copyfileobj(held, out, 1 << 20)
            self._own.append(found.key)
        files = f"read_parquet({literal(str(self._work / '*.parquet'))})"
        if self._own:
            con.execute(f"create or replace table known as select id, {_NEWEST} as content from {files} group by id")
            (last,) = con.execute(f"select max(pushed_at) from {files}").fetchone() or (0,)
        else:
            con.execute("create or replace table known (id varchar, content ubigint)")
        # Later than any push before, also where another machine's clock runs ahead.
        self.pushed_at = max(time.time_ns() // 1000, (last or 0) + 1)
        return bool(self._own)

    def lost(self) -> str:
        """Return what says that events of the hour were sent, where nothing tells which; "" as a rule."""
        aside = next((each.key for each in self._store.list(f"{paths.DAMAGED}/{self.folder}")), "")
        if aside:
            return f"{aside} was put aside as damaged"
        receipt = exported_day(self._store, self._destination, self._table, self._hour[:10]).get(self._hour)
        if receipt is not None and receipt.identity == self._identity and receipt.held_rows:
            return f"the receipt says {receipt.held_rows:,} events, and {self.folder} is empty"
        return ""

    def intend(self, con: duckdb.DuckDBPyConnection, ids: str) -> None:
        """Remember, before anything goes, what is about to be sent: `ids` is a SELECT of one column, `id`."""
        made = self._work / "intended.parquet"
        con.execute(
            f"copy (select id, null::ubigint as content, {self.pushed_at}::bigint as pushed_at from ({ids}))"
            f" to {literal(str(made))} (format parquet, compression zstd)"
        )
        self._store.put(made, self._key())

    def acknowledge(self, taken: Iterable[tuple[list[str], list[int]]]) -> None:
        """Remember, durably, ids and contents that were acknowledged."""
        ids, contents = [], []
        for some, hashes in taken:
            ids += some
            contents += hashes
        if ids:
            table = pa.table([ids, contents, [self.pushed_at] * len(ids)], schema=_SHAPE)
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink, compression="zstd")
            self._store.write(self._key(), sink.getvalue().to_pybytes())

    def held(self, con: duckdb.DuckDBPyConnection) -> Held:
        """Return what is acknowledged of the rows of `exported`. Call `load` first."""
        row = con.execute(
            f"select count(*), {CHECKSUM} from (select distinct {EVENT_ID} from exported"
            f" where {EVENT_ID} in (select id from known where content is not null))"
        ).fetchone()
        rows, checksum = row or (0, 0)
        return Held(rows=int(rows), checksum=int(checksum))

    def vanished(self, con: duckdb.DuckDBPyConnection) -> tuple[int, int]:
        """Return how many events that are no longer in the table were acknowledged, and how many more may be there."""
        row = con.execute(
            f"select count(content), count(*) - count(content) from known anti join exported on id = {EVENT_ID}"
        ).fetchone()
        sure, perhaps = row or (0, 0)
        return int(sure), int(perhaps)

    def condense(self, con: duckdb.DuckDBPyConnection) -> None:
        """Make one file of all; also what is of other identities goes. Call `load` first."""
        others = [found.key for found in self._store.list(self.folder) if found.key not in self._own]
        if len(self._own) > 1:
            made = self._work / "condensed.parquet"
            con.execute(
                f"copy (select id, content, {self.pushed_at}::bigint as pushed_at from known)"
                f" to {literal(str(made))} (format parquet, compression zstd)"
            )
            self._store.put(made, self._key())
            others += self._own
        self._store.delete_many(others)
        shutil.rmtree(self._work, ignore_errors=True)

    def _key(self) -> str:
        self._files += 1
        return f"{self.folder}/{self._mark}-{self.pushed_at}-{self._files:06d}.parquet"
