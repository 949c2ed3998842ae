"""Staleness, derived from the lake like make does it: nothing has to remember what to rebuild.

An event hour of a model is stale when its bronze rows are not the ones its receipt names, when the receipt was made
by another mapping, when there is no receipt, or when the file that the receipt names has gone. A crash, a replay, a
late file, a backfill, a changed mapping and a deleted table all heal by this one rule. Rows are compared by their
checksums, wherever they lie: compaction makes nothing stale. An hour that has expired is not built again. A table of an
hour is also stale when an answer has come that events in it wait for (`lake.ledger.pending_lookups`), and while records
of it are held back since the search for those that fail ended before they were told apart.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lake import ledger
from lake.base.errors import REPAIR, tell_omission
from lake.ledger import LandingReceipt, build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.live_files import batch_of
from lake.ledger.pending_lookups import answered
from lake.storage import paths
from lake.storage.store import Store, sizes_of

NEVER, FILES, MAPPING = "never built", "other bronze files", "changed mapping"
ANSWERED = "answers have come"  # that published events wait for
SEARCH_GOES_ON = "records are held back that were not told apart from one that fails"
HELD = "held_back"  # how many such, in the counts of the table of outcomes


@dataclass(frozen=True)
class Mappings:
    """The tables that the dbt project makes, each with the fingerprint of what it is made by.

    A table of one source is named `<table>__<source>`; a mart has no source. `parts` are what a table is made by, part
    by part, with a digest of each.
    """

    fingerprints: Mapping[str, str]
    parts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of_parts(cls, parts: Mapping[str, Mapping[str, str]]) -> "Mappings":
        """Return the tables with fingerprints over their parts."""
        texts = {model: "\n".join(f"{name} {part}" for name, part in sorted(of.items())) for model, of in parts.items()}
        return cls({model: hashlib.sha256(text.encode()).hexdigest()[:16] for model, text in texts.items()}, parts)

    def models_of(self, source: str) -> list[str]:
        """Return the names of the models that are built per event hour of a source."""
        return sorted(name for name in self.fingerprints if name.endswith(f"__{source}"))

    def fingerprint(self, model: str) -> str:
        """Return the fingerprint of a table or mart."""
        return self.fingerprints[model]

    def record(self, store: Store, model: str) -> tuple[tuple[str, str], ...]:
        """Return (key, text) of what a table is made by, to be written with its receipts; nothing if it is there."""
        key = f"{paths.made_by(model)}/{self.fingerprint(model)}.json"
        if model not in self.parts or store.info(key) is not None:
            return ()
        return ((key, msgspec.json.encode(dict(sorted(self.parts[model].items()))).decode()),)


def recorded_parts(store: Store, model: str, fingerprint: str) -> dict[str, str] | None:
    """Return what a model was made by when it had a fingerprint; None where no build recorded it."""
    try:
        return msgspec.json.decode(store.read(f"{paths.made_by(model)}/{fingerprint}.json"), type=dict[str, str])
    except (FileNotFoundError, msgspec.DecodeError):
        return None


@dataclass(frozen=True)
class Stale:
    """One event hour of one source, with the models that must be built, why the first of them must, and why each."""

    source: str
    hour: str
    models: tuple[str, ...]
    why: str
    whys: Mapping[str, str] = field(default_factory=dict)


def bronze_inputs(receipts: Iterable[LandingReceipt]) -> dict[str, list[tuple[str, str]]]:
    """Return, by event hour, the (key, checksum) of the bronze files that published batches hold, in key order."""
    hours: dict[str, list[tuple[str, str]]] = {}
    for receipt in receipts:
        for mark in receipt.files:
            hours.setdefault(mark.hour, []).append((mark.key, mark.checksum))
    return {hour: sorted(files) for hour, files in sorted(hours.items())}


Inputs = Iterable[tuple[str, str]]
Sizes = Mapping[str, int | None]


def row_marks(inputs: Inputs) -> list[str]:
    """Return what tells the rows of some (key, checksum) apart from others, wherever they lie."""
    return sorted([checksum for _, checksum in inputs])


def same_inputs(one: Inputs, other: Inputs) -> bool:
    """Whether some (key, checksum) are the same rows as others."""
    return one == other or row_marks(one) == row_marks(other)


def stale_hours(store: Store, mappings: Mappings, source: str, waiting: dict[str, str] | None = None) -> list[Stale]:
    """Return what `headwater build` would build for one source, oldest hour first.

    Hours whose bronze files have gone are stale as well: their tables must become empty. Hours that were built of rows
    whose landing receipt is damaged or missing wait until it is mended, for they would lose these rows: `waiting` says
    why by hour, and by key of a receipt that is damaged; without it a warning does.
    """
    broken: list[str] = []
    receipts = list(ledger.landings(store, source, broken))
    inputs = {hour: tuple(files) for hour, files in bronze_inputs(receipts).items()}
    models = mappings.models_of(source)
    built = {model: build_receipts.of_model(store, model) for model in models}
    hours = sorted(set(inputs).union(*(set(receipts) for receipts in built.values())))
    there = files_there(store, built.values())
    come = answered(store, (receipt for receipts in built.values() for receipt in receipts.values()))
    unnamed = unnamed_hours(store, built.values(), receipts, bool(broken))
    if waiting is not None:
        waiting |= {each.split(" ", 1)[0]: each for each in broken} | unnamed
    else:
        for each in (*broken, *dict.fromkeys(unnamed.values())):
            tell_omission(each)
    found, tables = [], [(model, mappings.fingerprint(model), built[model]) for model in models]
    if not come:  # of the others nothing is said of any hour
        tables = [each for each in tables if not _current(there, each[2], inputs, each[1])]
    for hour in hours if tables else ():
        if hour in unnamed:
            continue
        of_hour = inputs.get(hour, ())
        reasons = {
            model: why
            for model, mapping, receipts_of in tables
            if (why := _why(there, receipts_of.get(hour), of_hour, mapping))
            or (why := ANSWERED if come and (model, hour) in come else "")
        }
        outcomes = built.get(f"{paths.OUTCOMES}__{source}", {}).get(hour)
        if outcomes and not reasons and outcomes.counts.get(HELD) and not outcomes.expired_at:
            reasons = dict.fromkeys(models, SEARCH_GOES_ON)
        if reasons and outcomes and outcomes.counts.get("unprocessable"):  # its records are tried again, in all tables
            reasons |= dict.fromkeys(models, next(iter(reasons.values()))) | reasons
        if reasons:
            found.append(Stale(source, hour, tuple(reasons), next(iter(reasons.values())), reasons))
    return found


def unnamed_hours(
    store: Store, built: Iterable[Mapping[str, BuildReceipt]], receipts: Sequence[LandingReceipt], broken: bool
) -> dict[str, str]:
    """Return the hours that were built of bronze rows whose landing receipt is lost, each with a sentence.

    These are rows of files that are still there, of a batch without a receipt; where some receipt is `broken`, also
    rows of a file of several batches that no receipt counts.
    """
    inputs = {hour: tuple(files) for hour, files in bronze_inputs(receipts).items()}
    rows = {hour: {checksum for _, checksum in of_hour} for hour, of_hour in inputs.items()}
    batches = {receipt.batch for receipt in receipts}
    lost: dict[str, str] = {}
    none: set[str] = set()
    for of_model in built:
        for hour, receipt in () if built_of(of_model, inputs) else of_model.items():
            known = rows.get(hour, none)
            for key, checksum in receipt.inputs:
                if checksum not in known and (broken if (of := batch_of(key)) is None else not batches & of):
                    lost[hour] = key
    there = store.infos(set(lost.values())) if lost else {}
    return {
        hour: f"{key} is named by no landing receipt, and its hour is not built until it is: {REPAIR}"
        for hour, key in lost.items()
        if there[key] is not None
    }


def built_of(built: Mapping[str, BuildReceipt], inputs: Mapping[str, Inputs]) -> bool:
    """Whether a model was built of these very files in all of the hours: told at once, where years are compared."""
    return list(built) == list(inputs) and [each.inputs for each in built.values()] == list(inputs.values())


def _current(there: Sizes, built: Mapping[str, BuildReceipt], inputs: Mapping[str, Inputs], mapping: str) -> bool:
    """Whether no hour of a model is stale, where that is told at once; `_why` tells it of each hour."""
    if not built_of(built, inputs) or {each.mapping for each in built.values()} - {mapping}:
        return False
    return not any(
        (each.counts and HELD in each.counts) or lost_file(each, there)
        for each in built.values()
        if each.file and not each.expired_at
    )


def _why(there: Sizes, receipt: BuildReceipt | None, inputs: tuple[tuple[str, str], ...], mapping: str) -> str:
    if receipt is None:
        return NEVER if inputs else ""
    if not same_inputs(receipt.inputs, inputs):
        return FILES
    if receipt.expired_at:
        return ""
    if receipt.mapping != mapping:
        return MAPPING
    return lost_file(receipt, there) if receipt.file else ""


def files_there(store: Store, built: Iterable[Mapping[Any, BuildReceipt]]) -> Sizes:
    """Return the sizes of the files that the receipts of some models name, as they are; in a bucket by few listings."""
    return sizes_of(store, (each.file for receipts in built for each in receipts.values() if each.file))


def lost_file(receipt: BuildReceipt, there: Sizes) -> str:
    """Return what is wrong with the file that a build receipt names: that it is gone, or has another size; else ""."""
    if not receipt.file:
        return ""
    if (size := there.get(receipt.file)) is None:
        return f"{receipt.file} is gone"
    if size != receipt.bytes:
        return f"{receipt.file} has {size} bytes, its receipt says {receipt.bytes}"
    return ""
