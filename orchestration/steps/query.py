"""The lake as a person reads it in SQL: its views, by contracts, classes, reference tables and products."""

import re
from collections.abc import Collection
from difflib import get_close_matches

import duckdb

from ingest.contracts import load_contracts
from ingest.contracts.model import pipeline_columns
from ingest.reference.views import reference_views
from lake.base.errors import tell_omission
from lake.matching.matches import TABLE as MATCHES
from lake.matching.matches import select as matches
from lake.ocsf.attributes import declared_classes
from lake.ocsf.columns import columns
from lake.query.session import Answer, QuestionFailed, answer, connect
from lake.query.views import gold_views
from lake.signals.quality import quality_sql
from lake.signals.verdicts import verdicts_sql
from lake.storage import paths
from lake.storage.store import Store
from lake.upkeep.damage import damage_behind, may_be_damage
from orchestration.dbt.project import load_project
from orchestration.settings import load_settings
from orchestration.steps.products import product_names


def reading(store: Store, question: str = "", without: Collection[str] = ()) -> duckdb.DuckDBPyConnection:
    """Return a connection that reads a lake, but files of `without`: see `lake.query.session`."""
    added = [(column.name, column.duckdb_type) for column in pipeline_columns]
    sources = {
        name: [*((field.name, field.duckdb_type) for field in each.fields), *added]
        for name, each in load_contracts().items()
    }
    classes = {name: columns(each) for name, each in declared_classes().items()}
    in_gold = not question or re.search(r"\b(gold|show|information_schema|duckdb_)", question, re.IGNORECASE)
    marts = {**signal_views(store, question), MATCHES: matches(store)} if in_gold else {}
    asked = not question or re.search(r"\b(reference|show|information_schema|duckdb_)", question, re.IGNORECASE)
    in_reference = reference_views(store, load_settings().feed_order) if asked else {}
    return connect(store, sources, classes, question, in_reference, marts, without)


def signal_views(store: Store, question: str = "") -> dict[str, str]:
    """Return what stands in gold beside the marts: dispositions, signal_quality, and the analysts' views over marts.

    What a question does not name is left out: the quality of a product reads the receipts of all its hours.
    """
    views = {"dispositions": verdicts_sql(store)}
    if "gold." not in question.lower() or "signal_quality" in question.lower():
        views["signal_quality"] = quality_sql(store, product_names())
    return views | gold_views(load_project().gold_views, store.folders(paths.GOLD))


def answered(store: Store, question: str) -> Answer:
    """Return the answer to one question; where files are damaged, of the others, and those are told.

    Raises ReadOnly, QuestionFailed with the tables that are meant perhaps.
    """
    try:
        return answer(reading(store, question), question)
    except (QuestionFailed, duckdb.Error) as problem:
        if isinstance(problem, duckdb.Error) or not problem.missing:
            if not may_be_damage(problem):
                raise
            damage = damage_behind(store, str(problem), set(re.findall(r"\w+", question)))
            if not damage:
                raise
            for each in damage:
                tell_omission(f"left out: {each}")
            return answer(reading(store, question, {each.key for each in damage}), question)
        meant = nearest(problem.missing, table_names(store))
        near = f"; near it: {', '.join(meant)}" if meant else ""
        raise QuestionFailed(f"there is no table {problem.missing}{near} (`headwater tables` lists all)") from None


def table_names(store: Store) -> list[str]:
    """Return the names of all tables that can be asked, `schema.table`."""
    with reading(store) as con:
        found = con.execute("select schema_name || '.' || view_name from duckdb_views() where not internal order by 1")
        return [row[0] for row in found.fetchall()]


def nearest(name: str, known: list[str]) -> list[str]:
    """Return at most three of some names `schema.table` that are like a name with or without a schema."""
    by_table = {each.split(".", 1)[1]: each for each in reversed(known)}
    wanted, table = name.lower().replace('"', ""), name.lower().replace('"', "").split(".")[-1]
    found = get_close_matches(wanted, known, 3) + [by_table[each] for each in get_close_matches(table, by_table, 3)]
    return list(dict.fromkeys(found or [each for each in known if table in each]))[:3]
