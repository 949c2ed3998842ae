"""What the curated tables hold: the newest build of every source and event hour, each with a mark of its own."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, NamedTuple

import msgspec

from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.storage import paths
from lake.storage.store import Store


@dataclass(frozen=True, order=True)
class TableName:
    """A table of the lake: its layer (`silver`, `gold`) and name."""

    LAYERS: ClassVar[tuple[str, ...]] = (paths.SILVER, paths.GOLD)

    layer: str
    table: str

    def __str__(self) -> str:
        return f"{self.layer}/{self.table}"

    @classmethod
    def parsed(cls, text: str) -> "TableName | None":
        """Return the table that `str` of one tells, or None."""
        layer, _, table = text.partition("/")
        return cls(layer, table) if layer in cls.LAYERS and paths.NAME.match(table) else None


class Slot(NamedTuple):
    """One part of a table that is replaced as a whole: a source's event hour (`YYYY-MM-DDTHH`); gold has no source."""

    source: str
    hour: str

    @property
    def day(self) -> str:
        """Return the day of the hour."""
        return self.hour[:10]


def newest_builds(store: Store, tables: Iterable[str] | None = None) -> dict[TableName, dict[Slot, BuildReceipt]]:
    """Return the newest build of every slot of every table, or of those named.

    An hour that became empty is a receipt without a file.
    """
    named = set(tables) if tables is not None else None
    found: dict[TableName, dict[Slot, BuildReceipt]] = {}
    for model in build_receipts.models(store):
        if named is not None and model.split("__", 1)[0] not in named:
            continue
        receipts = build_receipts.of_model(store, model).values()
        for name, slot, receipt in _slots(list(receipts)):
            found.setdefault(name, {})[slot] = receipt
    return found


def newest_builds_of_day(store: Store, name: TableName, day: str) -> dict[TableName, dict[Slot, BuildReceipt]]:
    """Return the newest build of every slot of one table and day (`YYYY-MM-DD`)."""
    found: dict[Slot, BuildReceipt] = {}
    for model in build_receipts.models(store):
        if model.split("__", 1)[0] == name.table:
            receipts = build_receipts.day_of(store, model, date.fromisoformat(day)).values()
            found.update({Slot(each.source, each.hour): each for each in receipts if each.table == name.table})
    return {name: found}


def _slots(receipts: list[BuildReceipt]) -> Iterator[tuple[TableName, Slot, BuildReceipt]]:
    # Of a table whose hours are all empty no file tells the layer; silver has sources.
    guess = paths.SILVER if any(each.source for each in receipts) else paths.GOLD
    layer = next((each.file.split("/")[0] for each in receipts if each.file), guess)
    for each in receipts:
        if each.table != paths.OUTCOMES and layer in TableName.LAYERS:
            yield TableName(layer, each.table), Slot(each.source, each.hour), each


def mark(receipt: BuildReceipt) -> str:
    """Return a short text that differs between builds of different rows.

    It covers what the rows were made of (their checksums, not the files they lie in: compaction changes nothing), by
    what, and what came out. A build that made the rows of an earlier one has the mark of that.
    """
    if receipt.same:
        return receipt.same.build
    made_of = sorted([checksum for _, checksum in receipt.inputs])
    parts = (receipt.model, receipt.hour, receipt.mapping, receipt.built_at, receipt.rows, receipt.bytes, made_of)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]
