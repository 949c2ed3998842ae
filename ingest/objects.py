"""Objects as vendors deliver them, files or pages of an API; listing those in folders, and the rules of every listing.

The rules: which names are event data, when an object arrived, which batches are complete. Files that are passed over
are named with the reason. How objects of buckets are listed, and those of APIs fetched, is in `ingest/transports/` and
`ingest/sources/`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO

from ingest import transports
from ingest.contracts import Contract
from lake.base import plugins
from lake.storage.store import AwsAccess

DATA_SUFFIXES = frozenset((".json", ".parquet", ".jsonl", ".ndjson", ".log", ".gz", ".gzip", ".zst", ".zstd", ".zip"))
# "Amazon S3 object name format", Amazon Data Firehose Developer Guide: stream, version, time, random; no suffix unless
# one is set. Unless a prefix is set, YYYY/MM/dd/HH/ (UTC) comes before it.
_FIREHOSE = re.compile(r"-\d+-\d{4}-\d{2}-\d{2}-\d{2}-\d{2}-\d{2}-[0-9A-Za-z-]{8,40}(?:\.[a-z.]+)?$")
_FIREHOSE_FOLDERS = re.compile(r"\d{4}/\d{2}/\d{2}/\d{2}/[^/]+$")
_DATE_FOLDERS = re.compile(r"(?:^|/)(\d{4})/(\d{2})/(\d{2})(?:/(\d{2}))?(?:/|$)")
BUCKET_SCHEME = "s3://"
_MARKERS = frozenset(("_SUCCESS", "_started", "_committed"))


class ObjectGone(OSError):
    """An object is no longer what was listed or announced: deleted, or replaced. Nothing of it was read.

    Its batch goes on without it and says so; should it come back, or be new, the next listing finds it.
    """


class ObjectRefused(OSError):
    """A store that answers will not give an object: a permission, its key or its storage class is in the way.

    It says nothing of other objects. The message names bucket and key, or the file, and what is missing.
    """


@dataclass(frozen=True)
class RawObject:
    """One delivered object, opened only when somebody reads it.

    `name` is the key or path shown to people and kept as `_source_object`; `open` gives its bytes from the start,
    each time it is called; `size` is in bytes as stored (compressed, if it is); `arrived_at` is aware and in UTC;
    `fingerprint` changes whenever the content may have changed (size and mtime, an etag, or a sha256).
    `part` gives the bytes from a place up to another, where reading ahead of the turn pays: an object far away.
    Both raise ObjectGone and ObjectRefused.
    """

    name: str
    open: Callable[[], BinaryIO]
    size: int
    arrived_at: datetime
    fingerprint: str
    part: Callable[[int, int], bytes] | None = None


@dataclass
class Listing:
    """What was found: objects to read in name order, and (name, why) of what was passed over.

    `notes` say what a person should know of how it was found. `requests` and `keys` count what listing a bucket cost:
    requests made, and keys and folders that the answers named. `found` counts objects that stand in no list here,
    for another way of landing took them. `refused` are (name, why) of objects that are there and could not be read.
    """

    objects: list[RawObject] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    requests: int = 0
    keys: int = 0
    found: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: Listing) -> None:
        """Take in what another place holds."""
        self.objects += other.objects
        self.ignored += other.ignored
        self.notes += other.notes
        self.requests += other.requests
        self.keys += other.keys


def is_bucket_url(text: str) -> bool:
    """Return whether a place is in a bucket."""
    return text.startswith(BUCKET_SCHEME)


def delivered_at(contract: Contract, name: str) -> datetime | None:
    """Return the delivery time (UTC, aware) in an object's name, or None when it has none."""
    if contract.arrival_pattern and contract.arrival_format:
        found = contract.arrival_pattern.search(name)
        if found:
            return _read(found["at"], contract.arrival_format)
    return None


