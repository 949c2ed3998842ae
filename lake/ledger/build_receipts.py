"""Receipts of builds: what building one model for one event hour did.

They are one file per model and day that holds the receipt of each hour: three years of hours over thirty models stay
thirty thousand files, not eight hundred thousand.
"""

import hashlib
from collections.abc import Iterable
from datetime import date

import msgspec

from lake.base.errors import warn_once
from lake.ledger import BrokenReceipt, decoded, decoded_all, hour
from lake.storage import paths
from lake.storage.store import Store


class IndexMark(msgspec.Struct, frozen=True):
    """The index of observables beside one file of a table: rows, bytes, which version of the index, and the digest."""

    rows: int
    bytes: int
    version: str
    digest: str = ""


class SameRows(msgspec.Struct, frozen=True, gc=False):
    """The marks of an earlier build of an hour that made the same rows: of the rows, and of the build."""

    rows: str
    build: str


class BuildReceipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):  # without gc a ledger of years reads 3x faster
    """What building one model for one event hour did. `expired_at` is set once its rows went with their hour's age."""

    model: str
    source: str
    table: str
    hour: str
    rows: int
    bytes: int
    inputs: tuple[tuple[str, str], ...]  # bronze key, checksum
    mapping: str  # checksum of the SQL that made it
    built_at: str
    file: str = ""  # key, empty when the hour has no rows
    counts: dict[str, int] = {}
    invalid: dict[str, int] = {}
    samples: dict[str, str] = {}
    context: dict[str, str] = {}
    expired_at: str = ""
    index: IndexMark | None = None  # None: the file has none
    digest: str = ""  # of the file's bytes, as in `lake.ledger.FileMark`
    content: str = ""  # digest of what readers of the rows depend on, where that is less than all of them
    same: SameRows | None = None  # the rows are those that an earlier build made, which readers may have read

    @property
    def rows_mark(self) -> str:
        """Return what tells the rows of this hour apart from others; hours without rows are all alike.

        Two builds of the same inputs by the same mapping and context are alike, and so is a build that made the rows
        of an earlier one. The mark outlives the rows.
        """
        if self.content or not self.rows:
            return self.content
        if self.same:
            return self.same.rows
        made_of = sorted(checksum for _, checksum in self.inputs)
        waits = sorted((name, number) for name, number in self.counts.items() if name.startswith("pending:"))
        # What lookup providers have answered since changes rows only where events wait for it.
        context = sorted((name, version) for name, version in self.context.items() if not name.startswith("lookups:"))
        parts = (made_of, self.mapping, context, waits, self.rows)
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


_day = msgspec.json.Decoder(dict[str, BuildReceipt])


def day_key(model: str, day: date) -> str:
    """Return the key of the file that holds one model's receipts of one day."""
    return f"{paths.LEDGER}/build/{paths.checked(model)}/date={day:%Y-%m-%d}.json"


def models(store: Store) -> list[str]:
    """Return the names of the models that have build receipts."""
    return list(store.folders(f"{paths.LEDGER}/build"))


def day_of(store: Store, model: str, day: date) -> dict[str, BuildReceipt]:
    """Return one model's receipts of one day, by hour text; as in `of_model`, none of one that cannot be read."""
    try:
        key = day_key(model, day)
        return decoded(key, store.read(key), _day)
    except FileNotFoundError:
        return {}
    except BrokenReceipt as problem:
        warn_once(f"{problem}, or `headwater build`: its hours count as never built")
        return {}


def of_model(store: Store, model: str, broken: list[str] | None = None) -> dict[str, BuildReceipt]:
    """Return the receipts of one model, by hour text.

    A day that cannot be read is left out, and told: its hours are as if they were never built. With `broken` it is
    told there.
    """
    found: dict[str, BuildReceipt] = {}
    told: list[str] = []
    for day in decoded_all(store.read_all(f"{paths.LEDGER}/build/{paths.checked(model)}"), _day, told):
        found.update(day)
    if broken is not None:
        broken += told
    else:
        for each in told:
            warn_once(f"{each}, or `headwater build`: its hours count as never built")
    return found


def merged_days(store: Store, model: str, receipts: Iterable[BuildReceipt]) -> list[tuple[str, str]]:
    """Return (key, text) of the day files that result from putting receipts into them. Call it inside `publish`."""
    by_day: dict[date, list[BuildReceipt]] = {}
    for receipt in receipts:
        by_day.setdefault(hour(receipt.hour).date(), []).append(receipt)
    written = []
    for day, news in sorted(by_day.items()):
        held = day_of(store, model, day) | {receipt.hour: receipt for receipt in news}
        written.append((day_key(model, day), msgspec.json.encode(dict(sorted(held.items()))).decode()))
    return written
