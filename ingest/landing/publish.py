"""The files that one landing has staged, the receipt that is read back from them, and publishing both.

The receipt's `landed` and `quarantined` count what was really written (Parquet footers and narrow columns), so that
they do not come from the same counter as its `read`.

A batch's files of an hour are left alone when their rows are the same, also where compaction has put them into a file
with other batches. Otherwise the hour gets files of its own again; the shared file stays, for others' rows are in it,
and nobody reads the batch's old rows there any more. What was erased on request stays out.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pyarrow.parquet as pq

from ingest.contracts import Contract
from ingest.contracts.model import pipeline_columns
from ingest.decode import DecodeReport
from ingest.landing.fields import Reader, Steps
from lake import ledger
from lake.base.errors import NOT_LANDED, HeadwaterError
from lake.base.sql import at_hand, json_path, listed, literal
from lake.ledger import (
    FileMark,
    LandingReceipt,
    ObjectMark,
    Removed,
    Violations,
    encode,
    is_intact,
    marks_of,
    row_sums,
    rows_checksum,
    with_marks,
)
from lake.storage import paths
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store

if TYPE_CHECKING:
    from lake.upkeep.erasure_rules import ErasureRule

QUARANTINE_PARTITION = "quarantine"  # the date folder in which rejected records are staged
LANDING_VERSION = "2"  # part of every checksum: raise it when the same bytes and contract give other bronze rows
_TRIES = 5  # erasures that may be asked for while one batch is published


class LandingError(HeadwaterError):
    """A batch that could not be landed. Nothing was published; the message says where its records are.

    `landed` are the other batches (`land.Landed`) of the same call.
    """

    exit_code = NOT_LANDED
    landed: Sequence[Any] = ()


def first_line(problem: Exception) -> str:
    """Return what an error says, on one line."""
    return (str(problem) or type(problem).__name__).splitlines()[0]


class Staged:
    """Where one landing writes before it publishes; `keys` maps final key to staged key."""

    def __init__(self, place: Workplace, batch: str) -> None:
        self.place, self.batch = place, batch
        self.bronze = place.path / "bronze"
        self.quarantine = place.path / "quarantine"
        self.spill = place.path / "spill"
        self.keys: dict[str, str] = {}

    def clear(self) -> None:
        """Remove what was staged so far."""
        for folder in (self.bronze, self.quarantine):
            shutil.rmtree(folder, ignore_errors=True)

    def bronze_files(self) -> list[Path]:
        """Return the staged Parquet files of event hours."""
        found = sorted(self.bronze.glob("date=*/hour=*/*.parquet"))
        return [path for path in found if path.parent.parent.name != f"date={QUARANTINE_PARTITION}"]

    def quarantine_files(self) -> list[Path]:
        """Return the staged Parquet files of quarantine, by arrival hour."""
        return sorted(self.quarantine.glob("date=*/hour=*/*.parquet"))


def receipt_of(staged: Staged, report: DecodeReport, reader: Reader, stalls_as: str) -> LandingReceipt:
    """Return the receipt of what was staged; its times are filled in by the caller."""
    contract = reader.contract
    with at_hand(threads=None) as con:
        files = tuple(_mark(con, contract, staged, path, bronze=True) for path in staged.bronze_files())
        rejects = tuple(_mark(con, contract, staged, path, bronze=False) for path in staged.quarantine_files())
        violations = (*_rejections(con, contract, staged, stalls_as), *_emptied(con, reader, staged))
        by_reason: dict[str, int] = {}
        for each in violations:
            if each.consequence != "null":
                by_reason[each.reason] = by_reason.get(each.reason, 0) + each.records
        stalled = any(each.consequence == "stall" for each in violations)
        by_object = _quarantined_by_object(con, staged, report)
        watched = _by_object(reader.coverage_by_object.items(), report)
        lateness = _lateness(con, staged)
    return LandingReceipt(
        source=contract.source,
        batch=staged.batch,
        status="stalled" if stalled else "published",
        read=report.records - sum(watched.values()),
        landed=0 if stalled else sum(mark.rows for mark in files),
        quarantined=0 if stalled else sum(mark.rows for mark in rejects),
        quarantined_by_reason=dict(sorted(by_reason.items())),
        first_landed_at="",
        landed_at="",
        bytes_read=report.bytes_read,
        bytes_decoded=report.bytes_decoded,
        lateness_seconds=lateness,
        contract_version=contract.version,
        contract_fingerprint=contract.fingerprint,
        files=files,
        quarantine_files=rejects,
        violations=violations,
        drift=reader.drift.found(),
        objects=tuple(
            ObjectMark(
                name=name,
                bytes=count.bytes,
                fingerprint=count.fingerprint,
                arrived_at=count.arrived_at.isoformat(),
                read=count.records - watched.get(name, 0),
                quarantined=by_object.get(name, 0),
            )
            for name, count in sorted(report.objects.items())
        ),
        ignored=tuple((str(name), str(why)) for name, why in report.ignored),
        notes=tuple(report.notes),
        coverage=reader.coverage(),
    )


def _mark(con: duckdb.DuckDBPyConnection, contract: Contract, staged: Staged, path: Path, *, bronze: bool) -> FileMark:
    hour = paths.hour_of(path.as_posix())
    if hour is None:
        raise AssertionError(f"staged outside any hour: {path}")
    number = path.stem.removeprefix(staged.batch if bronze else "q").lstrip("_")
    name = staged.batch if number in ("", "0") else f"{staged.batch}-{number}"
    make = paths.bronze_file if bronze else paths.quarantine_file
    key = make(contract.source, hour, name)
    staged.keys[key] = staged.place.key_of(path)
    summed = row_sums(paths.BRONZE if bronze else paths.QUARANTINE)
    row = con.execute(f"select {summed} from read_parquet({literal(str(path))}, hive_partitioning = false)").fetchone()
    return FileMark(
        key=key,
        hour=ledger.hour_text(hour),
        rows=pq.read_metadata(path).num_rows,
        bytes=path.stat().st_size,
        checksum=rows_checksum(str(row and row[0]), contract.fingerprint, LANDING_VERSION),
        digest=ledger.digest_of(path),
    )


def _rejections(con: duckdb.DuckDBPyConnection, contract: Contract, staged: Staged, stalls_as: str) -> list[Violations]:
    files = staged.quarantine_files()
    if not files:
        return []
    stalling = (
        {each.path for each in contract.walk() if each.on_violation == "stall"} if stalls_as == "stall" else set()
    )
    rows = con.execute(
        "select reason, field, min(expected), any_value(found), count(*), any_value(left(_raw, 200))"
        f" from read_parquet({_files(files)}, hive_partitioning = false) group by all order by count(*) desc, 1, 2"
    ).fetchall()
    return [
        Violations(reason, name, expected, found, count, "stall" if name in stalling else "quarantine", sample)
        for reason, name, expected, found, count, sample in rows
    ]


def _emptied(con: duckdb.DuckDBPyConnection, reader: Reader, staged: Staged) -> list[Violations]:
    """Optional fields of another type than the contract says, with the JSON type and the value of one record."""
    files = staged.bronze_files()
    if not files:
        return []
    bronze = f"read_parquet({_files(files)}, hive_partitioning = false)"
    some = con.execute(f"select count(*) filter (len(_violations) > 0), count(*) from {bronze}").fetchone()
    if not some or not some[0]:
        return []  # the usual case; the raw text, most of the file, need not be read for a sample
    rows = con.execute(
        "select name, count(*), any_value(_raw) from (select unnest(_violations) as name, _raw"
        f" from {bronze} where len(_violations) > 0) group by all order by 2 desc, 1"
    ).fetchall()
    declared = {each.path: each for each in reader.paths.fields}
    limit = reader.contract.stall_above if reader.stalls_as == "stall" else None
    found = []
    for name, count, raw in rows:
        expected = declared[name].type if name in declared else ""
        value = _first_value(con, raw, reader.paths.of(declared[name])) if name in declared else ""
        consequence = "null" if limit is None or count <= limit * some[1] else "stall"
        found.append(Violations("wrong_type", name, expected, value, count, consequence, raw[:200]))
    return found


def _first_value(con: duckdb.DuckDBPyConnection, raw: str, places: Iterable[Steps]) -> str:
    """Return the JSON type and the value at the first of these paths that has one; nothing of a record of text."""
    names = listed(map(json_path, places))
    row = con.execute(
        f"select list_transform(list_zip(try(json_type(r, {names})), try(json_extract_string(r, {names}))),"
        " lambda x: x[1] || ' ' || left(x[2], 120)) from (select ?::varchar as r)",
        [raw],
    ).fetchone()
    return next((each for each in (row and row[0]) or [] if each and not each.startswith("NULL")), "")


def _quarantined_by_object(con: duckdb.DuckDBPyConnection, staged: Staged, report: DecodeReport) -> dict[str, int]:
    files = staged.quarantine_files()
    if not files:
        return {}
    rows = con.execute(
        f"select _source_object, count(*) from read_parquet({_files(files)}, hive_partitioning = false) group by all"
    ).fetchall()
    return _by_object(rows, report)


def _by_object(records_of: Iterable[tuple[str, int]], report: DecodeReport) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, records in records_of:
        owner = report.object_of(name)
        found[owner] = found.get(owner, 0) + records
    return found


def _lateness(con: duckdb.DuckDBPyConnection, staged: Staged) -> dict[str, float]:
    files = staged.bronze_files()
    if not files:
        return {}
    row = con.execute(
        "with late as (select epoch(_arrived_at - _event_at) as s"
        f" from read_parquet({_files(files)}, hive_partitioning = false))"
        " select approx_quantile(s, 0.5), approx_quantile(s, 0.99), max(s) from late"
    ).fetchone()
    return {} if row is None else dict(zip(("p50", "p99", "max"), (round(float(each), 3) for each in row), strict=True))


def _files(files: list[Path]) -> str:
    return listed(str(path) for path in files)


class ErasureAsked(RuntimeError):
    """An erasure was asked for after the others were applied to the staged rows. Nothing was published."""


def bronze_columns(contract: Contract) -> list[tuple[str, str]]:
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
        LandingError: an erasure cannot be asked of this contract's columns.
        ErasureAsked: erasures are asked for faster than the batch can be published.
    """
    gone: list[Removed] = []
    for tries_left in reversed(range(_TRIES)):
        asked = _erasures(store, contract.source)
        if asked:
            with connect() as con:
                gone += _dropped(con, contract, staged, asked)
        try:
            return publish_landing(store, staged, receipt(gone), [each.erasure for each in asked])
        except ErasureAsked:
            if not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def no_longer_among(store: Store, previous: LandingReceipt, staged: Staged) -> int:
    """Return how many records that a batch has landed were not staged: by their event key, else by their text."""
    from lake.ledger.live_files import live_files  # only what is asked for again may lack something
    from lake.storage import duck

    new = {paths.BRONZE: staged.bronze_files(), paths.QUARANTINE: staged.quarantine_files()}
    there = [
        f"select {column} as what from read_parquet({listed(map(str, new[room]))}, hive_partitioning = false)"
        for room, column in ((paths.BRONZE, "_event_key"), (paths.BRONZE, "_raw"), (paths.QUARANTINE, "_raw"))
        if new[room]
    ] or ["select null::varchar as what"]
    missing = 0
    with duck.connect(store) as con:
        con.execute(f"create temp table there as {' union '.join(there)}")
        for room, key in ((paths.BRONZE, "_event_key"), (paths.QUARANTINE, "_raw")):
            if files := [each.address(store) for each in live_files([previous], room)]:
                missing += con.execute(
                    f"select count(*)::bigint from ({duck.rows_select(files)}) as old"
                    f" anti join there as keyed on keyed.what = old.{key}"
                    " anti join there as written on written.what = old._raw"
                ).fetchall()[0][0]
    return missing


