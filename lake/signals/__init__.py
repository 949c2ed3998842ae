"""Signals: what analysts say of findings, how good those of a data product are, how much of the truth they tell.

What belongs here: dispositions (`dispositions`), the funnel of a product (`quality`), precision and recall against
labelled events (`truth`). What does not: how a product finds its signals (`dbt_project/models/gold/`).
"""
