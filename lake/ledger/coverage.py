"""Coverage: what a vendor says of intervals without events, added up over receipts, and said in a sentence."""

from collections.abc import Iterable

import msgspec

from lake.ledger import Coverage, LandingReceipt, Unseen

COVERAGE = {"lost": "lost by the vendor before delivery", "idle": "nothing happened there"}  # by meaning


def coverage_of(receipts: Iterable[LandingReceipt]) -> tuple[Coverage, ...]:
    """Return the coverage of some receipts by status, lost records first, their places by records."""
    found: dict[tuple[str, str], list[Coverage]] = {}
    for receipt in receipts:
        for each in receipt.coverage:
            found.setdefault((each.meaning, each.status), []).append(each)
    return tuple(_sum(found[key]) for key in sorted(found, key=lambda key: (key[0] != "lost", key[1])))


def _sum(several: list[Coverage]) -> Coverage:
    places: dict[str, list[Unseen]] = {}
    for each in several:
        for place in each.places:
            places.setdefault(place.place, []).append(place)
    added = [Unseen(name, *_added(parts)) for name, parts in places.items()]
    records, seconds, first, last = _added(several)
    return msgspec.structs.replace(
        several[0],
        records=records,
        seconds=seconds,
        first=first,
        last=last,
        places=tuple(sorted(added, key=lambda place: (-place.records, place.place))),
    )


def _added(parts: list[Unseen] | list[Coverage]) -> tuple[int, int, str, str]:
    return (
        sum(each.records for each in parts),
        sum(each.seconds for each in parts),
        min((each.first for each in parts if each.first), default=""),
        max((each.last for each in parts if each.last), default=""),
    )


def coverage_sentence(told: Coverage) -> str:
    """Return what one status of coverage says, on one line."""
    count = "1 place" if len(told.places) == 1 else f"{len(told.places):,} places"
    where = f"{count} (most: {told.places[0].place})" if told.places else "no place named"
    when = f", {told.first} to {told.last}" if told.first else ""
    return f"{told.records:,} × {told.status}: {COVERAGE[told.meaning]}; {where}, {_span(told.seconds)} in all{when}"


def _span(seconds: int) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds} s"
