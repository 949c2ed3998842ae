"""What is not loaded, and how it is told: snapshots that are old, unreadable or cut off, and feeds whose rows are lost.

What belongs here: the decisions. What does not: loading (`load`). Nothing was changed when one of these is raised.
"""

from datetime import datetime

from ingest.reference.changes import Counts
from ingest.reference.feeds import FULL, Feed, FeedError, LoadReceipt
from ingest.reference.staging import Staged
from lake.storage.store import Store


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


def refuse_shrunk(feed: Feed, counts: Counts, force: bool) -> None:
    """Refuse a full snapshot that would close a larger share of the rows than is believed."""
    if force or feed.mode != FULL or counts.closed <= feed.most_closed_share * counts.open_before:
        return
    raise SnapshotRefused(
        f"feed {feed.name}: the snapshot would close {counts.closed:,} of {counts.open_before:,} open rows, more than"
        f" the {feed.most_closed_share:.0%} that are believed; nothing was changed. If it is whole, load it with"
        " --force; if not, take it away"
    )
