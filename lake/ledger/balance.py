"""The balance sheet: what became of every event, computed from the receipts and held against the files.

What belongs here: the two equations of conservation, per batch and per event hour, and why one does not hold.
What does not: printing it, or building what is missing.

read = landed + quarantined + erased + expired; landed = published + duplicates + filtered. `landed` and `quarantined`
are what the lake has; `erased` went on request and `expired` by the contract's retention, and receipts say so.

`read` and `quarantined` belong to batches; in the rows of hours a quarantined record counts in its arrival hour, for
a record without an event time has no other. Totals are over whole batches.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from lake import ledger
from lake.ledger.export_receipts import deliveries as deliveries_of
from lake.ledger.live_files import ERASED, EXPIRED
from lake.ledger.receipts import BuildReceipt, FileMark, LandingReceipt, Removed
from lake.ledger.staleness import Files, bronze_inputs, files_there, lost_file, row_marks
from lake.storage import paths
from lake.storage.store import Store

BALANCED, NOT_BUILT, UNBALANCED, STALLED = "balanced", "not built", "unbalanced", "stalled"
INCOMPLETE = "incomplete"  # objects could not be read, and no batch holds them


class BalanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the sheet: a source's event hour (`hour`, `YYYY-MM-DDTHH`), or its total (`hour` is empty)."""

    source: str
    hour: str
    read: int
    landed: int
    quarantined: int
    duplicates: int
    filtered: int
    published: int
    collisions: int
    balanced: bool
    state: str
    why: str = ""
    erased: int = 0
    expired: int = 0
    delivered: dict[str, int] = {}  # destination → published events that stand there


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """The whole sheet: rows by source and hour, totals by source, and the total of totals."""

    hours: tuple[BalanceRow, ...]
    sources: tuple[BalanceRow, ...]
    total: BalanceRow
    misdelivered: tuple[str, ...] = ()  # hours whose destination holds other rows than were pushed, broken receipts

    @property
    def balanced(self) -> bool:
        """Whether every equation holds, and every destination holds what was pushed."""
        return self.total.balanced and not self.misdelivered


def balance(
    store: Store,
    sources: Sequence[str] | None = None,
    first: str | None = None,
    last: str | None = None,
    tables: Callable[[str], Iterable[str]] | None = None,
    deliveries: bool = False,
) -> Balance:
    """Return the balance sheet of the lake, of some sources, or of the hours from `first` to `last` (both included).

    With a range, the totals are the sums of its rows; without one they are over whole batches. `tables` names the
    models that a source's hours are built by; without it they are those that were ever built. With `deliveries`, the
    rows also tell what stands at each destination.
    """
    hours: list[BalanceRow] = []
    totals: list[BalanceRow] = []
    for source in sources if sources is not None else ledger.sources(store):
        receipts = list(ledger.landings(store, source))
        rows = [
            row
            for row in _hours(store, source, receipts, set(tables(source)) if tables else set())
            if (first is None or row.hour >= first) and (last is None or row.hour <= last)
        ]
        hours += rows
        batches = receipts if first is None and last is None else None
        totals.append(_total(store, source, rows, batches))
    sheet = Balance(hours=tuple(hours), sources=tuple(totals), total=_sum("total", totals))
    return _with_deliveries(store, sheet) if deliveries else sheet


def _with_deliveries(store: Store, sheet: Balance) -> Balance:
    """Return the sheet with what stands at each destination, in every row."""
    held = deliveries_of(store)
    hours = tuple(
        msgspec.structs.replace(row, delivered=dict(held.events.get((row.source, row.hour), {}))) for row in sheet.hours
    )
    by_source: dict[str, list[BalanceRow]] = {}
    for row in hours:
        by_source.setdefault(row.source, []).append(row)
    sources = tuple(
        msgspec.structs.replace(row, delivered=_added(by_source.get(row.source, []))) for row in sheet.sources
    )
    total = msgspec.structs.replace(sheet.total, delivered=_added(sources))
    return Balance(hours=hours, sources=sources, total=total, misdelivered=held.wrong)


