"""DuckDB over a lake: connections that read what `store.url` names, also in a bucket.

A secret is never part of a message or of a logged statement.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from lake.base.errors import HeadwaterError
from lake.base.sql import literal
from lake.storage.s3_options import AwsAccess
from lake.storage.store import Store

_RETRIES = 8
_RETRY_WAIT_MS, _RETRY_BACKOFF = 100, 2
_TIMEOUT_SECONDS = 60


class ExtensionMissing(HeadwaterError):
    """A DuckDB extension is neither installed as a package nor by DuckDB itself."""


def at_hand(threads: int | None = 1) -> duckdb.DuckDBPyConnection:
    """Return a connection of a DuckDB that this process keeps, in UTC: starting one takes 10 ms of the processor.

    For questions about values and files of this machine that need little memory. What is registered, and the time zone,
    is the connection's own; nothing may be created in it, and nothing else set. `threads`: None for as many as there
    are cores.
    """
    con = _kept(os.getpid(), threads).cursor()
    con.execute("set timezone = 'UTC'")
    return con


@lru_cache(maxsize=4)
def _kept(process: int, threads: int | None) -> duckdb.DuckDBPyConnection:
    """Return the process's own DuckDB: in a forked process that of its parent has lost its threads."""
    return duckdb.connect(config={} if threads is None else {"threads": threads})


def connect(store: Store, config: Mapping[str, str | int] | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection in UTC that reads the store's addresses."""
    con = duckdb.connect(config=dict(config or {}))
    con.execute("set timezone = 'UTC'")
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
