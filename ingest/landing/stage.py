"""The files that one landing has staged, and the receipt that is read back from them.

The receipt's `landed` and `quarantined` count what was really written (Parquet footers and narrow columns), so that
they do not come from the same counter as its `read`.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow.parquet as pq

from ingest.contracts import Contract
from ingest.decode import DecodeReport
from ingest.landing.drift import DriftCounter
from lake import ledger
from lake.base.sql import listed, literal
from lake.ledger.checksums import checksum, sums
from lake.ledger.receipts import Coverage, FileMark, LandingReceipt, ObjectMark, Violations
from lake.storage import paths
from lake.storage.duck import at_hand
from lake.storage.publish import Workplace

QUARANTINE_PARTITION = "quarantine"  # the date folder in which rejected records are staged
LANDING_VERSION = "2"  # part of every checksum: raise it when the same bytes and contract give other bronze rows


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


class Counted(Protocol):
    """What the reader of a contract's records has counted on the way: drift, and records of coverage by object."""

    contract: Contract
    drift: DriftCounter

    @property
    def coverage_by_object(self) -> Mapping[str, int]:
        """How many records of coverage each object had."""

    def coverage(self) -> tuple[Coverage, ...]:
        """Return what the source told of its coverage."""


def receipt_of(staged: Staged, report: DecodeReport, reader: Counted, stalls_as: str) -> LandingReceipt:
    """Return the receipt of what was staged; its times are filled in by the caller."""
    contract = reader.contract
    with at_hand(threads=None) as con:
        files = tuple(_mark(con, contract, staged, path, bronze=True) for path in staged.bronze_files())
        rejects = tuple(_mark(con, contract, staged, path, bronze=False) for path in staged.quarantine_files())
        violations = (*_rejections(con, contract, staged, stalls_as), *_emptied(con, contract, staged))
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
    summed = sums(paths.BRONZE if bronze else paths.QUARANTINE)
    row = con.execute(f"select {summed} from read_parquet({literal(str(path))}, hive_partitioning = false)").fetchone()
    return FileMark(
        key=key,
        hour=ledger.hour_text(hour),
        rows=pq.read_metadata(path).num_rows,
        bytes=path.stat().st_size,
        checksum=checksum(str(row and row[0]), contract.fingerprint, LANDING_VERSION),
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


def _emptied(con: duckdb.DuckDBPyConnection, contract: Contract, staged: Staged) -> list[Violations]:
    files = staged.bronze_files()
    if not files:
        return []
    bronze = f"read_parquet({_files(files)}, hive_partitioning = false)"
    some = con.execute(f"select count(*) from {bronze} where len(_violations) > 0").fetchone()
    if not some or not some[0]:
        return []  # the usual case; the raw text, most of the file, need not be read for a sample
    rows = con.execute(
        "select name, count(*), any_value(left(_raw, 200)) from (select unnest(_violations) as name, _raw"
        f" from {bronze} where len(_violations) > 0) group by all order by 2 desc, 1"
    ).fetchall()
    types = {each.path: each.type for each in contract.walk()}
    return [
        Violations("wrong_type", name, types.get(name, ""), "", count, "null", sample) for name, count, sample in rows
    ]


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
