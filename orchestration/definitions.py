"""The Dagster definitions: everything is put together here, and nothing is decided here.

Loading them reads the settings, the contracts and dbt's manifest; it touches no network, no lake and no secret.
"""

import warnings
from pathlib import Path

import dagster as dg

from ingest.contracts import load_contracts
from lake import ledger
from lake.storage.paths import GOLD
from orchestration.assets.bronze import bronze_asset, bronze_key
from orchestration.assets.exports import export_assets
from orchestration.assets.hours import hourly
from orchestration.assets.iceberg import iceberg_tables
from orchestration.assets.lookups import lookup_assets
from orchestration.assets.reference import reference_assets
from orchestration.assets.tables import built_tables, gold_assets, gold_tables, silver_assets, view_specs
from orchestration.assets.threat_matches import match_table, threat_matches
from orchestration.automation.exports_behind import export_sensor
from orchestration.automation.late_objects import late_objects_sensor
from orchestration.automation.queues import queue_schedules
from orchestration.automation.schedules import arrival_schedule, landing_schedules
from orchestration.automation.stale_hours import stale_sensor
from orchestration.automation.upkeep import maintenance
from orchestration.automation.verdicts import disposing
from orchestration.checks.arrival import arrival_checks
from orchestration.checks.building import building_checks, mart_checks
from orchestration.checks.integrity import integrity_check, integrity_schedule
from orchestration.checks.products import contract_checks
from orchestration.dbt.project import load_project
from orchestration.dbt.translator import LakeTranslator
from orchestration.settings import PROJECT, load_settings
from orchestration.steps.exports import declared_exports
from orchestration.steps.verify import verifiable

warnings.filterwarnings("ignore", category=dg.BetaWarning)  # backfill policies and pools, which this lake needs


def definitions(folder: Path = PROJECT) -> dg.Definitions:
    """Return the definitions over a dbt project.

    Raises:
        SettingsError, ContractError, ManifestFailed, BadDeclaration: each says what to change.
    """
    settings, contracts, project = load_settings(), load_contracts(), load_project(folder)
    partitions = hourly(settings.partitions_start)
    translator = LakeTranslator(project, contracts, partitions)
    raw = {bronze_key(source): contract for source, contract in contracts.items()}
    tables = {source: built_tables(project, translator, source) for source in contracts}
    tables = {source: found for source, found in tables.items() if found}
    marts = gold_tables(project, translator)
    gold = [*marts, match_table()]
    exports = declared_exports(project)
    newest = arrival_checks(raw)
    signed = [(each, integrity_check(bronze_key(each), contracts[each])) for each in verifiable(contracts)]
    return dg.Definitions.merge(
        dg.Definitions(
            assets=[
                *(bronze_asset(contract, partitions) for contract in contracts.values()),
                *(silver_assets(source, tables[source], project, translator) for source in tables),
                *gold_assets(marts, project, translator),
                *view_specs(project, translator),
                *export_assets(settings, exports, {**tables, GOLD: gold}, partitions),
            ],
            asset_checks=[
                newest,
                *(check for _, check in signed),
                *(building_checks(source, found) for source, found in tables.items()),
                *mart_checks(marts, folder),
                *contract_checks(marts),
            ],
            sensors=[
                late_objects_sensor(raw, ledger.hour(settings.partitions_start)),
                stale_sensor(
                    {each.model: each.key for found in (*tables.values(), marts) for each in found},
                    tables,
                    folder,
                    ledger.hour(settings.partitions_start),
                ),
            ],
            executor=dg.multiprocess_executor.configured(
                {"start_method": {"forkserver": {"preload_modules": ["orchestration.definitions"]}}}
            ),
        ),
        landing_schedules(settings, raw),
        reference_assets(settings),
        queue_schedules(settings, contracts.values()),
        arrival_schedule(newest),
        iceberg_tables(settings, {**tables, GOLD: gold}),
        lookup_assets(settings, tables),
        threat_matches(each for found in tables.values() for each in found),
        export_sensor(settings, exports, ledger.hour(settings.partitions_start)),
        maintenance(),
        disposing(),
        *(integrity_schedule(contracts[each], check) for each, check in signed),
    )


defs = definitions()
