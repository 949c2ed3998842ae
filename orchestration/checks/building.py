"""Checks of what dbt built: conservation per event hour, key collisions, and validity by OCSF."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import dagster as dg

from lake import ledger
from lake.ledger import build_receipts
from lake.ledger.balance import UNBALANCED, balance
from lake.ledger.build_receipts import BuildReceipt
from lake.marts.declaration import BadMart
from lake.marts.staleness import StaleMart, Tables, stale_mart
from lake.ocsf.validate import ValidationReport, validate_table
from lake.query.values import KINDS, MISSING, Shares
from lake.storage import duck, paths
from lake.storage.store import Store
from orchestration.assets.hours import hour_texts
from orchestration.assets.landing_metadata import table
from orchestration.dbt.project import load_project
from orchestration.graph import BuiltTable, Graph
from orchestration.settings import load_settings, open_lake
from orchestration.steps.verify import reader_of_values, values_of_source

BALANCE, COLLISIONS, VALIDITY, CURRENT = "balance", "key_collisions", "ocsf_validity", "current"
VALUES = "values_kept"
_HOURS_WITHOUT_RUN = 24  # a check that is run by itself looks at this many of the newest built hours


def definitions(graph: Graph) -> dg.Definitions:
    """Return the checks of what dbt builds."""
    silver = [building_checks(source, found) for source, found in graph.tables.items()]
    return dg.Definitions(asset_checks=[*silver, *mart_checks(graph.marts, graph.project.folder)])


def building_checks(source: str, tables: Sequence[BuiltTable]) -> dg.AssetChecksDefinition:
    """Return the checks of all tables of a source, run as one step after the build."""
    of_key = {each.key: each for each in tables}

    @dg.multi_asset_check(name=f"check_{source}", specs=[*_specs(tables)], can_subset=True)
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        settings = load_settings()
        store = open_lake(settings)
        hours, reader = _hours(context, store, tables), cache(partial(reader_of_values, store, source))
        for asked in sorted(context.selected_asset_check_keys, key=str):
            built = of_key[asked.asset_key]
            receipts = _receipts(store, built.model, hours)
            if asked.name == BALANCE:
                yield balance_check(asked, store, source, hours)
            elif asked.name == COLLISIONS:
                yield _collisions(asked, receipts)
            elif asked.name == VALUES:
                with_rows = [hour for hour, each in receipts.items() if each.rows]
                share = settings.value_check_share if with_rows else 0
                found = (
                    values_of_source(store, source, share, with_rows, built.table, con=reader()) if share else Shares()
                )
                yield _values_kept(asked, found, list(receipts))
            else:
                yield _validity(asked, store, built, receipts, settings.ocsf_validation_share)

    return check


def mart_checks(marts: Sequence[BuiltTable], project: Path) -> list[dg.AssetChecksDefinition]:
    """Return the checks of the marts: that they are current, and that rows of an OCSF class are valid."""
    of_key = {each.key: each for each in marts}
    if not of_key:
        return []
    words = "The hours are made of what the lake has now of the tables that the mart reads, and their files are there."
    current = [dg.AssetCheckSpec(CURRENT, asset=key, description=words) for key in of_key]
    specs = [*current, *_specs(each for each in marts if each.ocsf_class)]

    @dg.multi_asset_check(name="check_marts", specs=specs, can_subset=True)
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        settings = load_settings()
        store = open_lake(settings)
        held, tables = load_project(project), Tables(store)
        for asked in sorted(context.selected_asset_check_keys, key=str):
            built = of_key[asked.asset_key]
            hours = _hours(context, store, [built])
            if asked.name == CURRENT and built.model not in held.marts.by_name:
                yield _undeclared(asked, held.marts.problems.get(built.model))
            elif asked.name == CURRENT:
                stale = stale_mart(store, held.mappings, held.marts.by_name[built.model], tables)
                yield _current(asked, [each for each in stale if each.hour in set(hours)], hours)
            else:
                receipts = _receipts(store, built.model, hours)
                yield _validity(asked, store, built, receipts, settings.ocsf_validation_share)

    return [check]


def _undeclared(asked: dg.AssetCheckKey, problem: BadMart | None) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asked.asset_key,
        check_name=asked.name,
        passed=False,
        description=str(problem or "the project no longer has this mart: reload the code location"),
    )


def _current(asked: dg.AssetCheckKey, stale: Sequence[StaleMart], hours: Sequence[str]) -> dg.AssetCheckResult:
    named = "; ".join(f"{each.hour}: {each.why}" for each in stale[:5])
    more = f"; and {len(stale) - 5} more hours" if len(stale) > 5 else ""
    return dg.AssetCheckResult(
        asset_key=asked.asset_key,
        check_name=asked.name,
        passed=not stale,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"to be built again: {named}{more}" if stale else f"{_span(hours)}: current",
    )


def _specs(tables: Iterable[BuiltTable]) -> Iterator[dg.AssetCheckSpec]:
    for each in tables:
        if each.table == paths.OUTCOMES:
            words = "Per event hour, landed = published + duplicates + filtered + unprocessable, of all its tables."
            yield dg.AssetCheckSpec(BALANCE, asset=each.key, blocking=True, description=words)
            words = "No two different events of an hour share one event key. Where they do, both are kept."
            yield dg.AssetCheckSpec(COLLISIONS, asset=each.key, description=words)
        else:
            words = (
                "Every row keeps the OCSF rules (in SQL); a share of the rows is held against the official JSON Schema."
            )
            yield dg.AssetCheckSpec(VALIDITY, asset=each.key, description=words)
            if not each.ocsf_class:  # a table of silver
                words = "Every value of a record is in its row or declared by the contract, of a share of the rows."
                yield dg.AssetCheckSpec(VALUES, asset=each.key, description=words)


def balance_check(asked: dg.AssetCheckKey, store: Store, source: str, hours: Sequence[str]) -> dg.AssetCheckResult:
    """Hold some event hours of a source against the balance sheet; an hour that is not built fails as well."""
    wanted = set(hours)
    sheet = balance(store, [source], min(hours), max(hours)).hours if hours else ()
    rows = [row for row in sheet if row.hour in wanted]
    broken = [row for row in rows if not row.balanced]
    columns = ("landed", "published", "duplicates", "filtered", "unprocessable", "collisions")
    totals = {name: sum(getattr(row, name) for row in rows) for name in columns}
    shown = [(row.hour, *(getattr(row, name) for name in columns), row.state, row.why) for row in (broken or rows)]
    named = "; ".join(f"{row.hour} {row.state}: {row.why}" for row in broken[:5])
    more = f"; and {len(broken) - 5} more hours" if len(broken) > 5 else ""
    equation = (
        f"{totals['landed']:,} landed = {totals['published']:,} published + {totals['duplicates']:,} duplicates"
        f" + {totals['filtered']:,} filtered + {totals['unprocessable']:,} unprocessable, in {_span(hours)}"
    )
    return dg.AssetCheckResult(
        asset_key=asked.asset_key,
        check_name=asked.name,
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{source}: {named}{more}" if broken else equation,
        metadata={
            **totals,
            "unbalanced_hours": sum(row.state == UNBALANCED for row in rows),
            "hours": dg.MetadataValue.md(table(("event hour", *columns, "state", "why"), shown)),
        },
    )


def _collisions(asked: dg.AssetCheckKey, receipts: Mapping[str, BuildReceipt]) -> dg.AssetCheckResult:
    found = {hour: each.counts.get("collision", 0) for hour, each in receipts.items()}
    found = {hour: rows for hour, rows in found.items() if rows}
    named = ", ".join(f"{hour} ({rows:,})" for hour, rows in list(found.items())[:5])
    return dg.AssetCheckResult(
        asset_key=asked.asset_key,
        check_name=asked.name,
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"{sum(found.values()):,} rows share their event key with a different event, all kept: {named}"
            if found
            else f"no collisions in {_span(list(receipts))}"
        ),
        metadata={"hours": dg.MetadataValue.md(table(("event hour", "rows"), found.items()))} if found else {},
    )


def _validity(
    asked: dg.AssetCheckKey, store: Store, built: BuiltTable, receipts: Mapping[str, BuildReceipt], share: float
) -> dg.AssetCheckResult:
    broken = [
        (rule, hour, rows, each.samples.get(rule, ""))
        for hour, each in receipts.items()
        for rule, rows in each.invalid.items()
    ]
    rows = sum(each.rows for each in receipts.values())
    held = store.infos(each.file for each in receipts.values() if each.file)
    files = [store.url(key) for key, found in held.items() if found is not None]
    official = (
        validate_table(files, built.class_name, share, connection=duck.connect(store))
        if files and share
        else ValidationReport(built.class_name)
    )
    broken += [
        (f"{finding.rule}: {finding.message}", "official schema", official.by_rule[finding.rule], example.uid or "")
        for example in official.examples
        for finding in example.findings
    ]
    worst = max(broken, key=lambda each: each[2], default=None)
    return dg.AssetCheckResult(
        asset_key=asked.asset_key,
        check_name=asked.name,
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            f"{worst[2]:,} rows break {worst[0]}, for instance metadata.uid {worst[3]} ({worst[1]});"
            f" {len(broken)} findings in {_span(list(receipts))}"
            if worst
            else f"{rows:,} rows keep the rules, {official.checked:,} of them held against the official JSON Schema"
        ),
        metadata={"rows": rows, "checked_by_official_schema": official.checked}
        | (
            {"findings": dg.MetadataValue.md(table(("rule", "event hour", "rows", "metadata.uid of one"), broken))}
            if broken
            else {}
        ),
    )


def _values_kept(asked: dg.AssetCheckKey, found: Shares, hours: Sequence[str]) -> dg.AssetCheckResult:
    worst = found.missing.most_common(1)
    why = f"{worst[0][0]}, for instance of metadata.uid {found.examples[worst[0][0]]}" if worst else ""
    missing, values = found.values[MISSING], found.values.total()
    return dg.AssetCheckResult(
        asset_key=asked.asset_key,
        check_name=asked.name,
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{missing:,} of {values:,} values of records are nowhere in their rows: {why}"
        if missing
        else f"{values:,} values of {found.rows:,} records are in their rows or declared, in {_span(hours)}",
        metadata={"rows": found.rows, **{kind: found.values[kind] for kind in KINDS}},
    )


def _hours(context: dg.AssetCheckExecutionContext, store: Store, tables: Sequence[BuiltTable]) -> tuple[str, ...]:
    op = context.op_execution_context
    if op.has_partition_key or op.has_partition_key_range:
        return hour_texts(op.partition_keys)
    folders = (f"{paths.LEDGER}/build/{each.model}" for each in tables)
    newest = max((entry.key for folder in folders for entry in store.list(folder)), default=None, key=_day_of)
    if newest is None:
        return ()
    built = [build_receipts.of_model(store, each.model) for each in tables[:1]]
    return tuple(sorted(built[0])[-_HOURS_WITHOUT_RUN:])


def _day_of(key: str) -> str:
    return key.rsplit("/", 1)[-1]


def _receipts(store: Store, model: str, hours: Sequence[str]) -> dict[str, BuildReceipt]:
    days = {ledger.hour(hour).date() for hour in hours}
    found = {hour: each for day in days for hour, each in build_receipts.day_of(store, model, day).items()}
    return {hour: found[hour] for hour in hours if hour in found}


def _span(hours: Sequence[str]) -> str:
    if not hours:
        return "no hours"
    return hours[0] if len(hours) == 1 else f"{len(hours)} hours, {min(hours)} to {max(hours)}"
