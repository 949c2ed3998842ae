"""Reading quarantine: what broke the contract, by reason, and the records themselves."""

from collections.abc import Collection
from typing import Any

from lake import ledger
from lake.base.errors import tell_omission
from lake.base.sql import literal
from lake.ledger.live_files import addresses, live_files
from lake.storage import duck, paths
from lake.storage.duck import typed_select
from lake.storage.store import Store

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

_SUCCESSOR = "_landed_since"


def select(store: Store, source: str, without: Collection[str] = ()) -> str:
    """Return a SELECT over a source's quarantine, typed also when it is empty. Files without a receipt are left out.

    So are those of `without`, which are damaged. A receipt that cannot be read is told, and its batch left out.
    """
    broken: list[str] = []
    found = live_files(ledger.landings(store, source, broken), paths.QUARANTINE)
    files = [each for each in found if each.key not in without]
    for each in broken:
        tell_omission(f"{each}; until then the records of its batch are left out")
    return typed_select(COLUMNS, addresses(store, files))


def summary(store: Store, source: str | None = None) -> list[dict[str, Any]]:
    """Return records by source, reason and field, most first.

    Keys: source, reason, field, records, superseded (those of `records` whose object has landed whole since, see
    `successors`), expected, found.
    """
    found: list[dict[str, Any]] = []
    for each in [source] if source else ledger.sources(store):
        question = (
            f"select {literal(each)} as source, reason, field, count(*) as records,"
            f" count({_SUCCESSOR}) as superseded, min(expected) as expected, min(found) as found"
            f" from ({_with_successors(store, each)}) group by 1, 2, 3 order by records desc, reason, field"
        )
        found += _rows(store, question)
    return found


def page(store: Store, source: str, reason: str | None, limit: int) -> list[dict[str, Any]]:
    """Return some quarantined records, newest arrival first; `_landed_since` names the batch of a whole successor."""
    where = f" where reason = {literal(reason)}" if reason else ""
    return _rows(
        store,
        f"select * from ({_with_successors(store, paths.checked(source))}){where}"
        f" order by _arrived_at desc, _source_object, _source_row limit {int(limit)}",
    )


def successors(store: Store, source: str) -> dict[tuple[str, str], str]:
    """Return, by batch and object with quarantined records, the later batch that holds its successor whole.

    A vendor replaces an object that was cut off or half written. What was quarantined of the first version stays, for
    it was read; whoever looks at it should know that the second version had no such record.
    """
    broken = [
        (each.landed_at, each.batch, mark)
        for each in ledger.landings(store, source, [])
        for mark in each.objects
        if mark.quarantined
    ]
    if not broken:
        return {}
    names = {mark.name for _, _, mark in broken}
    whole: dict[str, list[tuple[str, str, str]]] = {}
    for each in ledger.landings(store, source, []):
        for mark in each.objects:
            if mark.name in names and not mark.quarantined and each.status == "published":
                whole.setdefault(mark.name, []).append((each.landed_at, each.batch, mark.fingerprint))
    found = {}
    for landed_at, batch, mark in broken:
        later = [one for one in whole.get(mark.name, ()) if one[0] > landed_at and one[2] != mark.fingerprint]
        if later:
            found[batch, mark.name] = max(later)[1]
    return found


def _with_successors(store: Store, source: str) -> str:
    since = successors(store, source)
    if not since:
        return f"select *, null::varchar as {_SUCCESSOR} from ({select(store, source)})"
    rows = ", ".join(
        f"({literal(batch)}, {literal(name)}, {literal(later)})" for (batch, name), later in sorted(since.items())
    )
    return (
        f"select q.*, s.later as {_SUCCESSOR} from ({select(store, source)}) q left join (values {rows})"
        " s(batch, name, later) on q._batch = s.batch and (q._source_object = s.name"
        " or starts_with(q._source_object, s.name || '!'))"  # a member of an archive
    )


def _rows(store: Store, question: str) -> list[dict[str, Any]]:
    with duck.connect(store) as con:
        cursor = con.execute(question)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
