"""Proving an erasure: nothing of what was erased is left anywhere, and nothing else was touched.

Bronze and quarantine are asked the condition again, over every file that lies there. Built tables do not have its
columns; they are asked for the erased rows: by event key, unless bronze still has a record of that key in the hour, and
by the object and row they came from.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from lake import ledger
from lake.base.sql import literal
from lake.ledger import build_receipts
from lake.ledger.live_files import addresses, live_files
from lake.matching.matches import TABLE as MATCHES
from lake.storage import paths
from lake.storage.duck import partitioned, rows_select
from lake.storage.store import Store
from lake.upkeep.receipts import ErasureReceipt

Fingerprints = Mapping[str, str]
_ORIGIN = "_batch, _source_object, _source_row"


@dataclass(frozen=True)
class Proof:
    """How many matching rows are left where, and how many files are byte for byte as before; `changed` are not.

    `changed` files are no part of the erasure: a landing or a build replaced them meanwhile.
    """

    counts: Mapping[str, int]
    changed: Sequence[str]

    @property
    def holds(self) -> bool:
        """Whether nothing is left."""
        return not any(rows for name, rows in self.counts.items() if name.startswith("left_in"))


def fingerprints(store: Store, source: str) -> dict[str, str]:
    """Return what tells whether any data file of a source was replaced, by key."""
    folders = [f"{paths.BRONZE}/{source}", f"{paths.QUARANTINE}/{source}", paths.outcomes_folder(source)]
    folders += [paths.silver_folder(table, source) for table in store.folders(paths.SILVER)]
    return {each.key: each.fingerprint for folder in folders for each in store.list(folder)}


def left_in_built(con: duckdb.DuckDBPyConnection, store: Store, receipt: ErasureReceipt) -> dict[str, int]:
    """Return how many rows of erased records silver and dispositions have."""
    left = {"left_in_silver": 0, "left_in_dispositions": 0}
    lists = [each.key for each in store.list(paths.erased_rows(receipt.source, receipt.erasure))]
    hours = sorted({file.hour for file in receipt.files if file.room == paths.BRONZE})
    if not lists or not hours:
        return left
    _lost(con, store, receipt.source, lists, hours)
    for name, key, files in _built(store, receipt.source, set(hours)):
        listed = ", ".join(literal(store.url(each)) for each in files)
        row = con.execute(
            f"select count(*) from (select {key} as _event_key, {_ORIGIN}, date || 'T' || hour as _hour from"
            f" {partitioned(f'[{listed}]', store.url(''), ('source', 'date', 'hour'), 'union_by_name = true, ')})"
            " where (_hour, _event_key) in (select (hour, _event_key) from lost_keys)"
            f" or ({_ORIGIN}) in (select ({_ORIGIN}) from lost_origins)"
        ).fetchone()
        left[name] += int(row[0]) if row else 0
    return left


def _lost(
    con: duckdb.DuckDBPyConnection, store: Store, source: str, lists: Sequence[str], hours: Sequence[str]
) -> None:
    """Make `lost_keys` and `lost_origins`: what was erased and is in bronze no longer."""
    listed = ", ".join(literal(store.url(key)) for key in lists)
    con.execute(f"create or replace temp table erased as select * from read_parquet([{listed}])")
    con.execute(f"create or replace temp table kept (hour varchar, _event_key varchar, {_ORIGIN_COLUMNS})")
    wanted = set(hours)
    for file in live_files(ledger.landings(store, source)):
        if file.hour in wanted:
            rows = rows_select(addresses(store, [file]))
            con.execute(f"insert into kept select ?, _event_key, {_ORIGIN} from ({rows})", [file.hour])
    con.execute(
        "create or replace temp table lost_keys as"
        " select hour, _event_key from erased except select hour, _event_key from kept"
    )
    con.execute(
        f"create or replace temp table lost_origins as select {_ORIGIN} from erased except select {_ORIGIN} from kept"
    )


_ORIGIN_COLUMNS = "_batch varchar, _source_object varchar, _source_row bigint"


def _built(store: Store, source: str, hours: set[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield what a built table is counted as, its event key, and its files of some hours; matches count as silver."""
    tables = [("left_in_silver", "event_uid", paths.gold_folder(MATCHES))]
    tables += [("left_in_dispositions", "_event_key", paths.outcomes_folder(source))]
    tables += [
        ("left_in_silver", "metadata.uid", paths.silver_folder(table, source)) for table in store.folders(paths.SILVER)
    ]
    for name, key, folder in tables:
        found = [each.key for each in store.list(folder)]
        files = [each for each in found if (at := paths.hour_of(each)) and ledger.hour_text(at) in hours]
        if files:
            yield name, key, files


def untouched(before: Fingerprints, after: Fingerprints, receipt: ErasureReceipt) -> tuple[int, list[str]]:
    """Return how many files are as they were, and those that are not though the erasure is not about them."""
    meant = {file.key for file in receipt.files}
    hours = {file.hour for file in receipt.files if file.room == paths.BRONZE}
    others = {key: mark for key, mark in before.items() if key not in meant and not _is_built_of(key, hours)}
    changed = sorted(key for key, mark in others.items() if after.get(key) != mark)
    return len(others) - len(changed), changed


def _is_built_of(key: str, hours: set[str]) -> bool:
    at = paths.hour_of(key)
    return not key.startswith((paths.BRONZE, paths.QUARANTINE)) and at is not None and ledger.hour_text(at) in hours


def forget_versions(store: Store, receipt: ErasureReceipt) -> tuple[str, ...]:
    """Remove older versions wherever an erasure's records may have been; return what remains, in words.

    These are the hours it rewrote, what was built of them, receipts with samples, and everything that was prepared.
    """
    try:
        for folder in _folders(store, receipt):
            store.forget_versions(folder)
    except OSError as problem:
        return (
            f"older versions in {store.root} ({problem}): s3:ListBucketVersions and s3:DeleteObjectVersion are needed,"
            " and no object lock; allow that and run the same command again, or let the bucket's lifecycle end them",
        )
    return ()


def _folders(store: Store, receipt: ErasureReceipt) -> Iterator[str]:
    source = receipt.source
    built = paths.built_folders(store.folders, source)
    for room, hour in sorted({(file.room, file.hour) for file in receipt.files}):
        filed = paths.hour_folder(ledger.hour(hour))
        yield f"{room}/{source}/{filed}"
        if room == paths.BRONZE:
            yield from (f"{folder}/{filed}" for folder in built)
    yield f"{paths.LEDGER}/landing/{source}"
    yield paths.not_landed_folder(source)
    yield from (
        f"{paths.LEDGER}/build/{model}" for model in build_receipts.models(store) if model.endswith(f"__{source}")
    )
    yield from (paths.ERASURES, "iceberg", paths.STAGING, paths.JOURNAL)
