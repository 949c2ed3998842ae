"""The documentation site, made of the READMEs, the contracts' field tables and dbt's docs; and its pictures."""
