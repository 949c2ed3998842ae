"""The reference feeds of the settings: finding their snapshots, and loading those that are new."""

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path
from tempfile import TemporaryDirectory

from ingest.reference.feeds import Feed, FeedError, LoadReceipt, newest_load
from ingest.reference.formats import FormatError, FormatOptions, Source, checked_options, reader_of
from ingest.reference.geoip.load import databases_of, load_geoip
from ingest.reference.geoip.versions import ReferenceReceipt
from ingest.reference.load import Limits, load_feed
from ingest.transports.fetch_errors import FetchError
from lake.storage.publish import open_store
from lake.storage.store import S3Options, Store
from orchestration.settings import ReferenceFeed, Settings

# 2026-03-02, 20260302, each with an hour, minute and second after T, _ or - if there are any.
_TIME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)-?([01]\d)-?([0-3]\d)(?:[T_-]([0-2]\d)[:-]?([0-5]\d)(?:[:-]?([0-5]\d)(?:[.]\d+)?)?Z?)?(?!\d)"
)
_UNFINISHED = (".part", ".tmp", ".crdownload")
_S3 = "s3://"


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of a feed: the file's path or `s3://` address, empty where an API is asked; its time (naive UTC)."""

    place: str
    as_of: datetime

    @property
    def name(self) -> str:
        """Return the file's name."""
        return self.place.rsplit("/", 1)[-1]


def snapshots(path: str, s3: S3Options | None = None) -> list[Snapshot]:
    """Return the snapshots at a path, oldest first: a file, the files of a folder, or what a glob finds.

    In a bucket (`s3://bucket/prefix`, reached by `s3`) only the last part may be a glob. Hidden and unfinished files
    (`.part`, `.tmp`) are left out. Raises FeedError when there is nothing.
    """
    found = _objects(path, s3) if path.startswith(_S3) else _files(path)
    kept = [each for each in found if not each.name.startswith((".", "_")) and not each.name.endswith(_UNFINISHED)]
    if not kept:
        raise FeedError(f"{path}: no file is there")
    return sorted(kept, key=lambda each: (each.as_of, each.place))


def _files(path: str) -> Iterator[Snapshot]:
    place = Path(path)
    files: Iterable[Path] = place.iterdir() if place.is_dir() else [place]
    if not place.exists():
        files = map(Path, glob(path))  # noqa: PTH207 - an absolute pattern, of any folders
    for each in files:
        if each.is_file():
            yield Snapshot(str(each), time_of(each.name, datetime.fromtimestamp(each.stat().st_mtime, UTC)))


def _objects(path: str, s3: S3Options | None) -> Iterator[Snapshot]:
    folder, _, last = path.removeprefix(_S3).rpartition("/")
    if not folder or "*" in folder:
        raise FeedError(f"{path}: expected s3://bucket/prefix/, with a glob only in its last part")
    store, is_glob = open_store(_S3 + folder, s3), any(sign in last for sign in "*?[")
    whole = None if is_glob or not last else store.info(last)
    for each in [whole] if whole else store.list("" if is_glob else last):
        name = each.key if is_glob or whole else each.key.removeprefix(f"{last}/")
        if "/" not in name and (not is_glob or fnmatchcase(name, last)):
            yield Snapshot(store.url(each.key), time_of(name, each.modified_at))


def time_of(name: str, changed: datetime) -> datetime:
    """Return when a snapshot was obtained (naive UTC): the last time in its name, else when it was changed (aware)."""
    for found in reversed(list(_TIME.finditer(name))):
        try:
            return datetime(*(int(part or 0) for part in found.groups()))  # type: ignore[arg-type]
        except ValueError:
            continue
    return changed.astimezone(UTC).replace(tzinfo=None)


@contextmanager
def on_this_machine(snapshot: Snapshot, s3: S3Options | None = None) -> Iterator[Path | None]:
    """Give the file of a snapshot for as long as it is read; None where an API is asked."""
    if not snapshot.place.startswith(_S3):
        yield Path(snapshot.place) if snapshot.place else None
        return
    folder, _, name = snapshot.place.rpartition("/")
    scratch = (s3 or S3Options()).scratch.expanduser()
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch, prefix="snapshot-") as place:
        copy = Path(place) / name
        with open_store(folder, s3).open(name) as held, copy.open("wb") as out:
            shutil.copyfileobj(held, out, 1 << 20)
        yield copy


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
    settings.refuse(f"reference.feeds.{name}")
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
