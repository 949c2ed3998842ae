"""Batches that did not land: what each try leaves on record, until the batch, or its objects in another one, landed."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from lake.ledger import BrokenReceipt, LandingReceipt, decoded, encode
from lake.storage import paths

if TYPE_CHECKING:
    from lake.storage.store import Store


class NotLanded(msgspec.Struct, frozen=True, kw_only=True):
    """One batch whose last landing failed: when it began (ISO, UTC), why, and the objects that it was made of.

    A journaled landing that failed is finished by whoever opens the lake next. Its receipt, which is of a moment after
    `failed_at`, then makes an end of this record as that of a later landing does.
    """

    source: str
    batch: str
    failed_at: str
    why: str
    objects: tuple[str, ...] = ()


_decoder = msgspec.json.Decoder(NotLanded)


def record(store: "Store", failed: NotLanded) -> None:
    """Write down that a batch did not land. Raises OSError when the lake cannot be written either."""
    store.write(paths.not_landed(failed.source, failed.batch), encode(failed).encode())


def not_landed(store: "Store", source: str, receipts: Iterable[LandingReceipt]) -> list[NotLanded]:
    """Return the batches of a source that did not land, and whose objects no later receipt holds, oldest first."""
    found = [
        _told(source, key, data)
        for key, data in store.read_all(paths.not_landed_folder(source))
        if key.endswith(".json")
    ]
    if not found:
        return []
    landed_at: dict[str, str] = {}
    for receipt in receipts:
        for name in (*(mark.name for mark in receipt.objects), *(name for name, _ in receipt.ignored)):
            landed_at[name] = max(landed_at.get(name, ""), receipt.landed_at)
    left = [
        each
        for each in found
        if not each.objects or any(landed_at.get(name, "") < each.failed_at for name in each.objects)
    ]
    return sorted(left, key=lambda each: each.failed_at)


def _told(source: str, key: str, data: bytes) -> NotLanded:
    try:
        return decoded(key, data, _decoder)
    except BrokenReceipt as problem:
        batch = key.rsplit("/", 1)[-1].removesuffix(".json")
        return NotLanded(source=source, batch=batch, failed_at="", why=str(problem))


def sources(store: "Store") -> list[str]:
    """Return the names of the sources with a batch that did not land."""
    return list(store.folders(f"{paths.LEDGER}/not_landed"))
