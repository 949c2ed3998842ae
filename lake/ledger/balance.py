"""The balance sheet: what became of every event, computed from the receipts and held against the files.

read = landed + quarantined + erased + expired; landed = published + duplicates + filtered + unprocessable. `landed` and
`quarantined` are what the lake has; `erased` went on request and `expired` by the contract's retention, and receipts
say so. `unprocessable` are events that no table could be made of.

`read` and `quarantined` belong to batches; in the rows of hours a quarantined record counts in its arrival hour, for
a record without an event time has no other. Totals are over whole batches.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from lake import ledger
from lake.base.errors import REPAIR
from lake.ledger import EXPIRED, Coverage, LandingReceipt, build_receipts, not_landed
from lake.ledger.coverage import coverage_of
from lake.ledger.export_receipts import deliveries as deliveries_of
from lake.ledger.staleness import Mappings, bronze_inputs, built_of, files_there, lost_file, same_inputs, unnamed_hours
from lake.storage import paths
from lake.storage.store import Store, sizes_of

BALANCED, NOT_BUILT, UNBALANCED, STALLED = "balanced", "not built", "unbalanced", "stalled"
INCOMPLETE = "incomplete"  # objects could not be read, and no batch holds them
NOT_LANDED = "not landed"  # a batch failed, and its objects are in no other
_COUNTS = (
    *("read", "landed", "quarantined", "duplicates", "filtered", "published", "collisions", "erased", "expired"),
    "unprocessable",
)
_counts = attrgetter(*_COUNTS)
_BAD_STATES = (UNBALANCED, STALLED, NOT_LANDED, INCOMPLETE, NOT_BUILT)  # the worst one first


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
    unprocessable: int = 0
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
    mappings: Mappings | None = None,
    deliveries: bool = False,
    coverage: dict[str, tuple[Coverage, ...]] | None = None,
) -> Balance:
    """Return the balance sheet of the lake, of some sources, or of the hours from `first` to `last` (both included).

    With a range, the totals are the sums of its rows; without one they are over whole batches. An hour is not balanced
    until every one of the `mappings` is built there as it is now; without them, the tables that were ever built count.
    With `deliveries`, the rows also tell what stands at each destination. `coverage` gets, by source, what records of
    coverage say, of all hours.
    """
    hours: list[BalanceRow] = []
    totals: list[BalanceRow] = []
    known = sorted({*ledger.sources(store), *not_landed.sources(store)}) if sources is None else sources
    for source in known:
        lost: list[str] = []
        receipts = list(ledger.landings(store, source, lost))
        if coverage is not None:
            coverage[source] = coverage_of(receipts)
        rows = [
            row
            for row in _hours(store, source, receipts, mappings, lost)
            if (first is None or row.hour >= first) and (last is None or row.hour <= last)
        ]
        hours += rows
        batches = receipts if first is None and last is None else None
        total = _total(store, source, rows, batches)
        if lost:
            why = "; ".join(each for each in (*lost[:3], total.why) if each)
            total = msgspec.structs.replace(total, state=UNBALANCED, balanced=False, why=why)
        totals.append(total)
    sheet = Balance(hours=tuple(hours), sources=tuple(totals), total=_sum("total", totals))
    return _with_deliveries(store, sheet) if deliveries else sheet


def _with_deliveries(store: Store, sheet: Balance) -> Balance:
    """Return the sheet with what stands at each destination, in every row."""
    held = deliveries_of(store)
    hours = tuple(
        msgspec.structs.replace(row, delivered=dict(events))
        if (events := held.events.get((row.source, row.hour)))
        else row
        for row in sheet.hours
    )
    by_source: dict[str, list[BalanceRow]] = {}
    for row in hours:
        by_source.setdefault(row.source, []).append(row)
    sources = tuple(
        msgspec.structs.replace(row, delivered=_added(by_source.get(row.source, []))) for row in sheet.sources
    )
    total = msgspec.structs.replace(sheet.total, delivered=_added(sources))
    more = tuple(told for row in hours for told in surplus(row))
    return Balance(hours=hours, sources=sources, total=total, misdelivered=(*held.wrong, *more))


def surplus(row: BalanceRow) -> Iterable[str]:
    """Yield where more events of an hour stand than the lake publishes. What expired here stays there, and counts."""
    for destination, events in row.delivered.items():
        if events > row.published + row.expired:
            yield (
                f"{destination} holds {events:,} events of {row.source} {row.hour}, and the lake publishes"
                f" {row.published:,}: run `headwater build`, then `headwater export push`"
            )


def _added(rows: Iterable[BalanceRow]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        for destination, events in row.delivered.items():
            found[destination] = found.get(destination, 0) + events
    return found


def _hours(
    store: Store, source: str, receipts: list[LandingReceipt], mappings: Mappings | None, lost: list[str]
) -> list[BalanceRow]:
    """Return the rows of a source; `lost` is told of files of bronze whose receipts are lost."""
    from lake.ledger.frames import Builds, by_hour  # Polars takes 0.2 s to import; only a sheet waits for it

    inputs = {hour: tuple(files) for hour, files in bronze_inputs(receipts).items()}
    built = {
        model: {
            hour: receipt for hour, receipt in build_receipts.of_model(store, model).items() if not receipt.expired_at
        }
        for model in build_receipts.models(store)
        if model.endswith(f"__{source}")
    }
    there = files_there(store, built.values())
    now = {model: mappings.fingerprint(model) for model in mappings.models_of(source)} if mappings else {}
    unnamed = unnamed_hours(store, built.values(), receipts, bool(lost))
    lost += dict.fromkeys(unnamed.values())
    if not receipts and not lost and next(iter(store.list(f"{paths.BRONZE}/{source}")), None) is not None:
        lost.append(f"{paths.BRONZE}/{source} holds files, and no landing receipt names them: {REPAIR}")
    builds = []
    for model, found in built.items():
        held, mapping = [*found.values()], now.get(model)
        as_now = built_of(found, inputs)
        outcomes = [each.counts for each in held] if model.startswith(f"{paths.OUTCOMES}__") else None
        builds.append(
            Builds(
                model=model,
                hour=[*found],
                rows=[each.rows for each in held],
                outcomes=outcomes,
                stale=[not as_now and not same_inputs(each.inputs, inputs.get(each.hour, ())) for each in held],
                outdated=[mapping not in (None, each.mapping) for each in held],
                lost=[lost_file(each, there) if each.file else "" for each in held],
            )
        )
    models = sorted({*now, *built}) or ["every table"]
    return [_row(source, models, counted) for counted in by_hour(receipts, builds).iter_rows(named=True)]


def _row(source: str, models: Sequence[str], counted: Mapping[str, Any]) -> BalanceRow:
    """Return the row of an hour. What has been removed was read, and the lake has it no longer."""
    landed, quarantined = counted["landed"], counted["quarantined"]
    erased, expired = counted["erased"], counted["expired"]
    state, why = _judged(models, counted)
    if expired and state == BALANCED and not landed + quarantined:
        state, why = EXPIRED, f"{expired} rows expired: {counted['expired_by']}"
    return BalanceRow(
        source=source,
        hour=counted["hour"],
        read=landed + quarantined + erased + expired,
        landed=landed,
        quarantined=quarantined,
        duplicates=counted["duplicates"],
        filtered=counted["filtered"],
        published=counted["published"],
        collisions=counted["collisions"],
        balanced=state in (BALANCED, EXPIRED),
        state=state,
        why=why,
        erased=erased,
        expired=expired,
        unprocessable=counted["unprocessable"],
    )


def _judged(models: Sequence[str], counted: Mapping[str, Any]) -> tuple[str, str]:
    """Return the state of an hour, and why it is not balanced."""
    if not counted["files"] and not counted["built_rows"]:
        return BALANCED, ""
    missing = [model for model in models if model not in counted["models"]]
    if missing:
        return NOT_BUILT, f"not built: {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}"
    if stale := counted["stale"]:
        return NOT_BUILT, f"bronze has changed since {', '.join(stale[:3])} was built"
    if outdated := counted["outdated"]:
        return NOT_BUILT, f"what {', '.join(outdated[:3])} is made by has changed since it was built"
    if lost := counted["lost"]:
        return NOT_BUILT, "; ".join(lost[:3])
    landed, published = counted["landed"], counted["published"]
    duplicates, filtered, unprocessable = (counted[name] for name in ("duplicates", "filtered", "unprocessable"))
    if (accounted := published + duplicates + filtered + unprocessable) != landed:
        more = f" + {unprocessable} unprocessable" if unprocessable else ""
        return UNBALANCED, (
            f"{landed} landed, but {published} published + {duplicates} duplicates + {filtered} filtered{more}"
            f" = {accounted}"
        )
    if counted["outcomes"] != landed:
        return UNBALANCED, f"{landed} landed, but the build read {counted['outcomes']}"
    return BALANCED, ""


def _total(store: Store, source: str, rows: list[BalanceRow], batches: list[LandingReceipt] | None) -> BalanceRow:
    total = _sum(source, rows)
    if batches is None:
        return total
    read, quarantined = sum(each.read for each in batches), sum(each.quarantined for each in batches)
    broken = [f"batch {each.batch} {each.status}: {_batch_why(each)}" for each in batches if not each.conserved]
    lost = _missing_files(store, batches)
    unread = _unread(batches)
    failed = [
        f"batch {each.batch} did not land: {each.why} Land it again, or delete {paths.not_landed(source, each.batch)}"
        " if it never shall"
        for each in not_landed.not_landed(store, source, batches)
    ]
    why = "; ".join(each for each in (*broken, *lost, *failed, unread, total.why) if each)
    state = total.state
    if lost or any(each.status == "published" for each in batches if not each.conserved):
        state = UNBALANCED
    elif broken:
        state = STALLED
    elif total.landed != sum(each.landed for each in batches):
        state, why = UNBALANCED, f"batches landed {sum(each.landed for each in batches)}, hours hold {total.landed}"
    elif failed and state != UNBALANCED:
        state = NOT_LANDED
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
    by_time = sorted(batches, key=lambda each: each.landed_at)
    unread = {name: (each.landed_at, why) for each in by_time for name, why in each.unreadable}
    if not unread:
        return ""
    told: dict[str, str] = {}
    for each in batches:  # in `ignored` stands what has gone meanwhile
        for name in (*(mark.name for mark in each.objects), *(name for name, _ in each.ignored)):
            told[name] = max(told.get(name, ""), each.landed_at)
    # Of a member of an archive, `<archive>!<member>`, a later landing of the archive tells.
    left = {
        name: why
        for name, (at, why) in unread.items()
        if told.get(name, "") < at and ("!" not in name or told.get(name.split("!")[0], "") <= at)
    }
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
    held_now = sizes_of(store, (mark.key for mark in marks))
    found = []
    for mark in marks:
        size = held_now[mark.key]
        if size is None:
            found.append(f"{mark.key} is missing ({mark.file_rows or mark.rows} rows)")
        elif size != mark.bytes:
            found.append(f"{mark.key} has {size} bytes, its receipt says {mark.bytes}")
    return found[:10]


def _sum(source: str, rows: Iterable[BalanceRow]) -> BalanceRow:
    rows = list(rows)
    by_state = {row.state: row for row in reversed(rows)}  # the first one of each
    worst = next((by_state[state] for state in _BAD_STATES if state in by_state), None)
    counted = list(map(sum, zip(*map(_counts, rows), strict=True))) if rows else [0] * len(_COUNTS)
    counts: dict[str, Any] = dict(zip(_COUNTS, counted, strict=True))
    return BalanceRow(
        source=source,
        hour="",
        **counts,
        balanced=worst is None,
        state=worst.state if worst else BALANCED,
        why=f"{worst.source} {worst.hour}: {worst.why}".replace(" :", ":") if worst else "",
    )
