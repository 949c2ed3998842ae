"""Objects in S3 buckets: which of them are event data, when each one arrived, and listing no more than an hour needs.

An hour is found along the contract's key layouts. Levels such as accounts and regions are looked up in the bucket each
time, one request for each folder, so a new one is found by itself. Times are not looked up: the walk goes to the days
and hours it was asked for.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ingest.contracts import Contract
from ingest.contracts.model import KeyLayout, Level, read_template
from ingest.objects import BatchesSeen, Listing, RawObject, delivered_at, hour_of, why_not
from ingest.transports.bucket_object import BucketPlace, Cost, Listed, bucket_place, raw_object
from lake.storage.store import AwsAccess

_HOUR = timedelta(hours=1)
# How long before its arrival an object's folder may lie. A name with the delivery time lies in the folder of that
# time, but for a clock that differs around midnight; without one, the folder may be that of the events inside.
_FILED_BEFORE, _FILED_BEFORE_UNKNOWN = _HOUR, timedelta(hours=48)
_AT_ONCE = 16  # listing requests
_ARCHIVED = frozenset(("GLACIER", "DEEP_ARCHIVE"))
_UNEXPECTED = "its key begins as no layout of the contract"

Levels = Callable[[str, str], list[str]]  # (prefix, character) → the values that stand between them


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
    told = ("archived", _UNEXPECTED)
    listing.ignored = [
        (name, why)
        for name, why in listing.ignored
        if why.startswith(told) or (hour is not None and not contract.ignores(name))
    ]
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
    at = first - (_FILED_BEFORE if contract.arrival_pattern else _FILED_BEFORE_UNKNOWN)
    while at <= last + _HOUR:
        yield at
        at += _HOUR


def _unpruned(contract: Contract, place: BucketPlace, *, listed: bool) -> str:
    laid_out = any(each.has_time for each in contract.key_layouts)
    why = "no folder there is laid out as the contract of" if laid_out else "no time is in keyLayouts of"
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


@dataclass(frozen=True)
class _Point:
    """Where a walk is: the text of the prefix so far, the levels known, the parts to come, the folders' time.

    The last `named` of the parts to come belong to the objects' own names.
    """

    text: str
    known: tuple[tuple[str, str], ...]
    parts: tuple[str | Level, ...]
    named: int
    filed: datetime


def prefixes(
    layouts: Sequence[KeyLayout],
    root: str,
    near: Sequence[datetime],
    hour: datetime | None,
    levels: Levels,
    pool: Executor,
) -> list[str]:
    """Return the prefixes under a root (empty, or ending in `/`) that can hold objects filed at the hours `near`.

    With `hour`, names that begin with a time are narrowed to it; without, whole folders are given. All times are
    naive UTC. Nothing is given when no folder of any layout is there.
    """
    points = [point for each in layouts for point in _starts(each if hour else each.day, root, near, hour)]
    asked: dict[tuple[str, str], list[str]] = {}
    found: set[str] = set()
    while points:
        moved = [_go(each, hour) for each in points]
        found.update(each.text for each in moved if not each.parts)
        waiting = [each for each in moved if each.parts]
        new = sorted({question for each in waiting if (question := _question(each)) not in asked})
        asked.update(zip(new, pool.map(lambda each: levels(*each), new), strict=True))
        points = [point for each in waiting for point in _entered(each, asked[_question(each)])]
    return _uncovered(sorted(found))


def _uncovered(found: Sequence[str]) -> list[str]:
    """Return sorted prefixes without those that begin with another one, whose keys are listed with it."""
    kept: list[str] = []
    for each in found:
        if not kept or not each.startswith(kept[-1]):
            kept.append(each)
    return kept


def _starts(layout: KeyLayout, root: str, near: Sequence[datetime], hour: datetime | None) -> Iterator[_Point]:
    known, parts = _aligned(layout, root)
    filing = layout.parts[: layout.name_at] if hour else layout.parts
    formats = [each.time_format for each in filing if isinstance(each, Level) and each.time_format]
    filed: dict[tuple[str, ...], datetime] = {}
    for each in near:
        filed.setdefault(tuple(each.strftime(form) for form in formats), each)
    for each in filed.values():
        yield _Point(root, known, parts, len(layout.parts) - layout.name_at, each)


def _aligned(layout: KeyLayout, root: str) -> tuple[tuple[tuple[str, str], ...], tuple[str | Level, ...]]:
    """Return the levels that the root itself names, and the parts below it: a root may lie inside a layout."""
    folders = root.split("/")[:-1]
    wanted = layout.template.split("/")[:-1]
    first_time = next((at for at, each in enumerate(wanted) if "{yyyy}" in each), len(wanted))
    for count in range(min(len(folders), first_time), 0, -1):
        known = _levels_of(wanted[:count], folders[-count:])
        if known is not None:
            rest = layout.template.removeprefix("/".join(wanted[:count]) + "/")
            return tuple(known.items()), read_template(rest).parts if rest else ()
    return (), layout.parts


def _levels_of(wanted: Sequence[str], folders: Sequence[str]) -> dict[str, str] | None:
    """Return the levels in some folders, None if they are not of the layout; at least one has to be a plain name."""
    if not any("{" not in each for each in wanted):
        return None
    known: dict[str, str] = {}
    for template, folder in zip(wanted, folders, strict=True):
        parts = read_template(f"{template}/").parts
        pattern = "".join(
            re.escape(each) if isinstance(each, str) else f"(?P<{each.name}>{each.shape})" for each in parts
        )
        found = re.fullmatch(pattern, f"{folder}/")
        if not found:
            return None
        known.update(found.groupdict())
    return known


def _go(point: _Point, hour: datetime | None) -> _Point:
    """Go on to the next level that has to be looked up, or to the end."""
    text, known = point.text, dict(point.known)
    for at, each in enumerate(point.parts):
        if isinstance(each, str):
            text += each
        elif each.time_format:
            in_name = len(point.parts) - at <= point.named
            text += (hour if in_name and hour else point.filed).strftime(each.time_format)
        elif each.name in known:
            text += known[each.name]
        else:
            return replace(point, text=text, parts=point.parts[at:])
    return replace(point, text=text, parts=())


def _question(point: _Point) -> tuple[str, str]:
    level = point.parts[0]
    assert isinstance(level, Level)
    return point.text, level.ends_with


def _entered(point: _Point, values: Sequence[str]) -> Iterator[_Point]:
    level = point.parts[0]
    assert isinstance(level, Level)
    shape = re.compile(level.shape)
    for value in values:
        if shape.fullmatch(value):
            known = (*point.known, (level.name, value))
            yield replace(point, text=point.text + value, known=known, parts=point.parts[1:])
