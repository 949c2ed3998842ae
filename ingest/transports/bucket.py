"""Objects in S3 buckets: which of them are event data, when each one arrived, and listing no more than an hour needs.

What belongs here: from a contract and a place in a bucket to objects that can be read. What does not: which prefixes
to list (`bucket_walk`), reading bytes (`bucket_object`), remembering what was read (`ingest.landing.batches`).
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from ingest.contracts import Contract
from ingest.objects import RawObject
from ingest.transports.bucket_object import raw_object
from ingest.transports.bucket_place import BucketPlace, Cost, Listed, bucket_place, is_bucket_url
from ingest.transports.bucket_walk import prefixes
from ingest.transports.listing import BatchesSeen, Listing, delivered_at, hour_of, why_not
from lake.storage.aws import AwsAccess

_HOUR = timedelta(hours=1)
# How long before its arrival an object's folder may lie. A name that tells the delivery lies in the folder of that
# time, but for a clock that differs around midnight; without one, the folder may be that of the events inside.
_FILED_BEFORE, _FILED_BEFORE_UNTOLD = _HOUR, timedelta(hours=48)
_AT_ONCE = 16  # listing requests
_ARCHIVED = frozenset(("GLACIER", "DEEP_ARCHIVE"))
_UNEXPECTED = "its key begins as no layout of the contract"

__all__ = ["is_bucket_url", "list_objects"]


def list_objects(
    contract: Contract,
    places: Iterable[str],
    access: AwsAccess,
    hour: datetime | None = None,
    since: datetime | None = None,
) -> Listing:
    """Return the objects under some `s3://bucket/prefix`.

    Of one arrival hour (naive UTC) when `hour` is given, of those that arrived later than `since` (naive UTC) when
    that is given: then only folders that can hold them are listed, along the contract's layouts. Where no folder is
    laid out as the contract says, an hour costs a listing of everything, and `since` finds nothing; a note says so.
    Without a time everything under the place is listed. A place that is itself a key is always read.

    Raises:
        FileNotFoundError: no time was given, and a place holds no object.
        AccessDenied, StoreUnavailable: the bucket cannot be listed; the message says what is missing.
    """
    listing = Listing()
    for url in places:
        place = bucket_place(url, access)
        found = _timed(contract, place, hour, since) if hour or since else _whole(contract, place)
        listing.add(found)
    once = {each.name: each for each in listing.objects}  # places may overlap
    listing.objects = [once[name] for name in sorted(once)]
    return listing


def _whole(contract: Contract, place: BucketPlace) -> Listing:
    listing, cost, batches = Listing(), Cost(), BatchesSeen(contract)
    entries, named = list(place.objects(place.prefix, cost)), False
    if not entries:
        key, named = place.prefix.removesuffix("/"), True
        entries = [each for each in place.objects(key, cost) if each.key == key]
        if not entries:
            raise FileNotFoundError(f"{place.url(key)}: no object is there, and none below it")
    for each in entries:
        if not named:
            batches.see(place.url(each.key))
        _take(contract, place, each, listing, named=named)
    batches.leave_incomplete(listing)
    listing.requests, listing.keys = cost.requests, cost.keys
    return listing


def _timed(contract: Contract, place: BucketPlace, hour: datetime | None, since: datetime | None) -> Listing:
    listing, cost, batches = Listing(), Cost(), BatchesSeen(contract)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="list") as pool:
        below = _below(contract, place, hour, since, cost, pool)
        if not below:
            timeless = bool(contract.key_layouts) and not any(each.has_time for each in contract.key_layouts)
            listed = since is None or timeless  # a vendor who files by no time keeps few objects
            listing.notes.append(_unpruned(contract, place, listed=listed))
            below = [place.prefix] if listed else []
        for found in pool.map(lambda prefix: list(place.objects(prefix, cost)), below):
            for each in found:
                batches.see(place.url(each.key))
                arrived = hour_of(_arrived_at(contract, place, each))
                if arrived == hour or (since is not None and arrived >= since):
                    _take(contract, place, each, listing, named=False, strict=since is not None)
    batches.leave_incomplete(listing)
    listing.ignored = [pair for pair in listing.ignored if pair[1].startswith(("archived", _UNEXPECTED))]
    listing.requests, listing.keys = cost.requests, cost.keys
    return listing


def _below(
    contract: Contract,
    place: BucketPlace,
    hour: datetime | None,
    since: datetime | None,
    cost: Cost,
    pool: ThreadPoolExecutor,
) -> list[str]:
    """Return the prefixes to list; none where the contract has no layout, or the bucket no folder of it."""
    layouts = [each for each in contract.key_layouts if each.has_time]
    if not layouts:
        return []
    near = list(_filed(contract, hour or since or datetime.min, hour or datetime.now(UTC).replace(tzinfo=None)))
    return prefixes(layouts, place.prefix, near, hour, lambda at, to: place.levels(at, to, cost), pool)


def _filed(contract: Contract, first: datetime, last: datetime) -> Iterator[datetime]:
    """Yield the hours whose folders may hold what arrived between two hours."""
    at = first - (_FILED_BEFORE if contract.arrival_pattern else _FILED_BEFORE_UNTOLD)
    while at <= last + _HOUR:
        yield at
        at += _HOUR


def _unpruned(contract: Contract, place: BucketPlace, *, listed: bool) -> str:
    laid_out = any(each.has_time for each in contract.key_layouts)
    why = "no folder there is laid out as the contract of" if laid_out else "no time stands in keyLayouts of"
    what = "was listed" if listed else "was not looked through for late objects"
    return (
        f"all of {place.url(place.prefix)} {what}, for {why} {contract.source}; every hour costs a listing of"
        " everything there"
    )


def _take(
    contract: Contract, place: BucketPlace, each: Listed, listing: Listing, *, named: bool, strict: bool = False
) -> None:
    name = place.url(each.key)
    expected = any(layout.fits(each.key) for layout in contract.key_layouts)
    why = why_not(contract, name, named=named, expected=expected)
    if not why and each.storage in _ARCHIVED:
        why = f"archived ({each.storage}): restore the object to have it read"
    if not why and strict and not expected:
        why = f"{_UNEXPECTED}, so no hour looks for it; land it by hand"
    if why:
        listing.ignored.append((name, why))
    else:
        listing.objects.append(_object(contract, place, each))


def _object(contract: Contract, place: BucketPlace, each: Listed) -> RawObject:
    return raw_object(place, each.key, each.etag, each.size, _arrived_at(contract, place, each))


def _arrived_at(contract: Contract, place: BucketPlace, each: Listed) -> datetime:
    return delivered_at(contract, place.url(each.key)) or each.modified_at.astimezone(UTC)
