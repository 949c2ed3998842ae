"""The data products: what their contracts promise, and holding a table of the lake against it.

A product's contract names its table (the mart of that name), core fields with types (paths into OCSF's objects),
quality rules of type `sql` (`${object}` stands for the table; the query gives one number) and service levels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import yaml
from open_data_contract_standard.model import DataQuality, OpenDataContractStandard, SchemaProperty
from pydantic import ValidationError

from lake.base.errors import HeadwaterError
from orchestration.settings import PROJECT

SUFFIX = ".odcs.yaml"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# How a rule's outcome is compared: ODCS's operators.
_HOLDS = {
    "mustBe": lambda found, wanted: found == wanted,
    "mustNotBe": lambda found, wanted: found != wanted,
    "mustBeGreaterThan": lambda found, wanted: found > wanted,
    "mustBeGreaterOrEqualTo": lambda found, wanted: found >= wanted,
    "mustBeLessThan": lambda found, wanted: found < wanted,
    "mustBeLessOrEqualTo": lambda found, wanted: found <= wanted,
    "mustBeBetween": lambda found, wanted: wanted[0] <= found <= wanted[1],
}


class BadProduct(HeadwaterError, ValueError):
    """A product's contract that cannot be used; the message names the file and the field."""


@dataclass(frozen=True)
class Rule:
    """One quality rule: a query over `${object}`, and what its number must be."""

    name: str
    description: str
    query: str
    operator: str
    wanted: Any
    severity: str

    def holds(self, found: Any) -> bool:
        """Whether the rule's number is as it must be; no number breaks it."""
        return found is not None and bool(_HOLDS[self.operator](found, self.wanted))


@dataclass(frozen=True)
class Checked:
    """How one rule came out."""

    rule: Rule
    found: Any
    holds: bool


@dataclass(frozen=True)
class Product:
    """A data product. `fields`: path → (DuckDB type, required); `levels`: service level → (value, unit)."""

    name: str
    description: str
    owner: str
    consumers: tuple[str, ...]
    sources: tuple[str, ...]
    fields: Mapping[str, tuple[str, bool]]
    rules: tuple[Rule, ...]
    levels: Mapping[str, tuple[Any, str]]


def load_products(project: Path = PROJECT) -> dict[str, Product]:
    """Return the products of a dbt project by name. Raises BadProduct for the first contract that cannot be used."""
    return {path.name.removesuffix(SUFFIX): load_product(path) for path in sorted(project.glob(f"products/*{SUFFIX}"))}


def product_names(project: Path = PROJECT) -> list[str]:
    """Return the names of the products of a dbt project, without reading their contracts."""
    return sorted(path.name.removesuffix(SUFFIX) for path in project.glob(f"products/*{SUFFIX}"))


def load_product(path: Path) -> Product:
    """Return one product. Raises BadProduct."""
    try:
        odcs = OpenDataContractStandard(**yaml.load(path.read_bytes(), Loader=_LOADER))
    except (OSError, yaml.YAMLError, ValidationError, TypeError) as problem:
        raise BadProduct(f"{path}: not ODCS v3: {problem}") from None
    name, tables = path.name.removesuffix(SUFFIX), odcs.schema_ or []
    if odcs.name != name:
        raise BadProduct(f"{path}: name: found {odcs.name!r}, expected the file's name {name!r}")
    if len(tables) != 1 or tables[0].name != name:
        raise BadProduct(f"{path}: schema: expected one table {name!r}")
    custom = {each.property: each.value for each in odcs.customProperties or []}
    return Product(
        name=name,
        description=(odcs.description.purpose if odcs.description else None) or "",
        owner=(odcs.team.name if odcs.team and not isinstance(odcs.team, list) else None) or "",
        consumers=tuple(map(str, _listed(custom.get("consumers")))),
        sources=tuple(map(str, _listed(custom.get("sources")))),
        fields=dict(_fields(tables[0].properties or [], "")),
        rules=tuple(_rule(each, path) for each in tables[0].quality or []),
        levels={str(each.property): (each.value, str(each.unit or "")) for each in odcs.slaProperties or []},
    )


def product_checks(con: duckdb.DuckDBPyConnection, product: Product, table: str, where: str = "true") -> list[Checked]:
    """Run a product's quality rules on a connection that has the table, for the rows of which `where` is true.

    For instance `product_checks(reading(store, "gold"), product, "gold.lateral_movement", "date = '2026-03-02'")`.
    """
    relation = f"(select * from {table} where {where})"
    checked = []
    for rule in product.rules:
        row = con.execute(rule.query.replace("${object}", relation)).fetchone()
        found = row[0] if row else None
        checked.append(Checked(rule, found, rule.holds(found)))
    return checked


def overdue(product: Product, newest: datetime | None, now: datetime) -> str:
    """Return what is wrong when the newest built event hour is older than the latency promised; else nothing."""
    value, unit = product.levels.get("latency", (None, ""))
    if value is None:
        return ""
    hours = float(value) * {"m": 1 / 60, "h": 1, "d": 24}[unit]
    if newest is None:
        return f"{product.name} has not been built yet"
    age = (now.astimezone(UTC).replace(tzinfo=None) - newest).total_seconds() / 3600 - 1  # an hour ends an hour later
    return f"the newest hour of {product.name} is {age:.1f} hours old (promised: {hours:g})" if age > hours else ""


def _fields(properties: list[SchemaProperty], above: str) -> list[tuple[str, tuple[str, bool]]]:
    found = []
    for each in properties:
        path = f"{above}{each.name}"
        found.append((path, (str(each.physicalType or ""), bool(each.required))))
        found += _fields(each.properties or [], f"{path}.")
    return found


def _rule(given: DataQuality, path: Path) -> Rule:
    declared = given.model_dump(exclude_none=True)
    operators = [name for name in _HOLDS if name in declared]
    if given.type != "sql" or not given.query or len(operators) != 1:
        raise BadProduct(f"{path}: quality: {given.name}: expected type sql, a query and one of {', '.join(_HOLDS)}")
    name, wanted = str(given.name), declared[operators[0]]
    return Rule(name, given.description or "", given.query, operators[0], wanted, given.severity or "error")


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