def _added(rows: Iterable[BalanceRow]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        for destination, events in row.delivered.items():
            found[destination] = found.get(destination, 0) + events
    return found


def _hours(store: Store, source: str, receipts: list[LandingReceipt], tables: set[str]) -> list[BalanceRow]:
    inputs = bronze_inputs(receipts)
    landed = _rows_by_hour(mark for receipt in receipts for mark in receipt.files)
    quarantined = _rows_by_hour(mark for receipt in receipts for mark in receipt.quarantine_files)
    removed: dict[str, list[Removed]] = {}
    for each in (each for receipt in receipts for each in receipt.removed):
        removed.setdefault(each.hour, []).append(each)
    built = {
        model: {hour: receipt for hour, receipt in ledger.builds(store, model).items() if not receipt.expired_at}
        for model in ledger.built_models(store)
        if model.endswith(f"__{source}")
    }
    built_hours = {hour for found in built.values() for hour, receipt in found.items() if receipt.rows}
    there = files_there(store, built.values())
    rows = []
    for hour in sorted({*landed, *quarantined, *built_hours, *removed}):
        of_hour = {model: found[hour] for model, found in built.items() if hour in found}
        held = tuple(inputs.get(hour, ()))
        row = _hour(
            there, source, hour, landed.get(hour, 0), quarantined.get(hour, 0), held, of_hour, tables | set(built)
        )
        rows.append(_with_removed(row, removed.get(hour, [])))
    return rows


def _with_removed(row: BalanceRow, removed: list[Removed]) -> BalanceRow:
    """Return the row of an hour with the rows that have gone: they were read, and the lake has them no longer."""
    if not removed:
        return row
    erased, expired = (sum(each.rows for each in removed if each.why == why) for why in (ERASED, EXPIRED))
    row = msgspec.structs.replace(row, read=row.read + erased + expired, erased=erased, expired=expired)
    if expired and row.balanced and not row.landed + row.quarantined:
        by = next(each.by for each in removed if each.why == EXPIRED)
        row = msgspec.structs.replace(row, state=EXPIRED, why=f"{expired} rows expired: {by}")
    return row


def _hour(
    there: Files,
    source: str,
    hour: str,
    landed: int,
    quarantined: int,
    inputs: tuple[tuple[str, str], ...],
    built: dict[str, BuildReceipt],
    models: set[str],
) -> BalanceRow:
    counts: dict[str, int] = {}
    published = 0
    for receipt in built.values():
        if receipt.table == paths.DISPOSITIONS:
            counts = receipt.counts
        else:
            published += receipt.rows
    duplicates, filtered = counts.get("duplicate", 0), counts.get("filtered", 0)
    state, why = _judge_hour(there, landed, counts, published, inputs, built, models)
    return BalanceRow(
        source=source,
        hour=hour,
        read=landed + quarantined,
        landed=landed,
        quarantined=quarantined,
        duplicates=duplicates,
        filtered=filtered,
        published=published,
        collisions=counts.get("collision", 0),
        balanced=state == BALANCED,
        state=state,
        why=why,
    )


def _judge_hour(
    there: Files,
    landed: int,
    counts: dict[str, int],
    published: int,
    inputs: tuple[tuple[str, str], ...],
    built: dict[str, BuildReceipt],
    models: set[str],
) -> tuple[str, str]:
    if not inputs and not any(receipt.rows for receipt in built.values()):
        return BALANCED, ""
    missing = sorted(models - set(built)) if models else ["every table"]
    if missing:
        return NOT_BUILT, f"not built: {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}"
    stale = sorted(model for model, receipt in built.items() if row_marks(receipt.inputs) != row_marks(inputs))
    if stale:
        return NOT_BUILT, f"bronze has changed since {', '.join(stale[:3])} was built"
    lost = [why for _, receipt in sorted(built.items()) if (why := lost_file(receipt, there.get))]
    if lost:
        return NOT_BUILT, "; ".join(lost[:3])
    accounted = published + counts.get("duplicate", 0) + counts.get("filtered", 0)
    if accounted != landed:
        return UNBALANCED, (
            f"{landed} landed, but {published} published + {counts.get('duplicate', 0)} duplicates"
            f" + {counts.get('filtered', 0)} filtered = {accounted}"
        )
    if counts.get("rows", 0) != landed:
        return UNBALANCED, f"{landed} landed, but the build read {counts.get('rows', 0)}"
    return BALANCED, ""


def _total(store: Store, source: str, rows: list[BalanceRow], batches: list[LandingReceipt] | None) -> BalanceRow:
    total = _sum(source, rows)
    if batches is None:
        return total
    read, quarantined = sum(each.read for each in batches), sum(each.quarantined for each in batches)
    broken = [f"batch {each.batch} {each.status}: {_batch_why(each)}" for each in batches if not each.conserved]
    lost = _missing_files(store, batches)
    unread = _unread(batches)
    why = "; ".join(each for each in (*broken, *lost, unread, total.why) if each)
    state = total.state
    if lost or any(each.status == "published" for each in batches if not each.conserved):
        state = UNBALANCED
    elif broken:
        state = STALLED
    elif total.landed != sum(each.landed for each in batches):
        state, why = UNBALANCED, f"batches landed {sum(each.landed for each in batches)}, hours hold {total.landed}"
    elif unread and state != UNBALANCED:
        state = INCOMPLETE
    return msgspec.structs.replace(
        total,
        read=read,
        quarantined=quarantined,
        erased=sum(each.erased for each in batches),
        expired=sum(each.expired for each in batches),
        state=state,
        balanced=state == BALANCED,
        why=why,
    )


def _unread(batches: list[LandingReceipt]) -> str:
    """Return which objects could not be read and stand in no batch since; empty if there are none."""
    unread = {name: (each.landed_at, why) for each in batches for name, why in each.unreadable}
    if not unread:
        return ""
    told: dict[str, str] = {}
    for each in batches:  # in `ignored` stands what has gone meanwhile
        for name in (*(mark.name for mark in each.objects), *(name for name, _ in each.ignored)):
            told[name] = max(told.get(name, ""), each.landed_at)
    left = {name: why for name, (at, why) in unread.items() if told.get(name, "") < at}
    if not left:
        return ""
    return f"{len(left):,} objects could not be read and are in no batch (first: {next(iter(left.values()))})"


def _batch_why(receipt: LandingReceipt) -> str:
    if receipt.status == "stalled":
        fields = sorted({each.field for each in receipt.violations if each.consequence == "stall"})
        return f"{receipt.read} records wait for a decision on {', '.join(fields)}"
    gone = "".join(f" + {rows} {why}" for rows, why in ((receipt.erased, "erased"), (receipt.expired, EXPIRED)) if rows)
    return f"{receipt.read} read, {receipt.landed} landed + {receipt.quarantined} quarantined{gone}"


def _missing_files(store: Store, batches: list[LandingReceipt]) -> list[str]:
    marks = [mark for each in batches for mark in (*each.files, *each.quarantine_files)]
    held_now = store.infos(mark.key for mark in marks)
    found = []
    for mark in marks:
        held = held_now[mark.key]
        if held is None:
            found.append(f"{mark.key} is missing ({mark.file_rows or mark.rows} rows)")
        elif held.size != mark.bytes:
            found.append(f"{mark.key} has {held.size} bytes, its receipt says {mark.bytes}")
    return found[:10]


def _sum(source: str, rows: Iterable[BalanceRow]) -> BalanceRow:
    rows = list(rows)
    for state in (UNBALANCED, STALLED, INCOMPLETE, NOT_BUILT):
        worst = next((row for row in rows if row.state == state), None)
        if worst is not None:
            break
    return BalanceRow(
        source=source,
        hour="",
        read=sum(row.read for row in rows),
        landed=sum(row.landed for row in rows),
        quarantined=sum(row.quarantined for row in rows),
        duplicates=sum(row.duplicates for row in rows),
        filtered=sum(row.filtered for row in rows),
        published=sum(row.published for row in rows),
        collisions=sum(row.collisions for row in rows),
        erased=sum(row.erased for row in rows),
        expired=sum(row.expired for row in rows),
        balanced=worst is None,
        state=worst.state if worst else BALANCED,
        why=f"{worst.source} {worst.hour}: {worst.why}".replace(" :", ":") if worst else "",
    )


def _rows_by_hour(marks: Iterable[FileMark]) -> dict[str, int]:
    found: dict[str, int] = {}
    for mark in marks:
        found[mark.hour] = found.get(mark.hour, 0) + mark.rows
    return found
