"""Publishing an erasure: rewritten files, their batches' receipts, and nothing of what was built of their hours.

What belongs here: the change that one part of an erasure makes. What does not: rewriting
(`lake.upkeep.erasure_rewrite`), or building (the stale hours are built by whoever builds).

The built tables of an event hour go in the same act as its bronze rows, so nobody finds an erased record in silver
while it is not in bronze; they come back when the hour is built.
"""

from collections.abc import Sequence

import msgspec

from lake import ledger
from lake.ledger.live_files import marks_of
from lake.ledger.receipts import ErasureReceipt, LandingReceipt, Removed, encode
from lake.ledger.removal import ERASED, with_removed
from lake.storage import paths
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store
from lake.upkeep.erasure_rewrite import Rewritten

Receipts = dict[str, LandingReceipt]  # by batch


def erasure(store: Store, source: str, name: str) -> ErasureReceipt | None:
    """Return the receipt of an erasure, or None."""
    try:
        return msgspec.json.decode(store.read(paths.erasure_receipt(source, name)), type=ErasureReceipt)
    except FileNotFoundError:
        return None


def written(receipt: ErasureReceipt) -> tuple[str, str]:
    """Return key and text of an erasure's receipt."""
    text = msgspec.json.format(msgspec.json.encode(receipt), indent=1).decode()
    return paths.erasure_receipt(receipt.source, receipt.erasure), text


def publish_part(
    store: Store, place: Workplace, request: ErasureReceipt, files: Sequence[Rewritten]
) -> Sequence[Rewritten]:
    """Publish rewritten files and return those that were: not the ones whose batches landed anew meanwhile.

    `erased.parquet` in the workplace lists the rows that went.
    """
    valid: list[Rewritten] = []

    def plan() -> Change:
        nonlocal valid
        recorded = erasure(store, request.source, request.erasure) or request
        batches = {batch for each in files if each.match.held for batch in each.match.held.batches}
        held = {batch: found for batch in sorted(batches) if (found := ledger.landing(store, request.source, batch))}
        named = _named_of(store, request.source) if any(each.match.held is None for each in files) else set()
        valid = [each for each in files if _still_so(each, held, named)]
        for each in valid:
            held |= {batch: _without_erased(held[batch], each, request.erasure) for batch in each.marks}
        if not valid:
            return Change()
        listed = f"{paths.erased_rows(request.source, request.erasure)}/{len(recorded.files):05d}.parquet"
        recorded = msgspec.structs.replace(recorded, files=(*recorded.files, *(each.record for each in valid)))
        changed = sorted({batch for each in valid for batch in each.marks})
        receipts = [(paths.landing_receipt(request.source, batch), encode(held[batch])) for batch in changed]
        moves = [(place.key_of(each.out), each.match.key) for each in valid if each.out]
        gone = [each.match.key for each in valid if not each.out]
        hours = sorted({each.match.hour for each in valid if each.match.room == paths.BRONZE})
        return Change(
            moves=(*moves, (place.key_of(place.path / "erased.parquet"), listed)),
            deletes=(*gone, *built_files(store, request.source, hours)),
            receipts=(*receipts, written(recorded)),
        )

    publish(store, plan)
    return valid


def built_files(store: Store, source: str, hours: Sequence[str]) -> list[str]:
    """Return the keys that the built tables of a source have in some hours, whether they are there or not.

    Marts of these hours are among them, and copies of rows that destinations refused: they are written again when the
    hour is built, and pushed. What other hours of marts have looked back to goes when these are built again.
    """
    folders = [paths.dispositions_folder(source)]
    folders += [paths.silver_folder(table, source) for table in store.folders(paths.SILVER)]
    folders += [paths.index_folder(table, source) for table in store.folders(paths.INDEX)]
    folders += [paths.gold_folder(mart) for mart in store.folders(paths.GOLD)]
    folders += paths.refused_folders(store.folders)
    return [f"{folder}/{paths.hour_folder(ledger.hour(hour))}/part.parquet" for folder in folders for hour in hours]


def _still_so(each: Rewritten, held: Receipts, named: set[str]) -> bool:
    """Whether the receipts say of a file what they said when it was rewritten."""
    match = each.match
    if match.held is None:
        return match.key not in named
    return all(batch in held and mark in marks_of(held[batch], match.room) for batch, mark in match.held.marks)


def _named_of(store: Store, source: str) -> set[str]:
    receipts = ledger.landings(store, source)
    return {mark.key for receipt in receipts for mark in (*receipt.files, *receipt.quarantine_files)}


def _without_erased(receipt: LandingReceipt, each: Rewritten, name: str) -> LandingReceipt:
    room, key = each.match.room, each.match.key
    others = [mark for mark in marks_of(receipt, room) if mark.key != key]
    gone = Removed(ERASED, room, each.match.hour, each.match.rows.get(receipt.batch, 0), name)
    return with_removed(receipt, room, [*others, *each.marks[receipt.batch]], [gone])
