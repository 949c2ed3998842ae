"""How deliveries stand: which hours of which table are behind at which destination, since when, and what is wrong.

What belongs here: comparing build receipts with export receipts. What does not: pushing. Nothing has to remember what
to push: an hour is behind when its receipt was not made of the builds that the lake has now, by today's declaration.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lake.curated import Slot, TableName, mark
from lake.delivery.declaration import Export
from lake.delivery.receipts import ExportReceipt, exported
from lake.receipts import BuildReceipt
from lake.store import Store

Wanted = Mapping[TableName, Mapping[Slot, BuildReceipt]]
NEVER, AGAIN, CHANGED, REDECLARED, MOVED, MISMATCH = (
    "never pushed",
    "asked for again",
    "built anew",
    "declared anew",
    "another destination",
    "mismatch",
)


@dataclass(frozen=True)
class Behind:
    """One hour to push: why, and since when (ISO, UTC) the lake has had what is missing."""

    hour: str
    why: str
    since: str
    rows: int


@dataclass(frozen=True)
class Standing:
    """One table at one destination: the hours that it has, the rows in them, and those that are behind."""

    export: Export
    hours: int = 0
    rows: int = 0
    refused: int = 0
    behind: tuple[Behind, ...] = ()
    mismatches: tuple[tuple[str, str], ...] = ()
    receipts: Mapping[str, ExportReceipt] = field(default_factory=dict)


def builds_of(wanted: Wanted, export: Export) -> dict[str, dict[Slot, BuildReceipt]]:
    """Return the builds that an export's hours are made of, by hour text; hours that expired are left out."""
    found: dict[str, dict[Slot, BuildReceipt]] = {}
    for slot, build in wanted.get(export.held, {}).items():
        if not build.expired_at and export.source in ("", slot.source):
            found.setdefault(slot.hour, {})[slot] = build
    return found


def standing(store: Store, wanted: Wanted, export: Export, identity: str, again: bool = False) -> Standing:
    """Return how one table stands at the destination with an identity; with `again`, all its hours are behind."""
    receipts = exported(store, export.destination, export.table)
    builds = builds_of(wanted, export)
    behind = [
        Behind(hour, why, _since(held, receipts.get(hour)), sum(each.rows for each in held.values()))
        for hour, held in sorted(builds.items())
        if (why := why_behind(receipts.get(hour), held, export, identity) or (AGAIN if again else ""))
    ]
    return Standing(
        export=export,
        hours=len(receipts),
        rows=sum(each.held_rows for each in receipts.values()),
        refused=sum(each.refused for each in receipts.values()),
        behind=tuple(behind),
        mismatches=tuple((hour, each.mismatch) for hour, each in sorted(receipts.items()) if not each.matches),
        receipts=receipts,
    )


def why_behind(
    receipt: ExportReceipt | None, builds: Mapping[Slot, BuildReceipt], export: Export, identity: str
) -> str:
    """Return why an hour must be pushed, or "". An hour without rows that was never pushed has nothing to push."""
    if receipt is None:
        return NEVER if any(each.rows for each in builds.values()) else ""
    if receipt.identity != identity:
        return MOVED
    if receipt.declaration != export.fingerprint:
        return REDECLARED
    if not receipt.matches:
        return MISMATCH
    made_of = {slot.source: mark(each) for slot, each in builds.items()}
    return "" if made_of.items() <= receipt.made_of.items() else CHANGED


def _since(builds: Mapping[Slot, BuildReceipt], receipt: ExportReceipt | None) -> str:
    """Return when the first build was made that the receipt does not know."""
    known = receipt.made_of if receipt is not None else {}
    new = [each.built_at for slot, each in builds.items() if known.get(slot.source) != mark(each)]
    return min(new or [each.built_at for each in builds.values()])


def in_range(behind: Iterable[Behind], first: str | None, last: str | None) -> list[Behind]:
    """Return what is behind of the hours from `first` to `last`, both included."""
    return [each for each in behind if (first is None or each.hour >= first) and (last is None or each.hour <= last)]
