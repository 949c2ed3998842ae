"""Loading one snapshot of a feed into its reference table, so that it happens wholly or not at all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ingest.reference.changes import GIVEN_AGAIN, Counts, Merge
from ingest.reference.feeds import FULL, Feed, FeedError, LoadReceipt, current_key, encoded, load_key, newest_load
from ingest.reference.load_files import Staged, stage, write_names, write_rejects, write_rows
from ingest.reference.tables import ENTITY_TABLES, Entry, Reject
from lake.ledger import digest_of
from lake.storage import duck
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store

LOADER = 2  # raise when the same snapshot would give other rows
MOST_CONFIRMED = 1_000  # snapshots without news that a receipt remembers
ENTRIES, PIECES = "entries.parquet", "pieces.parquet"  # in a load's own folder
ROWS, NAMES, REJECTS = "rows.parquet", "names.parquet", "rejects.parquet"


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
    content: str = "",
    skipped: Mapping[str, int] | None = None,
    force: bool = False,
    anew: bool = False,
    loaded_at: datetime | None = None,
    limits: Limits = Limits(),
) -> LoadReceipt:
    """Merge one snapshot of a feed into its table; return the receipt, which names the feed's files.

    `as_of` (UTC; naive or aware): when the snapshot was obtained. `source`: what it was read from, and `content` the
    SHA-256 of that, for the receipt.
    `skipped` is looked at once all was read: why pieces of the source are neither an entry nor a reject → how many.
    `force` loads a snapshot that would close too much; `anew` replaces the whole feed by this snapshot, as its first.
    The same content again changes no row: of the same time, nothing at all; of a later one, the feed's `as_of`.

    Raises:
        SnapshotRefused: the snapshot is older than what was loaded, gives no entry, or would close too much.
        FeedError, and whatever `read` raises: nothing was changed.
    """
    at, now = _naive(as_of), _naive(loaded_at or datetime.now(UTC))
    with store.lock(f"reference-{feed.table}-{feed.name}"), Workplace(store, "reference") as place:
        current_load = newest_load(store, feed.table, feed.name)
        before = None if anew else current_load
        refuse_lost(store, before)
        staged = stage(feed.table, read, place.path / ENTRIES, place.path / PIECES)
        if before is not None and _is_same(feed, before, staged):
            if before.newest == at:
                return before
            refuse_older(feed, before, at)
            receipt, files, version = _confirmed(before, source, content), {}, ""
        else:
            refuse_older(feed, before, at)
            refuse_unreadable(feed, before, staged, force)
            version = version_of(at, staged.sha256)
            counts, made = _merged(store, feed, before, at, version, place.path, force, limits, staged.first_rejects)
            receipt, files = _receipt(feed, before, staged, counts, made, version), made.files | made.rejects
            receipt = msgspec.structs.replace(receipt, source=source, content=content, skipped=dict(skipped or {}))
        receipt = msgspec.structs.replace(receipt, as_of=at.isoformat(), loaded_at=now.isoformat())
        _publish(store, place, feed, current_load, receipt, files, version)
    return receipt


def _is_same(feed: Feed, before: LoadReceipt, staged: Staged) -> bool:
    return (before.sha256, before.mode, before.loader) == (staged.sha256, feed.mode, LOADER)


def _merged(
    store: Store,
    feed: Feed,
    before: LoadReceipt | None,
    at: datetime,
    version: str,
    folder: Path,
    force: bool,
    limits: Limits,
    rejected: Sequence[str],
) -> tuple[Counts, _Made]:
    """Merge what is staged in a folder into the feed's rows, in that folder. Raises SnapshotRefused."""
    with duck.connect(store, {"memory_limit": f"{limits.memory_bytes}B", "threads": limits.threads}) as con:
        con.execute("set temp_directory = ?", [str(folder / "spill")])
        held = before.file(ROWS) if before is not None else ""
        merge = Merge(con, feed, folder / ENTRIES, store.url(held) if held else "", at, version)
        counts = merge.counts()
        refuse_shrunk(feed, counts, force, rejected)
        return counts, _write(merge, before, counts, folder)


def _receipt(
    feed: Feed, before: LoadReceipt | None, staged: Staged, counts: Counts, made: _Made, version: str
) -> LoadReceipt:
    """Return the receipt of a load, without its times, its source and what was skipped."""
    is_news = bool(made.files) or before is None
    return LoadReceipt(
        table=feed.table,
        feed=feed.name,
        provider=feed.provider,
        mode=feed.mode,
        format=feed.format,
        version=version if before is None or is_news else before.version,
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
        rows=made.rows,
        rows_open=made.rows_open,
        files=_sizes(made.files) if before is None or is_news else before.files,
        digests=_digests(made.files) if before is None or is_news else before.digests,
        rejects_file=next(iter(made.rejects), ""),
        loader=LOADER,
    )


