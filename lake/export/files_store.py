"""Where files go: a folder, or a bucket with access of its own or the lake's; and what its errors mean to an export."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import duckdb
import msgspec

from lake import ledger
from lake.export.destination import Held, Place
from lake.export.errors import DestinationDenied, DestinationUnavailable
from lake.export.rows import CHECKSUM
from lake.storage import duck
from lake.storage.paths import BadRoot
from lake.storage.publish import open_store
from lake.storage.store import AwsAccess, LocalStore, S3Options, Store

_LEFT_AFTER_SECONDS = 3600


class Bucket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`root` is a folder or `s3://bucket/prefix`; a bucket is reached as the lake's own, or as is said here."""

    root: str
    region: str | None = None
    endpoint_url: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    encryption: Literal["AES256", "aws:kms"] | None = None
    kms_key_id: str | None = None


def store_of(options: Bucket, place: Place) -> Store:
    """Return the store of a root; a bucket without settings of its own is reached as the lake's.

    Raises:
        DestinationUnavailable: no folder can lie there.
    """
    given = {name: getattr(options, name) for name in ("region", "endpoint_url", "role_arn", "external_id")}
    own = getattr(place.lake, "options", None)
    if not options.root.startswith("s3://"):
        try:
            return open_store(options.root)
        except BadRoot as problem:
            raise DestinationUnavailable(str(problem).removeprefix("lake ")) from None
    if own is not None and not any(given.values()) and options.encryption is None:
        return open_store(options.root, own)
    access = AwsAccess(**given)
    return open_store(options.root, S3Options(access, place.work, options.encryption, options.kms_key_id))


@contextmanager
def writing(where: str) -> Iterator[None]:
    """Tell why something was not written."""
    try:
        yield
    except PermissionError as problem:
        raise DestinationDenied(f"{where} was not written: {problem}") from problem
    except OSError as problem:
        raise DestinationUnavailable(f"{where} was not written: {problem}") from problem


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Tell why something cannot be read back; DuckDB's message may end within a letter."""
    try:
        yield
    except PermissionError as problem:
        raise DestinationDenied(f"{where} cannot be read back: {problem}") from problem
    except (OSError, duckdb.Error, UnicodeDecodeError) as problem:
        said = " ".join(str(problem).split())[:300]
        raise DestinationUnavailable(
            f"{where} cannot be read back: {said}. Push the hour again: it is then replaced"
        ) from problem


def held_in(store: Store, relation: str, place: Place, threads: int) -> Held:
    """Count the rows of a relation over a store's files and sum their ids. Raises duckdb.Error."""
    memory = f"{max(place.memory_bytes, 1 << 30) >> 20}MiB"
    with duckdb.connect(config={"memory_limit": memory, "threads": threads}) as con:
        duck.prepare(con, store)
        row = con.execute(f"select count(*), {CHECKSUM} from {relation}").fetchone()
    rows, checksum = row or (0, 0)
    return Held(rows=int(rows), checksum=int(checksum))


def altered_in(store: Store, digests: Mapping[str, str]) -> dict[str, str]:
    """Return the files, by their address, that are not as they were written, and what is found of each."""
    found: dict[str, str] = {}
    for key, info in store.infos(digests).items():
        if info is None:
            found[store.url(key)] = "is missing"
            continue
        with reading(store.url(key)), store.open(key) as file:
            if ledger.digest(file) == digests[key]:
                continue
            file.seek(0)
            zeros = not any(block.strip(b"\0") for block in iter(lambda: file.read(1 << 20), b""))
        found[store.url(key)] = "holds only zeros" if zeros else "holds other bytes than were delivered"
    return found


def remove_left(store: Store, key: str) -> None:
    """Remove what pushes that were killed while they wrote a file left beside it; a bucket keeps none."""
    if not isinstance(store, LocalStore):
        return
    for path in (store.path / key).parent.glob(".tmp-*"):
        if time.time() - path.stat().st_mtime > _LEFT_AFTER_SECONDS:
            path.unlink(missing_ok=True)