@lru_cache(maxsize=4096)  # names of one minute tell the same time, and reading it costs as much as all else of a name
def _read(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return None


def why_not(contract: Contract, name: str, *, named: bool, expected: bool = False) -> str:
    """Return why an object is passed over, empty if it is read.

    `named`: somebody named it itself. `expected`: it lies where the contract says that event data lies.
    """
    if contract.ignores(name):
        return "no event data by the contract"
    if named:
        return ""
    last = name.rsplit("/", 1)[-1]
    if last.startswith("."):
        return "hidden file"
    if last in _MARKERS:
        return "a marker of the writer"
    is_data = expected or is_of_firehose(last) or any(f".{part}" in DATA_SUFFIXES for part in last.split(".")[1:])
    if not is_data and delivered_at(contract, name) is None:
        return "not a data file by its name"
    return ""


def is_of_firehose(name: str) -> bool:
    """Return whether an object's own name is one that Amazon Data Firehose gives."""
    return _FIREHOSE.search(name) is not None


def lies_as_by_firehose(key: str) -> bool:
    """Return whether a key, from its source's root on, is one that Amazon Data Firehose makes by itself."""
    return _FIREHOSE_FOLDERS.match(key) is not None and is_of_firehose(key)


def hour_of(at: datetime) -> datetime:
    """Return the hour (naive UTC) of an instant (aware)."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0, tzinfo=None)


class BatchesSeen:
    """Which batches a listing saw the marker of, where the contract says that a batch is complete only with one.

    Names are seen as they are walked; an object that somebody named itself is not seen, and stays.
    """

    def __init__(self, contract: Contract) -> None:
        self._rule = contract.complete_batch
        self._batches: dict[str, str] = {}
        self._complete: set[str] = set()

    def see(self, name: str) -> None:
        """Take note of a name, of an object or of a marker."""
        if self._rule is None:
            return
        completed, batch = self._rule.completed_by(name), self._rule.of(name)
        if completed is not None:
            self._complete.add(completed)
        elif batch is not None:
            self._batches[name] = batch

    def leave_incomplete(self, listing: Listing) -> None:
        """Take the objects of incomplete batches out of a listing: they are read when their batch is complete."""
        waiting = {name for name, batch in self._batches.items() if batch not in self._complete}
        found = [each.name for each in listing.objects if each.name in waiting]
        if self._rule is None or not found:
            return
        listing.objects = [each for each in listing.objects if each.name not in waiting]
        listing.ignored += [
            (name, f"its batch is not complete: no {self._rule.marker} beside it yet") for name in found
        ]
        batches = len({self._batches[name] for name in found})
        listing.notes.append(
            f"without {self._rule.marker} beside them, left for later: {len(found)} objects, {batches} batches"
        )


def list_places(
    contract: Contract,
    places: Sequence[str],
    access: AwsAccess,
    hour: datetime | None = None,
    since: datetime | None = None,
) -> Listing:
    """Return the objects under folders, files and `s3://` URLs; see the transports for `hour` and `since` (naive UTC).

    Folders are listed whole when only `since` is given: that costs nothing there.

    Raises:
        FileNotFoundError: a place does not exist.
        AccessDenied, StoreUnavailable: a bucket cannot be listed.
    """
    listing = Listing()
    folders = [Path(each) for each in places if not is_bucket_url(each)]
    if folders:
        listing.add(list_objects(contract, folders, hour))
    urls = [each for each in places if is_bucket_url(each)]
    if urls:
        bucket = plugins.load(transports, "bucket")  # found by name: it stands on this module, and loads boto3
        listing.add(bucket.list_objects(contract, urls, access, hour, since))
    return listing


def list_objects(contract: Contract, places: Iterable[Path], hour: datetime | None = None) -> Listing:
    """Return the objects under some files and folders; of one arrival hour (naive UTC) when `hour` is given.

    A file that is named itself is always read; in folders only files that look like data, and none that the
    contract ignores. Folders laid out by `YYYY/MM/DD` are not entered when their day cannot hold the hour.

    Raises:
        FileNotFoundError: a place does not exist.
    """
    listing, batches = Listing(), BatchesSeen(contract)
    seen: set[str] = set()
    for place in places:
        place = place.expanduser().resolve()
        if not place.exists():
            raise FileNotFoundError(f"{place}: no such file or folder")
        named = place.is_file()
        for path in [str(place)] if named else _walk(str(place), hour):
            if path not in seen:
                seen.add(path)
                if not named:
                    batches.see(path)
                _take(contract, path, listing, hour, named=named)
    batches.leave_incomplete(listing)
    if hour is not None:
        listing.ignored.clear()  # what lies beside an hour's objects is not this hour's business
    listing.objects.sort(key=lambda each: each.name)
    return listing


def _take(contract: Contract, path: str, listing: Listing, hour: datetime | None, *, named: bool) -> None:
    name = Path(path).as_posix() if os.sep != "/" else path
    why = why_not(contract, name, named=named)
    if why:
        listing.ignored.append((path, why))
        return
    delivered = delivered_at(contract, name)
    if hour is not None and delivered is not None and hour_of(delivered) != hour:
        return
    found = _object(path, delivered)
    if hour is None or hour_of(found.arrived_at) == hour:
        listing.objects.append(found)


def _object(path: str, delivered: datetime | None) -> RawObject:
    stat = os.stat(path)  # noqa: PTH116 - a Path costs as much as the call, ten thousand times
    return RawObject(
        name=path,
        open=partial(_open, path),
        size=stat.st_size,
        arrived_at=delivered or datetime.fromtimestamp(stat.st_mtime, tz=UTC),
        fingerprint=f"{stat.st_size}-{stat.st_mtime_ns}",
    )


def _open(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise ObjectGone("deleted after it was listed and before it was read") from None
    except PermissionError:
        raise ObjectRefused(f"{path}: reading it is not permitted to this user") from None


def _walk(folder: str, hour: datetime | None) -> Iterator[str]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda each: each.name)
    for entry in entries:
        if entry.is_dir():
            if hour is None or _may_hold(entry.path, hour):
                yield from _walk(entry.path, hour)
        elif entry.is_file():
            yield entry.path


def _may_hold(folder: str, hour: datetime) -> bool:
    """Whether a folder may hold objects of an arrival hour; vendors file by their own clock, so a day's leeway."""
    found = list(_DATE_FOLDERS.finditer(Path(folder).as_posix() + "/"))
    if not found:
        return True
    year, month, day, _ = found[-1].groups()
    try:
        filed = datetime(int(year), int(month), int(day))
    except ValueError:
        return True
    return abs(filed - hour.replace(hour=0)) <= timedelta(days=1)
