"""Loading one snapshot of a feed into its reference table, so that it happens wholly or not at all.

What belongs here: the order of a load, what it publishes, and what is refused. What does not: reading a feed
(`formats/`), the merge itself (`changes`), when a feed is loaded (orchestration).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ingest.reference.changes import GIVEN_AGAIN, Counts, Merge
from ingest.reference.feeds import FULL, Feed, FeedError, LoadReceipt, current_key, encoded, load_key, newest_load
from ingest.reference.merged_files import write_names, write_rejects, write_rows
from ingest.reference.staging import Staged, stage
from ingest.reference.tables import ENTITY_TABLES, Entry, Reject
from lake import duck
from lake.publish import Change, Workplace, publish
from lake.store import Store

LOADER = 1  # raise when the same snapshot would give other rows
ROWS, NAMES, REJECTS = "rows.parquet", "names.parquet", "rejects.parquet"


class SnapshotRefused(FeedError):
    """A snapshot that was not loaded, for it is old, or would end more than a feed normally ends."""


@dataclass(frozen=True)
class Limits:
    """What merging may use of this machine."""

    memory_bytes: int = 1 << 30
    threads: int = 2


@dataclass(frozen=True)
class _Made:
    """Files that a load has written, by their place in the lake, and the rows in them."""

    files: dict[str, Path]
    rejects: dict[str, Path]
    rows: int
    rows_open: int


def load_feed(
    store: Store,
    feed: Feed,
    read: Iterable[Entry | Reject],
    as_of: datetime,
    *,
    source: str = "",
    skipped: Mapping[str, int] | None = None,
    force: bool = False,
    loaded_at: datetime | None = None,
    limits: Limits = Limits(),
) -> LoadReceipt:
    """Merge one snapshot of a feed into its table; return the receipt, which names the feed's files.

    `as_of` (UTC; naive or aware): when the snapshot was obtained. `source`: what it was read from, for the receipt.
    `skipped` is looked at once all was read: why pieces of the source are neither an entry nor a reject → how many.
    `force` loads a snapshot that would close too much. The same content again changes no row: of the same time, nothing
    at all; of a later one, the feed's `as_of`.

    Raises:
        SnapshotRefused: the snapshot is older than what was loaded, gives no entry, or would close too much.
        FeedError, and whatever `read` raises: nothing was changed.
    """
    at, now = _naive(as_of), _naive(loaded_at or datetime.now(UTC))
    with store.lock(f"reference-{feed.table}-{feed.name}"), Workplace(store, "reference") as place:
        before = newest_load(store, feed.table, feed.name)
        _refuse_lost(store, before)
        staged = stage(feed.table, read, place.path / "entries.parquet", place.path / "pieces.parquet")
        same = before is not None and (before.sha256, before.mode, before.loader) == (staged.sha256, feed.mode, LOADER)
        if before is not None and same and before.newest == at:
            return before
        _refuse_older(feed, before, at)
        if before is not None and same:
            receipt = _confirmed(before, at, now)
            _publish(store, place, feed, before, receipt, {})
            return receipt
        if before is None or feed.mode == FULL:  # what is new of a partial feed may be one piece, and that of no use
            _refuse_unreadable(feed, staged, force)
        version = version_of(at, staged.sha256)
        with duck.connect(store, {"memory_limit": f"{limits.memory_bytes}B", "threads": limits.threads}) as con:
            con.execute("set temp_directory = ?", [str(place.path / "spill")])
            held = before.file(ROWS) if before is not None else ""
            merge = Merge(con, feed, place.path / "entries.parquet", store.url(held) if held else "", at, version)
            counts = merge.counts()
            _refuse_shrunk(feed, counts, force)
            made = _write(merge, feed, before, counts, place.path, version)
        receipt = LoadReceipt(
            table=feed.table,
            feed=feed.name,
            provider=feed.provider,
            mode=feed.mode,
            format=feed.format,
            source=source,
            version=version if made.files or before is None else before.version,
            as_of=at.isoformat(),
            loaded_at=now.isoformat(),
            sha256=staged.sha256,
            read=staged.read,
            opened=counts.opened,
            changed=counts.changed,
            closed=counts.closed,
            extended=counts.extended,
            unchanged=counts.unchanged,
            duplicates=counts.duplicates,
            unusable=staged.unusable,
            rejected=dict(staged.rejected) | ({GIVEN_AGAIN: counts.again} if counts.again else {}),
            skipped=dict(skipped or {}),
            rows=made.rows,
            rows_open=made.rows_open,
            files=_sizes(made.files) if made.files or before is None else before.files,
            rejects_file=next(iter(made.rejects), ""),
            loader=LOADER,
        )
        _publish(store, place, feed, before, receipt, made.files | made.rejects, version)
    return receipt


def version_of(as_of: datetime, sha256: str) -> str:
    """Return the version's name: the snapshot's time and the start of its checksum."""
    fraction = f".{as_of.microsecond:06d}" if as_of.microsecond else ""
    return f"{as_of:%Y%m%dT%H%M%S}{fraction}Z-{sha256[:8]}"


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def _write(merge: Merge, feed: Feed, before: LoadReceipt | None, counts: Counts, folder: Path, version: str) -> _Made:
    """Write rows and names when a row changes, and what was rejected when there is any."""
    told = folder / REJECTS
    rejects = {f"{feed.rejects_folder}/{version}.parquet": told}
    if not write_rejects(merge, folder / "pieces.parquet", told):
        rejects = {}
    if before is not None and not (counts.opened or counts.changed or counts.closed or counts.extended):
        return _Made({}, rejects, before.rows, before.rows_open)
    place = f"{feed.folder}/version={version}"
    files = {f"{place}/{ROWS}": folder / ROWS}
    rows, rows_open = write_rows(merge, folder / ROWS)
    if feed.table in ENTITY_TABLES:
        write_names(merge, folder / ROWS, folder / NAMES)
        files[f"{place}/{NAMES}"] = folder / NAMES
    return _Made(files, rejects, rows, rows_open)


def _sizes(files: Mapping[str, Path]) -> dict[str, int]:
    return {key: path.stat().st_size for key, path in files.items()}


def _confirmed(before: LoadReceipt, at: datetime, now: datetime) -> LoadReceipt:
    """Return what a load of the same content at a later time says: nothing changed, and it still holds."""
    same = before.opened + before.changed + before.extended + before.unchanged
    return msgspec.structs.replace(
        before,
        as_of=at.isoformat(),
        loaded_at=now.isoformat(),
        opened=0,
        changed=0,
        closed=0,
        extended=0,
        unchanged=same,
    )


def _publish(
    store: Store,
    place: Workplace,
    feed: Feed,
    before: LoadReceipt | None,
    receipt: LoadReceipt,
    files: Mapping[str, Path],
    version: str = "",
) -> None:
    """Publish files and receipts; files of versions before the one that is replaced now go."""
    current, text = current_key(feed.table, feed.name), encoded(receipt)
    moves = tuple((place.key_of(path), key) for key, path in files.items())

    def plan() -> Change:
        if newest_load(store, feed.table, feed.name) != before:
            raise FeedError(
                f"feed {feed.name}: another load was published meanwhile; nothing was changed, load it again"
            )
        kept = {*receipt.files, *(before.files if before else ())}
        gone = [each.key for each in store.list(feed.folder) if each.key not in kept] if files else []
        own = ((load_key(feed.table, feed.name, version), text),) if version else ()
        return Change(moves=moves, deletes=tuple(gone), receipts=((current, text), *own))

    publish(store, plan)


def _refuse_lost(store: Store, before: LoadReceipt | None) -> None:
    """The rows are the feed's history, which no snapshot has: they are never begun anew unasked."""
    for key, info in store.infos(before.files if before else ()).items():
        if before is not None and (info is None or info.size != before.files[key]):
            receipt = store.url(current_key(before.table, before.feed))
            raise FeedError(
                f"feed {before.feed}: {store.url(key)} is not as its receipt says; bring it back from a backup, or"
                f" remove {receipt} to begin the feed anew without its history"
            )


