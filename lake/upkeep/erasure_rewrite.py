"""Rewrites files without the rows that an erasure is about, and proves that their other rows are as they were.

The built tables of an event hour go in the same act as its bronze rows, so nobody finds an erased record in silver
that is not in bronze; they come back when the hour is built.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import msgspec

from lake import ledger
from lake.base.errors import HeadwaterError
from lake.base.sql import literal
from lake.ledger import ERASED, FileMark, LandingReceipt, Removed, encode, marks_of, with_removed
from lake.ledger.live_files import LiveFile
from lake.storage import paths
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store
from lake.upkeep.erasure_rules import Asked, without
from lake.upkeep.receipts import ErasedFile, ErasureReceipt

ROWS = "erased_rows"  # the table that collects what went: hour, _batch, _source_object, _source_row, _event_key
_GONE = "gone"
Receipts = dict[str, LandingReceipt]  # by batch


class NotErased(HeadwaterError):
    """An erasure that could not be finished. What was done is on record; run the same command again."""


@dataclass(frozen=True)
class Match:
    """One file with rows that match: those that count, by batch, and those that no receipt counts any more."""

    room: str
    key: str
    hour: str
    held: LiveFile | None
    rows: Mapping[str, int]
    dead: int

    @property
    def erased(self) -> int:
        """Return how many rows that count match."""
        return sum(self.rows.values())


@dataclass(frozen=True)
class Rewritten:
    """One file as it is to become: its record, the new file (None when no row stays), and the marks of each batch."""

    match: Match
    record: ErasedFile
    out: Path | None
    marks: Mapping[str, tuple[FileMark, ...]]


def collect_into(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table that collects what went."""
    con.execute(
        f"create or replace temp table {ROWS}"
        " (hour varchar, _batch varchar, _source_object varchar, _source_row bigint, _event_key varchar)"
    )


def rewrite(con: duckdb.DuckDBPyConnection, store: Store, asked: Asked, match: Match, out: Path) -> Rewritten:
    """Write the rows of a file that count and do not match.

    Raises:
        NotErased: the new file does not hold just those.
    """
    url, room = store.url(match.key), match.room
    con.execute(f"create or replace temp table {_GONE} as {asked.matching(room, [url])}")
    if room == paths.BRONZE:
        con.execute(
            f"insert into {ROWS} select ?, _batch, _source_object, _source_row, _event_key from {_GONE}", [match.hour]
        )
    if match.held is None:
        record = ErasedFile(match.key, room, match.hour, 0, 0, match.dead, "", "")
        return Rewritten(match, record, None, {})
    counts = f"_batch in ({', '.join(map(literal, match.held.batches))})"
    rows = f"select * exclude (file_row_number) from {_file(url)} where {counts}"
    _, before = _sums(con, rows, room)
    stay = f"{rows} and not exists (select 1 from {_GONE} as gone where gone.file_row_number = held.file_row_number)"
    expected = _whole(con, stay)
    if expected[0]:
        without(con, url, _GONE, out, counts)
    written = f"select * from read_parquet({literal(str(out))}, hive_partitioning = false)" if expected[0] else stay
    if _whole(con, written) != expected:
        raise NotErased(f"{match.key}: the rows that stay are not as they were; the file was left as it is")
    by_batch, after = _sums(con, written, room)
    record = ErasedFile(match.key, room, match.hour, match.erased, expected[0], match.dead, before, after)
    left = out if expected[0] else None
    return Rewritten(match, record, left, _marks(match.held, match.rows, by_batch, left))


def _file(url: str) -> str:
    return f"read_parquet({literal(url)}, hive_partitioning = false, file_row_number = true) as held"


def _whole(con: duckdb.DuckDBPyConnection, rows: str) -> tuple[int, str]:
    found = con.execute(f"select count(*), sum(hash(each)::hugeint)::varchar from ({rows}) as each").fetchone()
    return (int(found[0]), str(found[1])) if found else (0, "")


def _sums(con: duckdb.DuckDBPyConnection, rows: str, room: str) -> tuple[dict[str, tuple[int, str]], str]:
    """Return rows and checksum by batch, and the checksum of all."""
    found = con.execute(f"select _batch, count(*), {ledger.row_sums(room)} from ({rows}) group by all").fetchall()
    whole = con.execute(f"select coalesce({ledger.row_sums(room)}, '') from ({rows})").fetchone()
    return {str(batch): (int(count), str(summed)) for batch, count, summed in found}, str(whole and whole[0])


def _marks(
    held: LiveFile, erased: Mapping[str, int], left: Mapping[str, tuple[int, str]], file: Path | None
) -> dict[str, tuple[FileMark, ...]]:
    """Return each batch's marks of the rewritten file: with their checksum as before, unless rows of it went."""
    total = sum(rows for rows, _ in left.values())
    size, digest = file.stat().st_size if file else 0, ledger.digest_of(file)
    marks: dict[str, tuple[FileMark, ...]] = {}
    for batch, mark in held.marks:
        shared = total if mark.shared else 0
        if not erased.get(batch):
            same = msgspec.structs.replace(mark, bytes=size, file_rows=shared, digest=digest)
            marks[batch] = (*marks.get(batch, ()), same)
        elif batch in left:
            rows, summed = left[batch]
            checksum = ledger.checksum_of_part(mark.checksum, summed)
            marks[batch] = (FileMark(mark.key, mark.hour, rows, size, checksum, shared, digest),)
        else:
            marks[batch] = ()
    return marks


_receipt = msgspec.json.Decoder(ErasureReceipt)


def erasure(store: Store, source: str, name: str) -> ErasureReceipt | None:
    """Return the receipt of an erasure, or None."""
    key = paths.erasure_receipt(source, name)
    try:
        return ledger.decoded(key, store.read(key), _receipt)
    except FileNotFoundError:
        return None


def written(receipt: ErasureReceipt) -> tuple[str, str]:
    """Return key and text of an erasure's receipt."""
    return paths.erasure_receipt(receipt.source, receipt.erasure), encode(receipt)


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
    folders = [*paths.built_folders(store.folders, source), *paths.refused_folders(store.folders)]
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