def version_of(as_of: datetime, sha256: str) -> str:
    """Return the version's name: the snapshot's time and the start of its checksum."""
    fraction = f".{as_of.microsecond:06d}" if as_of.microsecond else ""
    return f"{as_of:%Y%m%dT%H%M%S}{fraction}Z-{sha256[:8]}"


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def _write(merge: Merge, before: LoadReceipt | None, counts: Counts, folder: Path) -> _Made:
    """Write rows and names when a row changes, and what was rejected when there is any."""
    feed, told = merge.feed, folder / REJECTS
    rejects = {f"{feed.rejects_folder}/{merge.version}.parquet": told}
    if not write_rejects(merge, folder / PIECES, told):
        rejects = {}
    if before is not None and not (counts.opened or counts.changed or counts.closed or counts.extended):
        return _Made({}, rejects, before.rows, before.rows_open)
    place = f"{feed.folder}/version={merge.version}"
    files = {f"{place}/{ROWS}": folder / ROWS}
    rows, rows_open = write_rows(merge, folder / ROWS)
    if feed.table in ENTITY_TABLES:
        write_names(merge, folder / ROWS, folder / NAMES)
        files[f"{place}/{NAMES}"] = folder / NAMES
    return _Made(files, rejects, rows, rows_open)


def _sizes(files: Mapping[str, Path]) -> dict[str, int]:
    return {key: path.stat().st_size for key, path in files.items()}


def _digests(files: Mapping[str, Path]) -> dict[str, str]:
    return {key: digest_of(path) for key, path in files.items()}


def _confirmed(before: LoadReceipt, source: str = "", content: str = "") -> LoadReceipt:
    """Return the receipt of a load of the same content at a later time: nothing changed."""
    same = before.opened + before.changed + before.extended + before.unchanged
    counts = {"opened": 0, "changed": 0, "closed": 0, "extended": 0, "unchanged": same}
    kept = [*before.confirmed.items(), *([(source, content)] if content else [])][-MOST_CONFIRMED:]
    return msgspec.structs.replace(before, **counts, confirmed=dict(kept))


def _publish(
    store: Store,
    place: Workplace,
    feed: Feed,
    current_load: LoadReceipt | None,
    receipt: LoadReceipt,
    files: Mapping[str, Path],
    version: str = "",
) -> None:
    """Publish files and receipts; files of versions before the one that is replaced now go."""
    current, text = current_key(feed.table, feed.name), encoded(receipt)
    moves = tuple((place.key_of(path), key) for key, path in files.items())

    def plan() -> Change:
        if newest_load(store, feed.table, feed.name) != current_load:
            raise FeedError(
                f"feed {feed.name}: another load was published meanwhile; nothing was changed, load it again"
            )
        kept = {*receipt.files, *(current_load.files if current_load else ())}
        gone = [each.key for each in store.list(feed.folder) if each.key not in kept] if files else []
        own = ((load_key(feed.table, feed.name, version), text),) if version else ()
        return Change(moves=moves, deletes=tuple(gone), receipts=((current, text), *own))

    publish(store, plan)


class SnapshotRefused(FeedError):
    """A snapshot that was not loaded, for it is old, or would end more than a feed normally ends."""


def refuse_lost(store: Store, before: LoadReceipt | None) -> None:
    """Refuse to go on without rows that a receipt names: they are history that no snapshot has."""
    for key, info in store.infos(before.files if before else ()).items():
        if before is not None and (info is None or info.size != before.files[key]):
            raise FeedError(
                f"feed {before.feed}: {store.url(key)} is not as its receipt says; bring it back from a backup, or"
                f" begin with the snapshots that are there: headwater reference load {before.feed} --anew"
            )


def refuse_older(feed: Feed, before: LoadReceipt | None, at: datetime) -> None:
    """Refuse a snapshot that is not newer than what is loaded: rows begin and end in the order of time."""
    if before is not None and at <= before.newest:
        what = "other content of the same time" if at == before.newest else "a snapshot of an earlier time"
        raise SnapshotRefused(
            f"feed {feed.name}: {what} ({at.isoformat()}Z) than the newest that is loaded ({before.as_of}Z);"
            " snapshots are loaded in the order of their times, and nothing was changed (--anew loads all there are)"
        )


def refuse_unreadable(feed: Feed, before: LoadReceipt | None, staged: Staged, force: bool) -> None:
    """Refuse a snapshot of which no piece is an entry: the settings do not fit it, or it is something else."""
    if before is not None and feed.mode != FULL:
        return  # what is new of a partial feed may be one piece, and that of no use
    if staged.read and staged.rejected.total() == staged.read and not force:
        raise SnapshotRefused(
            f"feed {feed.name}: none of {staged.read:,} pieces is an entry of {feed.table}; nothing was changed. "
            + "; ".join(staged.first_rejects)
        )


def refuse_shrunk(feed: Feed, counts: Counts, force: bool, rejected: Sequence[str] = ()) -> None:
    """Refuse a full snapshot that would close a larger share of the rows than is believed."""
    if force or feed.mode != FULL or counts.closed <= feed.most_closed_share * counts.open_before:
        return
    raise SnapshotRefused(
        f"feed {feed.name}: the snapshot would close {counts.closed:,} of {counts.open_before:,} open rows, more than"
        f" the {feed.most_closed_share:.0%} that are believed; nothing was changed. If it is whole, load it with"
        " --force; if not, take it away" + (f". Rejected: {'; '.join(rejected)}" if rejected else "")
    )
