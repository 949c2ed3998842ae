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
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO

from ingest import transports
from ingest.contracts import Contract
from lake.base import plugins
from lake.storage.store import AwsAccess

# Archives of kinds that are not read are data too: reading says what they are.
VANISHED = "deleted after it was listed and before it was read"
_DATA_SUFFIXES = (
    "json|jsonl|ndjson|log|xml|parquet|gz|gzip|tgz|zst|zstd|tzst|zip|bz2|tbz2?|xz|txz|lzma|tar"
    "|7z|rar|lz4|lzo?|z|snappy|avro|orc|evtx"
)
# One of the suffixes, in any capitals, anywhere behind the first dot: `x.json`, `x.LOG.1`, `x.json-20260302.gz`; or the
# number or date that a rotation gives to a file: `x.1`, `x-20260302`, `x.2026-03-02`.
_DATA = re.compile(rf"\.(?:{_DATA_SUFFIXES})(?:[-_]\d[^.]*)?(?:\.|\Z)", re.IGNORECASE)
_ROTATED = re.compile(r".(?:\.\d{1,3}|[.-](?:19|20)\d\d-?[01]\d-?[0-3]\d(?:[-T_.]?\d{1,6}Z?)?)\Z")
_TEMPORARY = re.compile(
    r"\.(?:tmp|temp|part|partial|filepart|crdownload|download|swp|swo|swx|inprogress|lock)\Z|~\Z", re.I
)
# "Amazon S3 object name format", Amazon Data Firehose Developer Guide: stream, version, time, random; no suffix unless
# one is set. Unless a prefix is set, YYYY/MM/dd/HH/ (UTC) comes before it.
_FIREHOSE = re.compile(r"-\d+-\d{4}-\d{2}-\d{2}-\d{2}-\d{2}-\d{2}-[0-9A-Za-z-]{8,40}(?:\.[a-z.]+)?$")
_FIREHOSE_FOLDERS = re.compile(r"\d{4}/\d{2}/\d{2}/\d{2}/[^/]+$")
BUCKET_SCHEME = "s3://"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_MARKER = re.compile(r"(?:_SUCCESS|_started|_committed)(?:_\d+)?\Z")
_MOST_TOLD = 10  # names of objects that an hour's receipt gives for one reason


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
        self.refused += other.refused

    def passed_over(self) -> list[tuple[str, str]]:
        """Return (name, why) of what was passed over or refused, for a receipt: the first names, and how many more."""
        names: dict[str, list[str]] = {}
        for name, why in (*self.ignored, *self.refused):
            names.setdefault(why.removeprefix(f"{name}: "), []).append(name)
        told: list[tuple[str, str]] = []
        for why, each in names.items():
            told += [(name, why) for name in each[:_MOST_TOLD]]
            if len(each) > _MOST_TOLD:
                told.append((f"and {len(each) - _MOST_TOLD:,} more", why))
        return told


def is_bucket_url(text: str) -> bool:
    """Return whether a place is in a bucket."""
    return text.startswith(BUCKET_SCHEME)


def is_no_place(text: str) -> bool:
    """Return whether a text is a URL, or nearly one, of no kind that is read; a file of such a name lies at `./`."""
    return _URL.match(text) is not None and not is_bucket_url(text)


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
    if _MARKER.match(last):
        return "a marker of the writer"
    if _TEMPORARY.search(last):
        return "a temporary file of the writer by its name"
    is_data = expected or is_of_firehose(last) or _DATA.search(last) or _ROTATED.search(last)
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
        ValueError: it is a URL of another kind, or misspelt.
        AccessDenied, StoreUnavailable: a bucket cannot be listed.
    """
    listing = Listing()
    for each in places:
        if is_no_place(each):
            raise ValueError(f"{each}: expected a file, a folder or s3://bucket/prefix")
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
        found = _place(place)
        named = found.is_file()
        for path in [str(found)] if named else _files(str(found), hour, listing):
            if path not in seen:
                seen.add(path)
                if not named:
                    batches.see(path)
                _take(contract, path, listing, hour, named=named)
    batches.leave_incomplete(listing)
    listing.objects.sort(key=lambda each: each.name)
    return listing


def _files(folder: str, hour: datetime | None, listing: Listing) -> Iterator[str]:
    walk: Iterator[str] = plugins.load(transports, "folder").files(folder, hour, listing)  # as `bucket`
    return walk


def _place(place: Path) -> Path:
    """Return where a file or folder really lies. Raises FileNotFoundError where there is none that can be read."""
    try:
        found = place.expanduser().resolve()
        if found.is_file() or found.is_dir():
            return found
        why = "neither a file nor a folder" if found.exists() else "no such file or folder"
    except (OSError, RuntimeError, ValueError) as problem:  # too long, links in a circle, no such user
        why = (getattr(problem, "strerror", None) or str(problem)).lower()
    raise FileNotFoundError(f"{shown(str(place))}: {why}")


def _take(contract: Contract, path: str, listing: Listing, hour: datetime | None, *, named: bool) -> None:
    name = Path(path).as_posix() if os.sep != "/" else path
    if (odd := shown(name)) != name:
        listing.refused.append((odd, "its name is no UTF-8, by which events name their source: rename it"))
        return
    why = why_not(contract, name, named=named)
    if why and hour is not None and contract.ignores(name):
        return  # so the contract says, of every hour
    delivered = delivered_at(contract, name)
    if hour is not None and delivered is not None and hour_of(delivered) != hour:
        return
    try:
        found = _object(path, delivered)
    except FileNotFoundError:
        listing.refused.append((path, "deleted while the folder was listed"))
        return
    except OSError as problem:
        listing.refused.append((path, f"cannot be looked at: {problem.strerror}"))
        return
    if hour is not None and hour_of(found.arrived_at) != hour:
        return  # what lies beside an hour's objects is not this hour's business
    if why:
        listing.ignored.append((path, why))
    else:
        listing.objects.append(found)


def shown(name: str) -> str:
    r"""Return a file's name as text: bytes that are no UTF-8 as `\xNN`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


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
        raise ObjectGone(VANISHED) from None
    except PermissionError:
        raise ObjectRefused(f"{path}: reading it is not permitted to this user") from None
