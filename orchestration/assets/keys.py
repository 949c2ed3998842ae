"""Keys of assets that other files name, and the mark by which a materialization tells of which receipts it is."""

import hashlib

import dagster as dg

from lake.matching.matches import TABLE as MATCHES
from lake.storage import paths

RECEIPT = "receipt"  # the entry of a materialization's metadata that holds the mark


def bronze_key(source: str) -> dg.AssetKey:
    """Return the key of a source's raw asset."""
    return dg.AssetKey(["bronze", source])


def match_key() -> dg.AssetKey:
    """Return the key of the asset."""
    return dg.AssetKey([paths.GOLD, MATCHES])


def receipt_mark(*parts: object) -> str:
    """Return the mark of what receipts say: a materialization with the same mark is of the same receipts."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:12]
