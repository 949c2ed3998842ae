"""The ledger: all receipts of a lake together.

Landing receipts are one file a batch. Build receipts are one file per model and day that holds the receipt of each
hour: three years of hours over thirty models stay thirty thousand files, not eight hundred thousand.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import TypeVar

import msgspec

from lake.base.errors import HeadwaterError
from lake.ledger.receipts import BuildReceipt, LandingReceipt
from lake.storage import paths
from lake.storage.store import Store

HOUR = "%Y-%m-%dT%H"

Shape = TypeVar("Shape")

_landing = msgspec.json.Decoder(LandingReceipt)
_build_day = msgspec.json.Decoder(dict[str, BuildReceipt])


class BrokenReceipt(HeadwaterError, ValueError):
    """A receipt that cannot be read: no step of Headwater writes one, so it was changed by hand or by a disk."""


def landing(store: Store, source: str, batch: str) -> LandingReceipt | None:
    """Return the receipt of one batch, or None when it never landed."""
    try:
        key = paths.landing_receipt(source, batch)
        return _decoded(key, store.read(key), _landing)
    except FileNotFoundError:
        return None


def landings(store: Store, source: str | None = None) -> Iterator[LandingReceipt]:
    """Yield the receipts of all landed batches, of one source or of all."""
    prefix = f"{paths.LEDGER}/landing" + (f"/{paths.checked(source)}" if source else "")
    for key, data in store.read_all(prefix):
        if key.endswith(".json"):
            yield _decoded(key, data, _landing)


def sources(store: Store) -> list[str]:
    """Return the names of the sources that ever landed anything."""
    return list(store.folders(f"{paths.LEDGER}/landing"))


def build_day_key(model: str, day: date) -> str:
    """Return the key of the file that holds one model's receipts of one day."""
    return f"{paths.LEDGER}/build/{paths.checked(model)}/date={day:%Y-%m-%d}.json"


def built_models(store: Store) -> list[str]:
    """Return the names of the models that have build receipts."""
    return list(store.folders(f"{paths.LEDGER}/build"))


def build_day(store: Store, model: str, day: date) -> dict[str, BuildReceipt]:
    """Return one model's receipts of one day, by hour text."""
    try:
        key = build_day_key(model, day)
        return _decoded(key, store.read(key), _build_day)
    except FileNotFoundError:
        return {}


def builds(store: Store, model: str) -> dict[str, BuildReceipt]:
    """Return all receipts of one model, by hour text."""
    found: dict[str, BuildReceipt] = {}
    for key, data in store.read_all(f"{paths.LEDGER}/build/{paths.checked(model)}"):
        day: dict[str, BuildReceipt] = _decoded(key, data, _build_day)
        found.update(day)
    return found


def with_builds(store: Store, model: str, receipts: Iterable[BuildReceipt]) -> list[tuple[str, str]]:
    """Return (key, text) of the day files that result from putting receipts into them. Call it inside `publish`."""
    by_day: dict[date, list[BuildReceipt]] = {}
    for receipt in receipts:
        by_day.setdefault(hour(receipt.hour).date(), []).append(receipt)
    written = []
    for day, news in sorted(by_day.items()):
        held = build_day(store, model, day) | {receipt.hour: receipt for receipt in news}
        written.append((build_day_key(model, day), msgspec.json.encode(dict(sorted(held.items()))).decode()))
    return written


def _decoded(key: str, data: bytes, decoder: msgspec.json.Decoder[Shape]) -> Shape:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BrokenReceipt(
            f"{key} is no receipt: {problem}. Restore it from a backup; a build receipt may also be deleted, its hours"
            " are then built again"
        ) from problem


def hour(text: str) -> datetime:
    """Return the hour (naive UTC) that a receipt's hour text names."""
    return datetime.strptime(text, HOUR)


def hour_text(at: datetime) -> str:
    """Return the hour text of receipts."""
    return at.strftime(HOUR)
