"""DuckDB over a lake: connections that read what `store.url` names, also in a bucket; SELECTs over its Parquet files.

A secret is never part of a message or of a logged statement.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from lake.base.errors import HeadwaterError
from lake.base.sql import empty_select, listed, literal
from lake.storage.paths import Address
from lake.storage.store import AwsAccess, Store

_RETRIES = 8
_RETRY_WAIT_MS, _RETRY_BACKOFF = 100, 2
_TIMEOUT_SECONDS = 60


class ExtensionMissing(HeadwaterError):
    """A DuckDB extension is neither installed as a package nor by DuckDB itself."""


def connect(store: Store, config: Mapping[str, str | int] | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection in UTC that reads the store's addresses."""
    con = duckdb.connect(config=dict(config or {}))
    con.execute("set timezone = 'UTC'")
    con.execute("set enable_progress_bar = false")  # it would be printed among the rows of an answer
    prepare(con, store)
    return con


class Signed:
    """A connection that lives long: it gets new credentials when those of a role have been renewed."""

    def __init__(self, con: duckdb.DuckDBPyConnection, store: Store) -> None:
        """Prepare the connection as `prepare` does."""
        self._con, self._store = con, store
        self._keys = _keys(store)
        prepare(con, store)

    def renew(self) -> None:
        """Give the connection the credentials of now, if they are others; asking costs nothing until they are due."""
        keys = _keys(self._store)
        if keys != self._keys:
            self._keys = keys
            prepare(self._con, self._store)


def _keys(store: Store) -> object:
    options = getattr(store, "options", None)
    if options is None:
        return None
    from lake.storage.aws import credentials

    return credentials(options.access)


def prepare(con: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Let a connection read the store's addresses; nothing is needed for a folder.

    Credentials are those of now; see `Signed` for a connection that lives longer than they do.
    """
    if not store.url("").startswith("s3://"):
        return
    from lake.storage.s3 import S3Store

    if not isinstance(store, S3Store):
        raise TypeError(f"no way to read {store.url('')} with DuckDB")
    load_extension(con, "httpfs")
    con.execute(f"set http_retries = {_RETRIES}")
    con.execute(f"set http_retry_wait_ms = {_RETRY_WAIT_MS}")
    con.execute(f"set http_retry_backoff = {_RETRY_BACKOFF}")
    con.execute(f"set http_timeout = {_TIMEOUT_SECONDS}")
    allow(con, f"s3://{store.bucket}/{store.prefix}", store.options.access)


def allow(con: duckdb.DuckDBPyConnection, scope: str, access: AwsAccess) -> None:
    """Give a connection the credentials for all addresses that begin with `scope`."""
    from lake.storage.aws import credentials, own_endpoint, region_of  # not needed for a lake in a folder

    keys = credentials(access)
    endpoint = urlsplit(own_endpoint(access))
    own = bool(endpoint.netloc) and access.addressing_style == "auto"  # such stores rarely have a name for each bucket
    values = {
        "key_id": keys.access_key,
        "secret": keys.secret_key,
        "session_token": keys.token or "",
        "region": region_of(access),
        "endpoint": endpoint.netloc,
        "url_style": "path" if access.addressing_style == "path" or own else "",
        "use_ssl": "false" if endpoint.scheme == "http" else "",
        "scope": scope,
    }
    given = ", ".join(f"{name} {literal(value)}" for name, value in values.items() if value)
    try:
        con.execute(f"create or replace secret headwater_lake (type s3, {given})")
    except duckdb.Error as problem:
        raise RuntimeError(f"DuckDB did not take the credentials for {scope}: {type(problem).__name__}") from None


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension from its package `duckdb-extension-<name>`, which needs no extension server.

    Raises:
        ExtensionMissing: there is no such package, and DuckDB has not installed the extension itself.
    """
    file = packaged(name)
    try:
        con.load_extension(str(file) if file else name)
    except duckdb.Error as problem:
        raise ExtensionMissing(
            f"DuckDB's extension {name} cannot be loaded ({str(problem).splitlines()[0]}); install the package"
            f" duckdb-extension-{name}=={duckdb.__version__}"
        ) from None


def packaged(name: str) -> Path | None:
    """Return the file of an extension's package for this DuckDB, or None."""
    package = find_spec(f"duckdb_extension_{name}")
    for folder in package.submodule_search_locations or () if package else ():
        file = Path(folder) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if file.exists():
            return file
    return None


def partitioned(files: str, place: str, keys: Sequence[str], options: str = "") -> str:
    """Return a relation over Parquet files (SQL: a literal or a list) with their folders `key=value` as text columns.

    `place` is the address that the lake's own part of theirs begins behind: folders in it such as `source=x` are none
    of the lake's, and DuckDB would take them for columns too.
    """
    if "=" not in place:
        return f"read_parquet({files}, {options}hive_partitioning = true, hive_types_autocast = false)"
    taken = ", ".join(f"regexp_extract(filename, '.*/{key}=([^/]*)/', 1) as {key}" for key in keys)
    read = f"read_parquet({files}, {options}filename = true, hive_partitioning = false)"
    return f"(select * exclude (filename), {taken} from {read})"


def typed_select(
    columns: Sequence[Sequence[str]], files: Sequence[Address], *, keys: Sequence[str] = (), place: str = ""
) -> str:
    """Return a SELECT over Parquet files that has at least the given columns, whatever the age of the files.

    `keys` and `place`: see `partitioned`; without keys folders are no columns.
    """
    return " union all by name ".join([f"({empty_select(columns)})", *_parts(files, keys, place)])


def rows_select(files: Sequence[Address]) -> str:
    """Return a SELECT over the rows that count in some files, at least one, with the columns that the files have."""
    return " union all by name ".join(_parts(files))


def _parts(files: Sequence[Address], keys: Sequence[str] = (), place: str = "") -> Iterator[str]:
    """Yield a SELECT over all files that count whole, and one for each other."""
    whole = [each for each in files if isinstance(each, str)]
    if whole:
        yield f"(select * from {_rows(listed(whole), keys, place)})"
    for each in files:
        if not isinstance(each, str):
            batches = ", ".join(map(literal, each[1]))
            yield f"(select * from {_rows(literal(each[0]), keys, place)} where _batch in ({batches}))"


def _rows(files: str, keys: Sequence[str], place: str) -> str:
    if keys:
        return partitioned(files, place, keys, "union_by_name = true, ")
    return f"read_parquet({files}, union_by_name = true, hive_partitioning = false)"
