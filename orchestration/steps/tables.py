"""What can be asked: the lake's tables by name, with what they hold, and their columns with what they mean.

Counts come from receipts: nothing of the tables themselves is read.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ingest.contracts import load_contracts
from ingest.contracts.model import Field, pipeline_columns
from ingest.reference.feeds import newest_loads
from ingest.reference.geoip.records import TABLES as GEOIP_TABLES
from ingest.reference.geoip.versions import read_receipts
from ingest.reference.tables import TABLES
from ingest.reference.views import reference_views
from lake import ledger
from lake.ledger import build_receipts
from lake.ledger.export_receipts import exporting
from lake.ledger.published_tables import newest_builds
from lake.matching.matches import TABLE as MATCHES
from lake.ocsf.attributes import Attribute, Shape, declared_classes
from lake.ocsf.columns import duckdb_type
from lake.ocsf.official import official
from lake.storage import paths
from lake.storage.store import Store
from orchestration.dbt.project import Project, load_project

_LEDGER = {
    "landings": "One row a batch: what landing it did.",
    "builds": "One row a model and event hour: what building it did.",
    "balance": "The balance sheet: one row a source and event hour.",
    "exports": "One row a destination, table and event hour: what was delivered.",
    "lateness": "How late events arrived, by source, event hour and arrival hour.",
    "volume": "What arrived, by source and arrival hour.",
    "dispositions": "What became of each landed record: published, duplicate, filtered.",
}
_REFERENCE = {
    "indicators": "What threat-intelligence lists say, and from when to when.",
    "warning_lists": "Well-known addresses and domains, which are no news: clouds, VPNs, resolvers.",
    "assets": "Machines, as the CMDB knew them at each time.",
    "identities": "People and accounts, as the directory knew them at each time.",
    "asset_names": "The names and addresses that assets are joined by.",
    "identity_names": "The names that identities are joined by.",
    "rejects": "Pieces of feeds that are no entry, with the reason.",
    "lookups": "What lookup providers answered.",
}
_GOLD = {
    "dispositions": "What analysts said of findings.",
    "signal_quality": "The funnel of each product by month: candidates, signals, reviewed, true.",
}
_MARKUP = re.compile(r"<[^>]*>|&[a-z]+;")
_PIPELINE = {"source": "The source of the event.", "date": "Day of the event hour, UTC.", "hour": "Event hour, UTC."}


@dataclass(frozen=True)
class Table:
    """A table that can be asked. `hours`, `rows`: None where only asking tells; `newest`: `YYYY-MM-DDTHH`, or ""."""

    name: str
    sources: tuple[str, ...] = ()
    hours: int | None = None
    rows: int | None = None
    newest: str = ""
    description: str = ""


@dataclass(frozen=True)
class Column:
    """A column, or with a dotted name a part of one."""

    name: str
    type: str
    description: str = ""


def tables(store: Store) -> list[Table]:
    """Return every table that can be asked, by layer and name."""
    return [*_landed(store), *_built(store), *_beside(store)]


def _landed(store: Store) -> Iterator[Table]:
    contracts = load_contracts()
    receipts = {name: list(ledger.landings(store, name)) for name in contracts}
    for room in (paths.BRONZE, paths.QUARANTINE):
        for name, each in sorted(contracts.items()):
            marks = [mark for receipt in receipts[name] for mark in ledger.marks_of(receipt, room)]
            hours = {mark.hour for mark in marks if mark.rows}
            about = each.title if room == paths.BRONZE else "Records that broke the contract, with the reason."
            yield Table(
                f"{room}.{name}", (name,), len(hours), sum(mark.rows for mark in marks), max(hours, default=""), about
            )


def _built(store: Store) -> Iterator[Table]:
    project = load_project()
    builds = newest_builds(store)
    about = {**{name: each.caption for name, each in declared_classes().items()}, **_about_models(project)}
    held = {f"{name.layer}.{name.table}": slots for name, slots in builds.items()}
    marts = [project.name(each) for each in project.mart_ids]
    named = [f"silver.{name}" for name in declared_classes()] + [f"gold.{name}" for name in (*marts, MATCHES)]
    for name in sorted({*named, *held}, key=lambda each: (each.split(".")[0] == "gold", each)):
        receipts = [each for each in held.get(name, {}).values() if each.rows and not each.expired_at]
        hours = {each.hour for each in receipts}
        sources = tuple(sorted({each.source for each in receipts if each.source}))
        rows = sum(each.rows for each in receipts)
        yield Table(name, sources, len(hours), rows, max(hours, default=""), about.get(name.split(".")[1], ""))


def _beside(store: Store) -> Iterator[Table]:
    project = load_project()
    about = {**_about_models(project), **_GOLD}
    for name in sorted({*_GOLD, *(each.name for each in project.gold_views)}):
        yield Table(f"gold.{name}", description=about.get(name, ""))
    rows: dict[str, int] = {table: sum(each.rows for each in newest_loads(store, table)) for table in TABLES}
    for table in GEOIP_TABLES:
        rows[table] = sum(sum(each.ranges.values()) for each in read_receipts(store, table))
    for name in sorted(each for each in reference_views(store) if not each.endswith("_blocks")):
        text = _REFERENCE.get(name, "GeoIP: what is known of ranges of addresses.")
        yield Table(f"reference.{name}", rows=rows.get(name), description=text)
    for name in sorted(_of_ledger(store)):
        yield Table(f"ledger.{name}", description=_LEDGER[name])
    for name in store.folders(paths.REFUSED):
        yield Table(f"refused.{name}", description=f"Rows that {name} refused, with the reason.")


def _of_ledger(store: Store) -> Iterator[str]:
    """Yield the tables of the ledger: most are there once they have a row."""
    yield from ("lateness", "volume")
    if ledger.sources(store):
        yield from ("landings", "balance")
    if build_receipts.models(store):
        yield "builds"
    if next(iter(exporting(store)), None) is not None:
        yield "exports"
    if next(iter(store.list(f"{paths.LEDGER}/dispositions")), None) is not None:
        yield "dispositions"


def _about_models(project: Project) -> dict[str, str]:
    return {name: _first_sentence(text) for name, text in project.descriptions.items()}


def _first_sentence(text: str) -> str:
    return " ".join(text.split()).split(". ")[0].rstrip(".") + "." if text.strip() else ""


def columns(asked: Iterable[tuple[str, str]], name: str) -> list[Column]:
    """Return the columns of a table, `asked` with their DuckDB types, or with `table.column.part` its parts.

    Raises LookupError: there is no such column or part.
    """
    layer, table, *path = name.split(".")
    if path:
        found = [Column(each, *rest) for each, *rest in _parts(layer, table, path)]
        if not found:
            raise LookupError(f"{layer}.{table} has no column {'.'.join(path)} with parts")
        return found
    about = _about_columns(layer, table)
    return [Column(column, short(type_), about.get(column, "")) for column, type_ in asked]


@cache
def column_paths() -> dict[str, tuple[str, ...]]:
    """Return, by table, the names of columns and of the parts of objects, as one types them."""
    bronze = {f"bronze.{name}": tuple(_field_paths(each.fields)) for name, each in load_contracts().items()}
    silver = {f"silver.{name}": tuple(_attribute_paths(each.shape)) for name, each in declared_classes().items()}
    gold = {f"gold.{name}": tuple(each) for name, each in load_project().column_descriptions.items()}
    beside = [*(f"reference.{name}" for name in _REFERENCE), *(f"ledger.{name}" for name in _LEDGER)]
    return bronze | silver | gold | {f"quarantine.{name}": () for name in load_contracts()} | dict.fromkeys(beside, ())


def _field_paths(fields: Iterable[Field], before: str = "") -> Iterator[str]:
    for each in fields:
        yield f"{before}{each.name}"
        yield from _field_paths(each.properties, f"{before}{each.name}.")


def _attribute_paths(shape: Shape, before: str = "") -> Iterator[str]:
    for each in shape.attributes:
        yield f"{before}{each.name}"
        if each.shape and not each.is_list:
            yield from _attribute_paths(each.shape, f"{before}{each.name}.")


def short(type_: str) -> str:
    """Return a DuckDB type for people: what an object is made of stands elsewhere."""
    if type_.endswith("[]"):
        return f"list of {short(type_[:-2])}"
    return "object" if type_.startswith("STRUCT") else type_.lower()


def _about_columns(layer: str, table: str) -> Mapping[str, str]:
    pipeline = {each.name: each.description for each in pipeline_columns} | _PIPELINE
    if layer == paths.BRONZE and table in load_contracts():
        return pipeline | {each.name: each.description for each in load_contracts()[table].fields}
    if layer == paths.SILVER and table in declared_classes():
        event = declared_classes()[table]
        return pipeline | _meanings(official(event.version).class_definition(table), event.shape.attributes)
    return pipeline | load_project().column_descriptions.get(table, {})


def _meanings(definition: Mapping[str, Any], attributes: Iterable[Attribute]) -> dict[str, str]:
    return {each.name: _plain(definition["attributes"][each.name].get("description", "")) for each in attributes}


def _plain(html: str) -> str:
    """Return the first sentence of a description of OCSF, without its markup."""
    text = re.sub(r" ([.,:;)])", r"\1", " ".join(_MARKUP.sub(" ", html).split()))
    return _first_sentence(text)


def _parts(layer: str, table: str, path: list[str]) -> Iterator[tuple[str, str, str]]:
    if layer == paths.BRONZE and table in load_contracts():
        fields: Iterable[Field] = load_contracts()[table].fields
        for step in path:
            fields = next((_below(each) for each in fields if each.name == step), ())
        yield from ((".".join([*path, each.name]), short(each.duckdb_type), each.description) for each in fields)
    if layer == paths.SILVER and table in declared_classes():
        event = declared_classes()[table]
        shape = event.shape
        for step in path:
            found = next((each.shape for each in shape.attributes if each.name == step), None)
            if found is None:
                return
            shape = found
        about = _meanings(official(event.version).object_definition(shape.name), shape.attributes)
        for each in shape.attributes:
            yield ".".join([*path, each.name]), short(duckdb_type(each)), about[each.name]


def _below(field: Field) -> tuple[Field, ...]:
    return field.items.properties if field.items else field.properties
