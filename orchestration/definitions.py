"""The Dagster definitions: everything is put together here, and nothing is decided here.

Loading them reads the settings, the contracts and dbt's manifest; it touches no network, no lake and no secret.
"""

import dagster as dg
from dagster_dbt import DbtCliResource

from ingest.contracts import load_contracts
from orchestration.assets.bronze import bronze_asset
from orchestration.assets.dbt_graph import dbt_command, read_manifest
from orchestration.assets.hours import hourly
from orchestration.assets.silver import silver_assets
from orchestration.assets.translator import LakeTranslator
from orchestration.settings import PROJECT, load_settings


def definitions() -> dg.Definitions:
    """Return the definitions. Raises SettingsError, ContractError or ManifestFailed, each saying what to change."""
    settings, contracts, manifest = load_settings(), load_contracts(), read_manifest()
    partitions = hourly(settings.partitions_start)
    translator = LakeTranslator(manifest, contracts, partitions)
    raw = [bronze_asset(contract, partitions) for contract in contracts.values()]
    built = [silver_assets(source, manifest, translator, partitions) for source in contracts]
    return dg.Definitions(
        assets=[*raw, *(each for each in built if each is not None)],
        resources={"dbt": DbtCliResource(project_dir=PROJECT, profiles_dir=str(PROJECT), dbt_executable=dbt_command())},
    )


defs = definitions()
