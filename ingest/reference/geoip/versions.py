"""Versions of the GeoIP tables: their receipts, from when to when each is valid, and the views over them.

Validity is derived from the receipts, never stored: a newer version closes the older one without a file being touched.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import NamedTuple

from ingest.reference.geoip.files import BLOCK_TYPES, table_types
from ingest.reference.geoip.records import TABLES
from lake.base.sql import empty_select, literal
from lake.ledger import broken
from lake.storage.store import Store

FIRST = datetime(1970, 1, 1)
LAST = datetime(9999, 12, 31)


@dataclass(frozen=True)
class ReferenceReceipt:
    """What one load did: one version of one reference table. Times are naive UTC; files are keys → bytes."""

    table: str
    version: str
    database_type: str
    shape: str
    source_file: str
    source_sha256: str
    built_at: datetime
    learned_at: datetime
    networks: int
    without_payload: int
    aliases: int
    ranges: dict[str, int]  # ip version ("4", "6") → rows
    files: dict[str, int]
    loader: int

    @property
    def key(self) -> str:
        """The receipt's own key in the lake."""
        return receipt_key(self.table, self.version)


class Validity(NamedTuple):
    """The version to ask about addresses of `ip_version` at `valid_from` <= time < `valid_to` (naive UTC)."""

    version: str
    ip_version: int
    valid_from: datetime
    valid_to: datetime


def validity(receipts: Iterable[ReferenceReceipt]) -> list[Validity]:
    """One unbroken chain per IP version: from its first version at 1970-01-01 to its last at 9999-12-31.

    Per IP version, because vendors ship IPv4 and IPv6 as two databases. Of two versions with the same build time the
    one learned later counts.
    """
    ordered = sorted(receipts, key=lambda receipt: (receipt.built_at, receipt.learned_at, receipt.version))
    chain: list[Validity] = []
    for ip_version in (4, 6):
        of_kind = [receipt for receipt in ordered if receipt.ranges.get(str(ip_version))]
        starts = [FIRST, *(receipt.built_at for receipt in of_kind[1:]), LAST]
        for receipt, valid_from, valid_to in zip(of_kind, starts, starts[1:], strict=False):
            if valid_from < valid_to:
                chain.append(Validity(receipt.version, ip_version, valid_from, valid_to))
    return chain


def receipt_key(table: str, version: str) -> str:
    """The key of a version's receipt in the lake."""
    return f"ledger/reference/{table}/{version}.json"


def read_receipts(store: Store, table: str) -> list[ReferenceReceipt]:
    """The receipts of every version of a table, oldest name first, or none. Raises BrokenReceipt."""
    held = store.read_all(f"ledger/reference/{table}")
    return [_decode(key, data) for key, data in held if key.endswith(".json")]


def encoded(receipt: ReferenceReceipt) -> str:
    """The receipt as JSON text."""
    with_text = asdict(receipt) | {at: getattr(receipt, at).isoformat() for at in ("built_at", "learned_at")}
    return json.dumps(with_text, indent=2) + "\n"


def _decode(key: str, text: bytes) -> ReferenceReceipt:
    try:
        values = json.loads(text)
        times = {at: datetime.fromisoformat(values[at]) for at in ("built_at", "learned_at")}
        return ReferenceReceipt(**(values | times))
    except (ValueError, TypeError, KeyError) as problem:
        raise broken(key, text, problem) from problem


_DUCKDB_TYPES = {
    "bool": "boolean",
    "int8": "tinyint",
    "int64": "bigint",
    "uint64": "ubigint",
    "string": "varchar",
    "double": "double",
    "timestamp": "timestamp",
}


def geoip_sql(store: Store) -> dict[str, str]:
    """View name in schema `reference` → SELECT. Without any loaded version: no rows, the same columns.

    Each of `geoip_records.TABLES`: the ranges of all versions with `valid_from`, `valid_to` (TIMESTAMP, UTC), both NULL
    where a version was never the one to ask. `<table>_blocks`: the index the join starts from.
    """
    views: dict[str, str] = {}
    for table in TABLES:
        receipts = read_receipts(store, table)
        views[table] = _view(store, receipts, "part.parquet", table_types(table))
        views[f"{table}_blocks"] = _view(store, receipts, "blocks.parquet", BLOCK_TYPES)
    return views


def _view(store: Store, receipts: list[ReferenceReceipt], file: str, types: dict[str, str]) -> str:
    columns = {name: _DUCKDB_TYPES[of] for name, of in types.items()}
    keys = [key for receipt in receipts if receipt.networks for key in receipt.files if key.endswith(f"/{file}")]
    if not keys:
        typed = columns | {"valid_from": "timestamp", "valid_to": "timestamp"}
        return empty_select(typed.items())
    paths = ", ".join(literal(store.url(key)) for key in keys)
    chain = validity(receipts)
    selected = ", ".join([*columns, _bound(chain, "valid_from"), _bound(chain, "valid_to")])
    return f"select {selected} from read_parquet([{paths}], hive_partitioning = false)"


def _bound(chain: list[Validity], name: str) -> str:
    """A CASE, not a join: whoever does not read the column does not pay for it."""
    cases = (
        f"when version = {literal(link.version)} and ip_version = {link.ip_version}"
        f" then timestamp '{getattr(link, name)}'"
        for link in chain
    )
    return f"case {' '.join(cases)} end as {name}" if chain else f"null::timestamp as {name}"
