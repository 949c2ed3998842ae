"""Amazon Security Lake: a table of one OCSF class becomes a custom source.

Creating the custom source is a step of AWS's console or API, which makes the role that may write its prefix.

`<root>/ext/<source>/region=<region>/accountId=<account>/eventDay=YYYYMMDD/<table>-<hour>.parquet`: one object per event
hour and account, under a name that follows from both, so pushing again replaces it. What the hour no longer has is
removed after the rest was written. AWS's rules, from its user guide ("Collecting data from custom sources in Security
Lake", https://docs.aws.amazon.com/security-lake/latest/userguide/custom-sources.html), and how they are held:

- One event class a source: rows of another class are refused before anything is written.
- Partitions by region, account and eventDay (UTC, YYYYMMDD). The account is the one that the records pertain to; of
  accounts outside AWS, `external` or `external_<id>`.
- Parquet 1.x or 2.x, zstd; data pages of at most 1 MB (uncompressed), row groups of at most 256 MB (compressed). Pages
  are closed every few rows, so only a single value can make one larger.
- Records ordered by time within an object.
- Objects come no more often than every 5 minutes, unless they are larger than 256 MB: an hour comes once, and again
  when it was built anew.
- Names of sources: at most 20 characters, of letters, digits and `_ - : .` (API reference of CreateCustomLogSource).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from duckdb.sqltypes import DuckDBPyType

from lake import ledger
from lake.base.sql import literal, quoted
from lake.export.declaration import EVENT_ID
from lake.export.destination import NOTHING, Delivery, Held, Partition, Place
from lake.export.errors import BadDeclaration, ExportError, RowsRefused, one_line
from lake.export.files_store import Bucket, altered_in, held_in, reading, remove_left, store_of, writing
from lake.export.json_sql import Column, child_of, columns_of, fields_of
from lake.export.rows import Reader
from lake.storage import paths
from lake.storage.store import Store

TYPES = {
    "boolean": "BOOLEAN",
    "integer": "INT32, INT64",
    "number": "DOUBLE",
    "text": "UTF8",
    "timestamp": "TIMESTAMP (µs, UTC, no zone)",
    "date": "DATE",
    "binary": "BYTE_ARRAY",
    "json": "UTF8, the JSON text",
    "object": "group",
    "list": "LIST",
    "map": "MAP",
}
NOTES = (
    "An object is replaced by one act, an hour of several accounts account by account.",
    "`_event_id` is a column besides those of OCSF: by it the rows are counted and checked.",
)
_SOURCE = re.compile(r"\w[\w\-:.]{0,19}(/[A-Za-z0-9][A-Za-z0-9\-._]{0,31})?\Z", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d\Z")
_PAGE_BYTES, _PAGE_ROWS = 1 << 20, 32
_GROUP_BYTES, _GROUP_ROWS = 64 << 20, 16_384  # uncompressed: far below AWS's 256 MB, and what is in memory at once
_OF_AWS = "^[0-9]{12}$"


class Options(Bucket, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`root` is `s3://` and the bucket of Security Lake, `region` its region (of the bucket, and in the layout).

    `sources` names the custom source of a table, `name` or `name/version`; else it is called as the table. `account`
    is where rows without `cloud.account.uid` go.
    """

    region: str
    account: str = "external"
    sources: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError for what AWS would not take."""
        if not _REGION.match(self.region):
            raise ValueError(f"region: {self.region!r} is no region (expected eu-central-1)")
        if not _ACCOUNT.match(self.account):
            raise ValueError(f"account: {self.account!r} cannot be part of a key (expected 123456789012 or external)")
        for source in self.sources.values():
            if not _SOURCE.match(source):
                raise ValueError(f"sources: {source!r} cannot be a custom source (at most 20 letters, digits, _ - : .)")


def open_destination(name: str, options: Options, place: Place) -> "SecurityLake":
    """Return the destination; no request is made."""
    return SecurityLake(name, options, store_of(options, place), place)


class SecurityLake:
    """The bucket of a Security Lake."""

    def __init__(self, name: str, options: Options, store: Store, place: Place) -> None:
        self._name, self._options, self._store, self._place = name, options, store, place

    @property
    def identity(self) -> str:
        """Return root, region, default account, and the names of sources."""
        named = "".join(f" {table}={source}" for table, source in sorted(self._options.sources.items()))
        root = self._store.url("").rstrip("/")
        return f"security_lake {root} {self._options.region} {self._options.account}{named}"

    def push(self, table: str, partition: Partition, reader: Reader) -> Delivery:
        """Replace the hour's objects, one for each account."""
        made = self._made(table, reader) if reader.rows else {}
        keys = {self._key(table, partition, account): path for account, path in made.items()}
        with writing(self._store.url(self._source(table))):
            for key, path in keys.items():
                remove_left(self._store, key)
                self._store.put(path, key)
            self._store.delete_many([key for key in self._there(table, partition) if key not in keys])
        held = self.read_back(table, partition)
        size = sum(path.stat().st_size for path in made.values())
        digests = {key: ledger.digest_of(path) for key, path in keys.items()}
        remote = {"source": self._source(table), "accounts": str(len(made))}
        return Delivery(held=held, bytes=size, proof="file", remote=remote, digests=digests)

    def read_back(self, table: str, partition: Partition) -> Held:
        """Count the rows of the hour's objects, whichever account they are filed under, and sum their ids."""
        with reading(self._store.url(self._source(table))):
            keys = self._there(table, partition)
            if not keys:
                return NOTHING
            urls = ", ".join(literal(self._store.url(key)) for key in keys)
            relation = f"read_parquet([{urls}], hive_partitioning = false, union_by_name = true)"
            return held_in(self._store, relation, self._place, self._place.threads)

    def altered(self, digests: Mapping[str, str]) -> dict[str, str]:
        """Return the objects that are not as they were written, and what is found of each."""
        return altered_in(self._store, digests)

    def close(self) -> None:
        """Nothing is open."""

    def _source(self, table: str) -> str:
        """Return the folder of a table's source. Raises BadDeclaration when its name is not one of AWS's."""
        source = self._options.sources.get(table, paths.checked(table))
        if not _SOURCE.match(source):
            raise BadDeclaration(
                f"destinations.{self._name}: the table's name {table} is longer than the 20 characters of a custom"
                f" source: say `sources: {{{table}: …}}`"
            )
        return f"ext/{source}"

    def _key(self, table: str, partition: Partition, account: str) -> str:
        day = f"{partition.date:%Y%m%d}"
        folder = f"{self._source(table)}/region={self._options.region}/accountId={account}/eventDay={day}"
        return f"{folder}/{paths.checked(table)}-{partition}.parquet"

    def _there(self, table: str, partition: Partition) -> list[str]:
        """Return the keys of the hour's objects that are there."""
        folders = self._store.folders(f"{self._source(table)}/region={self._options.region}")
        accounts = [folder.removeprefix("accountId=") for folder in folders if folder.startswith("accountId=")]
        found = self._store.infos(self._key(table, partition, account) for account in accounts)
        return [key for key, held in found.items() if held is not None]

    def _made(self, table: str, reader: Reader) -> dict[str, Path]:
        """Write the rows of each account to a file of this machine."""
        with _telling(table), reader.connect() as con:
            columns = columns_of(con.sql("from exported"))
            names = {each.name for each in columns}
            if missing := sorted({"class_uid", "time"} - names):
                raise RowsRefused(
                    f"{table}: Security Lake takes events of OCSF, whose rows have class_uid and time; there is no"
                    f" {missing[0]}"
                )
            _check_class(con, table)
            accounts = _accounts(columns, self._options.account)
            con.execute(f"create table filed as select distinct {accounts} as account from exported")
            chosen = ", ".join(f"{_plain(each.type, quoted(each.name))} as {quoted(each.name)}" for each in columns)
            made = {}
            for number, (account,) in enumerate(con.execute("from filed order by all").fetchall()):
                made[account] = reader.path.with_name(f"account-{number}.parquet")
                _write(
                    con.cursor(),
                    f"select {chosen} from exported where {accounts} = {literal(account)} order by time, {EVENT_ID}",
                    made[account],
                    _rows_of_a_group(reader),
                )
            return made


