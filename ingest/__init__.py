"""From a vendor to bronze: contracts, sources, transports, decoders, landing. Never imports dagster or dbt."""
