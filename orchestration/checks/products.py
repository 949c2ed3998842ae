"""Checks of the data products: their contracts' quality rules over the hours of a run, and whether they are on time."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from lake import ledger
from lake.ledger import build_receipts
from lake.storage import duck
from lake.storage.duck import rows_select
from lake.storage.store import Store
from orchestration.assets.hours import hour_texts
from orchestration.assets.landing_metadata import table
from orchestration.graph import BuiltTable, Graph
from orchestration.settings import PROJECT, load_settings, open_lake
from orchestration.steps.products import Checked, Product, load_products, overdue, product_checks, read_products

RULES, ON_TIME = "contract_rules", "on_time"
_HOURS_WITHOUT_RUN = 24  # a check that is run by itself looks at this many of the newest built hours


def definitions(graph: Graph) -> dg.Definitions:
    """Return the checks of the products' contracts."""
    return dg.Definitions(asset_checks=contract_checks(graph.marts))


def contract_checks(marts: Sequence[BuiltTable]) -> list[dg.AssetChecksDefinition]:
    """Return the checks of the marts that are products; none when the project has no product.

    Of a product whose contract cannot be used, the check of its rules fails and says why.
    """
    products, problems = load_products(PROJECT), read_products(PROJECT)[1]
    of_key = {each.key: products[each.model] for each in marts if each.model in products}
    broken = {each.key: str(problems[each.model]) for each in marts if each.model in problems}
    if not of_key and not broken:
        return []
    unchecked = [dg.AssetCheckSpec(RULES, asset=key, description=why) for key, why in broken.items()]

    @dg.multi_asset_check(name="check_products", specs=[*_specs(of_key), *unchecked], can_subset=True)
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        store = open_lake(load_settings())
        for asked in sorted(context.selected_asset_check_keys, key=str):
            if why := broken.get(asked.asset_key):
                yield dg.AssetCheckResult(
                    asset_key=asked.asset_key, check_name=asked.name, passed=False, description=why
                )
                continue
            product = of_key[asked.asset_key]
            if asked.name == ON_TIME:
                yield on_time(asked, store, product, datetime.now(UTC))
            else:
                yield rules(asked, store, product, _hours(context, store, product))

    return [check]


def rules(asked: dg.AssetCheckKey, store: Store, product: Product, hours: Sequence[str]) -> dg.AssetCheckResult:
    """Run a product's rules over the rows of some hours. Rules whose severity is `warning` warn."""
    receipts = build_receipts.of_model(store, product.name)
    files = [store.url(receipts[hour].file) for hour in hours if hour in receipts and receipts[hour].file]
    checked: list[Checked] = []
    if files:
        with duck.connect(store) as con:
            checked = product_checks(con, product, f"({rows_select(files)})")
    broken = [each for each in checked if not each.holds]
    only_warnings = all(each.rule.severity == "warning" for each in broken)
    rows = [(each.rule.name, each.found, "yes" if each.holds else "NO", each.rule.description) for each in checked]
    return dg.AssetCheckResult(
        asset_key=asked.asset_key,
        check_name=asked.name,
        passed=not broken,
        severity=dg.AssetCheckSeverity.WARN if only_warnings else dg.AssetCheckSeverity.ERROR,
        description=(
            "; ".join(f"{each.rule.name}: found {each.found}" for each in broken)
            or f"{len(checked)} rules hold; event hours with findings: {len(files)}"
        ),
        metadata={"rules": dg.MetadataValue.md(table(("rule", "found", "holds", "what it says"), rows))}
        if rows
        else {},
    )


def on_time(asked: dg.AssetCheckKey, store: Store, product: Product, now: datetime) -> dg.AssetCheckResult:
    """Say whether the newest hour of a product is as new as its contract promises."""
    newest = max(build_receipts.of_model(store, product.name), default=None)
    late = overdue(product, ledger.hour(newest) if newest else None, now)
    return dg.AssetCheckResult(
        asset_key=asked.asset_key,
        check_name=asked.name,
        passed=not late,
        severity=dg.AssetCheckSeverity.WARN,
        description=late or f"the newest hour is {newest} (UTC)",
    )


def _specs(products: Mapping[dg.AssetKey, Product]) -> Iterator[dg.AssetCheckSpec]:
    for key, product in products.items():
        words = f"The quality rules of the product's contract hold ({', '.join(each.name for each in product.rules)})."
        yield dg.AssetCheckSpec(RULES, asset=key, description=words)
        value, unit = product.levels.get("latency", ("", ""))
        words = f"The newest event hour is not older than promised ({value} {unit}). Late while only history is built."
        yield dg.AssetCheckSpec(ON_TIME, asset=key, description=words)


def _hours(context: dg.AssetCheckExecutionContext, store: Store, product: Product) -> tuple[str, ...]:
    op = context.op_execution_context
    if op.has_partition_key or op.has_partition_key_range:
        return tuple(hour_texts(op.partition_keys))
    return tuple(sorted(build_receipts.of_model(store, product.name))[-_HOURS_WITHOUT_RUN:])
