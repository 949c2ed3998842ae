"""The reference feeds of the settings: finding their snapshots, and loading those that are new."""

import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path
from tempfile import TemporaryDirectory

from ingest.reference.feeds import Feed, FeedError, LoadReceipt, loads, newest_load
from ingest.reference.formats import FormatError, FormatOptions, Source, checked_options, reader_of
from ingest.reference.geoip.load import databases_of, load_each
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
_CLOCKS = timedelta(hours=26)  # how far the time in a name may be ahead: it may be local time


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of a feed: the file's path or `s3://` address, empty where an API is asked; its time (naive UTC).

    `changed_at` (naive UTC) is when the file was written last, and `mark` tells that and its size, where it is known.
    """

    place: str
    as_of: datetime
    changed_at: datetime | None = field(default=None, compare=False)
    mark: str = field(default="", compare=False)

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
            found = each.stat()
            yield _snapshot(str(each), each.name, datetime.fromtimestamp(found.st_mtime, UTC), found.st_size)


def _objects(path: str, s3: S3Options | None) -> Iterator[Snapshot]:
    folder, _, last = path.removeprefix(_S3).rpartition("/")
    if not folder or "*" in folder:
        raise FeedError(f"{path}: expected s3://bucket/prefix/, with a glob only in its last part")
    store, is_glob = open_store(_S3 + folder, s3), any(sign in last for sign in "*?[")
    whole = None if is_glob or not last else store.info(last)
    for each in [whole] if whole else store.list("" if is_glob else last):
        name = each.key if is_glob or whole else each.key.removeprefix(f"{last}/")
        if "/" not in name and (not is_glob or fnmatchcase(name, last)):
            yield _snapshot(store.url(each.key), name, each.modified_at, each.size)


def _snapshot(place: str, name: str, changed: datetime, size: int) -> Snapshot:
    at = changed.astimezone(UTC).replace(tzinfo=None)
    return Snapshot(place, time_of(name, changed), at, f"{size}-{at.isoformat()}")


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


def duration(span: timedelta) -> str:
    """Return a length of time as people say it: `20 minutes`, `36 hours`, `3 days`."""
    seconds = abs(span.total_seconds())
    for unit, size, least in (("day", 86_400, 2), ("hour", 3_600, 1), ("minute", 60, 1)):
        if seconds >= least * size:
            count = int(seconds // size)
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"


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


def load_databases(settings: Settings, store: Store) -> tuple[list[ReferenceReceipt], dict[Path, str]]:
    """Load the GeoIP databases of the settings that are not loaded yet; return receipts, and by file why one failed."""
    return load_each(store, databases_of(settings.geoip.databases))


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
    wanted, refused = _wanted(store, feed, found, settings.s3_options())
    if refused and not wanted:
        raise FeedError(refused)
    return wanted


def _wanted(store: Store, feed: Feed, found: list[Snapshot], s3: S3Options) -> tuple[list[Snapshot], str]:
    """Return the snapshots that are to be loaded, oldest first: those newer than the newest load, and one corrected.

    A correction of the newest snapshot counts from when it was made. The text says, if there are any, which others have
    content that was never loaded: of an earlier time, they would change what was known since.
    """
    newest = newest_load(store, feed.table, feed.name)
    if newest is None:
        return found, ""
    wanted = [each for each in found if each.as_of > newest.newest]
    if not newest.content:
        return wanted, ""
    receipts = [newest, *loads(store, feed.table, feed.name)]
    held = {(each.source, each.content) for each in receipts} | {*newest.confirmed.items()}
    marks = {(name, content.partition(":")[2]) for name, content in held if name != _newest_source(newest)}
    undated = {name for name, content in held if not content}  # loaded when contents were not noted
    passed = [each for each in found if each.as_of <= newest.newest and (each.name, each.mark) not in marks]
    known = {content.partition(":")[0] for _, content in held}
    news = [each for each in passed if each.name not in undated and _content(each, s3) not in known]
    if not news:
        return wanted, ""
    last, at = news[-1], newest.newest + timedelta(seconds=1)
    if not wanted and last.changed_at and last.changed_at > at:
        at = last.changed_at
    if last.name == _newest_source(newest) and not (wanted and at >= wanted[0].as_of):
        news, wanted = news[:-1], [replace(last, as_of=at), *wanted]
    names = ", ".join(each.place for each in news[:3]) + (f" and {len(news) - 3} more" if len(news) > 3 else "")
    refused = (
        f"feed {feed.name}: not loaded: {names}: other content than was loaded, of a time that is not after the newest"
        f" ({newest.as_of}Z); take it away, or load all snapshots in their order: headwater reference load {feed.name}"
        " --anew"
    )
    return wanted, refused if news else ""


def _newest_source(receipt: LoadReceipt) -> str:
    return next(reversed(receipt.confirmed), receipt.source)


def _content(snapshot: Snapshot, s3: S3Options | None) -> str:
    """Return the SHA-256 of a snapshot's bytes."""
    with on_this_machine(snapshot, s3) as path:
        return _sha256(path)


def _sha256(path: Path | None) -> str:
    if path is None:
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    refused = ""
    if given.path is None:
        wanted = [Snapshot("", datetime.now(UTC).replace(tzinfo=None))]
    else:
        found = snapshots(given.path, settings.s3_options())
        wanted, refused = (found, "") if anew else _wanted(store, feed, found, settings.s3_options())
    options = checked_options(given.format, given.table, given.options)
    for snapshot in wanted:
        yield load_snapshot(settings, store, feed, snapshot, options, force=force, anew=anew)
        anew = False
    if refused:
        raise FeedError(refused)


def _refuse_future(feed: Feed, snapshot: Snapshot, force: bool) -> None:
    """Refuse a snapshot of the future: until then every other would count as an older one."""
    ahead = snapshot.as_of - datetime.now(UTC).replace(tzinfo=None)
    if ahead > _CLOCKS and not force:
        raise FeedError(
            f"feed {feed.name}: its time, {snapshot.as_of.isoformat()}Z, is {duration(ahead)} in the future; nothing"
            " was changed. Correct the time in its name, or give it with --as-of"
        )


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
    _refuse_future(feed, snapshot, force)
    try:
        with on_this_machine(snapshot, settings.s3_options()) as path:
            source = Source(feed.table, path, since)
            receipt = load_feed(
                store,
                feed,
                reader_of(feed.format).read(source, options),
                snapshot.as_of,
                source=snapshot.name or feed.format,
                content=f"{_sha256(path)}:{snapshot.mark}" if path else "",
                skipped=source.skipped,
                force=force,
                anew=anew,
                limits=Limits(settings.memory_bytes, settings.threads),
            )
    except FeedError as problem:
        raise type(problem)(f"{snapshot.place}: {problem}" if snapshot.place else str(problem)) from None
    return Loaded(snapshot, receipt, before is None or before.version != receipt.version)
