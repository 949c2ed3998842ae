"""Where the values of records went (invariant I11): of one event, and the share over a lake."""

from collections.abc import Sequence
from typing import Any

import duckdb

from ingest.contracts import load_contracts
from ingest.contracts.known import known_record
from lake.ocsf.attributes import declared_classes
from lake.query.values import Shares, count_values, kind_of, values_of
from lake.storage.store import Store
from orchestration.dbt.project import load_project
from orchestration.steps.query import reading


def event_values(con: duckdb.DuckDBPyConnection, source: str, table: str, uid: str) -> list[list[dict[str, Any]]]:
    """Return, of each published row of a uid, its record's values: path, value, kind (`lake.query.values`), where."""
    contract = load_contracts().get(source)
    if contract is None:
        return []
    found = values_of(con, source, known_record(contract), declared_classes()[table], uid)
    return [
        [{"path": each.path, "value": each.value, "kind": kind_of(each), "where": each.where} for each in row]
        for row in found
    ]


def values_of_source(
    store: Store, source: str, share: float = 1.0, hours: Sequence[str] = (), table: str = ""
) -> Shares:
    """Hold published rows of a source against their records: all of its classes, or one; a share of the rows."""
    found, con = Shares(), reading(store)
    record, classes = known_record(load_contracts()[source]), declared_classes()
    for model in load_project().mappings.models_of(source):
        name = model.partition("__")[0]
        if name in classes and table in ("", name):
            count_values(con, source, record, classes[name], share, hours, found)
    return found