@contextmanager
def _telling(table: str) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, pa.ArrowException) as problem:
        raise ExportError(f"{table}: the rows cannot be written for Security Lake: {one_line(problem)}") from problem


def _check_class(con: duckdb.DuckDBPyConnection, table: str) -> None:
    found = [str(row[0]) for row in con.execute("select distinct class_uid from exported order by 1").fetchall()]
    if len(found) > 1:
        raise RowsRefused(
            f"{table}: Security Lake takes one OCSF class a custom source; there are rows of the classes"
            f" {', '.join(found[:5])}. Export each class by itself (`filter` in meta.exports)"
        )


def _accounts(columns: Sequence[Column], default: str) -> str:
    """Return the SQL of the account that a row is filed under; what cannot be part of a key becomes `_`."""
    cloud = next((fields_of(each.type) for each in columns if each.name == "cloud"), {})
    if "account" not in cloud or "uid" not in fields_of(cloud["account"]):
        return literal(default)
    uid = "nullif(trim(cloud.account.uid), '')"
    other = f"'external_' || substr(regexp_replace({uid}, '[^A-Za-z0-9_.-]', '_', 'g'), 1, 64)"
    filed = f"case when regexp_matches({uid}, '{_OF_AWS}') then {uid} else {other} end"
    return f"case when {uid} is null then {literal(default)} else {filed} end"


def _plain(type_: DuckDBPyType, column: str) -> str:
    """Return SQL for a column without JSON's own type, which Glue's crawlers do not know."""
    plain = _without_json(type_)
    return f"{column}::{plain}" if plain != str(type_) else column


def _without_json(type_: DuckDBPyType) -> str:
    if str(type_) == "JSON":
        return "VARCHAR"
    if type_.id in ("list", "array"):
        return f"{_without_json(child_of(type_))}[]" if type_.id == "list" else str(type_)
    parts = [(name, _without_json(below)) for name, below in fields_of(type_).items()]
    if type_.id == "struct":
        return f"STRUCT({', '.join(f'{quoted(name)} {below}' for name, below in parts)})"
    return f"MAP({', '.join(below for _, below in parts)})" if type_.id == "map" else str(type_)


def _rows_of_a_group(reader: Reader) -> int:
    """Return how many rows are some megabytes, on average."""
    held = pq.read_metadata(reader.path)
    size = sum(held.row_group(at).total_byte_size for at in range(held.num_row_groups))
    return int(max(_PAGE_ROWS, min(_GROUP_ROWS, _GROUP_BYTES * held.num_rows // max(size, 1))))


def _write(con: duckdb.DuckDBPyConnection, select: str, to: Path, rows: int) -> None:
    """Write a SELECT in small pages, which DuckDB's own writer does not make."""
    batches = con.execute(select).to_arrow_reader(rows)
    with pq.ParquetWriter(
        to, batches.schema, compression="zstd", data_page_size=_PAGE_BYTES, write_batch_size=_PAGE_ROWS
    ) as writer:
        for batch in batches:
            writer.write_batch(batch, row_group_size=rows)
