"""Retro-matching: a new indicator is held against the observables of the lake's past.

What belongs here: the index of observables beside each hour of a curated table, the search of indicators over it, and
`gold.threat_matches`. What does not: where indicators come from (the caller gives a SELECT of them), dbt, Dagster.
"""
