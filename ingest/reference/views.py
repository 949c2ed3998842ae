"""DuckDB SELECT statements behind every view in schema `reference`, from the receipts in the lake."""

from collections.abc import Mapping, Sequence

from ingest.reference.feeds import REJECTS, LoadReceipt, newest_loads
from ingest.reference.geoip.records import TABLES as GEOIP_TABLES
from ingest.reference.geoip.versions import geoip_sql, read_receipts
from ingest.reference.load import NAMES, ROWS
from ingest.reference.tables import ENTITY_TABLES, FEED_RANK, NAME_COLUMNS, NAME_VIEWS, TABLES, columns_of
from lake.base.sql import empty_select, literal, quoted
from lake.ledger.lookup_answers import answers_sql
from lake.ledger.lookup_answers import versions as answer_versions
from lake.storage import paths
from lake.storage.store import Store

LOOKUPS = "lookups"  # answers of lookup providers
REJECT_COLUMNS = {
    "feed": "VARCHAR",
    "table": "VARCHAR",
    "version": "VARCHAR",
    "as_of": "TIMESTAMP",
    "reason": "VARCHAR",
    "where": "VARCHAR",
    "text": "VARCHAR",
}


def reference_views(store: Store, order: Sequence[str] = ()) -> dict[str, str]:
    """View name in schema `reference` → SELECT, typed also where nothing was loaded.

    `order`: names of feeds, first the one that is believed first; `feed_rank` (1 the first) tells it. Feeds that are
    not named come after, by name. GeoIP's views, the four tables, `asset_names`, `identity_names`,
    `rejects`, `lookups`.
    """
    views = geoip_sql(store)
    for table in TABLES:
        loaded = list(newest_loads(store, table))
        ranks = _ranks([each.feed for each in loaded], order)
        views[table] = _select(store, loaded, ROWS, columns_of(table), ranks)
        if table in ENTITY_TABLES:
            views[NAME_VIEWS[table]] = _select(store, loaded, NAMES, NAME_COLUMNS, ranks)
    views[REJECTS] = _rejects(store)
    views[LOOKUPS] = answers_sql(store)
    return views


def reference_versions(store: Store) -> dict[str, str]:
    """Return the versions that a build may read: GeoIP's newest by table, lookups by provider, others by table/feed."""
    geoip = {table: receipt.version for table in GEOIP_TABLES for receipt in read_receipts(store, table)}
    feeds = {f"{each.table}/{each.feed}": each.version for each in newest_loads(store)}
    return geoip | feeds | answer_versions(store)


def _ranks(feeds: Sequence[str], order: Sequence[str]) -> dict[str, int]:
    known = {name: at for at, name in enumerate(order)}
    ordered = sorted(feeds, key=lambda name: (known.get(name, len(known)), name))
    return {name: at for at, name in enumerate(ordered, 1)}


def _select(
    store: Store, loaded: Sequence[LoadReceipt], file: str, columns: Mapping[str, str], ranks: Mapping[str, int]
) -> str:
    """One part for each feed, so that a question about one feed reads that feed's file."""
    typed = [*columns.items(), *FEED_RANK.items()]
    parts = [f"({empty_select(typed)})"]
    for receipt in loaded:
        if key := receipt.file(file):
            names = ", ".join(quoted(name) for name in columns)
            parts.append(
                f"(select {names}, {ranks[receipt.feed]}::usmallint as feed_rank"
                f" from read_parquet({literal(store.url(key))}, hive_partitioning = false))"
            )
    return " union all by name ".join(parts)


def _rejects(store: Store) -> str:
    keys = [each.key for each in store.list(f"{paths.REFERENCE}/{REJECTS}")]
    parts = [f"({empty_select(list(REJECT_COLUMNS.items()))})"]
    if keys:
        files = ", ".join(literal(store.url(key)) for key in keys)
        names = ", ".join(quoted(name) for name in REJECT_COLUMNS)
        parts.append(f"(select {names} from read_parquet([{files}], hive_partitioning = false))")
    return " union all by name ".join(parts)
