"""Publishing one staged batch: which of its files replace older ones, and what was erased on request and stays out.

A batch's files of an hour are left alone when their rows are the same, also where compaction has put them into a file
with other batches. Otherwise the hour gets files of its own again; the shared file stays, for others' rows are in it,
and nobody reads the batch's old rows there any more.
"""

from collections.abc import Callable, Iterable, Sequence

import duckdb
import msgspec

from ingest.contracts import Contract
from ingest.contracts.model import pipeline_columns
from ingest.landing.stage import Staged
from lake import ledger
from lake.ledger.live_files import marks_of, with_marks
from lake.ledger.receipts import FileMark, LandingReceipt, Removed, encode
from lake.storage import paths
from lake.storage.publish import Change, publish
from lake.storage.store import Store
from lake.upkeep.erasure_rules import Columns, ErasureRule, drop, erasure_rules

_TRIES = 5  # erasures that may be asked for while one batch is published


class ErasureAsked(RuntimeError):
    """An erasure was asked for after the others were applied to the staged rows. Nothing was published."""


def bronze_columns(contract: Contract) -> Columns:
    """Return name and DuckDB type of the columns of a source's bronze table."""
    own = [(field.name, field.duckdb_type) for field in contract.fields]
    return [*own, *((column.name, column.duckdb_type) for column in pipeline_columns)]


def publish_without_erased(
    store: Store,
    contract: Contract,
    staged: Staged,
    connect: Callable[[], duckdb.DuckDBPyConnection],
    receipt: Callable[[Sequence[Removed]], LandingReceipt],
) -> LandingReceipt:
    """Drop the records that erasures are about, and publish the rest; `receipt` makes the receipt of what is left.

    Raises:
        NotApplicable: an erasure cannot be asked of this contract's columns.
        ErasureAsked: erasures are asked for faster than the batch can be published.
    """
    gone: list[Removed] = []
    for tries_left in reversed(range(_TRIES)):
        asked = erasure_rules(store, contract.source)
        if asked:
            with connect() as con:
                gone += _dropped(con, contract, staged, asked)
        try:
            return publish_landing(store, staged, receipt(gone), [each.erasure for each in asked])
        except ErasureAsked:
            if not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def _dropped(
    con: duckdb.DuckDBPyConnection, contract: Contract, staged: Staged, asked: Sequence[ErasureRule]
) -> list[Removed]:
    columns, gone = bronze_columns(contract), []
    for room, files in ((paths.BRONZE, staged.bronze_files()), (paths.QUARANTINE, staged.quarantine_files())):
        for file in files:
            hour = paths.hour_of(file.as_posix())
            assert hour is not None, file  # staged by hour
            gone += drop(con, asked, columns, room, ledger.hour_text(hour), file)
    return gone


def publish_landing(
    store: Store, staged: Staged, receipt: LandingReceipt, erasures: Sequence[str] = ()
) -> LandingReceipt:
    """Publish a staged batch to which some erasures were applied, and return its receipt as it was written.

    Raises:
        ErasureAsked: others are in force now.
    """
    final = receipt

    def plan() -> Change:
        nonlocal final
        if [each.erasure for each in erasure_rules(store, receipt.source)] != list(erasures):
            raise ErasureAsked(f"{receipt.source}: an erasure was asked for while batch {receipt.batch} was published")
        previous = ledger.landing(store, receipt.source, receipt.batch)
        if receipt.status == "stalled":
            final = _with_files_of(previous, receipt) if previous else receipt
            return Change(receipts=(_text(final),))
        final, moves = receipt, list[tuple[str, str]]()
        for room in (paths.BRONZE, paths.QUARANTINE):
            news = marks_of(receipt, room)
            kept = _left_alone(store, marks_of(previous, room) if previous else (), news)
            moves += [(staged.keys[mark.key], mark.key) for mark in news if not kept[mark.key]]
            final = with_marks(final, room, (each for mark in news for each in kept[mark.key] or [mark]))
        return Change(tuple(moves), _not_named(previous, final), (_text(final),))

    publish(store, plan)
    return final


def _left_alone(store: Store, old: Sequence[FileMark], new: Sequence[FileMark]) -> dict[str, list[FileMark]]:
    """Return, by the key of each new file, the old files that are left where they are in its stead: none or one."""
    kept: dict[str, list[FileMark]] = {}
    for hour in {mark.hour for mark in new}:
        of_hour = [mark for mark in new if mark.hour == hour]
        left = sorted((mark for mark in old if mark.hour == hour and _is_there(store, mark)), key=_rows)
        if [_rows(mark) for mark in left] == sorted(map(_rows, of_hour)):
            kept |= {mark.key: [same] for mark, same in zip(sorted(of_hour, key=_rows), left, strict=True)}
            continue
        own = {mark.key: mark for mark in left if not mark.shared}
        for mark in of_hour:
            same = own.get(mark.key)
            kept[mark.key] = [same] if same and _rows(same) == _rows(mark) else []
    return kept


def _rows(mark: FileMark) -> tuple[str, int]:
    return mark.checksum, mark.rows


def _is_there(store: Store, mark: FileMark) -> bool:
    info = store.info(mark.key)
    return info is not None and info.size == mark.bytes


def _not_named(previous: LandingReceipt | None, final: LandingReceipt) -> tuple[str, ...]:
    """Return the batch's own files that its receipt names no longer; shared ones are left to compaction."""
    if previous is None:
        return ()
    named = {mark.key for mark in _all(final)}
    return tuple(dict.fromkeys(mark.key for mark in _all(previous) if mark.key not in named and not mark.shared))


def _all(receipt: LandingReceipt) -> Iterable[FileMark]:
    return (*receipt.files, *receipt.quarantine_files)


def _with_files_of(previous: LandingReceipt, receipt: LandingReceipt) -> LandingReceipt:
    """Return the receipt of a batch that stalls: what it landed before stays where it is."""
    return msgspec.structs.replace(receipt, files=previous.files, quarantine_files=previous.quarantine_files)


def _text(receipt: LandingReceipt) -> tuple[str, str]:
    return paths.landing_receipt(receipt.source, receipt.batch), encode(receipt)
