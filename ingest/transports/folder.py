"""Objects in places: folders of this machine, and buckets, which `bucket` lists.

Files that are passed over are named with the reason.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ingest.contracts import Contract
from ingest.objects import (
    BatchesSeen,
    Listing,
    ObjectGone,
    ObjectRefused,
    RawObject,
    delivered_at,
    hour_of,
    is_bucket_url,
    why_not,
)
from lake.storage.store import AwsAccess

_DATE_FOLDERS = re.compile(r"(?:^|/)(\d{4})/(\d{2})/(\d{2})(?:/(\d{2}))?(?:/|$)")


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
        from ingest.transports import bucket  # loads boto3, which folders do without

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
