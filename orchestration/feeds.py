"""The reference feeds of the settings: which snapshots there are, and loading those that are new.

What belongs here: from settings to loads. What does not: reading formats, merging (`ingest.reference`), printing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import glob
from pathlib import Path

from ingest.reference.feeds import Feed, FeedError, LoadReceipt, newest_load
from ingest.reference.formats import FormatError, FormatOptions, Source, checked_options, reader_of
from ingest.reference.geoip import ReferenceReceipt, databases_of, load_geoip
from ingest.reference.load import Limits, load_feed
from ingest.transports.fetch_errors import FetchError
from lake.store import Store
from orchestration.settings import ReferenceFeed, Settings

# 2026-03-02, 20260302, each with an hour, minute and second after T, _ or - if there are any.
_TIME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)-?([01]\d)-?([0-3]\d)(?:[T_-]([0-2]\d)[:-]?([0-5]\d)(?:[:-]?([0-5]\d)(?:[.]\d+)?)?Z?)?(?!\d)"
)
FEED_PROBLEMS = (FeedError, FormatError, FetchError, OSError)  # of one feed, which keep no other from being loaded
_UNFINISHED = (".part", ".tmp", ".crdownload")


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of a feed: where it lies (None: an API is asked), and when it was obtained (naive UTC)."""

    path: Path | None
    as_of: datetime


@dataclass(frozen=True)
class Loaded:
    """What one snapshot did, in the table as it is since."""

    snapshot: Snapshot
    receipt: LoadReceipt
    is_news: bool  # whether a row changed


def feed_of(name: str, given: ReferenceFeed) -> Feed:
    """Return a feed of the settings as its table knows it."""
    return Feed(
        name=name,
        table=given.table,
        provider=given.provider,
        mode=given.mode or reader_of(given.format).MODE,
        format=given.format,
        most_closed_share=given.most_closed_share,
    )


def configured_feed(settings: Settings, name: str) -> ReferenceFeed:
    """Return what the settings say of a feed. Raises FeedError naming the feeds there are."""
    found = settings.reference.feeds.get(name)
    if found is None:
        known = ", ".join(settings.reference.feeds) or "none"
        raise FeedError(f"no feed {name!r} in the settings (reference.feeds has: {known})")
    return found


def snapshots(path: str) -> list[Snapshot]:
    """Return the snapshots at a path, oldest first: a file, the files of a folder, or what a glob finds.

    Hidden and unfinished files (`.part`, `.tmp`) are left out. Raises FeedError when there is nothing.
    """
    place = Path(path)
    found = [place] if place.is_file() else sorted(place.iterdir()) if place.is_dir() else map(Path, sorted(glob(path)))  # noqa: PTH207 - an absolute pattern, of any folders
    files = [
        each
        for each in found
        if each.is_file() and not each.name.startswith((".", "_")) and each.suffix not in _UNFINISHED
    ]
    if not files:
        raise FeedError(f"{path}: no file is there")
    return sorted((Snapshot(each, time_of(each)) for each in files), key=lambda each: (each.as_of, str(each.path)))


def time_of(file: Path) -> datetime:
    """Return when a snapshot was obtained (naive UTC): the last time in its name, else its time of change."""
    for found in reversed(list(_TIME.finditer(file.name))):
        try:
            return datetime(*(int(part or 0) for part in found.groups()))  # type: ignore[arg-type]
        except ValueError:
            continue
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).replace(tzinfo=None)


def load_databases(settings: Settings, store: Store) -> list[ReferenceReceipt]:
    """Load the GeoIP databases of the settings that are not loaded yet; receipts of all. Raises GeoIpError."""
    databases = databases_of(settings.geoip.databases)
    return load_geoip(store, databases) if databases else []


def newer_snapshots(store: Store, feed: Feed, path: str, as_of: datetime | None = None) -> list[Snapshot]:
    """Return the snapshots at a path that are newer than the feed's newest load, oldest first.

    With `as_of` there must be one file, which is that of this time whatever its name says. Raises FeedError.
    """
    found = snapshots(path)
    if as_of is not None:
        if len(found) > 1:
            raise FeedError(
                f"{path}: {len(found)} files cannot all be of one time; leave out --as-of, or name one file"
            )
        return [Snapshot(found[0].path, as_of)]
    newest = newest_load(store, feed.table, feed.name)
    return [each for each in found if newest is None or each.as_of > newest.newest]


def load_configured(
    settings: Settings, store: Store, name: str, *, force: bool = False, anew: bool = False
) -> Iterator[Loaded]:
    """Load every snapshot of a feed that is newer than its newest load, oldest first; yield each as it is loaded.

    A format that asks an API is asked once, for what is new since then if the feed is partial. `anew`: all snapshots
    that are there, from the first, in place of what is loaded.

    Raises:
        FeedError, FormatError, FetchError, OSError: what was yielded is loaded, the rest is not.
    """
    given = configured_feed(settings, name)
    feed = feed_of(name, given)
    if given.path is None:
        wanted = [Snapshot(None, datetime.now(UTC).replace(tzinfo=None))]
    else:
        wanted = snapshots(given.path) if anew else newer_snapshots(store, feed, given.path)
    options = checked_options(given.format, given.table, given.options)
    for snapshot in wanted:
        yield load_snapshot(settings, store, feed, snapshot, options, force=force, anew=anew)
        anew = False


def load_snapshot(
    settings: Settings,
    store: Store,
    feed: Feed,
    snapshot: Snapshot,
    options: FormatOptions,
    *,
    force: bool = False,
    anew: bool = False,
) -> Loaded:
    """Load one snapshot of a feed; with `anew`, in place of all that is loaded of it."""
    before = None if anew else newest_load(store, feed.table, feed.name)
    since = before.newest if before and feed.mode == "partial" else None
    source = Source(feed.table, snapshot.path, since)
    try:
        receipt = load_feed(
            store,
            feed,
            reader_of(feed.format).read(source, options),
            snapshot.as_of,
            source=snapshot.path.name if snapshot.path else feed.format,
            skipped=source.skipped,
            force=force,
            anew=anew,
            limits=Limits(settings.memory_bytes, settings.threads),
        )
    except FeedError as problem:
        raise type(problem)(f"{snapshot.path}: {problem}" if snapshot.path else str(problem)) from None
    return Loaded(snapshot, receipt, before is None or before.version != receipt.version)