def _refuse_older(feed: Feed, before: LoadReceipt | None, at: datetime) -> None:
    if before is not None and at <= before.newest:
        what = "other content of the same time" if at == before.newest else "a snapshot of an earlier time"
        raise SnapshotRefused(
            f"feed {feed.name}: {what} ({at.isoformat()}Z) than the newest that is loaded ({before.as_of}Z);"
            " snapshots are loaded in the order of their times, and nothing was changed"
        )


def _refuse_unreadable(feed: Feed, staged: Staged, force: bool) -> None:
    if staged.read and staged.rejected.total() == staged.read and not force:
        raise SnapshotRefused(
            f"feed {feed.name}: none of {staged.read:,} pieces is an entry of {feed.table}; nothing was changed. "
            + "; ".join(staged.first_rejects)
        )


def _refuse_shrunk(feed: Feed, counts: Counts, force: bool) -> None:
    if force or feed.mode != FULL or counts.closed <= feed.most_closed_share * counts.open_before:
        return
    raise SnapshotRefused(
        f"feed {feed.name}: the snapshot would close {counts.closed:,} of {counts.open_before:,} open rows, more than"
        f" the {feed.most_closed_share:.0%} that are believed; nothing was changed. If it is whole, load it with"
        " --force; if not, take it away"
    )
