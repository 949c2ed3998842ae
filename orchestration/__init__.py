"""The room that runs the others: settings, command line, Dagster definitions, and the bridge to dbt."""
