"""What a build would do and why, told from the lake and the dbt project without building anything.

Which hours are stale, `lake.ledger.staleness` and `lake.marts.staleness` say. Here it is told in what they differ from
their receipts: which files came or went, which parts of the mapping changed, which tables have other rows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from lake import ledger
from lake.ledger import ERASED, build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.staleness import (
    ANSWERED,
    FILES,
    MAPPING,
    NEVER,
    Inputs,
    Mappings,
    Stale,
    bronze_inputs,
    recorded_parts,
    stale_hours,
)
from lake.marts.declaration import Marts
from lake.marts.staleness import FOLLOWS, ROWS, SQL, Tables, planned
from lake.matching.matches import TABLE as MATCHES
from lake.storage.paths import BRONZE
from lake.storage.store import Store

AGAIN, RETIRED = "asked for again", "retired: the project no longer has this table, its files go"
_SHOWN = 3  # names in a sentence, the most telling ones
_KINDS = ("model", "macro", "seed", "class", "contract", "OCSF", "properties")

Hours = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Reason:
    """Hours of one table (`YYYY-MM-DDTHH`) that are built, or of a retired table removed, for one reason."""

    table: str
    why: str
    hours: tuple[str, ...]


@dataclass(frozen=True)
class Due:
    """What a build would do: event hours by source and by mart, and why, table by table.

    `if_changed` are hours of marts that are built only if hours that they read come out with other rows. `retired` are
    tables that the project no longer has.
    """

    hours: Hours = field(default_factory=dict)
    marts: Hours = field(default_factory=dict)
    if_changed: Hours = field(default_factory=dict)
    retired: Hours = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()


def due(
    store: Store,
    mappings: Mappings,
    marts: Marts,
    sources: Sequence[str],
    wanted: Callable[[str], bool] = lambda _: True,
    again: bool = False,
) -> Due:
    """Return what a build of some sources, and of the marts, would do in the hours that are `wanted`."""
    retired = _retired(store, mappings, marts, sources)
    found, whys = Due(retired=retired), {table: dict.fromkeys(hours, RETIRED) for table, hours in retired.items()}
    for source in sources:
        stale = [each for each in stale_or_all(store, mappings, source, again) if wanted(each.hour)]
        if stale:
            found.hours[source] = tuple(each.hour for each in stale)
            whys |= _of_source(store, mappings, source, stale)
    silver = {table: tuple(hours) for table, hours in whys.items() if table not in retired}
    for mart, hours in planned(store, mappings, marts, wanted, again, silver).items():
        for place, chosen in (
            (found.marts, tuple(hour for hour, why in hours.items() if why != FOLLOWS)),
            (found.if_changed, tuple(hour for hour, why in hours.items() if why == FOLLOWS)),
        ):
            if chosen:
                place[mart] = chosen
        whys[mart] = _of_mart(store, mappings, marts, mart, hours)
    reasons = (Reason(table, why, hours) for table, of in whys.items() for why, hours in _by_reason(of).items())
    return Due(found.hours, found.marts, found.if_changed, retired, tuple(reasons))


def stale_or_all(
    store: Store, mappings: Mappings, source: str, again: bool, waiting: dict[str, str] | None = None
) -> list[Stale]:
    """Return what is stale of a source; with `again`, everything that it has bronze files of.

    `waiting` is told why hours are not built though they may be stale, as in `stale_hours`.
    """
    unbuilt: dict[str, str] = {} if waiting is None else waiting
    if not again:
        return stale_hours(store, mappings, source, waiting)
    stale_hours(store, mappings, source, unbuilt)
    whys = dict.fromkeys(mappings.models_of(source), AGAIN)
    hours = bronze_inputs(ledger.landings(store, source, []))
    return [Stale(source, hour, tuple(whys), AGAIN, whys) for hour in hours if hour not in unbuilt]


def removed_models(store: Store, mappings: Mappings, source: str) -> list[str]:
    """Return the tables of a source that the lake has and the project does not."""
    held = set(mappings.models_of(source))
    return [each for each in build_receipts.models(store) if each.endswith(f"__{source}") and each not in held]


def removed_marts(store: Store, marts: Marts) -> list[str]:
    """Return the marts that the lake has and the project does not; one that is declared wrongly is still there."""
    known = {*marts.by_name, *marts.problems, MATCHES}
    return [each for each in build_receipts.models(store) if "__" not in each and each not in known]


def _retired(store: Store, mappings: Mappings, marts: Marts, sources: Iterable[str]) -> Hours:
    gone = [model for source in sources for model in removed_models(store, mappings, source)]
    gone += removed_marts(store, marts)
    return {model: tuple(sorted(build_receipts.of_model(store, model))) for model in gone}


def _of_source(store: Store, mappings: Mappings, source: str, stale: Iterable[Stale]) -> dict[str, dict[str, str]]:
    """Return why each table of a source is stale: table → hour → sentence."""
    landings = list(ledger.landings(store, source, []))
    inputs = bronze_inputs(landings)
    erased = {each.hour for held in landings for each in held.removed if (each.room, each.why) == (BRONZE, ERASED)}
    built = {model: build_receipts.of_model(store, model) for model in mappings.models_of(source)}
    known = {hour for receipts in built.values() for hour in receipts}
    mapping = cache(lambda model, before: _mapping(store, mappings, model, before))
    found: dict[str, dict[str, str]] = {}
    for each in stale:
        for model, why in each.whys.items():
            receipt = built[model].get(each.hour)
            if why == NEVER:
                said = "new table: never built" if each.hour in known else "new hour: never built"
            elif why == FILES and receipt:
                said = _files(receipt.inputs, inputs.get(each.hour, ()), each.hour in erased)
            elif why == MAPPING and receipt:
                said = mapping(model, receipt.mapping)
            else:
                said = _plain(why, receipt)
            found.setdefault(model, {})[each.hour] = said
    return found


def _of_mart(store: Store, mappings: Mappings, marts: Marts, name: str, hours: Mapping[str, str]) -> dict[str, str]:
    """Return why hours of a mart are stale: hour → sentence."""
    tables = Tables(store)
    receipts = tables.slots(name).receipts
    mapping = cache(lambda before: _mapping(store, mappings, name, before))
    found = {}
    for hour, why in hours.items():
        receipt = receipts.get(hour)
        if why == ROWS and receipt:
            now = tables.inputs(marts.by_name[name], hour)
            other = sorted({label.split("[")[0] for label, _ in {*receipt.inputs} ^ {*now}})
            found[hour] = f"other rows in {_listed(other)}"
        elif why == SQL and receipt:
            found[hour] = mapping(receipt.mapping)
        else:
            found[hour] = _plain(why, receipt)
    return found


def _plain(why: str, receipt: BuildReceipt | None) -> str:
    """Return a reason in words that are the same for every hour."""
    if why == ANSWERED:
        return "answers have come that events wait for"
    if why == FOLLOWS:
        return "reads hours that are built first: built if their rows come out otherwise"
    if receipt and receipt.file and why.startswith(receipt.file):
        return "its file is gone" if why.endswith("is gone") else "its file is not the one of its receipt"
    return why or AGAIN


def _files(before: Inputs, now: Inputs, erased: bool) -> str:
    """Return what became of an hour's bronze files since it was built; files that were merged do not count."""
    old, new = dict(before), dict(now)
    same = {*old.values()} & {*new.values()}
    came = [key for key, rows in new.items() if rows not in same and key not in old]
    changed = [key for key, rows in new.items() if rows not in same and key in old]
    gone = [key for key, rows in old.items() if rows not in same and key not in new]
    said = " and ".join(word for word, keys in (("new", came), ("changed", changed), ("gone", gone)) if keys) or "other"
    late = bool(came and not changed and not gone)
    why = " (late events)" if late else " (events were erased)" if erased else ""
    return f"{said} bronze files since it was built{why}"


def _mapping(store: Store, mappings: Mappings, model: str, before: str) -> str:
    """Return which parts of what a table is made by are others than when it had the fingerprint `before`."""
    then, now = recorded_parts(store, model, before), mappings.parts.get(model)
    if then is None or now is None:
        return "mapping changed; which part of it is not on record"
    told = (
        ("changed", [name for name in now if name in then and now[name] != then[name]]),
        ("added", [name for name in now if name not in then]),
        ("removed", [name for name in then if name not in now]),
    )
    return "; ".join(f"{_listed(sorted(names, key=_rank))} {word}" for word, names in told if names)


def _rank(part: str) -> tuple[int, str]:
    kind = part.split(" ", 1)[0]
    return (_KINDS.index(kind) if kind in _KINDS else len(_KINDS), part)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _by_reason(hours: Mapping[str, str]) -> Hours:
    found: dict[str, list[str]] = {}
    for hour, why in sorted(hours.items()):
        found.setdefault(why, []).append(hour)
    return {why: tuple(of) for why, of in found.items()}
