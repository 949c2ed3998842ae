"""Landing one batch, step by step: write its records to staged files, read those back for the receipt, publish both.

Which objects make a batch is decided elsewhere (`batches`, `queue`, `orchestration`). Every record that the decoder
counts ends in exactly one file: of an event hour, or of quarantine. One COPY writes both; a rejected record travels in
the partition `date=quarantine` with its reason in `_violations`, and is then rewritten in quarantine's own shape.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from ingest.contracts import Contract
from ingest.landing.errors import FewerRecords, LandingError, NoneReadable, check_none_gone
from ingest.landing.publish import publish_without_erased
from ingest.landing.stage import Staged, receipt_of
from ingest.landing.write import LandingSettings, Progress, Writing, connect
from ingest.objects import RawObject
from lake import ledger
from lake.ledger.live_files import with_erased
from lake.ledger.receipts import LandingReceipt, Removed
from lake.storage.publish import Workplace
from lake.storage.store import Store
from lake.upkeep.erasure_rules import NotApplicable


def land(
    contract: Contract,
    objects: Sequence[RawObject],
    store: Store,
    batch: str,
    settings: LandingSettings | None = None,
    ignored: Sequence[tuple[str, str]] = (),
    progress: Progress | None = None,
    may_shrink: bool = True,
    notes: Sequence[str] = (),
) -> LandingReceipt:
    """Land objects as one batch and return its receipt, which is durable when this returns.

    Landing the same batch again replaces exactly its own files; files whose rows are the same are left alone.
    A record that violates a field whose contract says `stall` leaves the batch unpublished, with status `stalled`.
    `may_shrink` is false for what cannot take records back, such as an API that forgets old ones: then all objects
    land, or none. An object that is gone when its turn comes is left out and named in the receipt's `ignored` with the
    reason. One that exists and cannot be read is named in `unreadable`: the batch lands without it.

    Raises:
        ObjectsGone: the batch holds records of an object that is gone or cannot be read. Bronze keeps what it has.
        NoneReadable: no object of the batch can be read.
        FewerRecords: the batch may not shrink, and would. Bronze keeps what it has.
        LandingError: the store is out of reach, or the lake cannot be written. The objects are where they were.
    """
    settings = settings or LandingSettings()
    started = time.monotonic()
    previous = ledger.landing(store, contract.source, batch)
    now = datetime.now(UTC)
    first_landed_at = datetime.fromisoformat(previous.first_landed_at) if previous else now
    with Workplace(store, "land") as place:
        staged = Staged(place, batch)
        writing = Writing(contract, objects, settings, staged, first_landed_at, progress)
        written = writing.write(whole=not may_shrink)
        report = written.report
        refused = dict(report.refused)
        check_none_gone(contract.source, batch, previous, (*report.gone, *refused), refused)
        if refused and not report.objects and not report.gone:
            raise NoneReadable(contract.source, batch, report.refused)

        def receipt(gone: Sequence[Removed]) -> LandingReceipt:
            made = receipt_of(staged, written.report, written.reader, settings.stalls_as)
            if previous and not may_shrink and made.read < previous.read:
                raise FewerRecords(
                    f"{contract.source}: batch {batch} landed {previous.read} records, and now {made.read} were found."
                    " Nothing was changed: bronze keeps what it has. Does the source still keep records of that time?"
                )
            made = msgspec.structs.replace(
                made,
                first_landed_at=first_landed_at.isoformat(),
                landed_at=now.isoformat(),
                ignored=(*ignored, *made.ignored),
                unreadable=tuple(sorted(refused.items())),
                notes=(*notes, *made.notes),
                seconds=round(time.monotonic() - started, 3),
            )
            return with_erased(made, gone)

        try:
            return publish_without_erased(store, contract, staged, lambda: connect(settings, staged), receipt)
        except NotApplicable as problem:
            raise LandingError(f"{contract.source}: batch {batch} was not landed: {problem}") from problem
