"""`gold/threat_matches` as an asset, and the sensor that runs it after a new list or newly built hours.

The asset has no partitions, though its rows are filed by event hour: one list concerns all hours of the last months at
once and is held against them in one pass, and which hours have anything new follows from receipts. As partitions these
would be thousands of materializations for every list.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from lake.ledger import build_receipts
from lake.matching.match import Matched
from lake.matching.matches import TABLE
from lake.storage import paths
from lake.storage.publish import recover
from lake.storage.store import Store
from orchestration.assets.keys import RECEIPT, match_key, receipt_mark
from orchestration.assets.landing_metadata import table
from orchestration.graph import BuiltTable, Graph
from orchestration.settings import load_settings, open_lake
from orchestration.steps.match import lists_loaded, match_lake

SEARCHED, KEPT = "every_table_was_searched", "no_index_was_missing"
CHECKS = {
    SEARCHED: "Every table of the searched hours could be read; one that could not waits for the next run.",
    KEPT: "Every searched hour had its index of observables; one without was searched itself, which takes longer.",
}
_SECONDS = 300


def definitions(graph: Graph) -> dg.Definitions:
    """Return the asset, its checks and its sensor."""
    return threat_matches(each for found in graph.tables.values() for each in found)


def threat_matches(built: Iterable[BuiltTable]) -> dg.Definitions:
    """Return the asset over the built tables of silver, with its checks and its sensor."""
    deps = [each.key for each in built if each.key.path[0] == paths.SILVER]
    return dg.Definitions(assets=[_asset(deps)], sensors=[_sensor()])


def _asset(deps: list[dg.AssetKey]) -> dg.AssetsDefinition:
    key = match_key()

    @dg.asset(
        key=key,
        deps=deps,
        pool="match",
        group_name=paths.GOLD,
        kinds={"duckdb"},
        tags={"layer": paths.GOLD},
        description=(
            "Events that hold an indicator of a threat-intelligence list, whenever either became known. New indicators"
            " are held against the past, new events against the indicators; what was searched is not searched again."
        ),
        check_specs=[dg.AssetCheckSpec(name, asset=key, description=said) for name, said in CHECKS.items()],
    )
    def match(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        settings = load_settings()
        store = open_lake(settings)
        recover(store)
        done = match_lake(store, settings)
        for line in (*done.failed.values(), *done.mended.values()):
            context.log.warning(line)
        metadata = _metadata(done, lists_loaded(store)) | matches_metadata(store)
        yield dg.MaterializeResult(metadata=metadata, check_results=_results(key, done))

    return match


def _metadata(done: Matched, lists: dict[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "new_matches": done.rows,
        "indicators": done.indicators,
        "indicators_sought": done.sought,
        "event_hours_searched": done.hours,
        "observables_searched": done.observables,
        "seconds": round(done.seconds, 1),
        "lists": dg.MetadataValue.json(lists),
    }
    if done.found:
        metadata["new_matches_by_list"] = dg.MetadataValue.md(
            table(("list", "new matches"), sorted(done.found.items()))
        )
    return metadata | ({"hours_that_wait": len(done.left)} if done.left else {})


def matches_metadata(store: Store) -> dict[str, Any]:
    """Return how many matches the lake holds, over how many event hours, as metadata."""
    held = build_receipts.of_model(store, TABLE)
    rows = {hour: 0 if receipt.expired_at else receipt.rows for hour, receipt in held.items()}
    marks = [f"{hour} {receipt.built_at} {rows[hour]}" for hour, receipt in sorted(held.items())]
    return {
        "matches": sum(rows.values()),
        "event_hours_with_matches": sum(1 for each in rows.values() if each),
        "dagster/row_count": sum(rows.values()),
        RECEIPT: receipt_mark(*marks),
    }


def _results(key: dg.AssetKey, done: Matched) -> list[dg.AssetCheckResult]:
    found = {SEARCHED: (done.failed, dg.AssetCheckSeverity.ERROR), KEPT: (done.mended, dg.AssetCheckSeverity.WARN)}
    return [
        dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=not lines,
            severity=severity,
            metadata={"files": len(lines), "first": next(iter(lines.values()), "")},
        )
        for name, (lines, severity) in found.items()
    ]


def _sensor() -> dg.SensorDefinition:
    @dg.sensor(
        name="threat_matches_sensor",
        asset_selection=dg.AssetSelection.assets(match_key()),
        minimum_interval_seconds=_SECONDS,
        description=(
            "Matches when a list of indicators has a new version, or hours were built. Nothing runs while no list is"
            " loaded. Off until turned on."
        ),
    )
    def threat_matches_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        store = open_lake(load_settings())
        recover(store)
        lists = lists_loaded(store)
        if not lists:
            return dg.SensorResult(skip_reason="no list of indicators is loaded")
        state = lake_state(store, lists)
        if state == context.cursor:
            return dg.SensorResult(skip_reason="no list and no hour has changed since matching was asked for")
        request = dg.RunRequest(run_key=state, asset_selection=[match_key()])
        return dg.SensorResult(run_requests=[request], cursor=state)

    return threat_matches_sensor


def lake_state(store: Store, lists: dict[str, str]) -> str:
    """Return a mark of the lists' versions and of the receipts of what was built of silver."""
    own = f"{paths.LEDGER}/build/{TABLE}/"
    built = [
        (each.key, each.fingerprint) for each in store.list(f"{paths.LEDGER}/build") if not each.key.startswith(own)
    ]
    return hashlib.sha256(json.dumps([sorted(lists.items()), built]).encode()).hexdigest()[:16]
