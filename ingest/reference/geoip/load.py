"""GeoIP reference tables from MaxMind-format databases: loading them.

`reference/<table>/version=<v>/` for each of `geoip_records.TABLES` that a database can feed (City, Country, Enterprise,
ASN, ISP, Anonymous IP, Connection Type, Domain), a version being the database's build time and the start of its sha256.
The join lives in `lake/ocsf/context/places.py`, the views it reads in `versions`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import maxminddb

from ingest.reference.geoip.files import Stamp, write_files
from ingest.reference.geoip.networks import ReadCounts, ranges_of
from ingest.reference.geoip.records import TABLES, GeoIpError, RecordShape, payload_reader, shapes_of
from ingest.reference.geoip.versions import ReferenceReceipt, encoded, read_receipts
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store

LOADER = 1  # raise when the same database would give other rows: every version is then written anew
SAMPLE_RECORDS = 1_000


@dataclass(frozen=True)
class GeoIpDatabase:
    """One .mmdb file. `tables` restricts what it feeds (`geoip_records.TABLES`); empty: every table it can feed."""

    path: Path
    tables: tuple[str, ...] = ()


# What a database feeds first of all when it is configured under one of these names.
CONFIGURED = {
    "city": ("geoip_city",),
    "asn": ("geoip_asn",),
    "anonymous": ("geoip_anonymous",),
    "isp": ("geoip_isp", "geoip_connection", "geoip_domain"),
}


def databases_of(configured: Mapping[str, Sequence[Path]]) -> list[GeoIpDatabase]:
    """Return the databases of the settings (name of `CONFIGURED` → files), each with the tables that it feeds.

    A database feeds every table that it can, but none for which another name has databases: an ISP database beside an
    ASN database leaves the numbers to that one.
    """
    found: list[GeoIpDatabase] = []
    for name, files in configured.items():
        others = {
            table for other, tables in CONFIGURED.items() if other != name and configured.get(other) for table in tables
        }
        found += [GeoIpDatabase(path, tuple(table for table in TABLES if table not in others)) for path in files]
    return found


@dataclass(frozen=True)
class _Opened:
    path: Path
    sha256: str
    database_type: str
    built_at: datetime
    ip_versions: frozenset[int]
    shapes: tuple[RecordShape, ...]

    @property
    def version(self) -> str:
        return f"{self.built_at:%Y%m%dT%H%M%SZ}-{self.sha256[:8]}"


def load_geoip(
    store: Store, databases: list[GeoIpDatabase], learned_at: datetime | None = None
) -> list[ReferenceReceipt]:
    """Load every database that the lake does not hold yet; receipts of all of them, one per database and table.

    `learned_at`: naive UTC, default now. Raises GeoIpError (missing or damaged file, unknown record shape, two kinds of
    database for one table) before anything is written, except for damage that only shows while a database is read.
    """
    learned = learned_at or datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    opened = [_inspect(database) for database in databases]
    _refuse_rivals(opened)
    return [_load(store, database, shape, learned) for database in opened for shape in database.shapes]


def load_each(store: Store, databases: list[GeoIpDatabase]) -> tuple[list[ReferenceReceipt], dict[Path, str]]:
    """Load every database that the lake does not hold yet; return receipts, and by file why one cannot be used.

    One that is damaged, or a rival of one before it, stops itself alone.
    """
    learned = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    opened: list[_Opened] = []
    receipts: list[ReferenceReceipt] = []
    failed: dict[Path, str] = {}
    for database in databases:
        try:
            found = _inspect(database)
            _refuse_rivals([*opened, found])
            receipts += [_load(store, found, shape, learned) for shape in found.shapes]
            opened.append(found)
        except GeoIpError as problem:
            failed[database.path] = str(problem)
    return receipts, failed


def _inspect(database: GeoIpDatabase) -> _Opened:
    path = database.path
    unknown = set(database.tables) - set(TABLES)
    if unknown:
        raise GeoIpError(f"{path}: unknown table {', '.join(sorted(unknown))}; expected {' or '.join(TABLES)}")
    with _reading(path) as reader:
        metadata = reader.metadata()
        sample = list(islice(reader, SAMPLE_RECORDS))
        shapes = shapes_of(record for _, record in sample)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    wanted = tuple(shape for shape in shapes if not database.tables or shape.table in database.tables)
    if not wanted:
        raise GeoIpError(f"{path}: holds {shapes[0].table}, expected {' or '.join(database.tables)}")
    return _Opened(
        path=path,
        sha256=sha256,
        database_type=metadata.database_type,
        built_at=datetime.fromtimestamp(metadata.build_epoch, UTC).replace(tzinfo=None),
        ip_versions=frozenset({metadata.ip_version, sample[0][0].version}),
        shapes=wanted,
    )


@contextmanager
def _reading(path: Path) -> Iterator[maxminddb.reader.Reader]:
    """The open database; whatever is wrong with the file becomes a GeoIpError that names it."""
    try:
        with maxminddb.open_database(path) as reader:
            yield reader
    except FileNotFoundError:
        raise GeoIpError(f"{path}: no such file; check the configured GeoIP databases") from None
    except OSError as error:
        raise GeoIpError(f"{path}: cannot be read: {error.strerror}") from error
    except (maxminddb.InvalidDatabaseError, UnicodeDecodeError) as error:
        raise GeoIpError(f"{path}: not a usable MaxMind database (.mmdb): {error}") from error
    except GeoIpError as error:
        raise GeoIpError(f"{path}: {error}") from error


def _refuse_rivals(opened: list[_Opened]) -> None:
    """One kind of database per table and IP version: which of two answers counts must not depend on build times."""
    seen: dict[tuple[str, int], _Opened] = {}
    for database in opened:
        for key in ((shape.table, ip) for shape in database.shapes for ip in sorted(database.ip_versions)):
            rival = seen.setdefault(key, database)
            if rival.database_type != database.database_type:
                raise GeoIpError(
                    f"{database.path}: {database.database_type} and {rival.database_type} ({rival.path}) both feed "
                    f"{key[0]} for IPv{key[1]}; configure one of them, or restrict `tables`"
                )


def _load(store: Store, database: _Opened, shape: RecordShape, learned_at: datetime) -> ReferenceReceipt:
    for receipt in read_receipts(store, shape.table):
        if receipt.version == database.version and _is_whole(store, receipt):
            return receipt
    folder = f"reference/{shape.table}/version={database.version}"
    counts = ReadCounts()
    with Workplace(store, "geoip") as place:
        staged = {f"{folder}/{name}": place.path / name for name in ("part.parquet", "blocks.parquet")}
        _write(database, shape, learned_at, counts, *staged.values())
        receipt = ReferenceReceipt(
            table=shape.table,
            version=database.version,
            database_type=database.database_type,
            shape=shape.name,
            source_file=database.path.name,
            source_sha256=database.sha256,
            built_at=database.built_at,
            learned_at=learned_at,
            networks=counts.networks,
            without_payload=counts.without_payload,
            aliases=counts.aliases,
            ranges={str(ip_version): rows for ip_version, rows in counts.ranges.items()},
            files={key: path.stat().st_size for key, path in staged.items()},
            loader=LOADER,
        )
        moves = tuple((place.key_of(path), key) for key, path in staged.items())
        publish(store, lambda: Change(moves=moves, receipts=((receipt.key, encoded(receipt)),)))
    return receipt


def _is_whole(store: Store, receipt: ReferenceReceipt) -> bool:
    """The receipt is of this loader and every file it names lies there in its size."""
    held = {key: store.info(key) for key in receipt.files}
    return receipt.loader == LOADER and all(
        (found := held[key]) is not None and found.size == size for key, size in receipt.files.items()
    )


def _write(
    database: _Opened, shape: RecordShape, learned_at: datetime, counts: ReadCounts, part: Path, blocks: Path
) -> None:
    stamp = Stamp(
        database_type=database.database_type,
        version=database.version,
        built_at=database.built_at,
        learned_at=learned_at,
        block_prefix=int(database.sha256[:8], 16),
    )
    with _reading(database.path) as reader:
        write_files(shape.table, ranges_of(reader, payload_reader(shape), counts), stamp, part, blocks)
