"""DuckDB SELECT statements behind the `reference.geoip_*` views, from the receipts in the lake."""

from ingest.reference.geoip.files import BLOCK_TYPES, table_types
from ingest.reference.geoip.records import TABLES
from ingest.reference.geoip.versions import ReferenceReceipt, Validity, read_receipts, validity
from lake.storage.store import Store

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
        return f"select {', '.join(f'null::{of} as {name}' for name, of in typed.items())} where false"
    paths = ", ".join(_text(store.url(key)) for key in keys)
    chain = validity(receipts)
    selected = ", ".join([*columns, _bound(chain, "valid_from"), _bound(chain, "valid_to")])
    return f"select {selected} from read_parquet([{paths}], hive_partitioning = false)"


def _bound(chain: list[Validity], name: str) -> str:
    """A CASE, not a join: whoever does not read the column does not pay for it."""
    cases = (
        f"when version = {_text(link.version)} and ip_version = {link.ip_version}"
        f" then timestamp '{getattr(link, name)}'"
        for link in chain
    )
    return f"case {' '.join(cases)} end as {name}" if chain else f"null::timestamp as {name}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
