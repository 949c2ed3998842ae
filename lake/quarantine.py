"""Reading quarantine: what broke the contract, by reason, and the records themselves.

What belongs here: questions over quarantine files. What does not: filling it (landing does).
"""

from typing import Any

from lake import duck, ledger, paths
from lake.holdings import addresses, held_files
from lake.registry import literal, typed_select
from lake.store import Store

COLUMNS = (
    ("_raw", "VARCHAR"),
    ("reason", "VARCHAR"),
    ("field", "VARCHAR"),
    ("expected", "VARCHAR"),
    ("found", "VARCHAR"),
    ("_source_object", "VARCHAR"),
    ("_source_row", "BIGINT"),
    ("_batch", "VARCHAR"),
    ("_arrived_at", "TIMESTAMP"),
    ("contract_version", "VARCHAR"),
)


def select(store: Store, source: str) -> str:
    """Return a SELECT over a source's quarantine, typed also when it is empty. Files without a receipt are left out."""
    files = held_files(ledger.landings(store, source), paths.QUARANTINE)
    return typed_select(COLUMNS, addresses(store, files))


def summary(store: Store, source: str | None = None) -> list[dict[str, Any]]:
    """Return records by source, reason and field, most first: keys source, reason, field, records, expected, found."""
    found: list[dict[str, Any]] = []
    for each in [source] if source else ledger.sources(store):
        question = (
            f"select {literal(each)} as source, reason, field, count(*) as records, min(expected) as expected,"
            f" min(found) as found from ({select(store, each)}) group by 1, 2, 3 order by records desc, reason, field"
        )
        found += _rows(store, question)
    return found


def page(store: Store, source: str, reason: str | None, limit: int) -> list[dict[str, Any]]:
    """Return some quarantined records, newest arrival first."""
    where = f" where reason = {literal(reason)}" if reason else ""
    return _rows(
        store,
        f"select * from ({select(store, paths.checked(source))}){where}"
        f" order by _arrived_at desc, _source_object, _source_row limit {int(limit)}",
    )


def _rows(store: Store, question: str) -> list[dict[str, Any]]:
    with duck.connect(store) as con:
        cursor = con.execute(question)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
