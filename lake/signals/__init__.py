"""Signals: verdicts of analysts on findings, how good a product's findings are, how much of the truth they tell.

How a product finds its signals does not belong here (`dbt_project/models/gold/`).
"""