def _erasures(store: Store, source: str) -> "list[ErasureRule]":
    """Return the erasures that stand for a source."""
    if next(iter(store.list(paths.erasure_conditions(source))), None) is None:
        return []
    from lake.upkeep.erasure_rules import erasure_rules  # with the parser of conditions, which few sources need

    return erasure_rules(store, source)


def _dropped(
    con: duckdb.DuckDBPyConnection, contract: Contract, staged: Staged, asked: "Sequence[ErasureRule]"
) -> list[Removed]:
    from lake.upkeep.erasure_rules import NotApplicable, drop

    columns, gone = bronze_columns(contract), []
    for room, files in ((paths.BRONZE, staged.bronze_files()), (paths.QUARANTINE, staged.quarantine_files())):
        for file in files:
            hour = paths.hour_of(file.as_posix())
            assert hour is not None, file  # staged by hour
            try:
                gone += drop(con, asked, columns, room, ledger.hour_text(hour), file)
            except NotApplicable as problem:
                raise LandingError(f"{contract.source}: batch {staged.batch} was not landed: {problem}") from problem
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
        if [each.erasure for each in _erasures(store, receipt.source)] != list(erasures):
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
        failed = paths.not_landed(final.source, final.batch)
        told = (failed,) if store.info(failed) else ()
        return Change(tuple(moves), (*_not_named(previous, final), *told), (_text(final),))

    publish(store, plan)
    return final


def _left_alone(store: Store, old: Sequence[FileMark], new: Sequence[FileMark]) -> dict[str, list[FileMark]]:
    """Return, by the key of each new file, the old files that are left where they are in its stead: none or one."""
    kept: dict[str, list[FileMark]] = {}
    for hour in {mark.hour for mark in new}:
        of_hour = [mark for mark in new if mark.hour == hour]
        left = sorted((mark for mark in old if mark.hour == hour and is_intact(store, mark)), key=_rows)
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
