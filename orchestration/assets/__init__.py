"""Dagster assets: bronze by a factory from the contracts, everything dbt builds by one translator."""
