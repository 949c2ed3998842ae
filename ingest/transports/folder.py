"""Objects in folders of this machine: which files are event data, and when each one arrived.

What belongs here: walking folders, the arrival hour that a name or a file's time tells, and saying what was passed
over. What does not: opening formats (`ingest.decode`), remembering what was read (`ingest.landing.history`).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.contracts import Contract
from ingest.objects import RawObject

DATA_SUFFIXES = frozenset((".json", ".jsonl", ".ndjson", ".log", ".gz", ".gzip", ".zst", ".zstd", ".zip"))
_DATE_FOLDERS = re.compile(r"(?:^|/)(\d{4})/(\d{2})/(\d{2})(?:/(\d{2}))?(?:/|$)")


@dataclass
class Listing:
    """What was found: objects to read in name order, and (name, why) of what was passed over."""

    objects: list[RawObject] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)


def list_objects(contract: Contract, places: Iterable[Path], hour: datetime | None = None) -> Listing:
    """Return the objects under some files and folders; of one arrival hour (naive UTC) when `hour` is given.

    A file that is named itself is always read; in folders only files that look like data, and none that the
    contract ignores. Folders laid out by `YYYY/MM/DD` are not entered when their day cannot hold the hour.

    Raises:
        FileNotFoundError: a place does not exist.
    """
    listing = Listing()
    seen: set[str] = set()
    for place in places:
        place = place.expanduser().resolve()
        if not place.exists():
            raise FileNotFoundError(f"{place}: no such file or folder")
        for path in [place] if place.is_file() else _walk(place, hour):
            name = str(path)
            if name in seen:
                continue
            seen.add(name)
            why = _why_not(contract, path, named=place == path)
            if why:
                listing.ignored.append((name, why))
                continue
            found = _object(contract, path)
            if hour is None or _hour(found.arrived_at) == hour:
                listing.objects.append(found)
    if hour is not None:
        listing.ignored.clear()  # what lies beside an hour's objects is not this hour's business
    listing.objects.sort(key=lambda each: each.name)
    return listing


def arrived_at(contract: Contract, path: Path) -> datetime:
    """Return when an object was delivered (UTC, aware): by its name where the contract knows how, else by its time."""
    if contract.arrival_pattern and contract.arrival_format:
        found = contract.arrival_pattern.search(path.as_posix())
        if found:
            try:
                return datetime.strptime(found["at"], contract.arrival_format).replace(tzinfo=UTC)
            except ValueError:
                pass
    return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)


def _object(contract: Contract, path: Path) -> RawObject:
    stat = path.stat()
    return RawObject(
        name=str(path),
        open=lambda: path.open("rb"),
        size=stat.st_size,
        arrived_at=arrived_at(contract, path),
        fingerprint=f"{stat.st_size}-{stat.st_mtime_ns}",
    )


def _walk(folder: Path, hour: datetime | None) -> Iterator[Path]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            if hour is None or _may_hold(entry, hour):
                yield from _walk(entry, hour)
        elif entry.is_file():
            yield entry


def _may_hold(folder: Path, hour: datetime) -> bool:
    """Whether a folder may hold objects of an arrival hour; vendors file by their own clock, so a day's leeway."""
    found = list(_DATE_FOLDERS.finditer(folder.as_posix() + "/"))
    if not found:
        return True
    year, month, day, _ = found[-1].groups()
    try:
        filed = datetime(int(year), int(month), int(day))
    except ValueError:
        return True
    return abs(filed - hour.replace(hour=0)) <= timedelta(days=1)


def _why_not(contract: Contract, path: Path, *, named: bool) -> str:
    if contract.ignores(path.as_posix()):
        return "no event data by the contract"
    if named:
        return ""
    if path.name.startswith("."):
        return "hidden file"
    if not set(path.suffixes) & DATA_SUFFIXES:
        return "not a data file by its name"
    return ""


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0, tzinfo=None)
