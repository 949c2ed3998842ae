"""Loaders of reference tables: context with validity times that dbt joins to events. One module per kind of context."""
