"""The data products: what their contracts promise, and holding a table of the lake against it.

A product's contract names its table (the mart of that name), core fields with types (paths into OCSF's objects),
quality rules of type `sql` (`${object}` stands for the table; the query gives one number) and service levels.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from open_data_contract_standard.model import (
    DataQuality,
    OpenDataContractStandard,
    SchemaProperty,
    ServiceLevelAgreementProperty,
)
from pydantic import ValidationError

from lake.base import strict_yaml
from lake.base.errors import HeadwaterError, warn_once
from lake.base.strict_yaml import BadYaml
from orchestration.settings import PROJECT

SUFFIX = ".odcs.yaml"
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

_HOURS = {"m": 1 / 60, "h": 1, "d": 24}  # of a unit of latency


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
    """Return the products of a dbt project by name, without those that cannot be used, which a warning names."""
    products, problems = read_products(project)
    for problem in problems.values():
        warn_once(f"{problem}; the product's rules are not checked until that is corrected")
    return products


def read_products(project: Path = PROJECT) -> tuple[dict[str, Product], dict[str, BadProduct]]:
    """Return the products of a dbt project by name, and what is wrong with the contracts that cannot be used."""
    products: dict[str, Product] = {}
    problems: dict[str, BadProduct] = {}
    for path in sorted(project.glob(f"products/*{SUFFIX}")):
        name = path.name.removesuffix(SUFFIX)
        try:
            products[name] = load_product(path)
        except BadProduct as problem:
            problems[name] = problem
    return products, problems


def product_names(project: Path = PROJECT) -> list[str]:
    """Return the names of the products of a dbt project, without reading their contracts."""
    return sorted(path.name.removesuffix(SUFFIX) for path in project.glob(f"products/*{SUFFIX}"))


def load_product(path: Path) -> Product:
    """Return one product. Raises BadProduct, on one line."""
    try:
        return _product(path)
    except BadProduct:
        raise
    except BadYaml as problem:
        kind = "" if "UTF-8" in str(problem) else "not ODCS v3: "
        raise BadProduct(f"{path}: {kind}{problem}") from None
    except OSError as problem:
        raise BadProduct(f"{path}: cannot be read: {problem.strerror}") from None
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise BadProduct(f"{path}: not ODCS v3: {where}: {first['msg']}") from None
    except Exception as problem:  # YAML's, or of a shape that nobody has thought of: it stops this product alone
        raise BadProduct(f"{path}: not ODCS v3: {' '.join(str(problem).split())}") from problem


def _product(path: Path) -> Product:
    document = strict_yaml.load(path.read_bytes())
    if not isinstance(document, dict):
        found = "nothing" if document is None else f"a {type(document).__name__}"
        raise BadProduct(f"{path}: not ODCS v3: expected `key: value` lines at the top, found {found}")
    odcs = OpenDataContractStandard(**document)
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
        levels=dict(_levels(odcs.slaProperties or [], path)),
    )


def _levels(found: list[ServiceLevelAgreementProperty], path: Path) -> Iterator[tuple[str, tuple[Any, str]]]:
    for each in found:
        number = isinstance(each.value, int | float) and not isinstance(each.value, bool)
        if each.property == "latency" and not (number and each.unit in _HOURS):
            units = ", ".join(_HOURS)
            raise BadProduct(f"{path}: slaProperties: latency: expected a number and a unit of {units}")
        yield str(each.property), (each.value, str(each.unit or ""))


def product_checks(con: duckdb.DuckDBPyConnection, product: Product, table: str, where: str = "true") -> list[Checked]:
    """Run a product's quality rules on a connection that has the table, for the rows of which `where` is true.

    For instance `product_checks(reading(store, "gold"), product, "gold.lateral_movement", "date = '2026-03-02'")`.
    """
    relation = f"(select * from {table} where {where})"
    checked = []
    for rule in product.rules:
        try:
            row = con.execute(rule.query.replace("${object}", relation)).fetchone()
        except duckdb.Error as problem:  # of one rule; the others are checked
            checked.append(Checked(rule, " ".join(str(problem).split()), False))
            continue
        found = row[0] if row else None
        checked.append(Checked(rule, found, rule.holds(found)))
    return checked


def overdue(product: Product, newest: datetime | None, now: datetime) -> str:
    """Return what is wrong when the newest built event hour is older than the latency promised; else nothing."""
    value, unit = product.levels.get("latency", (None, ""))
    if value is None:
        return ""
    hours = float(value) * _HOURS[unit]
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
    numbers = wanted if isinstance(wanted, list) else [wanted]
    expected = 2 if operators[0] == "mustBeBetween" else 1
    if len(numbers) != expected or not all(isinstance(each, int | float) for each in numbers):
        raise BadProduct(f"{path}: quality: {name}: {operators[0]}: found {wanted!r}, expected a number (between: two)")
    return Rule(name, given.description or "", given.query, operators[0], wanted, given.severity or "error")


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
