"""Keys of assets that other files name."""

import dagster as dg

from lake.matching.matches import TABLE as MATCHES
from lake.storage import paths


def bronze_key(source: str) -> dg.AssetKey:
    """Return the key of a source's raw asset."""
    return dg.AssetKey(["bronze", source])


def match_key() -> dg.AssetKey:
    """Return the key of the asset."""
    return dg.AssetKey([paths.GOLD, MATCHES])
