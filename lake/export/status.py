"""The status of an export: which hours are behind at its destination, why, and since when.

Nothing remembers what to push: it follows from comparing the builds of an hour with its export receipt. An hour is
behind when its receipt was not made of the builds that the lake has now, by today's declaration, or when a push of it
began and did not end. One that expired stays at the destination as it is. A source whose model the project no longer
has leaves: its hour was built, and this table is not among what was built. Where the whole ledger of builds is gone,
nothing leaves; the hours are built again first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lake import ledger
from lake.export.declaration import Export
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.export_receipts import ExportReceipt, begun, begun_key, exported, exported_day
from lake.ledger.published_tables import Slot, TableName, mark, newest_builds_of_day
from lake.storage import paths
from lake.storage.store import Store

Wanted = Mapping[TableName, Mapping[Slot, BuildReceipt]]
NEVER, AGAIN, CHANGED, REDECLARED, MOVED, MISMATCH, GONE, BROKEN_OFF, UNKEPT = (
    "never pushed",
    "asked for again",
    "built anew",
    "declared anew",
    "another destination",
    "mismatch",
    "no longer built",
    "broken off",
    "refused rows are not kept",
)


@dataclass(slots=True)
class Hour:
    """One hour: its builds, its receipt, whether a source of it has expired, and since when a push has begun.

    The receipt may be made of sources without a build receipt: `gone` are those that have left the table, `unknown`
    tells that there are others. `unkept`: rows were refused, and their file has gone (with another source's rows).
    """

    receipt: ExportReceipt | None = None
    begun: str = ""
    builds: dict[Slot, BuildReceipt] = field(default_factory=dict)
    expired: bool = False
    gone: bool = False
    unknown: bool = False
    unkept: bool = False

    @property
    def pushable(self) -> bool:
        """Whether there is anything to push: builds, or rows that may be there and are no longer in the lake.

        What has expired cannot be read any more, and is not taken away.
        """
        return bool(self.builds) or (not self.expired and not self.unknown and (self.gone or bool(self.begun)))

    def why_behind(self, export: Export, identity: str) -> str:
        """Return why the hour must be pushed, or "". One without rows that was never pushed has nothing to push."""
        if not self.pushable:
            return ""
        return self._differs(export, identity) or (BROKEN_OFF if self.begun else UNKEPT if self.unkept else "")

    def _differs(self, export: Export, identity: str) -> str:
        if self.receipt is None:
            return NEVER if any(each.rows for each in self.builds.values()) else ""
        if self.receipt.identity != identity:
            return MOVED
        if self.receipt.declaration != export.fingerprint:
            return REDECLARED
        if not self.receipt.matches:
            return MISMATCH
        made_of = self.receipt.made_of
        for slot, each in self.builds.items():
            if made_of.get(slot.source) != mark(each):
                return CHANGED
        return GONE if self.gone else ""

    def since(self, why: str) -> str:
        """Return when the first build was made that the receipt does not know; else when the rows went that differ."""
        known = self.receipt.made_of if self.receipt is not None else {}
        if new := [each.built_at for slot, each in self.builds.items() if known.get(slot.source) != mark(each)]:
            return min(new)
        if self.receipt is not None and why in (MOVED, REDECLARED, GONE):
            return self.receipt.pushed_at
        return self.begun if why == BROKEN_OFF else min((each.built_at for each in self.builds.values()), default="")


def hour_of(store: Store, export: Export, hour: str) -> Hour:
    """Return one hour as it is now. Raises BrokenReceipt."""
    held = exported_day(store, export.destination, export.table, hour[:10]).get(hour)
    marker = store.info(begun_key(export.destination, export.table, hour))
    began = {hour: marker.modified_at.isoformat(timespec="seconds")} if marker else {}
    builds = newest_builds_of_day(store, export.held, hour[:10])
    here = {name: {slot: each for slot, each in found.items() if slot.hour == hour} for name, found in builds.items()}
    return hours_of(store, here, export, {hour: held} if held else {}, began).get(hour, Hour())


def hours_of(
    store: Store, wanted: Wanted, export: Export, receipts: Mapping[str, ExportReceipt], began: Mapping[str, str]
) -> dict[str, Hour]:
    """Return an export's hours that were built, delivered or begun, by hour text; `began` has since when."""
    hours = {text: Hour(receipt, began.get(text, "")) for text, receipt in receipts.items()}
    hours |= {text: Hour(None, since) for text, since in began.items() if text not in receipts}
    held = wanted.get(export.held, {})
    for slot, build in held.items():
        if export.source not in ("", slot.source):
            continue
        if (hour := hours.get(slot.hour)) is None:
            hour = hours[slot.hour] = Hour()
        if build.expired_at:
            hour.expired = True
        else:
            hour.builds[slot] = build
    missing = [
        slot
        for text, receipt in receipts.items()
        for source in receipt.made_of
        if (slot := Slot(source, text)) not in held
    ]
    gone = _gone(store, export, missing)
    for slot in missing:
        hours[slot.hour].gone |= slot in gone
        hours[slot.hour].unknown |= slot not in gone
    for text in _unkept(store, receipts):
        hours[text].unkept = True
    return hours


def _unkept(store: Store, receipts: Mapping[str, ExportReceipt]) -> list[str]:
    """Return the hours whose refused rows are not there: erasing or expiring one source's hour takes the file along."""
    files = {
        text: paths.refused_file(each.destination, each.table, ledger.hour(text))
        for text, each in receipts.items()
        if each.refused
    }
    held = store.infos(files.values())
    return [text for text, file in files.items() if held[file] is None]


def _gone(store: Store, export: Export, missing: Iterable[Slot]) -> set[Slot]:
    """Return which slots without a build receipt have left the table: others of their source and hour were built.

    One whose file is still there has only lost its receipt.
    """
    by_source: dict[str, set[str]] = {}
    for source, hour in missing:
        by_source.setdefault(source, set()).add(hour)
    built = {
        Slot(source, hour)
        for source, hours in by_source.items()
        if source
        for hour in hours & build_receipts.of_model(store, f"{paths.OUTCOMES}__{source}").keys()
    }
    files = {slot: _file(export, slot) for slot in built}
    held = store.infos(files.values())
    return {slot for slot, file in files.items() if held[file] is None}


def _file(export: Export, slot: Slot) -> str:
    folder = paths.silver_folder(export.held.table, slot.source)
    return f"{folder}/{paths.hour_folder(ledger.hour(slot.hour))}/part.parquet"


@dataclass(frozen=True)
class Behind:
    """One hour to push: why, and since when (ISO, UTC) the lake has had what is missing."""

    hour: str
    why: str
    since: str
    rows: int


@dataclass(frozen=True)
class ExportStatus:
    """One table at one destination: hours and rows that it has, the hours behind, and (hour, why) of mismatches."""

    export: Export
    hours: int = 0
    rows: int = 0
    refused: int = 0
    behind: tuple[Behind, ...] = ()
    mismatches: tuple[tuple[str, str], ...] = ()


def export_status(store: Store, wanted: Wanted, export: Export, identity: str, again: bool = False) -> ExportStatus:
    """Return the status of one table at the destination with an identity; with `again`, all its hours are behind.

    Raises:
        BrokenReceipt: a receipt of the table cannot be read.
    """
    receipts = exported(store, export.destination, export.table)
    hours = hours_of(store, wanted, export, receipts, begun(store, export.destination, export.table))
    behind, mismatches, rows, refused = [], [], 0, 0
    for text, hour in sorted(hours.items()):
        if why := hour.why_behind(export, identity) or (AGAIN if again and hour.builds else ""):
            behind.append(Behind(text, why, hour.since(why), sum(each.rows for each in hour.builds.values())))
        if hour.receipt is not None:
            rows, refused = rows + hour.receipt.held_rows, refused + hour.receipt.refused
            if mismatch := hour.receipt.mismatch:
                mismatches.append((text, mismatch))
    return ExportStatus(export, len(receipts), rows, refused, tuple(behind), tuple(mismatches))


def in_range(behind: Iterable[Behind], first: str | None, last: str | None) -> list[Behind]:
    """Return those from hour `first` to hour `last`, both included; None: no bound."""
    return [each for each in behind if (first is None or each.hour >= first) and (last is None or each.hour <= last)]
