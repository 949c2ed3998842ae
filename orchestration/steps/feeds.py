"""The reference feeds of the settings: loading the snapshots that are new.

What belongs here: from settings to loads. What does not: finding snapshots (`snapshots`), reading formats,
merging (`ingest.reference`), printing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ingest.reference.feeds import Feed, FeedError, LoadReceipt, newest_load
from ingest.reference.formats import FormatError, FormatOptions, Source, checked_options, reader_of
from ingest.reference.geoip.load import databases_of, load_geoip
from ingest.reference.geoip.versions import ReferenceReceipt
from ingest.reference.load import Limits, load_feed
from ingest.transports.fetch_errors import FetchError
from lake.storage.store import Store
from orchestration.settings import ReferenceFeed, Settings
from orchestration.steps.snapshots import Snapshot, on_this_machine, snapshots

FEED_PROBLEMS = (FeedError, FormatError, FetchError, OSError)  # of one feed, which keep no other from being loaded


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


def load_databases(settings: Settings, store: Store) -> list[ReferenceReceipt]:
    """Load the GeoIP databases of the settings that are not loaded yet; receipts of all. Raises GeoIpError."""
    databases = databases_of(settings.geoip.databases)
    return load_geoip(store, databases) if databases else []


def newer_snapshots(
    settings: Settings, store: Store, feed: Feed, path: str, as_of: datetime | None = None
) -> list[Snapshot]:
    """Return the snapshots at a path that are newer than the feed's newest load, oldest first.

    With `as_of` there must be one file, which is that of this time whatever its name says. Raises FeedError.
    """
    found = snapshots(path, settings.s3_options())
    if as_of is not None:
        if len(found) > 1:
            raise FeedError(
                f"{path}: {len(found)} files cannot all be of one time; leave out --as-of, or name one file"
            )
        return [Snapshot(found[0].place, as_of)]
    return _newer(store, feed, found)


def _newer(store: Store, feed: Feed, found: list[Snapshot]) -> list[Snapshot]:
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
        wanted = [Snapshot("", datetime.now(UTC).replace(tzinfo=None))]
    else:
        found = snapshots(given.path, settings.s3_options())
        wanted = found if anew else _newer(store, feed, found)
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
    try:
        with on_this_machine(snapshot, settings.s3_options()) as path:
            source = Source(feed.table, path, since)
            receipt = load_feed(
                store,
                feed,
                reader_of(feed.format).read(source, options),
                snapshot.as_of,
                source=snapshot.name or feed.format,
                skipped=source.skipped,
                force=force,
                anew=anew,
                limits=Limits(settings.memory_bytes, settings.threads),
            )
    except FeedError as problem:
        raise type(problem)(f"{snapshot.place}: {problem}" if snapshot.place else str(problem)) from None
    return Loaded(snapshot, receipt, before is None or before.version != receipt.version)
